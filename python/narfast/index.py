"""Nearest vectors by cosine: exact up to about 100,000, usearch HNSW with exact re-ranking above.

Knows nothing of networks: vectors are rows, and hits are row numbers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from narfast.errors import CorruptFileError

__all__ = ["EXACT_LIMIT", "IndexSettings", "VectorIndex", "normalize", "top_k"]

EXACT_LIMIT = 100_000
"""Up to this many rows, a full scan takes milliseconds, so no graph index is needed."""

_NORMALIZE_ROWS = 1 << 11  # rows converted to float64 at a time

_SCAN_BYTES = 64 << 20  # bytes of scores in memory when many queries scan many rows


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """Settings of an HNSW index, stored beside its bytes.

    ``dtype`` is explicit: usearch's default changed between versions.
    """

    dtype: Literal["f16", "f32"] = "f16"
    connectivity: int = 16
    expansion_add: int = 128
    expansion_search: int = 128
    oversample: int = 2

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return asdict(self)


def normalize(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32 rows of length one; zero rows stay zero.

    Args:
        vectors: [n, dim] or [dim] numbers.

    Returns:
        Array of the same shape, C-contiguous; always a copy.

    Raises:
        ValueError: a value is not finite.
    """
    given = np.asarray(vectors)
    unit = np.empty(given.shape, dtype=np.float32)
    flat, rows = np.atleast_2d(given), np.atleast_2d(unit)
    for start in range(0, len(rows), _NORMALIZE_ROWS):
        part = flat[start : start + _NORMALIZE_ROWS].astype(np.float64)
        if not np.isfinite(part).all():
            raise ValueError("vectors must be finite; found NaN or infinity")
        lengths = np.linalg.norm(part, axis=-1, keepdims=True)
        rows[start : start + _NORMALIZE_ROWS] = part / np.where(lengths == 0.0, 1.0, lengths)
    return unit


