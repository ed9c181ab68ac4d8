"""The cleaning of raw autograd edges as it is described: one node at a time, quadratic."""

from __future__ import annotations


def clean_edges(raw_edges: list[tuple[str, str]]) -> tuple[list[str], list[tuple[int, int]]]:
    edges = list(raw_edges)
    for pattern in ("AccumulateGrad", "TBackward"):
        for node in dict.fromkeys(name for edge in edges for name in edge):
            if pattern in node:
                before = [a for a, b in edges if b == node and a != node]
                after = [b for a, b in edges if a == node and b != node]
                edges = [edge for edge in edges if node not in edge]
                edges += [(a, b) for a in before for b in after]
    consumers = {b for _, b in edges}

    def name_of(node: str) -> str:
        folded = [a for a, b in edges if b == node and a not in consumers]
        return f"{node}+{'&'.join(folded)}" if folded else node

    kept = [(name_of(a), name_of(b)) for a, b in edges if a in consumers]
    nodes = list(dict.fromkeys(name for edge in kept for name in edge))
    return nodes, [(nodes.index(a), nodes.index(b)) for a, b in kept]
