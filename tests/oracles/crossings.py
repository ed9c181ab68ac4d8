"""The crossings of edges between two layers, by looking at every pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations


def count_crossings(
    from_place: Sequence[int], to_place: Sequence[int], weight: Sequence[int]
) -> int:
    """Sum of the products of weights over all pairs of edges that change sides."""
    edges = list(zip(from_place, to_place, weight, strict=True))
    return sum(
        first[2] * second[2]
        for first, second in combinations(edges, 2)
        if (first[0] - second[0]) * (first[1] - second[1]) < 0
    )
