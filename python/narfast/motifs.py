"""Motifs: divide graphs into blocks (`mine`) and rebuild them as macro graphs (`coarsen`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from narfast import _core
from narfast.graph import ArchGraph, GraphBatch

__all__ = ["MacroBatch", "MiningMethod", "Motifs", "coarsen", "instance_graphs", "mine"]

MiningMethod = Literal["repeats", "neighbor_sequence", "fixed_size", "fixed_count", "random"]


@dataclass(frozen=True, eq=False)
class Motifs:
    """The division of the nodes of a batch into motif instances.

    Attributes:
        node_instance: int32[N], instance of each node, numbered within its graph by first node.
        instance_ptr: int64[G + 1], first instance of each graph.
        motif_id: uint64[I, 2], structural hash of each instance's induced subgraph.
    """

    node_instance: NDArray[np.int32]
    instance_ptr: NDArray[np.int64]
    motif_id: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class MacroBatch:
    """Macro graphs: one node for each motif instance.

    Attributes:
        instance_ptr: int64[G + 1], first instance of each graph.
        motif_id: uint64[I, 2].
        in_ptr: int64[I + 1], offsets of every instance into `in_src`.
        in_src: int32[M], in-neighbour instances, ascending, numbered within their graph.
        in_count: int32[M], operator edges behind each macro edge.
        member_ptr: int64[I + 1], offsets of every instance into `member`.
        member: int32[N], nodes of each instance, ascending, numbered within their graph.
        node_instance: int32[N], instance of each node.
    """

    instance_ptr: NDArray[np.int64]
    motif_id: NDArray[np.uint64]
    in_ptr: NDArray[np.int64]
    in_src: NDArray[np.int32]
    in_count: NDArray[np.int32]
    member_ptr: NDArray[np.int64]
    member: NDArray[np.int32]
    node_instance: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.instance_ptr) - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """int64[I], number of operators in each instance."""
        return np.diff(self.member_ptr)


def _as_batch(graphs: GraphBatch | ArchGraph) -> GraphBatch:
    return GraphBatch.from_graphs([graphs]) if isinstance(graphs, ArchGraph) else graphs


def mine(
    batch: GraphBatch | ArchGraph,
    *,
    method: MiningMethod = "repeats",
    num_threads: int = 1,
    size: int = 8,
    count: int = 8,
    min_size: int = 2,
    max_size: int = 16,
    seed: int = 0,
) -> Motifs:
    """Divides every graph of a batch into motif instances.

    Args:
        batch: The graphs, or one graph, which counts as a batch of one. For `repeats`,
            canonicalize them first to find the blocks that people would name.
        method: `repeats` finds repeated connected blocks by operators, attributes and edges;
            `neighbor_sequence` is the released method of Neural Architecture Retrieval (ICLR 2024),
            reproduced exactly; the others cut the node sequence: into pieces of `size` nodes, into
            `count` pieces, or into pieces of random size in [`min_size`, `max_size`] from `seed`.
        num_threads: Threads across graphs; the result does not depend on it.

    Raises:
        InvalidGraphError: If a graph is not well formed.
        ValueError: For an unknown method or a size below 1.
    """
    return Motifs(
        *_core.mine(
            *_as_batch(batch).arrays,
            method=method,
            size=size,
            count=count,
            min_size=min_size,
            max_size=max_size,
            seed=seed,
            num_threads=num_threads,
        )
    )


def coarsen(batch: GraphBatch | ArchGraph, motifs: Motifs, *, num_threads: int = 1) -> MacroBatch:
    """Rebuilds every graph with its motif instances as nodes; returns both maps.

    Args:
        batch: The graphs, or the one graph, given to `mine`.
        motifs: The result of `mine`.
        num_threads: Threads across graphs; the result does not depend on it.

    Raises:
        InvalidGraphError: If the motifs do not belong to the batch.
    """
    in_ptr, in_src, in_count, member_ptr, member = _core.coarsen(
        *_as_batch(batch).arrays, motifs.node_instance, motifs.instance_ptr, num_threads=num_threads
    )
    return MacroBatch(
        instance_ptr=motifs.instance_ptr,
        motif_id=motifs.motif_id,
        in_ptr=in_ptr,
        in_src=in_src,
        in_count=in_count,
        member_ptr=member_ptr,
        member=member,
        node_instance=motifs.node_instance,
    )


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Concatenate the ranges ``start, start + 1, ...`` of all pairs of start and length."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - ends + lengths, lengths)


def instance_graphs(
    batch: GraphBatch, macro: MacroBatch, instances: NDArray[np.int64]
) -> GraphBatch:
    """Return the induced subgraphs of instances, whose nodes keep the order of their graph.

    Args:
        batch: The graphs that were coarsened.
        macro: Their macro graphs.
        instances: int64[I], numbers of instances across the batch.
    """
    sizes = macro.sizes[instances]
    graph = np.searchsorted(macro.instance_ptr, instances, side="right") - 1
    members = macro.member[_ranges(macro.member_ptr[instances], sizes)]
    nodes = members + np.repeat(batch.node_ptr[graph], sizes)  # node numbers in the batch
    place = np.zeros(len(batch.op), dtype=np.int32)  # of a node in its block
    place[nodes] = _ranges(np.zeros_like(sizes), sizes)
    degrees = batch.in_ptr[nodes + 1] - batch.in_ptr[nodes]
    target = np.repeat(np.arange(len(nodes)), degrees)
    shift = np.repeat(batch.node_ptr[graph], sizes)[target]
    source = batch.in_src[_ranges(batch.in_ptr[nodes], degrees)] + shift
    within = macro.node_instance[source] == macro.node_instance[nodes[target]]
    return GraphBatch(
        op=batch.op[nodes],
        attr=batch.attr[nodes],
        node_ptr=_offsets(sizes),
        in_ptr=_offsets(np.bincount(target[within], minlength=len(nodes))),
        in_src=place[source[within]],
    )
