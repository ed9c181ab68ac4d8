"""A zoo as one flat table, for other tools: a row per name, with its graph and embedding."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from narfast._files import replacing
from narfast.errors import NarfastError
from narfast.storage.format import check_replaceable_csv, check_replaceable_table
from narfast.storage.records import NetworkRecord
from narfast.storage.tables import architecture_table
from narfast.zoo.store import Progress
from narfast.zoo.zoo import Zoo

__all__ = ["EXPORT_FORMATS", "export_zoo"]

EXPORT_FORMATS = ("parquet", "csv")

_ROWS = 1024  # per row group


def export_zoo(zoo: Zoo, path: Path, format: str, *, progress: Progress | None = None) -> int:
    """Write a zoo as one table, a row per name.

    The columns are those of `NetworkRecord`. A parquet file also has the canonical graph (``op``,
    ``attr``, ``in_ptr``, ``in_src``, as in `narfast.graph.ArchGraph`), the names of its operators
    (``op_names``) and, if the zoo has embeddings, the ``embedding``. Row groups are written one by
    one to a staged file, which then replaces ``path``.

    Args:
        zoo: the zoo to write.
        path: the file to create or replace.
        format: one of `EXPORT_FORMATS`.
        progress: told how many names are written.

    Returns:
        Number of rows.

    Raises:
        NarfastError: an unknown format, or ``path`` is a folder or an unrelated file.
        OSError: the disk is full, read-only, ...
    """
    if format not in EXPORT_FORMATS:
        raise NarfastError(f"{format!r}: not an export format; choose {', '.join(EXPORT_FORMATS)}")
    if path.is_dir():
        raise NarfastError(f"{path}: is a folder; name a file")
    if format == "parquet":
        check_replaceable_table(path)
    else:
        check_replaceable_csv(path, architecture_table([]).column_names)
    records = zoo.records
    with replacing(path) as stream:
        writer: Any = None
        for start in range(0, len(records), _ROWS):
            chunk = records[start : start + _ROWS]
            table = architecture_table(chunk)
            if format == "parquet":
                table = _with_graphs(table, zoo, chunk)
            writer = writer or _writer(stream, table, format)
            writer.write_table(table if format == "parquet" else _flat(table))
            if progress is not None:
                progress(start + len(chunk), len(records))
        if writer is None:
            raise NarfastError(f"{zoo.directory}: an empty zoo cannot be exported")
        writer.close()
    return len(records)


def _writer(path: BinaryIO, table: Any, format: str) -> Any:
    import pyarrow.csv
    import pyarrow.parquet

    if format == "parquet":
        return pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
    return pyarrow.csv.CSVWriter(path, _flat(table).schema)


def _flat(table: Any) -> Any:
    """Return the table with lists as JSON texts, for CSV."""
    import pyarrow as pa

    position = table.schema.get_field_index("input_shape")
    shapes = table.column(position).to_pylist()
    text = [None if shape is None else "x".join(map(str, shape)) for shape in shapes]
    return table.set_column(position, "input_shape", pa.array(text, type=pa.string()))


def _with_graphs(table: Any, zoo: Zoo, records: list[NetworkRecord]) -> Any:
    import pyarrow as pa

    rows = [zoo[record.structural_hash] for record in records]
    graphs = [entry.graph for entry in rows]
    for name, dtype in (("op", "u2"), ("attr", "u4"), ("in_ptr", "i8"), ("in_src", "i4")):
        values = [getattr(graph, name).astype(dtype) for graph in graphs]
        kind = pa.list_(pa.from_numpy_dtype(np.dtype(dtype)))
        table = table.append_column(name, pa.array(values, type=kind))
    names = pa.array([graph.op_names() for graph in graphs], type=pa.list_(pa.string()))
    table = table.append_column("op_names", names)
    if zoo.manifest.encoder is not None:
        vectors = [entry.embedding for entry in rows]
        table = table.append_column("embedding", pa.array(vectors, type=pa.list_(pa.float32())))
    return table
