"""Exact and approximate search over vectors, and damaged index files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfast.errors import CorruptFileError
from narfast.index import IndexSettings, VectorIndex, normalize, top_k


def brute_force(vectors, query, k):
    """Cosines by plain Python, ties by row."""
    unit = normalize(vectors)
    scores = unit @ normalize(query)
    return sorted(range(len(vectors)), key=lambda row: (-scores[row], row))[:k]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 40))
def test_top_k_is_a_stable_sort(values, k):
    scores = np.array(values, dtype=np.float32)
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:k]
    assert top_k(scores, k).tolist() == expected


def test_exact_search_equals_brute_force():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 12))
    queries = rng.normal(size=(7, 12)) * 50
    index = VectorIndex(vectors)
    rows, scores = index.search(queries, 5)
    assert index.exact
    for query, found in zip(queries, rows, strict=True):
        assert found.tolist() == brute_force(vectors, query, 5)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert rows.dtype == np.int64
    assert scores.dtype == np.float32


def test_mask_limits_the_hits():
    vectors = np.eye(6, dtype=np.float32)
    allowed = np.array([False, True, False, True, False, False])
    rows, _ = VectorIndex(vectors).search(vectors[:1], 10, allowed=allowed)
    assert rows.tolist() == [[1, 3]]
    none = VectorIndex(vectors).search(vectors[:1], 10, allowed=np.zeros(6, dtype=bool))[0]
    assert none.shape == (1, 0)


def test_many_queries_go_in_steps(monkeypatch):
    monkeypatch.setattr("narfast.index._SCAN_BYTES", 1)
    vectors = np.random.default_rng(0).normal(size=(20, 4))
    rows, _ = VectorIndex(vectors).search(vectors, 1)
    assert rows[:, 0].tolist() == list(range(20))


def test_hnsw_finds_what_exact_search_finds():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(2000, 16)).astype(np.float32)
    queries = rng.normal(size=(40, 16))
    exact, exact_scores = VectorIndex(vectors).search(queries, 10)
    fast = VectorIndex(vectors, exact_limit=1000)
    rows, scores = fast.search(queries, 10)
    assert not fast.exact
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, rows, strict=True)])
    assert recall > 0.97
    # Re-ranked with float32: where the best row is the same, so is its score, nearly.
    same = exact[:, 0] == rows[:, 0]
    np.testing.assert_allclose(scores[same, 0], exact_scores[same, 0], atol=1e-6)


def test_hnsw_bytes_are_deterministic_and_restore():
    vectors = np.random.default_rng(2).normal(size=(500, 8))
    first = VectorIndex(vectors, exact_limit=100)
    data = first.to_bytes()
    assert data == VectorIndex(vectors, exact_limit=100).to_bytes()
    again = VectorIndex(vectors, exact_limit=100, serialized=data)
    np.testing.assert_array_equal(again.search(vectors, 3)[0], first.search(vectors, 3)[0])
    assert VectorIndex(vectors).to_bytes() is None


@pytest.mark.slow
def test_several_threads_build_an_index_as_good():
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(5000, 16)).astype(np.float32)
    exact, _ = VectorIndex(vectors).search(vectors[:100], 10)
    index = VectorIndex(vectors, exact_limit=10, num_threads=2)
    rows, _ = index.search(vectors[:100], 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, rows, strict=True)])
    assert recall > 0.97
    again = VectorIndex(vectors, exact_limit=10, serialized=index.to_bytes())
    np.testing.assert_array_equal(again.search(vectors[:100], 10)[0], rows)
    with pytest.raises(ValueError, match="num_threads must be at least 1"):
        VectorIndex(vectors, num_threads=0)


@pytest.mark.parametrize("step", [1, 7, 100])
def test_rows_are_normalized_in_steps(step, monkeypatch):
    vectors = np.random.default_rng(6).normal(size=(20, 4))
    vectors[3] = 0
    whole = normalize(vectors)
    monkeypatch.setattr("narfast.index._NORMALIZE_ROWS", step)
    np.testing.assert_array_equal(normalize(vectors), whole)
    np.testing.assert_array_equal(normalize(vectors[4]), whole[4])
    assert normalize(whole) is not whole


def test_an_index_of_other_vectors_is_refused():
    rng = np.random.default_rng(3)
    data = VectorIndex(rng.normal(size=(300, 8)), exact_limit=10).to_bytes()
    with pytest.raises(CorruptFileError, match="has 300 vectors"):
        VectorIndex(rng.normal(size=(200, 8)), exact_limit=10, serialized=data)


def test_f32_is_a_choice():
    vectors = np.random.default_rng(4).normal(size=(300, 8))
    half = VectorIndex(vectors, exact_limit=10).to_bytes()
    full = VectorIndex(vectors, exact_limit=10, settings=IndexSettings(dtype="f32")).to_bytes()
    assert len(full) > len(half)


@pytest.mark.parametrize(
    ("vectors", "queries", "k", "message"),
    [
        (np.zeros(3), np.zeros((1, 3)), 1, "shape"),
        (np.zeros((2, 3)), np.zeros((1, 4)), 1, "queries"),
        (np.zeros((2, 3)), np.zeros(3), 1, "queries"),
        (np.zeros((2, 3)), np.zeros((1, 3)), 0, "at least 1"),
        (np.full((2, 3), np.nan), np.zeros((1, 3)), 1, "finite"),
        (np.zeros((2, 3)), np.full((1, 3), np.inf), 1, "finite"),
    ],
)
def test_bad_input(vectors, queries, k, message):
    with pytest.raises(ValueError, match=message):
        VectorIndex(vectors).search(queries, k)


def test_empty_index():
    rows, scores = VectorIndex(np.empty((0, 4))).search(np.ones((2, 4)), 3)
    assert rows.shape == scores.shape == (2, 0)


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 1000))
def test_zero_rows_score_zero(count, dim, seed):
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    vectors[0] = 0
    _, scores = VectorIndex(vectors).search(vectors[:1], count)
    assert not scores.any()


def test_a_badly_connected_graph_is_made_up_for():
    class Broken:
        """Finds one neighbour of the first query and all of the others."""

        def __init__(self, hnsw):
            self.hnsw = hnsw

        def search(self, queries, count, **options):
            found = self.hnsw.search(queries, count, **options)
            found.counts[0] = 1
            found.keys[0, 1:] = 2**63
            return found

    vectors = np.random.default_rng(5).normal(size=(300, 8))
    index = VectorIndex(vectors, exact_limit=10)
    index._hnsw = Broken(index._hnsw)
    rows, scores = index.search(vectors[:3], 5)
    expected_rows, expected_scores = VectorIndex(vectors).search(vectors[:3], 5)
    assert rows[0].tolist() == expected_rows[0].tolist()
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)
