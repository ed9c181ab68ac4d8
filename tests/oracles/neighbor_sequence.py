"""The paper's motif splitter and macro graph as they are described: a dense adjacency matrix, lists
and Python loops. Slow on purpose; `narfast.motifs` must give the same."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np


def node_codes(num_nodes: int, edges: list[tuple[int, int]]) -> list[int]:
    """One number per node: equal when the in-neighbours stand at the same distances before it."""
    adjacency = np.zeros((num_nodes, num_nodes), dtype=bool)
    for source, target in edges:
        adjacency[target, source] = True
    seen: list[list[int]] = []
    codes = []
    for node in range(num_nodes):
        distances = [node - source for source in np.flatnonzero(adjacency[node]).tolist()]
        if distances not in seen:
            seen.append(distances)
        codes.append(seen.index(distances))
    return codes


def segment_lengths(codes: list[int]) -> list[int]:
    """Cuts where the number of occurrences of neighbouring pairs of codes jumps."""
    if not codes:
        return []
    pairs = list(pairwise(codes))
    frequency = [sum(other == pair for other in pairs) for pair in pairs]
    jumps = [abs(b - a) for a, b in pairwise(frequency)]
    common = Counter(jump for jump in jumps if jump)
    threshold = min(common, key=lambda jump: (-common[jump], jump), default=0)
    # `first` says where a new segment begins: after the pair's second node when frequency falls
    # there (that node still belongs to what was frequent), at it when frequency rises.
    first, i = [0], 0
    while i < len(jumps):
        if jumps[i] > threshold:
            i += frequency[i] > frequency[i + 1]
            first.append(i + 1)
        i += 1
    ends = [*first[1:], len(codes)]
    return [end - begin for begin, end in zip(first, ends, strict=True)]


def segments(num_nodes: int, edges: list[tuple[int, int]]) -> list[int]:
    """Segment number of every node."""
    lengths = segment_lengths(node_codes(num_nodes, edges))
    return [number for number, length in enumerate(lengths) for _ in range(length)]


def macro_edges(instance: list[int], edges: list[tuple[int, int]]) -> Counter[tuple[int, int]]:
    """How many edges join each ordered pair of different instances."""
    pairs = [(instance[source], instance[target]) for source, target in edges]
    return Counter((a, b) for a, b in pairs if a != b)
