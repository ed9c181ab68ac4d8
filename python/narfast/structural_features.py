"""Structural features: weighted labels of positions in operator graphs; nothing is trained.

The core computes them (``cpp/narfast/encoder/structural_features.h``). This file fits the values
that an encoder stores: the widespread labels, their idf, and their principal axes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from narfast import _core, operators

if TYPE_CHECKING:
    from narfast.graph import GraphBatch

__all__ = ["LabelCounts", "LabelIdf", "name_hash", "principal_axes", "structural_labels"]

UInt64 = NDArray[np.uint64]


def name_hash(name: str) -> int:
    """A 64-bit hash of an operator name, the same on every machine and in every version."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


@cache
def _operator_hashes() -> UInt64:
    """`name_hash` of every operator, uint64[operators]."""
    return np.array([name_hash(info.name) for info in operators.table()], dtype=np.uint64)


def structural_labels(graphs: GraphBatch, *, hops: int, ngrams: int = 1) -> UInt64:
    """Label every node by its surroundings and by the operators that follow it.

    Args:
        graphs: Operator graphs.
        hops: Rounds of Weisfeiler-Leman refinement; each extends the surroundings by one step in
            both directions.
        ngrams: Operators in the longest n-gram; below 2 there are none. N-grams follow the
            topological order, so they describe parallel branches better than neighbours do.

    Returns:
        uint64[2 * (hops + 1) + ngrams - 1, N]: rows of operators alone after 0..hops rounds, rows
        of operators and attributes after 0..hops rounds, then n-grams of 2..ngrams operators, 0 if
        an n-gram does not fit into the network. Labels of different rows are never equal.
    """
    return _core.structural_labels(
        *graphs.arrays, operator_hash=_operator_hashes(), hops=hops, ngrams=ngrams
    )


@dataclass(frozen=True)
class LabelCounts:
    """Sparse rows of label weights, one for each network.

    Attributes:
        ptr: int64[G + 1], offsets into the other two.
        row: int64[K], positions in ``LabelIdf.label``, ascending for each network.
        weight: float32[K], idf; for each row of `structural_labels`, the weights of a network have
            length 1, for rows of single nodes 0.4.
    """

    ptr: NDArray[np.int64]
    row: NDArray[np.int64]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class LabelIdf:
    """Inverse document frequency of labels among training networks.

    Attributes:
        label: uint64[V], ascending.
        block: uint8[V], the row of `structural_labels` that a label belongs to.
        idf: float32[V], inverse document frequency; a label outside the list gets the highest value
            in the list.
        hops: Rounds of refinement.
        ngrams: Operators in the longest n-gram; below 2 there are none.
    """

    label: UInt64
    block: NDArray[np.uint8]
    idf: NDArray[np.float32]
    hops: int
    ngrams: int = 1

    @classmethod
    def fit(cls, graphs: GraphBatch, *, hops: int, size: int, ngrams: int = 1) -> LabelIdf:
        """Count the networks that have each label.

        Args:
            graphs: Training networks.
            hops: Rounds of refinement.
            size: Maximum number of listed labels; the most widespread are listed, and none that
                only one network has.
            ngrams: Operators in the longest n-gram.
        """
        network = np.repeat(np.arange(len(graphs), dtype=np.uint64), np.diff(graphs.node_ptr))
        found: list[tuple[UInt64, NDArray[np.int64], NDArray[np.uint8]]] = []
        for block, row in enumerate(structural_labels(graphs, hops=hops, ngrams=ngrams)):
            pairs = np.unique(np.stack([row, network], axis=1), axis=0)
            label, frequency = np.unique(pairs[:, 0], return_counts=True)
            kept = (frequency >= min(2, len(graphs))) & (label != 0)
            blocks = np.full(int(kept.sum()), block, dtype=np.uint8)
            found.append((label[kept], frequency[kept], blocks))
        label, frequency, blocks = (np.concatenate(part) for part in zip(*found, strict=True))
        chosen = np.lexsort((label, -frequency))[:size]
        chosen = chosen[np.argsort(label[chosen], kind="stable")]
        idf = np.log((1 + len(graphs)) / (1 + frequency[chosen])) + 1
        return cls(label[chosen], blocks[chosen], idf.astype(np.float32), hops, ngrams)

    @cached_property
    def core(self) -> _core.LabelIdf:
        """Return the object in the core.

        Raises:
            CorruptFileError: Labels do not ascend, or an idf is not above zero.
        """
        return _core.LabelIdf(
            _operator_hashes(), self.label, self.idf, hops=self.hops, ngrams=self.ngrams
        )

    def features(
        self, graphs: GraphBatch, dim: int, *, num_threads: int = 1
    ) -> tuple[NDArray[np.float32], LabelCounts]:
        """Compute the features of networks.

        Args:
            graphs: The networks.
            dim: Length of a projection.
            num_threads: Threads across networks; 0 for all cores.

        Returns:
            Random projections float32[G, dim] of all labels, listed or not, and the weights of the
            listed labels. Each row of `structural_labels` adds a vector of length about 1 (0.4 for
            rows of single nodes). The number of occurrences of a label is ignored: it describes the
            depth of a network, not its design.
        """
        vectors, *counts = self.core.features(*graphs.arrays, dim=dim, num_threads=num_threads)
        return vectors, LabelCounts(*counts)


def principal_axes(
    counts: LabelCounts, num_labels: int, dim: int, *, classes: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """Find directions with most of the variation of training networks (not centred).

    Args:
        counts: Weights of the training networks.
        num_labels: V.
        dim: Number of directions; those beyond the number of networks are zero.
        classes: Class of each network; the weight of a class is then the square root of its size
            instead of its size.

    Returns:
        float32[V, dim], orthonormal columns.
    """
    num_networks = len(counts.ptr) - 1
    dense = np.zeros((num_networks, num_labels))
    dense[np.repeat(np.arange(num_networks), np.diff(counts.ptr)), counts.row] = counts.weight
    if classes is not None:
        _, inverse, size = np.unique(list(classes), return_inverse=True, return_counts=True)
        dense *= size[inverse][:, None] ** -0.25
    values, vectors = np.linalg.eigh(dense @ dense.T)
    order = np.argsort(-values)[:dim]
    order = order[values[order] > 1e-9 * max(float(values.max()), 1e-30)]
    axes = np.zeros((num_labels, dim))
    axes[:, : len(order)] = dense.T @ (vectors[:, order] / np.sqrt(values[order]))
    # The sign of an eigenvector is arbitrary; fix it so that runs agree.
    axes *= np.where(axes.sum(axis=0) < 0, -1.0, 1.0)
    return axes.astype(np.float32)
