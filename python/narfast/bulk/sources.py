"""The input of a bulk run: a stream of blocks of consecutive sources of one kind.

Nothing here reads a network, and memory does not grow with the number of sources.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from narfast._files import open_regular
from narfast.errors import CorruptFileError, NarfastError

if TYPE_CHECKING:
    from narfast.zoo import Zoo

__all__ = ["Block", "Inputs", "open_zoo"]

Kind = Literal["named", "zoo", "nasbench101", "nasbench201"]

_NAMED = 32  # sources per block if they are read one by one
_STORED = 1024  # rows per block if they are read or generated together
_TABLES = (".parquet", ".csv")
_COLUMN = "source"
_MAX_LINE = 1 << 20  # characters; the longest paths have 4,096


@dataclass(frozen=True)
class Block:
    """Consecutive sources that are read and encoded together.

    Attributes:
        kind: ``named`` for single sources, else the collection of the rows.
        names: the sources, if they are named.
        start: first row in the collection.
        stop: row after the last.
        zoo: zoo folder of the rows, or of sources such as ``zoo:timm:resnet50``.
    """

    kind: Kind
    names: tuple[str, ...] = ()
    start: int = 0
    stop: int = 0
    zoo: str = "default"

    def __len__(self) -> int:
        return len(self.names) if self.kind == "named" else self.stop - self.start

    def sources(self) -> list[str]:
        """The source of each row; `narfast.load` reads the same network from it."""
        if self.kind == "named":
            return list(self.names)
        if self.kind == "zoo":
            zoo = open_zoo(self.zoo)
            return [f"zoo:{zoo[row].id}" for row in range(self.start, self.stop)]
        if self.kind == "nasbench201":
            from narfast.search_spaces import nasbench201

            return [f"nasbench201:{nasbench201.text(c)}" for c in range(self.start, self.stop)]
        from narfast.search_spaces import nasbench101

        cells = nasbench101.cells()[self.start : self.stop].tolist()
        return [f"nasbench101:{nasbench101.text(cell)}" for cell in cells]

    def rest(self, done: int) -> Block:
        """Return the block without its first ``done`` rows."""
        if self.kind == "named":
            return replace(self, names=self.names[done:])
        return replace(self, start=self.start + done)


@dataclass(frozen=True)
class Inputs:
    """Sources in the form that a user gives them.

    A source is anything that `narfast.load` reads, or a collection: ``nasbench101:all``,
    ``nasbench201:all``, ``zoo:all`` (``zoo:`` for short), or the folder of a zoo.

    Attributes:
        sources: from the command line; duplicates are ignored.
        lists: files with sources, read on demand: a ``.parquet`` or ``.csv`` table with a column
            ``source``, else a text with one source per line; ``-`` is standard input. Duplicates in
            lists are kept.
        zoo: the folder that ``zoo:`` means.
    """

    sources: Sequence[str] = ()
    lists: Sequence[str] = ()
    zoo: str = "default"

    def blocks(self) -> Iterator[Block]:
        """Yield blocks of all sources in order.

        Raises:
            NarfastError: a list cannot be read.
        """
        names: list[str] = []
        for source in self._each():
            collection = self._collection(source)
            if collection is not None or len(names) == _NAMED:
                if names:
                    yield Block("named", tuple(names), zoo=self.zoo)
                names = []
            if collection is None:
                names.append(source)
            else:
                yield from collection
        if names:
            yield Block("named", tuple(names), zoo=self.zoo)

    def check(self) -> None:
        """Read the start of each list, so that a mistake shows before any work is done.

        Raises:
            NarfastError: a list cannot be read.
        """
        for path in self.lists:
            found = Path(path)
            if path != "-" and not (found.is_fifo() or found.is_char_device()):  # readable once
                next(read_list(path), None)

    def total(self) -> int | None:
        """Return the number of sources, None if there are lists.

        Raises:
            NarfastError: a collection cannot be opened.
        """
        if self.lists:
            return None
        found = [self._collection(source) for source in dict.fromkeys(self.sources)]
        return sum(1 if blocks is None else blocks[-1].stop if blocks else 0 for blocks in found)

    def _each(self) -> Iterator[str]:
        yield from dict.fromkeys(self.sources)
        for path in self.lists:
            yield from read_list(path)

    def _collection(self, source: str) -> list[Block] | None:
        """Return the blocks of a collection; None for any other source."""
        kind, _, rest = source.partition(":")
        if kind == "zoo" and rest in ("", "all"):
            return _cut("zoo", len(open_zoo(self.zoo)), self.zoo)
        if kind == "nasbench101" and rest == "all":
            from narfast.search_spaces import nasbench101

            return _cut("nasbench101", len(nasbench101.cells()), self.zoo)
        if kind == "nasbench201" and rest == "all":
            from narfast.search_spaces import nasbench201

            return _cut("nasbench201", nasbench201.NUM_CELLS, self.zoo)
        if _is_zoo(source):
            return _cut("zoo", len(open_zoo(source)), source)
        return None


def read_list(path: str) -> Iterator[str]:
    """Yield the sources that a file lists, in order; empty lines are skipped.

    Raises:
        NarfastError: there is no such file, or a table has no column ``source``.
        CorruptFileError: it is not a table of its format, or a line has more than 1 MiB.
    """
    if path == "-":
        with contextlib.suppress(AttributeError, io.UnsupportedOperation):  # closed, or in use
            sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace")  # type: ignore[union-attr]
        if sys.stdin is None:  # closed by the parent process
            raise NarfastError("-: standard input is closed; name a file, or pipe sources in")
        yield from _lines(path, sys.stdin)
        return
    suffix = Path(path).suffix.lower()
    try:
        if suffix == ".parquet":
            yield from _parquet_column(path)
            return
        # A line that is not UTF-8 cannot be a source, and is reported as a failed one.
        with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            yield from _csv_column(path, stream) if suffix == ".csv" else _lines(path, stream)
    except FileNotFoundError:
        raise NarfastError(f"{path}: no such list of sources; check the path") from None
    except csv.Error as error:
        raise CorruptFileError(f"{path}: not a CSV table ({error}); write it again") from error


@lru_cache(maxsize=4)
def open_zoo(folder: str) -> Zoo:
    """Open the zoo at a folder, only once."""
    from narfast.zoo import Zoo

    return Zoo.open(folder)


def _is_zoo(source: str) -> bool:
    from narfast.storage.format import MANIFEST

    # Runs for every source: text paths take a tenth of the time, and any name is valid.
    return os.path.isfile(os.path.join(source, MANIFEST))  # noqa: PTH113, PTH118


def _cut(kind: Kind, rows: int, zoo: str) -> list[Block]:
    starts = range(0, rows, _STORED)
    return [Block(kind, start=i, stop=min(i + _STORED, rows), zoo=zoo) for i in starts]


def _lines(path: str, stream: TextIO) -> Iterator[str]:
    for line in _bounded(path, stream):
        if source := line.strip():
            yield source


def _bounded(path: str, stream: TextIO) -> Iterator[str]:
    """Yield the lines of a text; raise CorruptFileError before a huge line fills memory."""
    number = 0
    while line := stream.readline(_MAX_LINE + 1):
        number += 1
        if len(line) > _MAX_LINE:
            raise CorruptFileError(
                f"{'standard input' if path == '-' else path}: line {number} has more than "
                f"{_MAX_LINE:,} characters; a list of sources has one on each line"
            )
        yield line


def _csv_column(path: str, stream: TextIO) -> Iterator[str]:
    reader = csv.DictReader(_bounded(path, stream))
    _check_column(path, reader.fieldnames or [])
    for row in reader:
        yield row[_COLUMN] or ""


def _parquet_column(path: str) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_regular(path) as stream, pq.ParquetFile(stream) as file:
            _check_column(path, file.schema_arrow.names)
            for batch in file.iter_batches(columns=[_COLUMN], batch_size=_STORED):
                for source in batch.column(0).cast(pa.string()).to_pylist():
                    yield source or ""
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        reason = str(error).splitlines()[0]
        raise CorruptFileError(f"{path}: not a table of sources ({reason})") from error


def _check_column(path: str, names: Iterable[str]) -> None:
    if _COLUMN not in names:
        raise NarfastError(
            f"{path}: has no column {_COLUMN!r}, only {', '.join(map(str, names)) or 'nothing'}; "
            "rename the column of the sources"
        )
