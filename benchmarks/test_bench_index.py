"""Vector search through `VectorIndex` beside bare usearch with the same settings, in one run.

Each benchmark asserts its recall, so that speed is never bought with wrong hits.
"""

from __future__ import annotations

import numpy as np
import pytest

from narfast.index import VectorIndex, normalize

ROWS, DIM, QUERIES, K = 10_000, 256, 200, 10


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, DIM))
    vectors = normalize(centres[rng.integers(0, 200, ROWS)] + 0.5 * rng.normal(size=(ROWS, DIM)))
    queries = normalize(vectors[:QUERIES] + 0.02 * rng.normal(size=(QUERIES, DIM)))
    truth = VectorIndex(vectors).search(queries, K)[0]
    return VectorIndex(vectors, exact_limit=0), vectors, queries, truth


def recall(found, truth):
    return np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth, strict=True)])


@pytest.mark.benchmark(group="vector search, 10,000 x 256, 200 queries")
def test_bare_usearch(benchmark, data):
    index, _, queries, truth = data
    bare = index._hnsw
    matches = benchmark(lambda: bare.search(queries, K, threads=1, dtype="f32"))
    assert recall(matches.keys.tolist(), truth.tolist()) > 0.95


@pytest.mark.benchmark(group="vector search, 10,000 x 256, 200 queries")
def test_hnsw_with_exact_ranking(benchmark, data):
    index, _, queries, truth = data
    rows, _ = benchmark(lambda: index.search(queries, K))
    assert recall(rows.tolist(), truth.tolist()) > 0.95


@pytest.mark.benchmark(group="vector search, 10,000 x 256, 200 queries")
def test_exact(benchmark, data):
    _, vectors, queries, truth = data
    index = VectorIndex(vectors)
    rows, _ = benchmark(lambda: index.search(queries, K))
    assert rows.tolist() == truth.tolist()
