"""`Comparison`: what two networks have in common and what not, for people and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from narfast.alignment import Alignment, align
from narfast.blocks import BlockView, blocks_of
from narfast.comparison.differences import Difference, Pairing, differences_of
from narfast.comparison.facts import FACTS, facts_of
from narfast.comparison.parts import corresponding_parts
from narfast.graph import ArchGraph

__all__ = ["Comparison", "Fact", "compare_graphs"]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of the fact sheet of two networks; an empty text does not apply."""

    what: str
    a: str
    b: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two networks, aligned.

    Attributes:
        pairing: both networks as blocks, and the partners of their operators.
    """

    pairing: Pairing

    @property
    def a(self) -> ArchGraph:
        """Return the first network."""
        return self.pairing.a.graph

    @property
    def b(self) -> ArchGraph:
        """Return the second network."""
        return self.pairing.b.graph

    @property
    def views(self) -> tuple[BlockView, BlockView]:
        """Return both networks as blocks."""
        return self.pairing.a, self.pairing.b

    @property
    def alignment(self) -> Alignment:
        """Return the partners of operators."""
        return self.pairing.alignment

    @property
    def block_map(self) -> tuple[tuple[int, int], ...]:
        """Return pairs of block numbers, -1 for a block without counterpart."""
        return self.pairing.block_map

    @property
    def same_structure(self) -> bool:
        """Whether operators and wiring are equal; widths and exact kernels may differ."""
        return self.a.structural_hash == self.b.structural_hash

    @cached_property
    def same_hyperparameters(self) -> bool | None:
        """Whether all hyperparameters are equal too; None if those of a network are not known."""
        if not self.same_structure:
            return False
        if self.a.hyperparameters is None or self.b.hyperparameters is None:
            return None
        return not self.differences

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """Return the fact sheets of both, side by side."""
        own_a, own_b = facts_of(self.pairing.a), facts_of(self.pairing.b)
        return tuple(
            Fact(what=name, a=own_a.get(name, ""), b=own_b.get(name, ""))
            for name in FACTS
            if name in own_a or name in own_b
        )

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Return what distinguishes b from a, one sentence for each kind of change."""
        return differences_of(self.pairing)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Return the numbers of operators kept, changed, added and removed."""
        pairs = self.alignment.pairs
        same = np.logical_and(
            self.a.op[pairs[:, 0]] == self.b.op[pairs[:, 1]],
            self.a.attr[pairs[:, 0]] == self.b.attr[pairs[:, 1]],
        )
        return {
            "kept": int(same.sum()),
            "changed": int((~same).sum()),
            "added": len(self.alignment.added),
            "removed": len(self.alignment.removed),
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, as ``narfast compare --json`` prints them."""
        return {
            "a": self.a.meta.name,
            "b": self.b.meta.name,
            "same_structure": self.same_structure,
            "same_hyperparameters": self.same_hyperparameters,
            "facts": [asdict(fact) for fact in self.facts],
            "differences": [asdict(difference) for difference in self.differences],
            **self.counts,
            "kept_edges": self.alignment.kept_edges,
            "blocks": [
                {
                    "a": None if a < 0 else _block_json(self.pairing.a, a),
                    "b": None if b < 0 else _block_json(self.pairing.b, b),
                }
                for a, b in self.block_map
            ],
            "nodes": self.alignment.pairs.tolist(),
        }


def _block_json(view: BlockView, number: int) -> dict[str, Any]:
    block = view.blocks[number]
    return {"number": number, "name": block.name, "count": block.count}


def compare_graphs(a: ArchGraph, b: ArchGraph) -> Comparison:
    """Compare two canonical graphs.

    Raises:
        InvalidGraphError: a graph is not well formed.
    """
    views = blocks_of(a), blocks_of(b)
    return Comparison(Pairing(*views, align(a, b, parts=corresponding_parts(*views))))