def top_k(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the positions of the ``k`` highest ``scores`` [n], best first, ties by position."""
    k = min(k, len(scores))
    if k <= 0:
        return np.empty(0, dtype=np.int64)
    if k < len(scores):
        # argpartition breaks ties arbitrarily: keep all rows that reach the k-th score, then sort.
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= threshold)
    else:
        candidates = np.arange(len(scores))
    order = np.lexsort((candidates, -scores[candidates]))
    return candidates[order[:k]].astype(np.int64)


class VectorIndex:
    """Cosine search over the rows of a matrix.

    Example:
        >>> import numpy as np
        >>> index = VectorIndex(np.eye(3, dtype=np.float32))
        >>> rows, scores = index.search(np.array([[0.0, 2.0, 1.0]]), 2)
        >>> rows.tolist()
        [[1, 2]]
    """

    def __init__(
        self,
        vectors: NDArray[Any],
        *,
        exact_limit: int = EXACT_LIMIT,
        settings: IndexSettings | None = None,
        serialized: bytes | None = None,
        num_threads: int = 1,
    ) -> None:
        """Index ``vectors`` [n, dim]; above ``exact_limit``, build or restore an HNSW graph.

        Args:
            vectors: rows to search; normalised here.
            exact_limit: largest n for full scans.
            settings: HNSW settings; the defaults when None.
            serialized: bytes of an earlier `to_bytes` over the same vectors. The caller must know
                that they are undamaged: usearch crashes the process on a flipped bit.
            num_threads: threads that build the HNSW graph. With one, the same vectors give the same
                bytes. More are faster; the graph is equally good but differs from run to run.

        Raises:
            ValueError: ``vectors`` is not a finite [n, dim] matrix, or ``num_threads`` < 1.
            CorruptFileError: ``serialized`` was not made from these vectors with these settings.
        """
        if np.ndim(vectors) != 2:
            raise ValueError(f"expected vectors of shape [n, dim], got shape {np.shape(vectors)}")
        if num_threads < 1:
            raise ValueError(f"num_threads must be at least 1, got {num_threads}")
        self.vectors = normalize(vectors)
        self.settings = settings or IndexSettings()
        self._hnsw: Any = None
        if len(self.vectors) > exact_limit:
            self._hnsw = (
                self._build(num_threads) if serialized is None else self._restore(serialized)
            )

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """Number of columns."""
        return int(self.vectors.shape[1])

    @property
    def exact(self) -> bool:
        """Whether every search scans all rows."""
        return self._hnsw is None

    def search(
        self, queries: NDArray[Any], k: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the ``k`` rows with the highest cosine to each query.

        Args:
            queries: [q, dim] numbers, not necessarily of length one.
            k: hits per query, at least 1.
            allowed: [n] mask of rows that may be returned; with a mask, the search is exact.

        Returns:
            Row numbers int64 [q, m] and cosines float32 [q, m], best first, ties by row number,
            where m = min(k, rows that may be returned).

        Raises:
            ValueError: wrong shapes, or k < 1.
        """
        if np.ndim(queries) != 2 or np.shape(queries)[1] != self.dim:
            raise ValueError(f"expected queries [q, {self.dim}], got shape {np.shape(queries)}")
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        unit = normalize(queries)
        if allowed is not None:
            if np.shape(allowed) != (len(self),):
                raise ValueError(f"expected a mask [{len(self)}], got shape {np.shape(allowed)}")
            return self._scan(unit, k, np.flatnonzero(allowed))
        if self._hnsw is None:
            return self._scan(unit, k, None)
        return self._search_hnsw(unit, k)

    def to_bytes(self) -> bytes | None:
        """Return the HNSW graph's bytes, or None if the index is exact."""
        return None if self._hnsw is None else bytes(self._hnsw.save())

    def _scan(
        self, unit: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        database = self.vectors if rows is None else self.vectors[rows]
        width = min(k, len(database))
        hits = np.empty((len(unit), width), dtype=np.int64)
        cosines = np.empty((len(unit), width), dtype=np.float32)
        step = max(1, _SCAN_BYTES // max(1, 4 * len(database)))
        for start in range(0, len(unit), step):
            part = unit[start : start + step]
            # A single query is limited by memory bandwidth. A multi-threaded BLAS whose threads
            # wait for each other on a busy machine took forty times as long as this.
            product = (
                np.einsum("nd,d->n", database, part[0])[None]
                if len(part) == 1
                else part @ database.T
            )
            for row, scores in enumerate(product, start):
                best = top_k(scores, width)
                hits[row] = best if rows is None else rows[best]
                cosines[row] = scores[best]
        return hits, cosines

    def _search_hnsw(
        self, unit: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        width = min(k, len(self))
        wanted = min(len(self), max(width * self.settings.oversample, width + 8))
        hits = np.empty((len(unit), width), dtype=np.int64)
        cosines = np.empty((len(unit), width), dtype=np.float32)
        step = max(1, _SCAN_BYTES // (4 * wanted * self.dim))
        for start in range(0, len(unit), step):
            queries = unit[start : start + step]
            stop = start + len(queries)
            found = self._hnsw.search(queries, wanted, threads=1, dtype="f32")
            keys = np.asarray(found.keys, dtype=np.int64).reshape(len(queries), wanted)
            # If the graph is badly connected, usearch finds fewer rows and pads the rest.
            short = np.atleast_1d(getattr(found, "counts", wanted)) < wanted
            keys[np.broadcast_to(short, len(queries))] = 0
            # f16 distances rank the candidates only roughly: rank again by the f32 rows.
            scores = np.matmul(self.vectors[keys], queries[:, :, None])[:, :, 0]
            order = np.lexsort((keys, -scores), axis=-1)[:, :width]
            hits[start:stop] = np.take_along_axis(keys, order, axis=1)
            cosines[start:stop] = np.take_along_axis(scores, order, axis=1)
            for row in np.flatnonzero(short):  # correctness before speed
                hits[start + row], cosines[start + row] = (
                    part[0] for part in self._scan(queries[row : row + 1], width, None)
                )
        return hits, cosines

    def _empty(self) -> Any:
        from usearch.index import Index, MetricKind

        return Index(
            ndim=self.dim,
            # For rows and queries of length one, this is the cosine. It takes up to a third less
            # time than usearch's own cosine, which computes both lengths again.
            metric=MetricKind.IP,
            dtype=self.settings.dtype,
            connectivity=self.settings.connectivity,
            expansion_add=self.settings.expansion_add,
            expansion_search=self.settings.expansion_search,
        )

    def _build(self, num_threads: int) -> Any:
        index = self._empty()
        rows = np.arange(len(self), dtype=np.uint64)
        index.add(rows, self.vectors, threads=num_threads, dtype="f32")
        return index

    def _restore(self, serialized: bytes) -> Any:
        index = self._empty()
        try:
            index.load(serialized)
            fits = len(index) == len(self) and index.ndim == self.dim
        except Exception as error:
            raise CorruptFileError(
                f"HNSW index: usearch cannot restore it ({error}); rebuild it from the vectors"
            ) from error
        if not fits:
            raise CorruptFileError(
                f"HNSW index: has {len(index)} vectors of {index.ndim} numbers, expected "
                f"{len(self)} of {self.dim}; rebuild it from the vectors"
            )
        return index
