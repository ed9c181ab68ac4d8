"""The map: a smallest tree, places that keep distances, and the same every time."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from narfast.situating import Neighbourhood


def unit(rows):
    vectors = np.asarray(rows, dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def smallest_tree(distance):
    """The weight of the smallest of all trees, by trying them."""
    count = len(distance)
    edges = list(combinations(range(count), 2))

    def connected(chosen):
        reached = {0}
        for _ in chosen:
            reached |= {b for a, b in chosen if a in reached}
            reached |= {a for a, b in chosen if b in reached}
        return len(reached) == count

    return min(
        sum(distance[a, b] for a, b in chosen)
        for chosen in combinations(edges, count - 1)
        if connected(chosen)
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_tree_is_the_smallest(seed):
    found = Neighbourhood.of(unit(np.random.default_rng(seed).normal(size=(6, 4))))
    distance = 1 - found.similarity
    assert sum(distance[a, b] for a, b in found.tree) == pytest.approx(smallest_tree(distance))
    seen = {0}
    for child, parent in found.tree:  # from the query outwards
        assert parent in seen
        seen.add(child)
    assert seen == set(range(6))


def test_places_in_a_plane_keep_distances():
    angle = np.array([0.0, 0.1, 0.5, 1.2, 2.0])
    vectors = np.stack([np.cos(angle), np.sin(angle), np.zeros(5), np.zeros(5)], axis=1)
    found = Neighbourhood.of(vectors)
    expected = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    got = np.linalg.norm(found.positions[:, None] - found.positions[None], axis=2)
    assert got == pytest.approx(expected, abs=1e-6)
    assert (found.positions[0] == 0).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_networks(count):
    found = Neighbourhood.of(unit(np.eye(4)[:count]))
    assert found.positions.shape == (count, 2)
    assert len(found.tree) == count - 1


def test_equal_networks_share_a_place():
    found = Neighbourhood.of(unit([[1, 0, 0], [1, 0, 0], [1, 0, 0]]))
    assert (found.positions == 0).all()
    assert found.tree == ((1, 0), (2, 0))
