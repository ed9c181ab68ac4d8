"""Bytes of the zoo's files from values and back: parquet tables and the embedding matrix.

The same values give the same bytes: rows are sorted, one thread writes, every option is fixed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.errors import CorruptFileError
from narfast.zoo.records import Architecture, GraphArrays

__all__ = [
    "architectures_from_bytes",
    "architectures_to_bytes",
    "embeddings_from_bytes",
    "embeddings_to_bytes",
    "graphs_from_bytes",
    "graphs_to_bytes",
]

_ROW_GROUP = 4096
_COMPRESSION_LEVEL = 15


def _architecture_schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("name", pa.string()),
            ("source", pa.string()),
            ("family", pa.string()),
            ("task", pa.string()),
            ("params", pa.int64()),
            ("flops", pa.int64()),
            ("input_shape", pa.list_(pa.int64())),
            ("trace_kind", pa.string()),
            ("nodes", pa.int64()),
            ("edges", pa.int64()),
            ("structural_hash", pa.string()),
            ("untraced", pa.int64()),
            ("unknown_ops", pa.string()),  # a JSON object
        ]
    )


def _graph_schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("structural_hash", pa.string()),
            ("op", pa.list_(pa.uint16())),
            ("attr", pa.list_(pa.uint32())),
            ("in_degree", pa.list_(pa.uint16())),
            ("in_distance", pa.list_(pa.int32())),
        ]
    )


def architectures_to_bytes(records: Sequence[Architecture]) -> bytes:
    """Return ``architectures.parquet`` with one row per record, sorted by id."""
    import pyarrow as pa

    rows = sorted(records, key=lambda record: record.id)
    schema = _architecture_schema()
    columns = []
    for column in schema:
        values: list[Any] = [getattr(record, column.name) for record in rows]
        if column.name == "input_shape":
            values = [list(value) for value in values]
        elif column.name == "unknown_ops":
            values = [json.dumps(dict(value), sort_keys=True) for value in values]
        columns.append(pa.array(values, type=column.type))
    return _write(pa.table(columns, schema=schema))


def architectures_from_bytes(data: bytes, path: Path) -> list[Architecture]:
    """Read `architectures_to_bytes`; ``path`` is named in errors.

    Raises:
        CorruptFileError: not such a table.
    """
    rows = _read(data, _architecture_schema(), path).to_pylist()
    try:
        return [
            Architecture(
                **{
                    **row,
                    "input_shape": tuple(row["input_shape"]),
                    "unknown_ops": json.loads(row["unknown_ops"]),
                }
            )
            for row in rows
        ]
    except (TypeError, ValueError) as error:
        raise CorruptFileError(
            f"{path}: a row is not a network ({error}); make the zoo again"
        ) from error


def graphs_to_bytes(hashes: Sequence[str], graphs: Sequence[GraphArrays]) -> bytes:
    """Return ``graphs.parquet`` with one row per distinct structure, in the order given."""
    import pyarrow as pa

    relative = [graph.relative() for graph in graphs]
    schema = _graph_schema()
    columns = [
        pa.array(hashes, type=pa.string()),
        _list_column([graph.op for graph in graphs], np.uint16),
        _list_column([graph.attr for graph in graphs], np.uint32),
        _list_column([degrees for degrees, _ in relative], np.uint16),
        _list_column([distances for _, distances in relative], np.int32),
    ]
    return _write(pa.table(columns, schema=schema))


def graphs_from_bytes(data: bytes, path: Path) -> tuple[list[str], list[GraphArrays]]:
    """Read `graphs_to_bytes`: structural hashes and arrays, in file order.

    Raises:
        CorruptFileError: not such a table, or a row that is not a graph.
    """
    table = _read(data, _graph_schema(), path)
    hashes = table.column("structural_hash").to_pylist()
    lists = [
        _split_column(table.column(name))
        for name in ("op", "attr", "in_degree", "in_distance")
    ]
    graphs = []
    for row, (op, attr, degrees, distances) in enumerate(zip(*lists, strict=True)):
        try:
            graphs.append(GraphArrays.from_relative(op, attr, degrees, distances))
        except ValueError as error:
            raise CorruptFileError(
                f"{path}: row {row} is not a graph ({error}); make the zoo again"
            ) from error
    return hashes, graphs


def embeddings_to_bytes(embeddings: NDArray[np.float32]) -> bytes:
    """Return ``embeddings.safetensors``: float32 [structures, dim], in graph order."""
    from safetensors.numpy import save

    matrix = np.ascontiguousarray(embeddings, dtype=np.float32)
    return bytes(save({"embeddings": matrix}, metadata={"format": "np"}))


def embeddings_from_bytes(data: bytes, path: Path, rows: int) -> NDArray[np.float32]:
    """Read `embeddings_to_bytes` with exactly ``rows`` rows.

    Raises:
        CorruptFileError: another shape or dtype, values that are not finite, or not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        matrix = load(data)["embeddings"]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CorruptFileError(
            f"{path}: no embeddings inside ({error}); make them again with 'narfast zoo embed'"
        ) from error
    if matrix.dtype != np.float32 or matrix.ndim != 2 or len(matrix) != rows:
        raise CorruptFileError(
            f"{path}: expected float32 [{rows}, dim], found {matrix.dtype} {list(matrix.shape)}; "
            "make them again with 'narfast zoo embed'"
        )
    if not np.isfinite(matrix).all():
        raise CorruptFileError(
            f"{path}: holds numbers that are not finite; make them again with 'narfast zoo embed'"
        )
    return np.asarray(matrix, dtype=np.float32)


def _list_column(arrays: Sequence[NDArray[Any]], dtype: type[np.generic]) -> Any:
    import pyarrow as pa

    offsets = np.zeros(len(arrays) + 1, dtype=np.int32)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    values = np.concatenate([np.empty(0, dtype=dtype), *arrays]).astype(dtype, copy=False)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def _split_column(column: Any) -> list[NDArray[Any]]:
    arrays: list[NDArray[Any]] = []
    for chunk in column.chunks:
        values = chunk.values.to_numpy(zero_copy_only=True)
        offsets = chunk.offsets.to_numpy()
        arrays += [values[start:stop] for start, stop in zip(offsets, offsets[1:], strict=False)]
    return arrays


def _write(table: Any) -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        row_group_size=_ROW_GROUP,
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        use_dictionary=True,
        write_statistics=False,
        version="2.6",
        data_page_version="2.0",
        store_schema=False,
    )
    return sink.getvalue()


def _read(data: bytes, schema: Any, path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data), use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptFileError(f"{path}: not a parquet table ({reason})") from error
    if table.schema.names != schema.names:
        raise CorruptFileError(
            f"{path}: has columns {table.schema.names}, expected {schema.names}; make the zoo again"
        )
    try:
        table = table.cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise CorruptFileError(f"{path}: a column has another type ({error})") from error
    if any(column.null_count for column in table.columns):
        raise CorruptFileError(f"{path}: has empty cells; make the zoo again")
    return table
