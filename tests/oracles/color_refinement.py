"""Slow twin of the core's colour refinement: colours are numbered sorted tuples, nothing is hashed.

Nodes of one colour after l rounds cannot differ after l graph layers; the encoder of the core
computes one row for each colour.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def refine(
    features: Sequence[Hashable],
    in_ptr: NDArray[np.integer],
    in_src: NDArray[np.integer],
    *,
    rounds: int,
) -> list[list[int]]:
    """Colours of nodes after 0, 1, ..., ``rounds`` rounds, each numbered by first appearance.

    Args:
        features: What tells nodes apart at the start.
        in_ptr: Offsets [nodes + 1] into ``in_src``.
        in_src: In-neighbours.
        rounds: Each widens what a colour says by one step in both directions.
    """
    ptr, flat = in_ptr.tolist(), in_src.tolist()
    sources = [flat[ptr[v] : ptr[v + 1]] for v in range(len(features))]
    targets: list[list[int]] = [[] for _ in sources]
    for node, inputs in enumerate(sources):
        for source in inputs:
            targets[source].append(node)
    colors = _numbered(features)
    colorings = [colors]
    for _ in range(rounds):
        colors = _numbered(
            (
                own,
                tuple(sorted([colors[s] for s in before])),
                tuple(sorted([colors[t] for t in behind])),
            )
            for own, before, behind in zip(colors, sources, targets, strict=True)
        )
        colorings.append(colors)
    return colorings


def _numbered(keys: Iterable[Hashable]) -> list[int]:
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]
