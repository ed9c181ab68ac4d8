"""Labels of places in operator graphs, weighted by rarity: the training-free part.

A label is of a node with its surroundings (Weisfeiler-Lehman), or of a few operators that follow
each other in topological order.

Labels are hashed from operator names, not ids, so a longer operator table leaves them as they are.
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
    "LabelCounts",
    "LabelRarity",
    "gram_labels",
    "name_hash",
    "principal_axes",
    "wl_labels",
]

UInt64 = NDArray[np.uint64]

# Length of the blocks without neighbours against those with: they say less about a design.
# Chosen on the validation families.
_SINGLE_NODE_WEIGHT = 0.4
_BUCKET_BITS = 13  # a few labels in each bucket
_BYTE_SIGNS = (
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) * 2 - 1
)
"""float32[256, 8]: +1 and -1 for the bits of a byte."""


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
class LabelCounts:
    """Sparse rows of label weights, one for each network.

    Attributes:
        ptr: int64[G + 1], offsets into the other two.
        row: int64[K], positions in ``LabelRarity.label``, ascending for each network.
        weight: float32[K], idf; what a network has of each row of ``wl_labels`` and
            ``gram_labels`` has length 1, of rows of single nodes 0.4.
    """

    ptr: NDArray[np.int64]
    row: NDArray[np.int64]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class LabelRarity:
    """How rare labels are among training networks, and vectors made of that.

    Attributes:
        label: uint64[V], ascending.
        block: uint8[V], the row of ``wl_labels``, and after those of ``gram_labels``, that a label
            belongs to.
        idf: float32[V], inverse document frequency; a label that is not listed counts as the
            rarest that is.
        hops: Rounds of refinement.
        grams: Operators in the longest run; below 2 there are none.
    """

    label: UInt64
    block: NDArray[np.uint8]
    idf: NDArray[np.float32]
    hops: int
    grams: int = 1

    @classmethod
    def fit(cls, graphs: GraphBatch, *, hops: int, size: int, grams: int = 1) -> LabelRarity:
        """Count in how many networks each label is.

        Args:
            graphs: Training networks.
            hops: Rounds of refinement.
            size: List at most this many labels, those of most networks first; none that only one
                network has.
            grams: Operators in the longest run.
        """
        network = np.repeat(np.arange(len(graphs), dtype=np.uint64), np.diff(graphs.node_ptr))
        found: list[tuple[UInt64, NDArray[np.int64], NDArray[np.uint8]]] = []
        for block, row in enumerate(_labels(graphs, hops, grams)):
            pairs = np.unique(np.stack([row, network], axis=1), axis=0)
            label, frequency = np.unique(pairs[:, 0], return_counts=True)
            kept = (frequency >= min(2, len(graphs))) & (label != 0)
            blocks = np.full(int(kept.sum()), block, dtype=np.uint8)
            found.append((label[kept], frequency[kept], blocks))
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

    def labels(self, graphs: GraphBatch) -> UInt64:
        """Every label of networks: rows of ``wl_labels``, and after them of ``gram_labels``."""
        return _labels(graphs, self.hops, self.grams)

    def counts(self, labels: UInt64, node_ptr: NDArray[np.int64]) -> LabelCounts:
        """Weights of the listed labels of each network.

        Args:
            labels: What ``labels`` gives.
            node_ptr: int64[G + 1], where the nodes of each network begin.
        """
        return LabelCounts(
            *_counts(
                labels,
                node_ptr,
                self.label,
                self._first_in_bucket,
                self.block,
                self.idf.astype(np.float64),
                self._lengths,
            )
        )

    @cached_property
    def _lengths(self) -> NDArray[np.float64]:
        """Length of what each row of labels adds to a network."""
        lengths = np.ones(2 * (self.hops + 1) + max(0, self.grams - 1))
        lengths[[0, self.hops + 1]] = _SINGLE_NODE_WEIGHT
        return lengths

    def vectors(self, labels: UInt64, node_ptr: NDArray[np.int64], dim: int) -> NDArray[np.float32]:
        """Random projections of the labels of each network, weighted by rarity.

        Every label has a direction of its own, drawn from its hash, so that labels which training
        never saw count as well, and inner products of many labels survive in few numbers
        (Achlioptas, Database-friendly random projections, 2003). How often a label occurs is left
        out: it says how deep a network is rather than how it is designed.

        Args:
            labels: What ``labels`` gives.
            node_ptr: int64[G + 1], where the nodes of each network begin.
            dim: Length of a vector.

        Returns:
            float32[G, dim]. What each row of ``wl_labels`` and ``gram_labels`` adds has about
            length 1, rows of single nodes 0.4; nothing where a network has no label of a row.
        """
        vectors: NDArray[np.float32] = _vectors(
            labels,
            node_ptr,
            self.label,
            self._first_in_bucket,
            self.idf,
            np.float32(self.idf.max(initial=1)),
            self._lengths,
            _BYTE_SIGNS,
            dim,
        )
        return vectors


def principal_axes(
    counts: LabelCounts, num_labels: int, dim: int, *, classes: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """Directions that keep most of what training networks differ in (not centred).

    Args:
        counts: Weights of the training networks.
        num_labels: V.
        dim: How many; directions beyond the number of networks are zero.
        classes: Class of each network; every class then weighs the square root of its size
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
def _place(label: Any, listed: Any, first: Any) -> Any:
    """Where a label is listed, or -1."""
    # Labels are hashes, evenly spread: a few of them share their first bits.
    bucket = label >> np.uint64(64 - _BUCKET_BITS)
    for at in range(first[bucket], first[bucket + 1]):
        if listed[at] == label:
            return at
    return -1


