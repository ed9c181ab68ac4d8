"""A map of a few networks: how alike they are, a tree that connects them, places in the plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Neighbourhood"]


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """A query, which is number 0, and its neighbours.

    Attributes:
        similarity: float64[n, n], cosines.
        tree: edges of a minimum spanning tree over one minus the cosine, as pairs of a network and
            one that is nearer to the query along the tree; from the query outwards.
        positions: float64[n, 2], by classical scaling: the plane in which the distances between the
            vectors are kept best. The query is at the origin.
    """

    similarity: NDArray[np.float64]
    tree: tuple[tuple[int, int], ...]
    positions: NDArray[np.float64]

    @classmethod
    def of(cls, vectors: NDArray[np.floating]) -> Neighbourhood:
        """Make the map of unit vectors, float[n, dim], that of the query first."""
        exact = np.asarray(vectors, dtype=np.float64)
        similarity = np.clip(exact @ exact.T, -1.0, 1.0)
        return cls(similarity, _spanning_tree(1.0 - similarity), _scaled(exact))


def _spanning_tree(distance: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """Return the edges of Prim's algorithm from 0; the lowest number first where equally near."""
    count = len(distance)
    nearest = distance[0].copy()
    parent = np.zeros(count, dtype=np.int64)
    inside = np.zeros(count, dtype=bool)
    inside[0] = True
    edges = []
    for _ in range(count - 1):
        new = int(np.where(inside, np.inf, nearest).argmin())
        edges.append((new, int(parent[new])))
        inside[new] = True
        closer = ~inside & (distance[new] < nearest)
        nearest[closer] = distance[new][closer]
        parent[closer] = new
    return tuple(edges)


def _scaled(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two main axes of vectors around their mean; signs are fixed."""
    centred = vectors - vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    positions = np.zeros((len(vectors), 2))
    axes = min(2, len(size))
    positions[:, :axes] = left[:, :axes] * size[:axes]
    for axis in positions.T:
        if axis[np.abs(axis).argmax()] < 0:
            axis *= -1
    from_query: NDArray[np.float64] = np.round(positions - positions[0], 9)
    return from_query
