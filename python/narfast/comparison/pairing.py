"""`Pairing`: which blocks and repetitions of two aligned networks correspond."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from narfast.alignment import Alignment
from narfast.blocks import BlockView

__all__ = ["Pairing"]


@dataclass(frozen=True, eq=False)
class Pairing:
    """Two networks as blocks, and the alignment of their operators.

    Attributes:
        a: blocks of network a.
        b: blocks of network b.
        alignment: partners of operators.
    """

    a: BlockView
    b: BlockView
    alignment: Alignment

    @cached_property
    def block_map(self) -> tuple[tuple[int, int], ...]:
        """Pairs of block numbers in reading order of b; -1 where a block has no counterpart."""
        partner = _best_partners(self.a.block_of, self.b.block_of, self.alignment)
        of_b = {b: a for a, b in partner.items()}
        pairs: list[tuple[int, int]] = []
        waiting = iter(range(len(self.a)))
        for b in range(len(self.b)):
            a = of_b.get(b, -1)
            if a >= 0:  # blocks of a that stand before it come first
                for earlier in waiting:
                    if earlier == a:
                        break
                    if earlier not in partner:
                        pairs.append((earlier, -1))
            pairs.append((a, b))
        seen = {a for a, _ in pairs}
        pairs += [(a, -1) for a in range(len(self.a)) if a not in seen and a not in partner]
        return tuple(pairs)

    @cached_property
    def instance_map(self) -> dict[int, int]:
        """Instance of a -> instance of b, numbered by `instances`."""
        found = _best_partners(self.instances(self.a), self.instances(self.b), self.alignment)
        block_a, block_b = self.block_of_instance(self.a), self.block_of_instance(self.b)
        corresponding = set(self.block_map)
        return {a: b for a, b in found.items() if (block_a[a], block_b[b]) in corresponding}

    @staticmethod
    def block_of_instance(view: BlockView) -> list[int]:
        """Return the number of the block of each repetition, in the order of `instances`."""
        return [number for number, block in enumerate(view.blocks) for _ in block.instances]

    @staticmethod
    def instances(view: BlockView) -> NDArray[np.int32]:
        """int32[N]: the repetition that each node belongs to, numbered over all blocks."""
        number = np.empty(view.graph.num_nodes, np.int32)
        place = 0
        for block in view.blocks:
            for nodes in block.instances:
                number[nodes] = place
                place += 1
        return number


def _best_partners(
    of_a: NDArray[np.int32],
    of_b: NDArray[np.int32],
    alignment: Alignment,
) -> dict[int, int]:
    """Match parts of a and b one to one, those with most operators in common first."""
    pairs = alignment.pairs
    votes = Counter(zip(of_a[pairs[:, 0]].tolist(), of_b[pairs[:, 1]].tolist(), strict=True))
    found: dict[int, int] = {}
    taken: set[int] = set()
    for (a, b), _ in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
        if a not in found and b not in taken:
            found[a] = b
            taken.add(b)
    return found
