"""The zoo's files to and from bytes: parquet tables and the embedding matrix.

The same values give the same bytes: rows are sorted, one thread writes, all options are fixed.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from narfast._documents import Integer, MapOf, parse_document
from narfast.errors import CorruptFileError, Failure, InvalidGraphError, NarfastError
from narfast.graph import ArchGraph, GraphBatch
from narfast.hyperparameters import Hyperparameters
from narfast.storage.format import remedy
from narfast.storage.records import NetworkRecord, rows_by_structure

__all__ = [
    "GraphFile",
    "StructureGroups",
    "architecture_table",
    "architectures_from_bytes",
    "architectures_to_bytes",
    "embeddings_from_bytes",
    "embeddings_to_bytes",
    "errors_from_bytes",
    "errors_to_bytes",
    "graphs_from_bytes",
    "graphs_to_bytes",
]

_ADDED = ("subfamily", "size", "group", "coarse_class")  # in format 2
_REQUIRED = ("id", "name", "source", "nodes", "edges", "structural_hash", "unknown_ops")
_NUMBERS = ("params", "flops", "nodes", "edges", "untraced")
_HASH = re.compile("[0-9a-f]{32}")
_UNKNOWN = MapOf(Integer())
_ROW_GROUP = 4096
_FEW_RECORDS = 256  # records created one by one; above this, creating all at once is faster
_STREAMED = 64  # graphs decoded at a time when some rows are picked from a row group
_COMPRESSION_LEVEL = 15


def _architecture_schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("name", pa.string()),
            ("source", pa.string()),
            ("family", pa.string()),
            ("subfamily", pa.string()),
            ("size", pa.string()),
            ("group", pa.string()),
            ("coarse_class", pa.string()),
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
            ("in_degree", pa.list_(pa.uint32())),
            ("in_distance", pa.list_(pa.int32())),
        ]
    )


def _exact_schema() -> Any:
    """Return the columns of hyperparameters, which graphs may have (`Hyperparameters`)."""
    import pyarrow as pa

    return pa.schema(
        [
            ("exact_network", pa.string()),  # null: nothing is known
            ("exact_count", pa.list_(pa.uint8())),  # values of each node
            ("exact_key", pa.list_(pa.uint8())),
            ("exact_value", pa.list_(pa.int64())),
            ("exact_texts", pa.list_(pa.string())),
        ]
    )


def architectures_to_bytes(records: Sequence[NetworkRecord]) -> bytes:
    """Return ``architectures.parquet`` with one row per record, sorted by id."""
    return _write(architecture_table(sorted(records, key=lambda record: record.id)))


def architecture_table(rows: Sequence[NetworkRecord]) -> Any:
    """Return records as an Arrow table, one row each."""
    import pyarrow as pa

    schema = _architecture_schema()
    columns = []
    for column in schema:
        values: list[Any] = [getattr(record, column.name) for record in rows]
        if column.name == "input_shape":
            values = [None if value is None else list(value) for value in values]
        elif column.name == "unknown_ops":
            values = [json.dumps(dict(value), sort_keys=True) for value in values]
        columns.append(pa.array(values, type=column.type))
    return pa.table(columns, schema=schema)


def architectures_from_bytes(data: bytes, path: Path) -> StructureGroups:
    """Parse the result of `architectures_to_bytes`; errors name ``path``.

    Raises:
        CorruptFileError: not such a table.
    """
    return StructureGroups(_read(data, _architecture_schema(), path, required=_REQUIRED), path)


class StructureGroups(Sequence[tuple[NetworkRecord, ...]]):
    """The records of a zoo, grouped by structure, in row order.

    The whole table is checked at once. Records are created on access: most searches need a few of
    many thousands. Threads may share an object.
    """

    def __init__(self, table: Any, path: Path) -> None:
        """Check a table of `_architecture_schema`; errors name ``path``.

        Raises:
            CorruptFileError: a row does not describe a network.
        """
        self._table = table
        self._path = path
        with _parquet_errors(path):
            table.validate(full=True)  # detects, for example, texts that are not UTF-8
            hashes, names, sources, ids, unknown = (
                table.column(name).to_pylist()
                for name in ("structural_hash", "name", "source", "id", "unknown_ops")
            )
        _check_rows(table, hashes, path)
        # Most cells are empty, and many are equal.
        self._unknown = {text: _counts(text, path) for text in set(unknown)}
        rows = rows_by_structure(hashes, names, sources, ids)
        self._positions = list(rows.values())
        self._groups: list[tuple[NetworkRecord, ...] | None] = [None] * len(rows)
        self._made = 0
        self._complete = False
        self._making = threading.RLock()
        self.names = len(ids)
        self.row_of = {structure: row for row, structure in enumerate(rows)}
        self.row_of_id = {
            ids[position]: row
            for row, positions in enumerate(self._positions)
            for position in positions
        }

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, row: int) -> tuple[NetworkRecord, ...]: ...

    @overload
    def __getitem__(self, row: slice) -> list[tuple[NetworkRecord, ...]]: ...

    def __getitem__(
        self, row: int | slice
    ) -> tuple[NetworkRecord, ...] | list[tuple[NetworkRecord, ...]]:
        """Return the records of one row or of several, the representative first."""
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        group = self._groups[row]
        if group is None:
            group = self._make(row)
        return group

    def _make(self, row: int) -> tuple[NetworkRecord, ...]:
        with self._making:
            if self._made > _FEW_RECORDS:
                self._make_all()
            group = self._groups[row]
            if group is None:
                self._made += 1
                group = tuple(
                    self._record(self._table.slice(position, 1).to_pylist()[0])
                    for position in self._positions[row]
                )
                self._groups[row] = group
            return group

    def __iter__(self) -> Iterator[tuple[NetworkRecord, ...]]:
        self._make_all()
        return super().__iter__()

    def to_dict(self) -> dict[str, tuple[NetworkRecord, ...]]:
        """Return structural hash -> records, in row order."""
        return dict(zip(self.row_of, self, strict=True))

    def _make_all(self) -> None:
        with self._making:
            if self._complete:
                return
            records = [self._record(row) for row in self._table.to_pylist()]
            self._groups = [tuple(records[i] for i in group) for group in self._positions]
            self._complete = True

    def _record(self, row: dict[str, Any]) -> NetworkRecord:
        row["unknown_ops"] = dict(self._unknown[row["unknown_ops"]])
        row["input_shape"] = row["input_shape"] and tuple(row["input_shape"])
        return NetworkRecord(**row)


def _check_rows(table: Any, hashes: Sequence[str], path: Path) -> None:
    """Raise CorruptFileError for impossible numbers and hashes."""
    for name in _NUMBERS:
        smallest = min((n for n in table.column(name).to_pylist() if n is not None), default=0)
        if smallest < 0:
            _refuse_row(f"{name} = {smallest}", path)
    for structure in hashes:
        if not _HASH.fullmatch(structure):
            _refuse_row(f"structural_hash = {structure[:40]!r}", path)
    if any(chunk.values.null_count for chunk in table.column("input_shape").chunks):
        _refuse_row("an input shape has a gap", path)


def _refuse_row(why: str, path: Path) -> None:
    raise CorruptFileError(f"{path}: a row is not a network ({why}); {remedy(path.name)}")


def _counts(text: str, path: Path) -> dict[str, int]:
    """Parse a cell of ``unknown_ops``."""
    counts: dict[str, int] = parse_document(
        text.encode("utf-8", "replace"),
        _UNKNOWN,
        path=path,
        what="a table of networks (column unknown_ops)",
        remedy=remedy(path.name),
    )
    return counts


def _error_schema() -> Any:
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("reason", pa.string())])


def errors_to_bytes(errors: Sequence[Failure]) -> bytes:
    """Return ``errors.parquet``: the failures, sorted by id."""
    import pyarrow as pa

    rows = sorted(errors, key=lambda failure: failure.id)
    columns = [[failure.id for failure in rows], [failure.reason for failure in rows]]
    return _write(pa.table(columns, schema=_error_schema()))


def errors_from_bytes(data: bytes, path: Path) -> list[Failure]:
    """Parse the result of `errors_to_bytes`; errors name ``path``.

    Raises:
        CorruptFileError: not such a table.
    """
    table = _read(data, _error_schema(), path, required=("id", "reason"))
    with _parquet_errors(path):
        return [Failure(**row) for row in table.to_pylist()]


def graphs_to_bytes(hashes: Sequence[str], graphs: GraphBatch) -> bytes:
    """Return ``graphs.parquet`` with one row per distinct structure, in the order given.

    Edges are stored as in-degrees and distances to the in-neighbours: equal blocks then have equal
    bytes at any position, and compress well.
    """
    import pyarrow as pa

    degrees = np.diff(graphs.in_ptr)
    edge_ptr = graphs.in_ptr[graphs.node_ptr]
    distances = np.repeat(_local_numbers(graphs.node_ptr), degrees) - graphs.in_src
    columns = [
        pa.array(hashes, type=pa.string()),
        _list_column(graphs.node_ptr, graphs.op),
        _list_column(graphs.node_ptr, graphs.attr),
        _list_column(graphs.node_ptr, degrees.astype(np.uint32)),
        _list_column(edge_ptr, distances.astype(np.int32)),
    ]
    schema = _graph_schema()
    if any(exact is not None for exact in graphs.hyperparameters):
        columns += _exact_columns(graphs)
        schema = pa.unify_schemas([schema, _exact_schema()])
    return _write(pa.table(columns, schema=schema))


def _exact_columns(graphs: GraphBatch) -> list[Any]:
    """Return the columns of `_exact_schema`."""
    import pyarrow as pa

    rows = graphs.hyperparameters
    sizes = np.diff(graphs.node_ptr)
    ptr, key, value = Hyperparameters.concatenated(rows, sizes.tolist())
    value_ptr = ptr[graphs.node_ptr]
    return [
        pa.array([None if row is None else row.network for row in rows], type=pa.string()),
        _list_column(graphs.node_ptr, np.diff(ptr).astype(np.uint8)),
        _list_column(value_ptr, key),
        _list_column(value_ptr, value),
        pa.array([[] if row is None else list(row.texts) for row in rows]),
    ]


def graphs_from_bytes(data: bytes, path: Path) -> tuple[list[str], GraphBatch]:
    """Parse `graphs_to_bytes` into structural hashes and graphs (without metadata), in file order.

    Raises:
        CorruptFileError: not such a table, or a row that is not a graph.
    """
    required = _graph_schema().names
    return _graphs(
        _read(data, _graph_schema(), path, required=required, optional=_exact_schema()), path
    )


class GraphFile:
    """``graphs.parquet``, read by row groups to save memory. Threads may share an object."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        """Read the footer of an open file; errors name ``path``.

        Raises:
            CorruptFileError: not a parquet table.
        """
        import pyarrow.parquet as pq

        self._path = path
        self._lock = threading.Lock()
        weakref.finalize(self, stream.close)
        with _parquet_errors(path):
            self._file = pq.ParquetFile(stream)
            groups = [self._file.metadata.row_group(i) for i in range(self._file.num_row_groups)]
        self._first = np.cumsum([0, *(group.num_rows for group in groups)])
        self._last: tuple[int, list[str], GraphBatch] | None = None

    def rows(self, start: int, stop: int) -> tuple[list[str], GraphBatch]:
        """Read rows ``start`` to ``stop``, as `graphs_from_bytes` reads all.

        Raises:
            CorruptFileError: as `graphs_from_bytes`, or the file has fewer rows.
        """
        self._check_range(start, stop)
        hashes: list[str] = []
        graphs: list[ArchGraph] = []
        with self._lock:
            while start < stop:
                number = int(np.searchsorted(self._first, start, side="right")) - 1
                end = min(stop, int(self._first[number + 1]))
                base = int(self._first[number])
                group_hashes, batch = self._group(number)
                hashes += group_hashes[start - base : end - base]
                graphs += batch.part(start - base, end - base)
                start = end
        return hashes, GraphBatch.from_graphs(graphs)

    def pick(self, rows: Sequence[int]) -> tuple[list[str], GraphBatch]:
        """Read some rows, in the order given, as `rows` reads a range.

        The row groups of these rows are decoded; only the requested rows are kept, checked and
        made into graphs.

        Raises:
            CorruptFileError: as `rows`.
        """
        import pyarrow as pa

        wanted = sorted(set(rows))
        self._check_range(wanted[0], wanted[-1] + 1)
        parts = []
        with self._lock, _parquet_errors(self._path):
            left = wanted.copy()
            while left:
                number = int(np.searchsorted(self._first, left[0], side="right")) - 1
                start = int(self._first[number])
                for batch in self._file.iter_batches(
                    _STREAMED, row_groups=[number], use_threads=False
                ):
                    while left and left[0] < start + len(batch):
                        parts.append(batch.slice(left.pop(0) - start, 1))
                    start += len(batch)
                    if not left or left[0] >= self._first[number + 1]:
                        break
                if left and left[0] < self._first[number + 1]:
                    raise ValueError(f"row group {number} ends too soon")
            table = pa.Table.from_batches(parts)
        schema = _graph_schema()
        checked = _checked(
            table, schema, self._path, required=schema.names, optional=_exact_schema()
        )
        hashes, graphs = _graphs(checked, self._path)
        place = {row: i for i, row in enumerate(wanted)}
        return (
            [hashes[place[row]] for row in rows],
            GraphBatch.from_graphs([graphs[place[row]] for row in rows]),
        )

    def _check_range(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self._first[-1]:
            raise CorruptFileError(
                f"{self._path}: has {self._first[-1]} graphs, not {stop}; {remedy(self._path.name)}"
            )

    def _group(self, number: int) -> tuple[list[str], GraphBatch]:
        if self._last is None or self._last[0] != number:
            with _parquet_errors(self._path):
                table = self._file.read_row_group(number, use_threads=False)
            schema = _graph_schema()
            checked = _checked(
                table, schema, self._path, required=schema.names, optional=_exact_schema()
            )
            self._last = (number, *_graphs(checked, self._path))
        return self._last[1:]


def _graphs(table: Any, path: Path) -> tuple[list[str], GraphBatch]:
    names = ("op", "attr", "in_degree", "in_distance")
    with _parquet_errors(path):  # for example, null cells in a list
        (op_ptr, op), (attr_ptr, attr), (degree_ptr, degrees), (edge_ptr, distances) = (
            _split_column(table.column(name)) for name in names
        )
        hashes = table.column("structural_hash").to_pylist()
    in_ptr = np.zeros(len(op) + 1, dtype=np.int64)
    fits = np.array_equal(op_ptr, attr_ptr) and np.array_equal(op_ptr, degree_ptr)
    if fits:
        np.cumsum(degrees, out=in_ptr[1:], dtype=np.int64)
        fits = np.array_equal(in_ptr[op_ptr], edge_ptr)
    if not fits:
        raise CorruptFileError(f"{path}: arrays of one graph differ in length; {remedy(path.name)}")
    sources = np.repeat(_local_numbers(op_ptr), degrees) - distances
    batch = GraphBatch(
        op=np.ascontiguousarray(op),
        attr=np.ascontiguousarray(attr),
        node_ptr=op_ptr,
        in_ptr=in_ptr,
        in_src=np.ascontiguousarray(sources, dtype=np.int32),
    )
    try:
        batch.validate()
    except InvalidGraphError as error:
        raise CorruptFileError(
            f"{path}: contains an invalid graph ({error}); {remedy(path.name)}"
        ) from error
    if "exact_network" in table.schema.names:
        batch = replace(batch, hyperparameters=_hyperparameters(table, op_ptr, path))
    return hashes, batch


def _hyperparameters(
    table: Any, node_ptr: NDArray[np.int64], path: Path
) -> tuple[Hyperparameters | None, ...]:
    """Read the columns of `_exact_schema`."""
    with _parquet_errors(path):
        networks = table.column("exact_network").to_pylist()
        texts = table.column("exact_texts").to_pylist()
        (count_ptr, counts), (key_ptr, key), (value_ptr, value) = (
            _split_column(table.column(f"exact_{name}")) for name in ("count", "key", "value")
        )
        if not (np.array_equal(count_ptr, node_ptr) and np.array_equal(key_ptr, value_ptr)):
            raise ValueError("hyperparameters do not fit the nodes")
        found: list[Hyperparameters | None] = []
        for row, network in enumerate(networks):
            if network is None:
                found.append(None)
                continue
            own = slice(int(key_ptr[row]), int(key_ptr[row + 1]))
            nodes = counts[node_ptr[row] : node_ptr[row + 1]]
            ptr = np.concatenate([[0], np.cumsum(nodes, dtype=np.int64)])
            exact = Hyperparameters(ptr, key[own], value[own], tuple(texts[row] or ()), network)
            exact.check(len(nodes))
            found.append(exact)
    return tuple(found)


def _local_numbers(node_ptr: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number every node within its own graph."""
    return np.arange(node_ptr[-1]) - np.repeat(node_ptr[:-1], np.diff(node_ptr))


