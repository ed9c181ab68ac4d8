"""Encode many sources into one parquet file: bad ones are listed, finished ones are never lost.

Rows go to small part files beside the output as they are ready; the parts become the output in the
end, or are what ``resume`` starts from.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import narfast
from narfast.errors import CorruptFileError, NarfastError
from narfast.graph import ArchGraph
from narfast.zoo.format import check_replaceable_table
from narfast.zoo.store import Encoder

__all__ = ["BulkReport", "encode_to_parquet"]

_PART_ROWS = 32
_FINGERPRINT = b"narfast.encoder"


@dataclass(frozen=True)
class BulkReport:
    """What a bulk run did.

    Attributes:
        rows: rows in the output.
        resumed: how many of them an earlier run had made.
        errors: (source, reason) of each source that could not be read.
    """

    rows: int
    resumed: int
    errors: tuple[tuple[str, str], ...]


def encode_to_parquet(
    sources: Sequence[str],
    output: Path,
    encoder: Encoder,
    *,
    load: Callable[[str], ArchGraph],
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> BulkReport:
    """Encode ``sources`` into ``output``.

    The table has columns source, name, structural_hash, params, nodes and embedding (float32
    [dim]); sources that fail are listed in ``OUTPUT.errors.csv``.

    Args:
        sources: what ``load`` reads; duplicates are encoded once.
        output: the parquet file, replaced in one step at the end.
        encoder: makes the embeddings.
        load: from a source to its canonical graph.
        resume: keep the rows of an earlier run with the same encoder.
        progress: told how many sources are done.

    Raises:
        NarfastError: an earlier run used another encoder, or ``output`` is a folder or a device.
        OSError: the disk is full, read-only, ...
    """
    if output.name in ("", "..") or (output.exists() and not output.is_file()):
        # A device or a folder must never be replaced by a table.
        raise NarfastError(f"{output}: not a file; name the parquet file to write")
    check_replaceable_table(output)
    wanted = list(dict.fromkeys(sources))
    parts = output.with_name(output.name + ".parts")
    output.parent.mkdir(parents=True, exist_ok=True)
    if not resume:
        shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(exist_ok=True)
    if resume and output.exists() and not any(parts.iterdir()):
        shutil.copy(output, parts / "000000.parquet")
    schema = _schema(encoder)
    finished: set[str] = set()
    for table in _tables(parts, schema):
        finished.update(table.column("source").to_pylist())
    remaining = [source for source in wanted if source not in finished]
    resumed = len(wanted) - len(remaining)
    errors: list[tuple[str, str]] = []
    pending: list[tuple[str, ArchGraph]] = []

    def flush() -> None:
        if pending:
            number = len(list(parts.glob("*.parquet")))
            _write_part(parts / f"{number:06d}.parquet", pending, encoder, schema)
            pending.clear()

    for done, source in enumerate(remaining, resumed + 1):
        try:
            pending.append((source, load(source)))
        except NarfastError as error:
            errors.append((source, str(error)))
        if len(pending) >= _PART_ROWS:
            flush()
        if progress is not None:
            progress(done, len(wanted))
    flush()
    rows = _merge(parts, output, schema)
    shutil.rmtree(parts)
    _write_errors(output.with_name(output.name + ".errors.csv"), errors)
    return BulkReport(rows, resumed, tuple(errors))


def _schema(encoder: Encoder) -> Any:
    import pyarrow as pa

    fields = [
        ("source", pa.string()),
        ("name", pa.string()),
        ("structural_hash", pa.string()),
        ("params", pa.int64()),
        ("nodes", pa.int64()),
        ("embedding", pa.list_(pa.float32(), int(encoder.dim))),
    ]
    facts = {_FINGERPRINT: encoder.fingerprint, b"narfast.version": narfast.__version__}
    return pa.schema(fields, metadata=facts)


def _write_part(
    path: Path, networks: Sequence[tuple[str, ArchGraph]], encoder: Encoder, schema: Any
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    graphs = [graph for _, graph in networks]
    vectors = np.ascontiguousarray(encoder.encode(graphs), dtype=np.float32)
    columns = [
        pa.array([source for source, _ in networks], type=pa.string()),
        pa.array([graph.meta.name for graph in graphs], type=pa.string()),
        pa.array([graph.structural_hash for graph in graphs], type=pa.string()),
        pa.array([graph.meta.params for graph in graphs], type=pa.int64()),
        pa.array([graph.num_nodes for graph in graphs], type=pa.int64()),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), int(encoder.dim)),
    ]
    staging = path.with_suffix(".tmp")
    pq.write_table(pa.table(columns, schema=schema), staging)
    staging.replace(path)


def _tables(parts: Path, schema: Any) -> Iterator[Any]:
    """Read the part files in order, refusing those of another encoder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in sorted(parts.glob("*.parquet")):
        try:
            table = pq.read_table(path, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise CorruptFileError(
                f"{path}: not a parquet table; run without --resume to start anew"
            ) from error
        metadata = table.schema.metadata or {}
        if metadata.get(_FINGERPRINT) != schema.metadata[_FINGERPRINT]:
            raise NarfastError(
                f"{path}: made by another encoder; run without --resume to start anew"
            )
        yield table


def _merge(parts: Path, output: Path, schema: Any) -> int:
    """Put the parts, a row group each, into ``output`` in one step; return the number of rows."""
    import pyarrow.parquet as pq

    staging = output.with_name(f".{output.name}.new")
    rows = 0
    try:
        with pq.ParquetWriter(staging, schema) as writer:
            for table in _tables(parts, schema):
                writer.write_table(table)
                rows += table.num_rows
        with staging.open("rb") as stream:
            os.fsync(stream.fileno())
        staging.replace(output)
    finally:
        staging.unlink(missing_ok=True)
    return rows


def _write_errors(path: Path, errors: Sequence[tuple[str, str]]) -> None:
    if not errors:
        path.unlink(missing_ok=True)
        return
    with path.open("w", newline="", encoding="utf-8", errors="replace") as stream:
        writer = csv.writer(stream)
        writer.writerow(["source", "reason"])
        writer.writerows(errors)
