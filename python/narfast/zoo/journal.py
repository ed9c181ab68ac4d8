"""An append-only record of finished work, so that a killed build goes on where it stopped.

One JSON object per line, each with its own checksum: a line cut off by a crash is dropped.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from narfast.errors import Failure, NarfastError
from narfast.graph import ArchGraph
from narfast.reading.graph_codec import unpack_graph

__all__ = ["Journal"]

_log = logging.getLogger("narfast")


class Journal:
    """The journal of one build; opened for appending, with what an earlier run left in it.

    Graphs stay in the file: memory does not grow with them.

    Attributes:
        done: id -> where its line starts, of the networks read so far.
        failed: id -> reason.
    """

    def __init__(self, path: Path, *, header: Mapping[str, Any]) -> None:
        """Open ``path``, keeping its lines if it was written under an equal ``header``.

        Args:
            path: created when missing.
            header: whatever must be equal for old lines to be of use, such as library versions.

        Raises:
            NarfastError: ``path`` exists and is no journal.
            OSError: it cannot be read or written.
        """
        self.path = path
        self.done: dict[str, int] = {}
        self.failed: dict[str, str] = {}
        self._stream = path.open("a+b")
        try:
            self._lock()
            end = self._replay(dict(header))
            self._stream.truncate(end)
        except BaseException:
            self._stream.close()
            raise
        if end == 0:
            self._append({"header": dict(header)})

    def _lock(self) -> None:
        """Refuse a journal that another process is writing."""
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NarfastError(
                f"{self.path}: another build of this zoo is running; wait for it"
            ) from None

    def _replay(self, header: dict[str, Any]) -> int:
        """Read the whole lines of an earlier run; return where the first broken one starts."""
        end = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream):
                value = _parse(line)
                if number == 0:
                    if value is None and len(line) > 1 and not line.startswith(b'{"crc'):
                        raise NarfastError(
                            f"{self.path}: exists and is not a journal of 'narfast zoo build'; "
                            "move it away"
                        )
                    if value is None or value.get("header") != header:
                        _log.warning("%s: from other library versions, starting anew", self.path)
                        return 0
                elif value is None:
                    return end
                elif "failed" in value:
                    self.failed[value["failed"]] = value["reason"]
                else:
                    self.done[str(value["id"])] = end
                end += len(line)
        return end

    def add(self, packed: Mapping[str, Any]) -> None:
        """Append a finished network, as `pack_graph` made it."""
        self.done[str(packed["id"])] = self._append(dict(packed))

    def graphs(self, identifiers: Iterable[str]) -> Iterator[ArchGraph]:
        """Read finished networks back, in the order asked for.

        Raises:
            NarfastError: the file was changed by someone else meanwhile.
        """
        with self.path.open("rb") as stream:
            for identifier in identifiers:
                stream.seek(self.done[identifier])
                value = _parse(stream.readline())
                if value is None or value.get("id") != identifier:
                    raise NarfastError(f"{self.path}: changed while in use; run the build again")
                yield unpack_graph(value)[1]

    def fail(self, failure: Failure) -> None:
        """Append a network that could not be read."""
        self._append({"failed": failure.id, "reason": failure.reason})
        self.failed[failure.id] = failure.reason

    def _append(self, value: dict[str, Any]) -> int:
        """Write a line; return where it starts."""
        body = json.dumps(value, separators=(",", ":"))
        line = f'{{"crc":{zlib.crc32(body.encode())},"line":{body}}}\n'.encode()
        self._stream.write(line)
        # Handed to the system at once: a killed process loses nothing, a power cut a few lines.
        self._stream.flush()
        return self._stream.tell() - len(line)

    def close(self) -> None:
        """Close the file, leaving it for a later run."""
        self._stream.close()

    def remove(self) -> None:
        """Close and delete the file: the work is finished."""
        self.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream.closed:
            return
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.close()
        kept = len(self.done) + len(self.failed)
        if error is not None and not isinstance(error, Exception) and kept:  # such as Ctrl-C
            error.add_note(f"{kept} networks are kept in {self.path}; a build goes on from there")


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return a line's value, or None when it is cut off or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        outer = json.loads(line)
        body = json.dumps(outer["line"], separators=(",", ":"))
        if zlib.crc32(body.encode()) != outer["crc"]:
            return None
        value = outer["line"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
