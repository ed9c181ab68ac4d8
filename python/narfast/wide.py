"""Labels of places in operator graphs, weighted by rarity: the training-free part.

A label is of a node with its surroundings (Weisfeiler-Lehman), or of a few operators that follow
each other in topological order.

Labels are hashed from operator names, not ids, so a longer operator table leaves them as they are.
A vocabulary keeps the labels seen in at least two training networks; others are not counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast._kernel import kernel, splitmix64
from narfast.batching import transpose_csr

if TYPE_CHECKING:
    from narfast.graph import GraphBatch

__all__ = [
    "WideCounts",
    "WideVocabulary",
    "fit_projection",
    "gram_labels",
    "name_hash",
    "wl_labels",
]

UInt64 = NDArray[np.uint64]

# Length of the blocks without neighbours against those with: they say less about a design.
# Chosen on the validation families.
_SINGLE_NODE_WEIGHT = 0.4
_BUCKET_BITS = 13  # about one label of the default vocabulary in each bucket


def name_hash(name: str) -> int:
    """A 64-bit hash of an operator name, the same on every machine and in every version."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


@cache
def _operator_hashes() -> UInt64:
    """`name_hash` of every operator, uint64[operators]."""
    return np.array([name_hash(info.name) for info in operators.table()], dtype=np.uint64)


def wl_labels(graphs: GraphBatch, hops: int) -> UInt64:
    """Weisfeiler-Lehman labels of every node, without and with attributes.

    Args:
        graphs: Operator graphs.
        hops: Rounds of refinement; each widens the neighbourhood by one step in both directions.

    Returns:
        uint64[2 * (hops + 1), N]: rows 0..hops from operators alone, the rest from operators and
        attributes. Labels of different rows never mean the same.
    """
    first_node = np.repeat(graphs.node_ptr[:-1], np.diff(graphs.node_ptr))
    in_degree = np.diff(graphs.in_ptr)
    in_src = graphs.in_src.astype(np.int64) + np.repeat(first_node, in_degree)
    out_ptr, out_dst, _ = transpose_csr(graphs.in_ptr, in_src)
    labels: UInt64 = _wl_labels(
        _operator_hashes()[graphs.op], graphs.attr, graphs.in_ptr, in_src, out_ptr, out_dst, hops
    )
    return labels


def gram_labels(graphs: GraphBatch, longest: int) -> UInt64:
    """Label the runs of 2 to ``longest`` operators that start at every node.

    Runs are in topological order, which says more of how branches lie side by side than a node's
    neighbours do; attributes are left out.

    Returns:
        uint64[longest - 1, N]; 0 where a network ends before a run does. Labels of different rows,
        and those of `wl_labels`, never mean the same.
    """
    last = np.repeat(graphs.node_ptr[1:], np.diff(graphs.node_ptr))
    labels: UInt64 = _gram_labels(_operator_hashes()[graphs.op], last, longest)
    return labels


