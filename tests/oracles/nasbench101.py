"""NAS-Bench-101's space of cells by brute force, as its paper defines it: at most 9 edges among at
most 7 vertices; the first is the input, the last the output, the others carry one of three
operators; every vertex lies on a path from input to output."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations, product

import numpy as np
from numpy.typing import NDArray

Cell = tuple[tuple[tuple[int, int], ...], tuple[int, ...]]  # edges (source, target), operators
MAX_EDGES = 9


def _on_a_path(vertices: int, edges: tuple[tuple[int, int], ...]) -> bool:
    forward, backward = {0}, {vertices - 1}
    for source, target in sorted(edges):
        if source in forward:
            forward.add(target)
    for source, target in sorted(edges, reverse=True):
        if target in backward:
            backward.add(source)
    return len(forward) == len(backward) == vertices


def labelled_cells(vertices: int) -> Iterator[Cell]:
    """Every labelled cell; operators are -1 input, -2 output, 0 to 2 inside."""
    pairs = list(combinations(range(vertices), 2))
    for count in range(1, min(MAX_EDGES, len(pairs)) + 1):
        for edges in combinations(pairs, count):
            if _on_a_path(vertices, edges):
                for inner in product(range(3), repeat=vertices - 2):
                    yield edges, (-1, *inner, -2)


def canonical_form(cell: Cell) -> tuple[object, ...]:
    """The least of all renumberings: equal exactly for isomorphic cells."""
    edges, ops = cell
    forms = []
    for order in permutations(range(1, len(ops) - 1)):
        place = (0, *order, len(ops) - 1)
        renamed = tuple(sorted((place[a], place[b]) for a, b in edges))
        at = sorted(range(len(ops)), key=place.__getitem__)
        forms.append((renamed, tuple(ops[v] for v in at)))
    return min(forms)


def adjacency(cell: Cell) -> NDArray[np.bool_]:
    """bool[target, source]."""
    edges, ops = cell
    matrix = np.zeros((len(ops), len(ops)), bool)
    for source, target in edges:
        matrix[target, source] = True
    return matrix