def embeddings_to_bytes(embeddings: NDArray[np.float32]) -> bytes:
    """Return ``embeddings.safetensors``: float32 [structures, dim], in graph order."""
    from safetensors.numpy import save

    matrix = np.ascontiguousarray(embeddings, dtype=np.float32)
    return bytes(save({"embeddings": matrix}, metadata={"format": "np"}))


def embeddings_from_bytes(data: bytes, path: Path, rows: int) -> NDArray[np.float32]:
    """Parse `embeddings_to_bytes` with exactly ``rows`` rows.

    Raises:
        CorruptFileError: another shape or dtype, values that are not finite, or not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        matrix = load(data)["embeddings"]
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise CorruptFileError(
            f"{path}: has no embeddings ({error}); {remedy(path.name)}"
        ) from error
    if matrix.dtype != np.float32 or matrix.ndim != 2 or len(matrix) != rows:
        raise CorruptFileError(
            f"{path}: expected float32 [{rows}, dim], found {matrix.dtype} {list(matrix.shape)}; "
            f"{remedy(path.name)}"
        )
    if not np.isfinite(matrix).all():
        raise CorruptFileError(f"{path}: has numbers that are not finite; {remedy(path.name)}")
    return np.asarray(matrix, dtype=np.float32)


def _list_column(offsets: NDArray[np.int64], values: NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))


def _split_column(column: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    array = column.combine_chunks()
    offsets = _numbers(array.offsets).astype(np.int64)
    return offsets - offsets[0], _numbers(array.values)[offsets[0] : offsets[-1]]


def _numbers(array: Any) -> NDArray[Any]:
    """Return an array of numbers as a view; ``to_numpy`` would import pandas if installed."""
    if array.null_count:
        raise ValueError(f"{array.null_count} empty cells among numbers")
    dtype = np.dtype(str(array.type))
    buffer = array.buffers()[1]
    if buffer is None:
        return np.empty(0, dtype)
    return np.frombuffer(buffer, dtype)[array.offset : array.offset + len(array)]


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


@contextlib.contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except NarfastError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise CorruptFileError(
            f"{path}: not a parquet table ({reason}); {remedy(path.name)}"
        ) from error


def _read(
    data: bytes, schema: Any, path: Path, *, required: Sequence[str], optional: Any = None
) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _parquet_errors(path):
        # read_table would import the much larger dataset module.
        file = pq.ParquetFile(pa.BufferReader(data))
        if file.metadata.num_rows > len(data):  # every row has a distinct id
            raise ValueError(f"{file.metadata.num_rows} rows in {len(data)} bytes")
        table = file.read(use_threads=False)
    return _checked(table, schema, path, required=required, optional=optional)


def _checked(
    table: Any, schema: Any, path: Path, *, required: Sequence[str], optional: Any = None
) -> Any:
    """Return the table in the types of a schema, with all optional columns or none of them."""
    import pyarrow as pa

    if optional is not None and set(optional.names) <= set(table.schema.names):
        schema = pa.unify_schemas([schema, optional])
    for name in _ADDED:
        if name in schema.names and name not in table.schema.names:
            position = schema.get_field_index(name)
            table = table.add_column(position, name, pa.nulls(len(table), pa.string()))
    if table.schema.names != schema.names:
        raise CorruptFileError(
            f"{path}: has columns {table.schema.names}, expected {schema.names}; "
            f"{remedy(path.name)}"
        )
    try:
        if not table.schema.equals(schema):  # cast imports pyarrow.compute, which is slow
            table = table.cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise CorruptFileError(
            f"{path}: a column has another type ({error}); {remedy(path.name)}"
        ) from error
    for name in required:
        if table.column(name).null_count:
            raise CorruptFileError(f"{path}: column {name} has empty cells; {remedy(path.name)}")
    return table