@dataclass(frozen=True)
class WideCounts:
    """Sparse rows of label weights, one for each network.

    Attributes:
        ptr: int64[G + 1], offsets into the other two.
        row: int64[K], rows of the vocabulary, ascending for each network.
        weight: float32[K]; every block (one row of ``wl_labels`` or ``gram_labels``) has length 1,
            or 0 if empty, those of single nodes 0.4.
    """

    ptr: NDArray[np.int64]
    row: NDArray[np.int64]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class WideVocabulary:
    """The labels that count, and their inverse document frequencies.

    Attributes:
        label: uint64[V], ascending.
        block: uint8[V], the row of ``wl_labels``, and after those of ``gram_labels``, that a label
            belongs to.
        idf: float32[V].
        hops: Rounds of refinement.
        grams: Operators in the longest run; below 2 there are none.
    """

    label: UInt64
    block: NDArray[np.uint8]
    idf: NDArray[np.float32]
    hops: int
    grams: int = 1

    @classmethod
    def fit(cls, graphs: GraphBatch, *, hops: int, size: int, grams: int = 1) -> WideVocabulary:
        """Collect the labels of training networks.

        Args:
            graphs: Training networks.
            hops: Rounds of refinement.
            size: Keep at most this many labels, those of most networks first.
            grams: Operators in the longest run.
        """
        labels = _labels(graphs, hops, grams)
        network = np.repeat(np.arange(len(graphs)), np.diff(graphs.node_ptr))
        found: list[tuple[UInt64, NDArray[np.int64], NDArray[np.uint8]]] = []
        for block, row in enumerate(labels):
            pairs = np.unique(np.stack([row, network.astype(np.uint64)], axis=1), axis=0)
            label, frequency = np.unique(pairs[:, 0], return_counts=True)
            kept = (frequency >= min(2, len(graphs))) & (label != 0)
            found.append(
                (label[kept], frequency[kept], np.full(int(kept.sum()), block, dtype=np.uint8))
            )
        label, frequency, blocks = (np.concatenate(part) for part in zip(*found, strict=True))
        chosen = np.lexsort((label, -frequency))[:size]
        chosen = chosen[np.argsort(label[chosen], kind="stable")]
        idf = np.log((1 + len(graphs)) / (1 + frequency[chosen])) + 1
        return cls(label[chosen], blocks[chosen], idf.astype(np.float32), hops, grams)

    @cached_property
    def _first_in_bucket(self) -> NDArray[np.int64]:
        """int64[2**b + 1]: where the labels that begin with each value of b bits start."""
        starts = np.arange(1 << _BUCKET_BITS, dtype=np.uint64) << np.uint64(64 - _BUCKET_BITS)
        return np.append(np.searchsorted(self.label, starts), len(self.label))

    def count(self, graphs: GraphBatch) -> WideCounts:
        """Weights of the known labels of each network: idf, scaled per block.

        How often a label occurs is left out: it says how deep a network is rather than how it is
        designed, and with it (as 1 + log count) families are found less well.
        """
        labels = _labels(graphs, self.hops, self.grams)
        lengths = np.ones(len(labels))
        lengths[[0, self.hops + 1]] = _SINGLE_NODE_WEIGHT
        arrays = _count(
            labels,
            graphs.node_ptr,
            self.label,
            self._first_in_bucket,
            self.block,
            self.idf.astype(np.float64),
            lengths,
        )
        return WideCounts(*arrays)


def fit_projection(
    counts: WideCounts,
    vocabulary_size: int,
    dim: int,
    *,
    axes: int,
    seed: int,
    labels: Sequence[str] | None = None,
) -> NDArray[np.float32]:
    """Projection to few numbers that keeps inner products, between new networks too.

    Principal axes (not centred) keep most of what training networks differ in. A family that
    training never saw mostly differs in what they leave over, so the remaining columns are random
    projections of that rest; principal axes alone lost a tenth of the precision on unseen families.

    Args:
        counts: Weights of the training networks.
        vocabulary_size: V.
        dim: Columns.
        axes: How many of them are principal axes; fewer where there are fewer networks.
        seed: Of the random columns.
        labels: Class of each network; every class then weighs the square root of its size
            instead of its size.

    Returns:
        float32[V, dim].
    """
    num_networks = len(counts.ptr) - 1
    dense = np.zeros((num_networks, vocabulary_size))
    dense[np.repeat(np.arange(num_networks), np.diff(counts.ptr)), counts.row] = counts.weight
    if labels is not None:
        _, inverse, size = np.unique(list(labels), return_inverse=True, return_counts=True)
        dense *= size[inverse][:, None] ** -0.25
    values, vectors = np.linalg.eigh(dense @ dense.T)
    order = np.argsort(-values)[: min(axes, dim)]
    order = order[values[order] > 1e-9 * max(float(values.max()), 1e-30)]
    principal = dense.T @ (vectors[:, order] / np.sqrt(values[order]))
    # The sign of an eigenvector is arbitrary; fix it so that runs agree.
    principal *= np.where(principal.sum(axis=0) < 0, -1.0, 1.0)
    rest = dim - len(order)
    signs = np.random.default_rng(seed).integers(0, 2, (vocabulary_size, rest)) * 2.0 - 1.0
    random = signs / np.sqrt(max(rest, 1))
    random -= principal @ (principal.T @ random)
    return np.concatenate([principal, random], axis=1).astype(np.float32)


