"""Slow twins of the search for blocks: plain backtracking, and counting of n-grams by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np

from narfast import attributes, operators
from narfast.graph import ArchGraph

_SHAPES = ("kernel", "stride", "dilation", "channel_ratio", "heads", "non_square")


def label(op: int, attr: int, level: str) -> tuple[int, int]:
    """What must be equal at a level."""
    if level == "operators":
        return op, 0
    if level == "shapes":
        for name in _SHAPES:
            attr &= ~attributes.field(name).mask
    return op, attr


class Plain:
    """A graph as lists: labels, inputs and readers of each node, nodes of each label."""

    def __init__(self, graph: ArchGraph, level: str) -> None:
        """Read a graph at a level."""
        self.labels = [
            label(op, attr, level)
            for op, attr in zip(graph.op.tolist(), graph.attr.tolist(), strict=True)
        ]
        ptr, src = graph.in_ptr.tolist(), graph.in_src.tolist()
        self.inputs = [src[ptr[i] : ptr[i + 1]] for i in range(len(self.labels))]
        self.readers: list[list[int]] = [[] for _ in self.labels]
        for node, sources in enumerate(self.inputs):
            for source in sources:
                self.readers[source].append(node)
        self.nodes: dict[tuple[int, int], list[int]] = {}
        for node, own in enumerate(self.labels):
            self.nodes.setdefault(own, []).append(node)
        self.counts = Counter(self.labels)
        table = operators.table()
        self.commutes = ["commutative" in table[op].traits for op in graph.op.tolist()]


def is_occurrence(pattern: Plain, graph: Plain, image: list[int]) -> bool:
    """Whether a map from pattern to graph is an occurrence, by the definition."""
    role = {node: i for i, node in enumerate(image)}
    return len(role) == len(image) and all(
        pattern.labels[i] == graph.labels[node] and _reads_the_same(pattern, graph, i, node, role)
        for i, node in enumerate(image)
    )


def _reads_the_same(pattern: Plain, graph: Plain, i: int, node: int, role: dict[int, int]) -> bool:
    placed = set(role.values())
    actual = [role[source] for source in graph.inputs[node] if source in role]
    wanted = [source for source in pattern.inputs[i] if source in placed]
    if pattern.commutes[i]:
        actual, wanted = sorted(actual), sorted(wanted)
    return actual == wanted


def _order(pattern: Plain, anchor: int) -> list[int]:
    """The nodes of a pattern, each after a neighbour where there is one."""
    order, waiting = [], [anchor]
    todo = dict.fromkeys([anchor, *range(len(pattern.labels))])
    while todo:
        node = waiting.pop(0) if waiting else next(iter(todo))
        if node in todo:
            del todo[node]
            order.append(node)
            waiting += [*pattern.inputs[node], *pattern.readers[node]]
    return order


class TooLong(Exception):
    """A search that reached its limit."""


def occurrences(
    pattern: Plain, graph: Plain, *, first: bool = False, limit: float = float("inf")
) -> list[list[int]]:
    """All occurrences, or at most one; exponential where many nodes are alike.

    Raises TooLong above `limit` places tried.
    """
    if not pattern.counts <= graph.counts:
        return []
    anchor = min(range(len(pattern.labels)), key=lambda i: graph.counts[pattern.labels[i]])
    order = _order(pattern, anchor)
    found: list[list[int]] = []
    role: dict[int, int] = {}
    image = [-1] * len(order)

    def places(i: int) -> list[int]:
        for reader in pattern.readers[i]:
            if image[reader] >= 0:
                return sorted(set(graph.inputs[image[reader]]))
        for source in pattern.inputs[i]:
            if image[source] >= 0:
                return sorted(set(graph.readers[image[source]]))
        return graph.nodes.get(pattern.labels[i], [])

    def agrees(depth: int) -> bool:
        i = order[depth]
        touched = [i, *(reader for reader in pattern.readers[i] if image[reader] >= 0)]
        extra = [role[reader] for reader in graph.readers[image[i]] if reader in role]
        return all(reader in pattern.readers[i] for reader in extra) and all(
            _reads_the_same(pattern, graph, each, image[each], role) for each in touched
        )

    options = [iter(places(order[0]))]
    tried = 0
    while options:
        tried += 1
        if tried > limit:
            raise TooLong
        depth = len(options) - 1
        i = order[depth]
        if image[i] >= 0:
            del role[image[i]]
            image[i] = -1
        node = next(options[-1], None)
        if node is None:
            options.pop()
            continue
        if node in role or graph.labels[node] != pattern.labels[i]:
            continue
        image[i], role[node] = node, i
        if not agrees(depth):
            continue
        if depth + 1 == len(order):
            found.append(list(image))
            if first:
                break
        else:
            options.append(iter(places(order[depth + 1])))
    return found


def ngrams(graph: ArchGraph, level: str) -> Counter[tuple[tuple[int, int], ...]]:
    """Operators, edges and paths of two edges, by their labels, with multiplicity."""
    plain = Plain(graph, level)
    counts: Counter[tuple[tuple[int, int], ...]] = Counter()
    for node, own in enumerate(plain.labels):
        counts[own,] += 1
        for source in plain.inputs[node]:
            counts[plain.labels[source], own] += 1
            for before in plain.inputs[source]:
                counts[plain.labels[before], plain.labels[source], own] += 1
    return counts


def grown(graph: ArchGraph, size: int, rng: np.random.Generator) -> np.ndarray:
    """Connected nodes around a random one, at most `size`."""
    plain = Plain(graph, "operators")
    chosen = [int(rng.integers(graph.num_nodes))]
    while len(chosen) < size:
        near = {n for c in chosen for n in (*plain.inputs[c], *plain.readers[c])} - set(chosen)
        if not near:
            break
        chosen.append(int(rng.choice(sorted(near))))
    return np.array(sorted(chosen))
