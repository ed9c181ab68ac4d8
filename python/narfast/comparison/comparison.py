"""`Comparison`: what two networks have in common and what not, for people and programs."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from narfast._printing import Printable
from narfast.alignment import Alignment, align
from narfast.blocks import BlockView, blocks_of
from narfast.comparison.differences import Difference, differences_of
from narfast.comparison.facts import FACTS, facts_of
from narfast.comparison.pairing import Pairing
from narfast.comparison.parts import corresponding_parts
from narfast.errors import printable
from narfast.graph import ArchGraph
from narfast.zoo.additions import Source
from narfast.zoo.networks import read_network
from narfast.zoo.zoo import Zoo

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Comparison", "Fact", "compare", "compare_graphs"]

_MOST_LINES = 20  # sentences that are printed
_BETTER = 1.5  # times as many edges kept without blocks: then the blocks of the two do not match


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of the fact sheet of two networks; an empty text does not apply."""

    what: str
    a: str
    b: str


@dataclass(frozen=True, eq=False)
class Comparison(Printable):
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

    def blocks_of_a(self) -> list[int | None]:
        """Return the counterpart of each block of b in a, or None."""
        of_b = {b: a for a, b in self.block_map if a >= 0}
        return [of_b.get(number) for number in range(len(self.pairing.b))]

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

    @property
    def verdict(self) -> str:
        """Return how much the two have in common, in one sentence."""
        counts = self.counts
        if not self.same_structure:
            words = ", ".join(f"{counts[key]} {key}" for key in ("changed", "added", "removed"))
            return f"different structures: {counts['kept']} operators kept, {words}"
        if self.same_hyperparameters is None:
            return "same structure: same operators and wiring; widths are not known for both"
        if self.same_hyperparameters:
            return "same structure: same in every hyperparameter"
        return "same structure: same operators and wiring; hyperparameters differ"

    def sentences(self) -> list[str]:
        """Return the differences as lines of text."""
        return [difference.text for difference in self.differences]

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

    def _show(self, console: Console) -> None:
        from rich.markup import escape

        from narfast._tables import make_table, print_table
        from narfast.drawing.strip import aligned_strips, has_color

        names = [_name(graph) for graph in (self.a, self.b)]
        console.print(f"[bold]{escape(names[0])} → {escape(names[1])}[/bold]  {self.verdict}")
        lines = self.sentences()
        for line in lines[:_MOST_LINES]:
            console.print(f"  {escape(line)}", soft_wrap=True)
        if len(lines) > _MOST_LINES:
            console.print(f"  … and {len(lines) - _MOST_LINES} more; --json lists all", style="dim")
        table = make_table("")
        for column in ("", *names):
            table.add_column(escape(column), overflow="fold")
        for fact in self.facts:
            style = "" if fact.a == fact.b else "bold"
            cells = (fact.what, escape(fact.a or "–"), escape(fact.b or "–"))
            table.add_row(*cells, style=style)
        print_table(console, table)
        strips = aligned_strips(
            self.pairing.a,
            [self.pairing.b],
            [self.blocks_of_a()],
            width=console.width,
            color=has_color(console),
        )
        for strip in strips:
            console.print(strip)


def _name(graph: ArchGraph) -> str:
    return printable(graph.meta.name or "network")


def _block_json(view: BlockView, number: int) -> dict[str, Any]:
    block = view.blocks[number]
    return {"number": number, "name": block.name, "count": block.count}


def compare_graphs(a: ArchGraph, b: ArchGraph) -> Comparison:
    """Compare two canonical graphs.

    Blocks are aligned first, and operators within them. Where this keeps far fewer edges than an
    alignment of operators alone, as for two cells that are divided into blocks in different ways,
    the latter is taken.

    Raises:
        InvalidGraphError: a graph is not well formed.
    """
    views = blocks_of(a), blocks_of(b)
    by_blocks, alone = align(a, b, parts=corresponding_parts(*views)), align(a, b)
    better = alone.kept_edges > _BETTER * by_blocks.kept_edges
    return Comparison(Pairing(*views, alone if better else by_blocks))


def compare(
    a: Source,
    b: Source,
    *,
    zoo: Zoo | str | os.PathLike[str] = "default",
    allow: Collection[str] | None = None,
) -> Comparison:
    """Compare two networks: facts side by side, aligned blocks, and the difference in sentences.

    Args:
        a: anything that `narfast.load` reads, an id of the zoo, or a canonical graph.
        b: the same; the sentences say what distinguishes it from ``a``.
        zoo: an open zoo, its folder, or ``"default"`` for the one that ships with narfast.
        allow: names of the kinds of sources that may be read; see `narfast.load`.

    Raises:
        NarfastError: a network cannot be read or is not allowed.

    Example:
        >>> compare("zoo:timm:resnet50", "zoo:timm:resnet101").sentences()
        ['3, 4, 23, 3 instead of 3, 4, 6, 3 times: bottleneck']
    """
    opened = zoo if isinstance(zoo, Zoo) else Zoo.open(zoo)
    graphs = [read_network(source, opened, exact=True, allow=allow) for source in (a, b)]
    return compare_graphs(*graphs)