def _labels(graphs: GraphBatch, hops: int, grams: int) -> UInt64:
    labels = wl_labels(graphs, hops)
    return np.concatenate([labels, gram_labels(graphs, grams)]) if grams > 1 else labels


@kernel
def _gram_labels(op_hash: Any, last: Any, longest: int) -> Any:
    num_nodes = len(op_hash)
    labels = np.zeros((longest - 1, num_nodes), dtype=np.uint64)
    for v in range(num_nodes):
        label = splitmix64(op_hash[v] ^ np.uint64(0x3C3C3C3C))
        for length in range(2, longest + 1):
            if v + length > last[v]:
                break
            label = splitmix64(label) ^ splitmix64(op_hash[v + length - 1] + np.uint64(length))
            labels[length - 2, v] = splitmix64(label)
    return labels


@kernel
def _wl_labels(
    op_hash: Any, attr: Any, in_ptr: Any, in_src: Any, out_ptr: Any, out_dst: Any, hops: int
) -> Any:
    num_nodes = len(op_hash)
    labels = np.empty((2 * (hops + 1), num_nodes), dtype=np.uint64)
    for kind in range(2):
        first = kind * (hops + 1)
        for v in range(num_nodes):
            detail = np.uint64(attr[v]) + np.uint64(1) if kind == 1 else np.uint64(0)
            labels[first, v] = splitmix64(op_hash[v] ^ splitmix64(detail))
        for hop in range(1, hops + 1):
            before = labels[first + hop - 1]
            for v in range(num_nodes):
                # Sums of mixed labels are hashes of multisets: the order of operands is ignored.
                incoming = np.uint64(0)
                for e in range(in_ptr[v], in_ptr[v + 1]):
                    incoming += splitmix64(before[in_src[e]] ^ np.uint64(0xA5A5A5A5))
                outgoing = np.uint64(0)
                for e in range(out_ptr[v], out_ptr[v + 1]):
                    outgoing += splitmix64(before[out_dst[e]] ^ np.uint64(0x5A5A5A5A))
                labels[first + hop, v] = splitmix64(
                    before[v] ^ splitmix64(incoming) ^ splitmix64(splitmix64(outgoing))
                )
    return labels


@kernel
def _count(
    labels: Any, node_ptr: Any, vocabulary: Any, first: Any, block: Any, idf: Any, lengths: Any
) -> Any:
    num_blocks, num_nodes = labels.shape
    num_graphs = len(node_ptr) - 1
    ptr = np.zeros(num_graphs + 1, dtype=np.int64)
    rows = np.empty(num_blocks * num_nodes, dtype=np.int64)
    weights = np.empty(num_blocks * num_nodes, dtype=np.float32)
    counted_in = np.full(len(vocabulary), -1, dtype=np.int64)  # the last network with a label
    total = 0
    for g in range(num_graphs):
        start = total
        for b in range(num_blocks):
            for v in range(node_ptr[g], node_ptr[g + 1]):
                # Labels are hashes, evenly spread: a few of them share their first bits.
                label = labels[b, v]
                bucket = label >> np.uint64(64 - _BUCKET_BITS)
                for at in range(first[bucket], first[bucket + 1]):
                    if vocabulary[at] == label:
                        if counted_in[at] != g:
                            counted_in[at] = g
                            rows[total] = at
                            total += 1
                        break
        rows[start:total].sort()
        length = np.zeros(num_blocks)
        for k in range(start, total):
            weight = idf[rows[k]]
            length[block[rows[k]]] += weight * weight
            weights[k] = weight
        for k in range(start, total):
            weights[k] *= lengths[block[rows[k]]] / np.sqrt(length[block[rows[k]]])
        ptr[g + 1] = total
    return ptr, rows[:total].copy(), weights[:total].copy()
