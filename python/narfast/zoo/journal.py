"""An append-only record of finished networks: a killed build continues where it stopped.

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
    """The journal of one build, opened for appending after the lines of an earlier run.

    Graphs stay in the file, so memory does not grow with their number.

    Attributes:
        done: id -> offset of its line, for the networks read so far.
        failed: id -> reason, for the networks that could not be read.
    """

    def __init__(self, path: Path, *, header: Mapping[str, Any]) -> None:
        """Open ``path``; keep its lines if they were written under an equal ``header``.

        Args:
            path: created when missing.
            header: facts that must be equal for old lines to be valid, such as library versions.

        Raises:
            NarfastError: ``path`` exists and is not a journal.
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
        """Fail if another process writes the journal."""
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NarfastError(
                f"{self.path}: another build of this zoo is running; wait for it"
            ) from None

    def _replay(self, header: dict[str, Any]) -> int:
        """Read the intact lines of an earlier run; return the offset of the first damaged one."""
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
                        _log.warning("%s: from other library versions; starting again", self.path)
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
        """Append a finished network, as returned by `pack_graph`."""
        self.done[str(packed["id"])] = self._append(dict(packed))

    def graphs(self, identifiers: Iterable[str]) -> Iterator[ArchGraph]:
        """Read finished networks back, in the order of ``identifiers``.

        Raises:
            NarfastError: another process has changed the file meanwhile.
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
        """Write a line; return its offset."""
        body = json.dumps(value, separators=(",", ":"))
        line = f'{{"crc":{zlib.crc32(body.encode())},"line":{body}}}\n'.encode()
        self._stream.write(line)
        # Flushed at once: a killed process loses nothing, a power cut loses a few lines.
        self._stream.flush()
        return self._stream.tell() - len(line)

    def close(self) -> None:
        """Close the file and keep it for a later run."""
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
            error.add_note(f"{kept} networks are kept in {self.path}; the next build continues")


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the value of a line, or None if the line is cut off or damaged."""
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
