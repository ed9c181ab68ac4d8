"""Numba kernels that cut mini-batches of motifs, contexts and macro graphs out of ragged batches.

The kernels read and return plain NumPy arrays and know nothing of torch. Every batch is in CSR form
with edges sorted by destination, so message passing needs no sorting. Each kernel has a slow oracle
in ``tests/oracles/collate.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narfast.nn._kernel import kernel, splitmix64

if TYPE_CHECKING:
    from narfast.graph import GraphBatch
    from narfast.motifs import MacroBatch

__all__ = [
    "MacroMiniBatch",
    "NodeMiniBatch",
    "UniqueMotifs",
    "collate_contexts",
    "collate_macros",
    "collate_motifs",
    "motif_multiplicity",
    "ragged_gather",
    "sample_negatives",
    "select_graphs",
    "transpose_csr",
    "unique_motifs",
]

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class NodeMiniBatch:
    """Induced operator subgraphs, concatenated; one segment is one motif or one context.

    Attributes:
        op: uint16[n], operator ids.
        attr: uint32[n], packed attributes.
        in_ptr: int64[n + 1], offsets into ``in_src`` by destination node.
        in_src: int64[e], sources, as row numbers of this mini-batch.
        segment_ptr: int64[S + 1], node range of each segment; a segment may be empty.
    """

    op: NDArray[np.uint16]
    attr: NDArray[np.uint32]
    in_ptr: Int64
    in_src: Int64
    segment_ptr: Int64


@dataclass(frozen=True)
class MacroMiniBatch:
    """Macro graphs, concatenated; one segment is one network.

    Attributes:
        instance: int64[n], the row of each node in the arrays of the ``MacroBatch``.
        in_ptr: int64[n + 1], offsets into ``in_src`` by destination node.
        in_src: int64[e], sources, as row numbers of this mini-batch.
        in_count: int32[e], operator edges behind each macro edge.
        segment_ptr: int64[S + 1], node range of each network.
    """

    instance: Int64
    in_ptr: Int64
    in_src: Int64
    in_count: NDArray[np.int32]
    segment_ptr: Int64


@dataclass(frozen=True)
class UniqueMotifs:
    """The distinct motifs among instances, in the order of their first appearance.

    Attributes:
        motif_id: uint64[U, 2].
        inverse: int64[I], the distinct motif of each instance.
        representative: int64[U], the first instance of each motif.
        count: int64[U], instances of each motif.
    """

    motif_id: NDArray[np.uint64]
    inverse: Int64
    representative: Int64
    count: Int64


def ragged_gather(ptr: Int64, rows: Int64) -> tuple[Int64, Int64]:
    """Elements of chosen rows of a ragged array.

    Args:
        ptr: int64[R + 1], offsets of all rows.
        rows: int64[S], rows to take, in any order, repeats allowed.

    Returns:
        Offsets int64[S + 1] of the taken rows and int64[total], the positions of their elements.

    Raises:
        IndexError: A row is out of range.
    """
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    _check_rows(rows, len(ptr) - 1, "row")
    result: tuple[Int64, Int64] = _ragged_gather(np.asarray(ptr, dtype=np.int64), rows)
    return result


def select_graphs(graphs: GraphBatch, rows: Int64) -> GraphBatch:
    """Copy chosen graphs into a batch of their own.

    Args:
        graphs: A batch.
        rows: int64[S], which graphs, in any order, repeats allowed.

    Raises:
        IndexError: A graph is out of range.
    """
    node_ptr, node = ragged_gather(graphs.node_ptr, rows)
    in_ptr, edge = _ragged_gather(graphs.in_ptr, node)
    return replace(
        graphs,
        op=graphs.op[node],
        attr=graphs.attr[node],
        node_ptr=node_ptr,
        in_ptr=in_ptr,
        in_src=graphs.in_src[edge],
        metas=tuple(graphs.metas[r] for r in rows.tolist()) if graphs.metas else (),
    )


def transpose_csr(in_ptr: Int64, in_src: Int64) -> tuple[Int64, Int64, Int64]:
    """Compute the outgoing side of a graph from its incoming side.

    Args:
        in_ptr: int64[n + 1], offsets by destination.
        in_src: int64[e], sources.

    Returns:
        ``out_ptr`` int64[n + 1], ``out_dst`` int64[e] (ascending for each source) and
        ``edge`` int64[e], the position in ``in_src`` of each outgoing edge.
    """
    result: tuple[Int64, Int64, Int64] = _transpose_csr(in_ptr, in_src)
    return result


def unique_motifs(motif_id: NDArray[np.uint64]) -> UniqueMotifs:
    """Find the distinct motifs of instances, so that each is encoded only once.

    Args:
        motif_id: uint64[I, 2], as ``Motifs`` and ``MacroBatch`` hold it.

    Returns:
        The distinct motifs in the order of their first appearance.
    """
    motif_id = np.ascontiguousarray(motif_id, dtype=np.uint64)
    inverse, representative, count = _unique_motifs(motif_id)
    return UniqueMotifs(motif_id[representative], inverse, representative, count)


def motif_multiplicity(instance_ptr: Int64, inverse: Int64) -> Int64:
    """Count how often the motif of each instance occurs in its own network.

    Args:
        instance_ptr: int64[G + 1], instances of each network.
        inverse: int64[I], the distinct motif of each instance (``UniqueMotifs.inverse``).

    Returns:
        int64[I], at least 1.
    """
    result: Int64 = _motif_multiplicity(instance_ptr, inverse)
    return result


def collate_motifs(graphs: GraphBatch, macros: MacroBatch, instances: Int64) -> NodeMiniBatch:
    """Cut out the induced subgraphs of motif instances.

    Args:
        graphs: The operator graphs.
        macros: ``coarsen`` of the same graphs.
        instances: int64[S], rows of ``macros``, in any order, repeats allowed.

    Returns:
        One segment for each instance; nodes ascending, edges of argument order kept.

    Raises:
        IndexError: An instance is out of range.
    """
    instances = np.ascontiguousarray(instances, dtype=np.int64)
    _check_rows(instances, len(macros.member_ptr) - 1, "motif instance")
    arrays = _collate_motifs(
        graphs.op,
        graphs.attr,
        graphs.node_ptr,
        graphs.in_ptr,
        graphs.in_src,
        macros.instance_ptr,
        macros.member_ptr,
        macros.member,
        macros.node_instance,
        instances,
    )
    return NodeMiniBatch(*arrays)


def collate_contexts(
    graphs: GraphBatch, macros: MacroBatch, instances: Int64, *, radius: int = 2
) -> NodeMiniBatch:
    """Cut out the contexts of motif instances.

    The context of an instance is the subgraph induced by the nodes outside it, at most ``radius``
    steps away; edge directions do not matter.

    Args:
        graphs: The operator graphs.
        macros: ``coarsen`` of the same graphs.
        instances: int64[S], rows of ``macros``, in any order, repeats allowed.
        radius: Steps, at least 1.

    Returns:
        One segment for each instance; it is empty if the motif is the whole network.

    Raises:
        IndexError: An instance is out of range.
        ValueError: ``radius`` is below 1.
    """
    if radius < 1:
        raise ValueError(f"collate_contexts: radius must be at least 1, not {radius}")
    instances = np.ascontiguousarray(instances, dtype=np.int64)
    _check_rows(instances, len(macros.member_ptr) - 1, "motif instance")
    arrays = _collate_contexts(
        graphs.op,
        graphs.attr,
        graphs.node_ptr,
        graphs.in_ptr,
        graphs.in_src,
        macros.instance_ptr,
        macros.member_ptr,
        macros.member,
        instances,
        radius,
    )
    return NodeMiniBatch(*arrays)


def collate_macros(macros: MacroBatch, networks: Int64) -> MacroMiniBatch:
    """Concatenate the macro graphs of chosen networks.

    Args:
        macros: ``coarsen`` of a batch of graphs.
        networks: int64[S], which networks, in any order, repeats allowed.

    Returns:
        One segment for each network.

    Raises:
        IndexError: A network is out of range.
    """
    networks = np.ascontiguousarray(networks, dtype=np.int64)
    _check_rows(networks, len(macros.instance_ptr) - 1, "network")
    arrays = _collate_macros(
        macros.instance_ptr, macros.in_ptr, macros.in_src, macros.in_count, networks
    )
    return MacroMiniBatch(*arrays)


def sample_negatives(motif: Int64, *, seed: int, per_anchor: int = 1) -> Int64:
    """Draw, for each instance of a mini-batch, instances of other motifs.

    Args:
        motif: int64[B], the distinct motif of each instance (``UniqueMotifs.inverse`` rows).
        seed: The same seed gives the same draw on every machine.
        per_anchor: How many to draw for each instance, with replacement.

    Returns:
        int64[B, per_anchor], positions in the mini-batch, uniform over the instances of other
        motifs; -1 if all instances have the same motif.
    """
    motif = np.ascontiguousarray(motif, dtype=np.int64)
    # Sorted by motif, "any but my own group" is an offset that jumps over one range: uniform
    # sampling without rejection.
    order = np.argsort(motif, kind="stable").astype(np.int64)
    result: Int64 = _sample_negatives(motif, order, np.uint64(seed % 2**64), per_anchor)
    return result


def _check_rows(rows: Int64, limit: int, what: str) -> None:
    if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < limit):
        raise IndexError(f"{what} rows must lie in [0, {limit}), not {rows.min()}..{rows.max()}")


@kernel
def _ragged_gather(ptr: Any, rows: Any) -> Any:
    out_ptr = np.empty(len(rows) + 1, dtype=np.int64)
    out_ptr[0] = 0
    for s in range(len(rows)):
        out_ptr[s + 1] = out_ptr[s] + ptr[rows[s] + 1] - ptr[rows[s]]
    index = np.empty(out_ptr[-1], dtype=np.int64)
    for s in range(len(rows)):
        start = ptr[rows[s]]
        for k in range(out_ptr[s + 1] - out_ptr[s]):
            index[out_ptr[s] + k] = start + k
    return out_ptr, index


@kernel
def _transpose_csr(in_ptr: Any, in_src: Any) -> Any:
    num_nodes = len(in_ptr) - 1
    out_ptr = np.zeros(num_nodes + 1, dtype=np.int64)
    for e in range(len(in_src)):
        out_ptr[in_src[e] + 1] += 1
    for v in range(num_nodes):
        out_ptr[v + 1] += out_ptr[v]
    cursor = out_ptr[:-1].copy()
    out_dst = np.empty(len(in_src), dtype=np.int64)
    edge = np.empty(len(in_src), dtype=np.int64)
    for v in range(num_nodes):
        for e in range(in_ptr[v], in_ptr[v + 1]):
            slot = cursor[in_src[e]]
            cursor[in_src[e]] += 1
            out_dst[slot] = v
            edge[slot] = e
    return out_ptr, out_dst, edge


@kernel
def _unique_motifs(motif_id: Any) -> Any:
    num_instances = len(motif_id)
    capacity = 16
    while capacity < 2 * num_instances:
        capacity *= 2
    mask = np.uint64(capacity - 1)
    table = np.full(capacity, -1, dtype=np.int64)
    inverse = np.empty(num_instances, dtype=np.int64)
    representative = np.empty(num_instances, dtype=np.int64)
    count = np.zeros(num_instances, dtype=np.int64)
    found = 0
    for i in range(num_instances):
        high, low = motif_id[i, 0], motif_id[i, 1]
        # The ids are hashes already; the multiplication protects against structured test values.
        slot = ((high ^ (low * np.uint64(0x9E3779B97F4A7C15))) >> np.uint64(7)) & mask
        while True:
            known = table[slot]
            if known < 0:
                table[slot] = found
                representative[found] = i
                known = found
                found += 1
                break
            first = representative[known]
            if motif_id[first, 0] == high and motif_id[first, 1] == low:
                break
            slot = (slot + np.uint64(1)) & mask
        inverse[i] = known
        count[known] += 1
    return inverse, representative[:found].copy(), count[:found].copy()


@kernel
def _motif_multiplicity(instance_ptr: Any, inverse: Any) -> Any:
    multiplicity = np.empty(len(inverse), dtype=np.int64)
    seen = np.zeros(inverse.max() + 1 if len(inverse) else 0, dtype=np.int64)
    for g in range(len(instance_ptr) - 1):
        for i in range(instance_ptr[g], instance_ptr[g + 1]):
            seen[inverse[i]] += 1
        for i in range(instance_ptr[g], instance_ptr[g + 1]):
            multiplicity[i] = seen[inverse[i]]
        for i in range(instance_ptr[g], instance_ptr[g + 1]):
            seen[inverse[i]] = 0
    return multiplicity


@kernel
def _collate_motifs(
    op: Any,
    attr: Any,
    node_ptr: Any,
    in_ptr: Any,
    in_src: Any,
    instance_ptr: Any,
    member_ptr: Any,
    member: Any,
    node_instance: Any,
    instances: Any,
) -> Any:
    segments = len(instances)
    segment_ptr = np.zeros(segments + 1, dtype=np.int64)
    first_node = np.empty(segments, dtype=np.int64)
    for s in range(segments):
        i = instances[s]
        segment_ptr[s + 1] = segment_ptr[s] + member_ptr[i + 1] - member_ptr[i]
        graph = np.searchsorted(instance_ptr, i, side="right") - 1
        first_node[s] = node_ptr[graph]
    total = segment_ptr[-1]
    out_op = np.empty(total, dtype=op.dtype)
    out_attr = np.empty(total, dtype=attr.dtype)
    out_ptr = np.zeros(total + 1, dtype=np.int64)
    # Pass one: an edge is inside if both of its ends belong to the same instance.
    for s in range(segments):
        i = instances[s]
        base = first_node[s]
        row = segment_ptr[s]
        for m in range(member_ptr[i], member_ptr[i + 1]):
            v = base + member[m]
            out_op[row] = op[v]
            out_attr[row] = attr[v]
            inside = 0
            for e in range(in_ptr[v], in_ptr[v + 1]):
                if node_instance[base + in_src[e]] == node_instance[v]:
                    inside += 1
            out_ptr[row + 1] = out_ptr[row] + inside
            row += 1
    # Pass two: members ascend, so a binary search finds the row of a source.
    out_src = np.empty(out_ptr[-1], dtype=np.int64)
    cursor = 0
    for s in range(segments):
        i = instances[s]
        base = first_node[s]
        members = member[member_ptr[i] : member_ptr[i + 1]]
        for m in range(len(members)):
            v = base + members[m]
            for e in range(in_ptr[v], in_ptr[v + 1]):
                if node_instance[base + in_src[e]] == node_instance[v]:
                    out_src[cursor] = segment_ptr[s] + np.searchsorted(members, in_src[e])
                    cursor += 1
    return out_op, out_attr, out_ptr, out_src, segment_ptr


@kernel
def _collate_contexts(
    op: Any,
    attr: Any,
    node_ptr: Any,
    in_ptr: Any,
    in_src: Any,
    instance_ptr: Any,
    member_ptr: Any,
    member: Any,
    instances: Any,
    radius: int,
) -> Any:
    num_nodes = len(op)
    global_src = np.empty(len(in_src), dtype=np.int64)
    for graph in range(len(node_ptr) - 1):
        for e in range(in_ptr[node_ptr[graph]], in_ptr[node_ptr[graph + 1]]):
            global_src[e] = in_src[e] + node_ptr[graph]
    out_ptr, out_dst, _ = _transpose_csr(in_ptr, global_src)

    segments = len(instances)
    segment_ptr = np.zeros(segments + 1, dtype=np.int64)
    # seen[v] is the last segment that reached v, so it need not be cleared between segments.
    seen = np.full(num_nodes, -1, dtype=np.int64)
    frontier = np.empty(num_nodes, dtype=np.int64)
    nodes = np.empty(max(16, num_nodes), dtype=np.int64)
    total = 0
    for s in range(segments):
        i = instances[s]
        graph = np.searchsorted(instance_ptr, i, side="right") - 1
        tail = 0
        for m in range(member_ptr[i], member_ptr[i + 1]):
            v = node_ptr[graph] + member[m]
            seen[v] = s
            frontier[tail] = v
            tail += 1
        inside = tail
        head = 0
        for _ in range(radius):
            level_end = tail
            while head < level_end:
                v = frontier[head]
                head += 1
                for e in range(in_ptr[v], in_ptr[v + 1]):
                    if seen[global_src[e]] != s:
                        seen[global_src[e]] = s
                        frontier[tail] = global_src[e]
                        tail += 1
                for e in range(out_ptr[v], out_ptr[v + 1]):
                    if seen[out_dst[e]] != s:
                        seen[out_dst[e]] = s
                        frontier[tail] = out_dst[e]
                        tail += 1
        size = tail - inside
        while total + size > len(nodes):
            grown = np.empty(2 * len(nodes), dtype=np.int64)
            grown[:total] = nodes[:total]
            nodes = grown
        nodes[total : total + size] = np.sort(frontier[inside:tail])
        total += size
        segment_ptr[s + 1] = total

    ctx_op = np.empty(total, dtype=op.dtype)
    ctx_attr = np.empty(total, dtype=attr.dtype)
    ctx_ptr = np.zeros(total + 1, dtype=np.int64)
    owner = np.full(num_nodes, -1, dtype=np.int64)
    position = np.empty(num_nodes, dtype=np.int64)
    for s in range(segments):
        for row in range(segment_ptr[s], segment_ptr[s + 1]):
            owner[nodes[row]] = s
        for row in range(segment_ptr[s], segment_ptr[s + 1]):
            v = nodes[row]
            ctx_op[row] = op[v]
            ctx_attr[row] = attr[v]
            inner = 0
            for e in range(in_ptr[v], in_ptr[v + 1]):
                if owner[global_src[e]] == s:
                    inner += 1
            ctx_ptr[row + 1] = ctx_ptr[row] + inner
    ctx_src = np.empty(ctx_ptr[-1], dtype=np.int64)
    owner[:] = -1
    cursor = 0
    for s in range(segments):
        for row in range(segment_ptr[s], segment_ptr[s + 1]):
            owner[nodes[row]] = s
            position[nodes[row]] = row
        for row in range(segment_ptr[s], segment_ptr[s + 1]):
            v = nodes[row]
            for e in range(in_ptr[v], in_ptr[v + 1]):
                if owner[global_src[e]] == s:
                    ctx_src[cursor] = position[global_src[e]]
                    cursor += 1
    return ctx_op, ctx_attr, ctx_ptr, ctx_src, segment_ptr


@kernel
def _collate_macros(
    instance_ptr: Any, in_ptr: Any, in_src: Any, in_count: Any, networks: Any
) -> Any:
    segment_ptr, instance = _ragged_gather(instance_ptr, networks)
    out_ptr, edge = _ragged_gather(in_ptr, instance)
    out_src = np.empty(len(edge), dtype=np.int64)
    out_count = np.empty(len(edge), dtype=np.int32)
    for s in range(len(networks)):
        for row in range(segment_ptr[s], segment_ptr[s + 1]):
            for e in range(out_ptr[row], out_ptr[row + 1]):
                out_src[e] = segment_ptr[s] + in_src[edge[e]]
                out_count[e] = in_count[edge[e]]
    return instance, out_ptr, out_src, out_count, segment_ptr


@kernel
def _sample_negatives(motif: Any, order: Any, seed: Any, per_anchor: int) -> Any:
    size = len(motif)
    start = np.empty(size, dtype=np.int64)
    stop = np.empty(size, dtype=np.int64)
    first = 0
    while first < size:
        last = first
        while last < size and motif[order[last]] == motif[order[first]]:
            last += 1
        for k in range(first, last):
            start[order[k]] = first
            stop[order[k]] = last
        first = last
    drawn = np.full((size, per_anchor), -1, dtype=np.int64)
    for b in range(size):
        own = stop[b] - start[b]
        others = size - own
        if others == 0:
            continue
        for k in range(per_anchor):
            bits = splitmix64(seed + np.uint64(b * per_anchor + k) * np.uint64(0xD1342543DE82EF95))
            offset = np.int64(bits % np.uint64(others))
            drawn[b, k] = order[offset if offset < start[b] else offset + own]
    return drawn
