"""``OUTPUT.resume``: the inputs of a finished table, so that a later run may keep its rows.

A text file. First the identities of all sources in order, runs of equal ones with their length;
then one line of JSON with the maker of the table, and size and SHA-256 of the table, of the list of
errors, and of the lines before. If it is missing or anything differs, no row is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from narfast._documents import Integer, Object, OneOf, Optional, Text, parse_document
from narfast._files import open_regular
from narfast.errors import CorruptFileError

__all__ = ["RecordWriter", "file_facts", "read_record"]

_VERSION = 1
_MAX_LINE = 4096  # bytes
_UNKNOWN = "?"

_DIGEST = Text(64, "[0-9a-f]{64}")
_FILE = Object({"bytes": Integer(), "sha256": _DIGEST}, closed=True)
_SHAPE = Object(
    {
        "format": OneOf(("narfast-resume",)),
        "version": Integer(_VERSION, _VERSION),
        "encoder": Text(),
        "narfast": Text(),
        "table": _FILE,
        "errors": Optional(_FILE),
        "identities": _DIGEST,
    },
    closed=True,
)


class RecordWriter:
    """Writes the record beside its table."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._last: str | None = None
        self._count = 0

    def add(self, identities: Iterable[str | None]) -> None:
        """Add the identities of the next sources."""
        for identity in identities:
            if self._count and identity != self._last:
                self._write()
            self._last = identity
            self._count += 1

    def _write(self) -> None:
        identity = _UNKNOWN if self._last is None else self._last
        line = f"{self._count} {identity}\n".encode()
        self._digest.update(line)
        self._file.write(line)
        self._count = 0

    def finish(
        self, made_by: Mapping[str, str], *, table: dict[str, Any], errors: dict[str, Any] | None
    ) -> None:
        """Add the last line.

        Args:
            made_by: ``encoder`` and ``narfast``.
            table: `file_facts` of the output.
            errors: `file_facts` of its list of errors, None if there is none.
        """
        if self._count:
            self._write()
        document = {
            "format": "narfast-resume",
            "version": _VERSION,
            **made_by,
            "table": table,
            "errors": errors,
            "identities": self._digest.hexdigest(),
        }
        self._file.write(json.dumps(document).encode() + b"\n")


def file_facts(file: BinaryIO) -> dict[str, Any]:
    """Return size and SHA-256 of an open file."""
    file.seek(0)
    digest = hashlib.sha256()
    size = 0
    while part := file.read(1 << 20):
        digest.update(part)
        size += len(part)
    return {"bytes": size, "sha256": digest.hexdigest()}


def read_record(
    path: Path, made_by: Mapping[str, str], *, table: Path, errors: Path
) -> Iterator[str | None]:
    """Check a table against its record; return the identities of its sources, in order.

    Args:
        path: the record.
        made_by: ``encoder`` and ``narfast`` of this run.
        table: the output.
        errors: its list of errors.

    Raises:
        CorruptFileError: the record, the table or the list has changed since it was written.
        OSError: one of them cannot be read.
    """
    try:
        file = open_regular(path)
    except FileNotFoundError:
        raise CorruptFileError(f"{path}: missing, so the inputs of the rows are unknown") from None
    with file:
        digest = hashlib.sha256()
        last = b""
        end = 0  # offset of the last line
        for line in _lines(file):
            digest.update(last)
            end += len(last)
            last = line
    facts = parse_document(
        last, _SHAPE, path=path, what="a record of 'narfast encode'", remedy="delete it"
    )
    if facts["identities"] != digest.hexdigest():
        raise CorruptFileError(f"{path}: damaged")
    if any(facts[name] != value for name, value in made_by.items()):
        raise CorruptFileError(f"{path}: belongs to another table")
    _check(table, facts["table"])
    if facts["errors"] is not None:
        _check(errors, facts["errors"])
    elif errors.exists():
        raise CorruptFileError(f"{errors}: belongs to another table")
    return _identities(path, end)


def _check(path: Path, facts: dict[str, Any]) -> None:
    try:
        with open_regular(path) as file:
            found = file_facts(file)
    except FileNotFoundError:
        raise CorruptFileError(f"{path}: missing") from None
    if found != facts:
        raise CorruptFileError(f"{path}: changed since it was written")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(_MAX_LINE):
        yield line


def _identities(path: Path, end: int) -> Iterator[str | None]:
    with open_regular(path) as file:
        for line in _lines(file):
            if end <= 0:
                return
            end -= len(line)
            count, _, identity = line.decode("utf-8", "replace").rstrip("\n").partition(" ")
            if not (count.isascii() and count.isdigit() and len(count) < 19):
                raise CorruptFileError(f"{path}: not a record of 'narfast encode'; delete it")
            for _ in range(int(count)):
                yield None if identity == _UNKNOWN else identity