@kernel
def _vectors(
    labels: Any,
    node_ptr: Any,
    listed: Any,
    first: Any,
    idf: Any,
    rarest: Any,
    lengths: Any,
    byte_signs: Any,
    dim: int,
) -> Any:
    num_graphs = len(node_ptr) - 1
    vectors = np.zeros((num_graphs, dim), dtype=np.float32)
    block = np.empty(dim, dtype=np.float32)
    for g in range(num_graphs):
        for b in range(len(labels)):
            block[:] = 0
            square = 0.0
            before = np.uint64(0)  # no label
            for label in np.sort(labels[b, node_ptr[g] : node_ptr[g + 1]]):
                if label == before:
                    continue
                before = label
                at = _place(label, listed, first)
                weight = rarest if at < 0 else idf[at]
                square += weight * weight
                signs = label
                for start in range(0, dim, 8):
                    if start % 64 == 0:
                        mixed = splitmix64(signs)
                        signs = mixed
                    row = byte_signs[mixed & np.uint64(255)]
                    mixed >>= np.uint64(8)
                    for k in range(min(8, dim - start)):
                        block[start + k] += weight * row[k]
            if square > 0:
                vectors[g] += block * np.float32(lengths[b] / np.sqrt(square * dim))
    return vectors


@kernel
def _counts(
    labels: Any, node_ptr: Any, listed: Any, first: Any, block: Any, idf: Any, lengths: Any
) -> Any:
    num_blocks, num_nodes = labels.shape
    num_graphs = len(node_ptr) - 1
    ptr = np.zeros(num_graphs + 1, dtype=np.int64)
    rows = np.empty(num_blocks * num_nodes, dtype=np.int64)
    weights = np.empty(num_blocks * num_nodes, dtype=np.float32)
    counted_in = np.full(len(listed), -1, dtype=np.int64)  # the last network with a label
    total = 0
    for g in range(num_graphs):
        start = total
        for b in range(num_blocks):
            for v in range(node_ptr[g], node_ptr[g + 1]):
                at = _place(labels[b, v], listed, first)
                if at >= 0 and counted_in[at] != g:
                    counted_in[at] = g
                    rows[total] = at
                    total += 1
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
