"""Vector search through `VectorIndex` beside bare usearch and faiss, in one run.

Each benchmark asserts its recall, so that speed is never bought with wrong hits. Searches have one
thread. A million vectors are indexed by all cores, and take long all the same: ``-m "not slow"``
leaves them out.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from vector_peers import build_faiss, recall, widen

from narfast.index import VectorIndex, normalize

DIM, QUERIES, K = 256, 200, 10
SIZES = [
    pytest.param(10_000, id="10k"),
    pytest.param(1_000_000, id="1m", marks=pytest.mark.slow),
]


class Data:
    """Clustered vectors, queries near some of them, and the exact answers."""

    def __init__(self, rows: int) -> None:
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(max(200, rows // 50), DIM)).astype(np.float32)
        self.vectors = centres[rng.integers(0, len(centres), rows)]
        for start in range(0, rows, 100_000):
            part = self.vectors[start : start + 100_000]
            part += 0.5 * rng.normal(size=part.shape).astype(np.float32)
        self.threads = 1 if rows < 100_000 else os.cpu_count() or 1  # that build an index
        self.vectors = normalize(self.vectors)
        self.queries = normalize(self.vectors[:QUERIES] + 0.02 * rng.normal(size=(QUERIES, DIM)))
        self.truth = VectorIndex(self.vectors, exact_limit=rows).search(self.queries, K)[0]
        start = time.perf_counter()
        self.index = VectorIndex(self.vectors, exact_limit=0, num_threads=self.threads)
        self.seconds = time.perf_counter() - start


@pytest.fixture(scope="module", params=SIZES)
def data(request):
    return Data(request.param)


@pytest.mark.benchmark(group="vector search, 256 numbers, 200 queries")
def test_bare_usearch(benchmark, data):
    bare = data.index._hnsw
    matches = benchmark(lambda: bare.search(data.queries, K, threads=1, dtype="f32"))
    benchmark.extra_info["recall"] = recall(matches.keys, data.truth)
    assert benchmark.extra_info["recall"] > 0.95


@pytest.mark.benchmark(group="vector search, 256 numbers, 200 queries")
def test_narfast(benchmark, data):
    rows, _ = benchmark(lambda: data.index.search(data.queries, K))
    benchmark.extra_info["recall"] = recall(rows, data.truth)
    benchmark.extra_info["build_seconds"] = data.seconds
    benchmark.extra_info["build_threads"] = data.threads
    assert benchmark.extra_info["recall"] >= 0.99


@pytest.mark.benchmark(group="vector search, 256 numbers, 200 queries")
def test_faiss_hnsw(benchmark, data):
    """As many links, searched as widely as it takes to find what the index finds; full floats."""
    peer, seconds = build_faiss(data.vectors, data.index.settings, data.threads)
    benchmark.extra_info["build_seconds"] = seconds
    benchmark.extra_info["build_threads"] = data.threads
    wanted = recall(data.index.search(data.queries, K)[0], data.truth)
    benchmark.extra_info["width"] = widen(peer, data.queries, data.truth, wanted)
    _, rows = benchmark(lambda: peer.search(data.queries, K))
    benchmark.extra_info["recall"] = recall(rows, data.truth)
    assert benchmark.extra_info["recall"] > 0.9


@pytest.mark.benchmark(group="vector search, 256 numbers, 200 queries")
def test_exact(benchmark, data):
    index = VectorIndex(data.vectors, exact_limit=len(data.vectors))
    rows, _ = benchmark(lambda: index.search(data.queries, K))
    assert rows.tolist() == data.truth.tolist()
