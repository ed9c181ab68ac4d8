"""Alignment: which operator of one network is which operator of another, by structure alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfast import _core
from narfast.graph import ArchGraph, GraphBatch

__all__ = ["Alignment", "align"]

_NO_PARTS = np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class Alignment:
    """A partial one-to-one map between the nodes of networks a and b.

    Attributes:
        to_b: int32[nodes of a], the partner of each node, -1 for none.
        to_a: int32[nodes of b], the inverse.
        kept_edges: number of edges of a whose image is an edge of b.
    """

    to_b: NDArray[np.int32]
    to_a: NDArray[np.int32]
    kept_edges: int

    @property
    def pairs(self) -> NDArray[np.int32]:
        """Return int32[matched, 2], nodes of a in order and their partners."""
        matched = np.flatnonzero(self.to_b >= 0).astype(np.int32)
        return np.stack([matched, self.to_b[matched]], axis=1)

    @property
    def added(self) -> NDArray[np.int32]:
        """Return nodes of b without a partner."""
        return np.flatnonzero(self.to_a < 0).astype(np.int32)

    @property
    def removed(self) -> NDArray[np.int32]:
        """Return nodes of a without a partner."""
        return np.flatnonzero(self.to_b < 0).astype(np.int32)

    def inverse(self) -> Alignment:
        """Return the alignment of b with a."""
        return Alignment(self.to_a, self.to_b, self.kept_edges)


def align(
    a: ArchGraph,
    b: ArchGraph,
    *,
    parts: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None,
) -> Alignment:
    """Align two canonical graphs.

    Names, depths, and the order of towers may differ. ``align(b, a)`` is the inverse of ``align(a,
    b)``, and ``align(a, a)`` the identity. Near-linear; see cpp/narfast/align/align.h.

    Args:
        a: a canonical graph.
        b: another one.
        parts: int32[nodes of a] and int32[nodes of b], numbers of parts that are known to
            correspond, such as blocks: nodes of one number are matched first, then the rest; -1
            for nodes without partner.

    Raises:
        InvalidGraphError: a graph is not well formed, or there is not one part for each node.

    Example:
        >>> from narfast import load
        >>> cell = load("zoo:timm:resnet18")
        >>> align(cell, cell).kept_edges == cell.num_edges
        True
    """
    part_a, part_b = parts or (_NO_PARTS, _NO_PARTS)
    arrays = GraphBatch.from_graphs([a, b]).arrays
    return Alignment(*_core.align(*arrays, part_a=part_a, part_b=part_b))
