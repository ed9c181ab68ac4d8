"""Tables of a bulk run: rows, the part files of a run in progress, and the output.

During a run, its rows are in part files in ``OUTPUT.parts``, beside the output. Each part is
written atomically and named by number and content. A source that could not be read is a row too,
with its reason. At the end, the parts become the output and ``OUTPUT.errors.csv``.
``OUTPUT.resume`` proves to a later run that rows can be kept (`narfast.bulk.record`).
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import io
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from narfast._files import remove_leftovers, replacing
from narfast._version import __version__
from narfast.bulk.identity import ABSENT
from narfast.bulk.record import RecordWriter, file_facts, read_record
from narfast.errors import CorruptFileError, NarfastError

__all__ = ["Finished", "Parts", "Row", "errors_path", "record_path", "row_table", "table_schema"]

Row = tuple[str, str | None, str | None, int | None, int | None, str | None]
"""source, name, structural_hash, params, nodes, error; the error is None if it was read."""

_PART_ROWS = 1024
_PART_SECONDS = 5.0  # a killed run loses at most the work of this time
_ROW_GROUP = 4096
_FINGERPRINT = b"narfast.encoder"
_VERSION = b"narfast.version"
_REPLACE_HINT = "run without --resume to replace it"
_PART = re.compile(r"[0-9]+(-[0-9a-f]{32})?\.parquet")
_STAGED = re.compile(r"[0-9]+\.tmp")

_log = logging.getLogger("narfast")


def table_schema(fingerprint: str, dim: int, *, with_errors: bool = False) -> Any:
    """Return the Arrow schema of the output; parts also have a column ``error``."""
    import pyarrow as pa

    fields = [
        ("source", pa.string()),
        ("name", pa.string()),
        ("structural_hash", pa.string()),
        ("params", pa.int64()),
        ("nodes", pa.int64()),
        ("embedding", pa.list_(pa.float32(), dim)),
    ]
    if with_errors:
        fields.append(("error", pa.string()))
    facts = {_FINGERPRINT: fingerprint, _VERSION: __version__}
    return pa.schema(fields, metadata=facts)


def row_table(rows: Sequence[Row], vectors: NDArray[np.float32], fingerprint: str) -> Any:
    """Return rows as an Arrow table.

    Args:
        rows: the facts of each row.
        vectors: float32 [rows, dim]; ignored for rows with an error.
        fingerprint: fingerprint of the encoder.
    """
    import pyarrow as pa

    schema = table_schema(fingerprint, vectors.shape[1], with_errors=True)
    columns: list[Any] = [
        pa.array([row[i] for row in rows], type=schema.field(i if i < 5 else 6).type)
        for i in range(6)
    ]
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    columns.insert(5, pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))
    return pa.table(columns, schema=schema)


def record_path(output: Path) -> Path:
    """Path of the record, which has the identities of the sources."""
    return output.with_name(output.name + ".resume")


def errors_path(output: Path) -> Path:
    """Path of the list of sources that could not be read."""
    return output.with_name(output.name + ".errors.csv")


class Parts:
    """The part files of one output; only one run at a time can open them."""

    def __init__(self, output: Path, fingerprint: str, dim: int) -> None:
        """Open or create the folder beside ``output``.

        Raises:
            NarfastError: another run is writing there, or the folder's name is taken by a file.
            OSError: it cannot be created.
        """
        self._output = output
        self._fingerprint = fingerprint
        self._dim = dim
        self._schema = _part_schema(fingerprint, dim)
        self._folder = output.with_name(output.name + ".parts")
        self._removed = self._folder.with_name(f".{self._folder.name}.gone")
        self._sizes: dict[Path, int] = {}  # rows of the parts that `done` has read
        self._waiting: list[Any] = []
        self._written = time.monotonic()
        self._finished = False
        self._lock = self._open()
        try:
            self._remove_staged()
            self._next = self._next_number()
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self) -> int:
        """Create the folder and lock it."""
        while True:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise NarfastError(
                    f"{self._folder}: is a file, but the run needs a folder of that name for its "
                    "parts; move it away or choose another output"
                ) from None
            try:
                lock = os.open(self._folder, os.O_RDONLY)
            except FileNotFoundError:
                continue  # an ending run has just removed it
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(lock), self._folder.stat()):
                        return lock
            except BlockingIOError:
                os.close(lock)
                raise NarfastError(
                    f"{self._output}: another run is writing it; wait until it ends"
                ) from None
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        with contextlib.suppress(OSError):  # a full disk has already ended the run
            self.flush()
        if error is not None and not isinstance(error, Exception):  # for example, Ctrl-C
            self._note_on(error)
        if not self._finished and not self._next:
            with contextlib.suppress(OSError):  # the folder may have other files
                self._remove_staged()
                self._folder.rmdir()
        os.close(self._lock)

    def __len__(self) -> int:
        return self._next

    def _note_on(self, stop: BaseException) -> None:
        """Add to the exception how many sources are kept."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with contextlib.suppress(pa.ArrowException, OSError, UnicodeDecodeError):
            kept = sum(pq.read_metadata(path).num_rows for path in self._paths())
            if kept:
                stop.add_note(f"{kept} sources are kept in {self._folder}; continue with --resume")

    def _paths(self) -> list[Path]:
        own = (path for path in self._folder.iterdir() if _PART.fullmatch(path.name))
        return sorted(own, key=lambda path: int(path.name[: -len(".parquet")].partition("-")[0]))

    def _next_number(self) -> int:
        """Return the number of the next part."""
        paths = self._paths()
        return int(paths[-1].stem.partition("-")[0]) + 1 if paths else 0

    def _remove_staged(self) -> None:
        """Remove unfinished files of a killed run; needs the lock."""
        for path in self._folder.glob("*.tmp"):
            if _STAGED.fullmatch(path.name):
                path.unlink()
        shutil.rmtree(self._removed, ignore_errors=True)
        for path in (self._output, errors_path(self._output), record_path(self._output)):
            remove_leftovers(path)

    def clear(self) -> None:
        """Remove the parts of an earlier run."""
        for path in reversed(self._paths()):
            path.unlink()
        self._next = 0

    def append(self, table: Any, identities: Sequence[str | None]) -> None:
        """Add rows of `row_table`; they are on disk after a few seconds at most.

        Args:
            table: the rows.
            identities: identities of their sources, from `Identities.of` before reading.
        """
        import pyarrow as pa

        if ABSENT in identities:  # read nevertheless: on another machine, or created meanwhile
            errors = table.column("error").to_pylist()
            identities = [
                None if error is None and identity == ABSENT else identity
                for error, identity in zip(errors, identities, strict=True)
            ]
        column = pa.array(identities, type=pa.string())
        self._waiting.append(table.append_column("identity", column))
        late = time.monotonic() - self._written > _PART_SECONDS
        if late or sum(map(len, self._waiting)) >= _PART_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the waiting rows as a part."""
        import pyarrow as pa

        if self._waiting:
            self._write(self._next, pa.concat_tables(self._waiting))
            self._next += 1
            self._waiting = []
        self._written = time.monotonic()

    def _write(self, number: int, table: Any) -> None:
        import pyarrow.parquet as pq

        sink = io.BytesIO()
        pq.write_table(table, sink, use_dictionary=["identity"], write_statistics=False)
        data = sink.getvalue()
        # The name has the digest: after a crash no damaged part is taken for a good one.
        staging = self._folder / f"{number:06d}.tmp"
        staging.write_bytes(data)
        path = staging.with_name(f"{number:06d}-{_part_digest(data)}.parquet")
        staging.replace(path)
        self._sizes[path] = len(table)

    def done(self) -> Iterator[tuple[str, str | None]]:
        """Yield source and identity of every row, up to the first damaged part.

        Raises:
            NarfastError: made by another encoder or narfast, or unrelated files.
        """
        for path in self._paths():
            try:
                table = _read_part(path, self._schema)
            except CorruptFileError as error:
                _log.warning("%s", error)
                return
            self._sizes[path] = len(table)
            rows = (table.column(name).to_pylist() for name in ("source", "identity"))
            yield from zip(*rows, strict=True)

    def cut(self, rows: int) -> None:
        """Keep the first ``rows`` rows from `done` and remove the others."""
        paths = self._paths()
        sizes = [self._sizes.get(path, 0) for path in paths]
        begins = np.cumsum([0, *sizes]).tolist()
        for path, size, begin in reversed(list(zip(paths, sizes, begins, strict=False))):
            if begin >= rows:
                path.unlink()
            elif begin + size > rows:
                some = _read_part(path, self._schema).slice(0, rows - begin)
                path.unlink()
                self._write(int(path.stem.partition("-")[0]), some)
        self._next = self._next_number()

    def finish(self) -> tuple[int, int, list[tuple[str, str]], bool]:
        """Make the output from the parts, atomically, and remove the parts.

        If no source could be read, an output that has rows is kept, with its list of errors.

        Returns:
            Number of rows, number of sources that could not be read, the first hundred of those
            with their reasons, and whether the old output was kept.
        """
        import pyarrow.parquet as pq

        self.flush()
        output = self._output
        schema = table_schema(self._fingerprint, self._dim)
        rows = 0
        with (
            replacing(record_path(output)) as record_file,
            replacing(output) as table_file,
            replacing(errors_path(output)) as errors_file,
        ):
            record, errors = RecordWriter(record_file), _ErrorList(errors_file)
            with pq.ParquetWriter(
                table_file, schema, use_dictionary=["name"], write_statistics=["source"]
            ) as writer:
                for table in self._row_groups(schema, errors, record):
                    writer.write_table(table, row_group_size=_ROW_GROUP)
                    rows += len(table)
            errors.flush()
            kept = not rows and _has_rows(output)
            if kept:
                for file in (record_file, table_file, errors_file):
                    file.close()
            else:
                record.finish(
                    _facts(schema.metadata),
                    table=file_facts(table_file),
                    errors=file_facts(errors_file) if errors.count else None,
                )
                if not errors.count:
                    errors_file.close()
                    errors_path(output).unlink(missing_ok=True)
        self._finished = True
        if len(list(self._folder.iterdir())) > len(self._paths()):
            self.clear()  # but keep unrelated files
            return rows, errors.count, errors.first, kept
        # The folder disappears in one step: a run killed here must not leave some of the parts.
        shutil.rmtree(self._removed, ignore_errors=True)
        self._folder.rename(self._removed)
        shutil.rmtree(self._removed, ignore_errors=True)
        return rows, errors.count, errors.first, kept

    def _row_groups(self, schema: Any, errors: _ErrorList, record: RecordWriter) -> Iterator[Any]:
        """Yield the rows without errors in tables of equal size, independent of the parts."""
        import pyarrow as pa
        import pyarrow.compute as pc

        waiting: list[Any] = []
        for path in self._paths():
            table = _read_part(path, self._schema)
            record.add(table.column("identity").to_pylist())
            failed = pc.is_valid(table.column("error"))
            errors.add(table.filter(failed))
            waiting.append(table.filter(pc.invert(failed)).select(schema.names))
            while sum(map(len, waiting)) >= _ROW_GROUP:
                whole = pa.concat_tables(waiting).combine_chunks()
                yield whole.slice(0, _ROW_GROUP)
                waiting = [whole.slice(_ROW_GROUP)]
        if any(map(len, waiting)):
            yield pa.concat_tables(waiting).combine_chunks()


class _ErrorList:
    """``OUTPUT.errors.csv`` while it is being written."""

    def __init__(self, file: BinaryIO) -> None:
        self.count = 0
        self.first: list[tuple[str, str]] = []
        self._text = io.TextIOWrapper(file, newline="", encoding="utf-8", errors="replace")
        self._writer = csv.writer(self._text)
        self._writer.writerow(["source", "reason"])

    def add(self, failed: Any) -> None:
        found = list(
            zip(
                failed.column("source").to_pylist(),
                failed.column("error").to_pylist(),
                strict=True,
            )
        )
        self.count += len(found)
        self.first += found[: 100 - len(self.first)]
        self._writer.writerows(found)

    def flush(self) -> None:
        """Write everything to the file, and detach from it."""
        self._text.detach()


class Finished:
    """A finished output with its list of errors, merged back into the order of its sources."""

    def __init__(self, output: Path, fingerprint: str, dim: int) -> None:
        """Open a finished table.

        Raises:
            NarfastError: made by another encoder or narfast.
            CorruptFileError: its schema is damaged. If another part is damaged, no row is kept.
        """
        import pyarrow.parquet as pq

        self._fingerprint = fingerprint
        self._dim = dim
        self._no_vector = np.zeros((1, dim), dtype=np.float32)
        schema = table_schema(fingerprint, dim)
        with _parquet_errors(output):
            _check_encoder(output, pq.read_schema(output), schema)
        self._identities: Iterator[str | None] = iter(())
        self._tables: Iterator[Any] = iter(())
        self._errors: Iterator[tuple[str, str]] = iter(())
        try:
            self._identities = read_record(
                record_path(output),
                _facts(schema.metadata),
                table=output,
                errors=errors_path(output),
            )
        except (CorruptFileError, OSError) as error:
            _log.warning("%s: none of its rows can be kept (%s)", output, error)
        else:
            self._tables = self._read(output)
            self._errors = _listed_errors(errors_path(output))
        self._table = next(self._tables, None)
        self._error = next(self._errors, None)

    def _read(self, output: Path) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = table_schema(self._fingerprint, self._dim)
        with _parquet_errors(output), pq.ParquetFile(output) as file:
            for batch in file.iter_batches(batch_size=_PART_ROWS):
                table = pa.Table.from_batches([batch]).select(schema.names)
                yield table.append_column("error", pa.nulls(len(table), pa.string()))

    def take(self, sources: Sequence[str], identities: Sequence[str | None]) -> Any:
        """Take rows, and errors as rows, for the leading sources that come next here.

        Args:
            sources: the next sources of a run.
            identities: their current identities.
        """
        import pyarrow as pa

        same = 0
        for now, then in zip(identities, self._identities, strict=False):
            if now is None or now != then:
                break
            same += 1
        sources = sources[:same]
        schema = table_schema(self._fingerprint, self._dim, with_errors=True)
        taken = [schema.empty_table()]
        done = 0
        while done < len(sources):
            rows = self._leading(sources[done:])
            if rows is not None:
                taken.append(rows.cast(schema))
                done += len(rows)
            elif self._error is not None and self._error[0] == sources[done]:
                row = (sources[done], None, None, None, None, self._error[1])
                taken.append(row_table([row], self._no_vector, self._fingerprint))
                self._error = next(self._errors, None)
                done += 1
            else:
                break
        return pa.concat_tables(taken)

    def is_next(self, source: str) -> bool:
        """Whether the next row or error belongs to a source."""
        if self._error is not None and self._error[0] == source:
            return True
        table = self._current()
        return table is not None and table.column("source")[0].as_py() == source

    def _current(self) -> Any | None:
        """Return the current table of rows that were not taken yet; None at the end."""
        if self._table is not None and not len(self._table):
            self._table = next(self._tables, None)
        return self._table

    def _leading(self, sources: Sequence[str]) -> Any | None:
        """Take the current rows of the leading sources; None if there are none."""
        table = self._current()
        if table is None:
            return None
        here = table.column("source").slice(0, len(sources)).to_pylist()
        equal = 0
        while equal < len(here) and here[equal] == sources[equal]:
            equal += 1
        rows, self._table = table.slice(0, equal), table.slice(equal)
        return rows if equal else None


def _has_rows(output: Path) -> bool:
    """Whether there is a table with rows, or a file that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return output.exists() and bool(pq.read_metadata(output).num_rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return output.stat().st_size > 0


def _listed_errors(path: Path) -> Iterator[tuple[str, str]]:
    if path.exists():
        with path.open(newline="", encoding="utf-8", errors="replace") as stream:
            for row in csv.DictReader(stream):
                yield row.get("source") or "", row.get("reason") or ""


def _part_schema(fingerprint: str, dim: int) -> Any:
    import pyarrow as pa

    schema = table_schema(fingerprint, dim, with_errors=True)
    return schema.append(pa.field("identity", pa.string()))


def _part_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _read_part(path: Path, schema: Any) -> Any:
    """Read a part.

    Raises:
        NarfastError: made by another encoder or narfast, or an unrelated file.
        CorruptFileError: its bytes have changed since they were written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = path.read_bytes()
    told = path.stem.partition("-")[2]
    if told and told != _part_digest(data):
        raise CorruptFileError(f"{path}: damaged; its rows are encoded again")
    with _parquet_errors(path):
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    _check_encoder(path, table.schema, schema)
    if not told or table.schema.names != schema.names:
        raise CorruptFileError(f"{path}: made by another version; its rows are encoded again")
    return table


def _facts(metadata: dict[bytes, bytes]) -> dict[str, str]:
    """Return the maker of a table, for its record."""
    return {
        "encoder": metadata[_FINGERPRINT].decode(),
        "narfast": metadata[_VERSION].decode(),
    }


@contextlib.contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"{path}: not a parquet table; {_REPLACE_HINT}") from error


def _check_encoder(path: Path, found: Any, wanted: Any) -> None:
    facts = found.metadata or {}
    if _FINGERPRINT not in facts:
        raise NarfastError(
            f"{path}: not a table of 'narfast encode'; move it away or choose another output"
        )
    if facts[_FINGERPRINT] != wanted.metadata[_FINGERPRINT]:
        raise NarfastError(
            f"{path}: made by another encoder; choose another output, or {_REPLACE_HINT}"
        )
    if facts.get(_VERSION) != wanted.metadata[_VERSION]:
        version = facts.get(_VERSION, b"unknown").decode("utf-8", "replace")
        raise NarfastError(
            f"{path}: made by narfast {version}, this is {__version__}; choose another "
            f"output, or {_REPLACE_HINT}"
        )
