"""What both benchmarks of vector search need: recall, and faiss searched as widely as we find."""

from __future__ import annotations

import time
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from narfast.index import IndexSettings

WIDTHS = [16, 32, 64, 128, 256, 512, 1024]


def recall(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """Share of the true nearest rows [q, k] that are among the found ones [q, m]."""
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(truth, found, strict=True)]))


def build_faiss(
    vectors: NDArray[np.float32], settings: IndexSettings, threads: int
) -> tuple[Any, float]:
    """Index unit rows in faiss's HNSW with as many links as ours; full floats, it has no less.

    Returns:
        The index, which searches by one thread from now on, and the seconds of building it.
    """
    index = faiss.IndexHNSWFlat(vectors.shape[1], settings.connectivity, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = settings.expansion_add
    faiss.omp_set_num_threads(threads)
    start = time.perf_counter()
    index.add(vectors)
    seconds = time.perf_counter() - start
    faiss.omp_set_num_threads(1)
    return index, seconds


def widen(index: Any, queries: NDArray[np.float32], truth: NDArray[np.int64], wanted: float) -> int:
    """Let a faiss index look at the fewest candidates that find as much as is wanted.

    Returns:
        How many those are; the largest of `WIDTHS` where none is enough.
    """
    for width in WIDTHS:
        index.hnsw.efSearch = width
        if recall(index.search(queries, truth.shape[1])[1], truth) >= wanted:
            break
    return int(index.hnsw.efSearch)
