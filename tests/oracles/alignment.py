"""Slow twin of the alignment: the best one-to-one map of two small graphs, by trying all."""

from __future__ import annotations

from collections import Counter

from narfast.graph import ArchGraph


def edge_counts(graph: ArchGraph) -> Counter[tuple[int, int]]:
    """(source, target) -> how often the edge stands."""
    return Counter(
        (source, node) for node in range(graph.num_nodes) for source in graph.inputs(node).tolist()
    )


def kept_edges(a: ArchGraph, b: ArchGraph, to_b: list[int]) -> int:
    """Edges of a whose image is an edge of b; one that stands twice, as often as both have it."""
    in_b = edge_counts(b)
    return sum(
        min(times, in_b[to_b[source], to_b[node]])
        for (source, node), times in edge_counts(a).items()
        if to_b[source] >= 0 and to_b[node] >= 0
    )


def best(a: ArchGraph, b: ArchGraph) -> tuple[int, int]:
    """Return (kept edges, nodes of equal operator) of the best map, edges first.

    Nodes are matched to nodes of the same operator alone. Branch and bound over the nodes of a;
    exponential.
    """
    in_a, in_b = edge_counts(a), edge_counts(b)
    # Edges of a by their later end, so that a prefix of the map decides a prefix of the edges.
    decided: list[list[tuple[int, int]]] = [[] for _ in range(a.num_nodes)]
    for (source, node), times in in_a.items():
        decided[max(source, node)].append((min(source, node), times))
    left = [0] * (a.num_nodes + 1)  # edges that nodes from here on may still keep
    for node in range(a.num_nodes - 1, -1, -1):
        left[node] = left[node + 1] + sum(times for _, times in decided[node])
    options = [
        [partner for partner in range(b.num_nodes) if b.op[partner] == a.op[node]]
        for node in range(a.num_nodes)
    ]
    found = (0, 0)
    to_b = [-1] * a.num_nodes

    def extend(node: int, kept: int, matched: int, taken: int) -> None:
        nonlocal found
        if (kept + left[node], matched + a.num_nodes - node) <= found:
            return
        if node == a.num_nodes:
            found = (kept, matched)
            return
        for partner in options[node]:
            if not taken >> partner & 1:
                more = sum(
                    min(times, in_b[to_b[source], partner])
                    for source, times in decided[node]
                    if to_b[source] >= 0
                )
                to_b[node] = partner
                extend(node + 1, kept + more, matched + 1, taken | 1 << partner)
        to_b[node] = -1
        extend(node + 1, kept, matched, taken)

    extend(0, 0, 0, 0)
    return found
