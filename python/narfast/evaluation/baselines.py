"""Training-free ways to compare networks: operator histograms, n-grams, and WL neighbourhoods.

A learned encoder must be better than these to be worth its training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.graph import GraphBatch
from narfast.structural_features import structural_labels

__all__ = [
    "SparseRows",
    "cosine_similarities",
    "log_counts",
    "operator_histogram",
    "operator_ngrams",
    "tf_idf",
    "wl_counts",
]


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix by rows.

    Attributes:
        ptr: int64[rows + 1].
        column: int64[nnz], ascending within a row.
        value: float32[nnz].
        columns: number of columns.
    """

    ptr: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.float32]
    columns: int

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def rows(self) -> NDArray[np.int64]:
        """Return the row of every value, int64[nnz]."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.ptr))

    def take(self, rows: NDArray[np.int64]) -> SparseRows:
        """Return chosen rows as a matrix."""
        lengths = np.diff(self.ptr)[rows]
        ptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=ptr[1:])
        places = np.arange(ptr[-1]) + np.repeat(self.ptr[rows] - ptr[:-1], lengths)
        return SparseRows(ptr, self.column[places], self.value[places], self.columns)


def operator_histogram(batch: GraphBatch) -> SparseRows:
    """Count the operators of each graph without attributes: rows are graphs, columns operators."""
    graph = _graph_of_node(batch)
    return _count(graph, batch.op.astype(np.uint64), len(batch))


def operator_ngrams(batch: GraphBatch, longest: int) -> SparseRows:
    """Count runs of 1 to ``longest`` operators in topological order, as in a text."""
    graph = _graph_of_node(batch)
    op = batch.op.astype(np.uint64) + 1
    rows, keys = [], []
    gram = np.zeros(len(op), dtype=np.uint64)
    for length in range(1, longest + 1):
        starts = np.arange(len(op) - length + 1)
        starts = starts[graph[starts] == graph[starts + length - 1]]
        gram = gram[: len(op) - length + 1] * np.uint64(1 << 16) + op[length - 1 :]
        rows.append(graph[starts])
        keys.append(gram[starts])
    return _count(np.concatenate(rows), np.concatenate(keys), len(batch))


def wl_counts(batch: GraphBatch, hops: int, *, attributes: bool = True) -> SparseRows:
    """Count each graph's WL labels of 0 to ``hops`` rounds: rows are graphs, columns labels.

    Labels are hashes of operators with attributes, or of operators alone. Labels of different
    rounds are never equal.
    """
    every = structural_labels(batch, hops=hops)
    labels = every[hops + 1 :] if attributes else every[: hops + 1]
    return _count(np.tile(_graph_of_node(batch), hops + 1), labels.reshape(-1), len(batch))


def log_counts(counts: SparseRows) -> SparseRows:
    """Weigh counts as ln(1 + count), so that repeated operators weigh less."""
    return replace(counts, value=np.log1p(counts.value))


def tf_idf(counts: SparseRows, database: NDArray[np.int64] | None = None) -> SparseRows:
    """Weigh counts as (1 + ln count) * (1 + ln((1 + n) / (1 + df))), df over ``database`` rows."""
    rows = counts if database is None else counts.take(database)
    frequency = np.bincount(rows.column, minlength=counts.columns)
    idf = 1.0 + np.log((1.0 + len(rows)) / (1.0 + frequency))
    value = (1.0 + np.log(counts.value)) * idf[counts.column]
    return SparseRows(counts.ptr, counts.column, value.astype(np.float32), counts.columns)


def cosine_similarities(
    matrix: SparseRows, queries: NDArray[np.int64], database: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the cosine of each query row to each database row, float32 [queries, database]."""
    squares = np.bincount(
        matrix.rows(), weights=matrix.value.astype(np.float64) ** 2, minlength=len(matrix)
    )
    lengths = np.sqrt(np.where(squares > 0.0, squares, 1.0))
    unit = SparseRows(
        matrix.ptr,
        matrix.column,
        (matrix.value / lengths[matrix.rows()]).astype(np.float32),
        matrix.columns,
    )
    left, right = (_scipy(unit.take(rows)) for rows in (queries, database))
    result: NDArray[np.float32] = (left @ right.T).toarray()
    return result


def _scipy(matrix: SparseRows) -> Any:
    from scipy.sparse import csr_array  # slow to import

    arrays = (matrix.value, matrix.column, matrix.ptr)
    return csr_array(arrays, shape=(len(matrix), matrix.columns))


def _graph_of_node(batch: GraphBatch) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(batch), dtype=np.int64), np.diff(batch.node_ptr))


def _count(row: NDArray[np.int64], key: NDArray[np.uint64], rows: int) -> SparseRows:
    """Count equal (row, key) pairs; keys become columns in ascending order."""
    distinct, column = np.unique(key, return_inverse=True)
    pair, count = np.unique(row * max(1, len(distinct)) + column, return_counts=True)
    ptr = np.searchsorted(pair, np.arange(rows + 1) * max(1, len(distinct))).astype(np.int64)
    return SparseRows(ptr, pair % max(1, len(distinct)), count.astype(np.float32), len(distinct))
