"""`find_blocks`: the networks of a zoo that have a block, how often and where."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from narfast._printing import Printable
from narfast.block_search.block import read_block
from narfast.block_search.index import LEVELS, BlockIndex, Level, Occurrences, at_level
from narfast.errors import NarfastError
from narfast.explain import block_text
from narfast.graph import ArchGraph, GraphBatch
from narfast.zoo.zoo import Zoo

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["BlockHit", "BlockSearchResult", "find_blocks"]

_FAMILIES = 12
_PLACES = 6
_MEANING = {
    "exact": "operators with all attributes that the graph keeps; widths count as ratios",
    "shapes": "kernel, stride, dilation, widths and heads may differ",
    "operators": "operators and connections alone, all attributes may differ",
}


@dataclass(frozen=True, kw_only=True)
class BlockHit:
    """A network that has the block.

    Attributes:
        id: id of the first name that the filter accepts; `name`, `family`, `source` and `params`
            belong to that name.
        names: all names of the structure, `name` first.
        nodes: operators of the network.
        count: occurrences that share no operator.
        share: the part of the network's operators that these make up, at most 1.
        places: for each occurrence the first of its nodes in the canonical graph, ascending.
    """

    id: str
    name: str
    names: tuple[str, ...]
    family: str | None
    source: str
    params: int | None
    structural_hash: str
    nodes: int
    count: int
    share: float
    places: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "names": list(self.names), "places": list(self.places)}


@dataclass(frozen=True, kw_only=True)
class BlockSearchResult(Printable):
    """The networks of a zoo that have a block.

    Attributes:
        block: the operators of the block and the edges between them.
        level: the level that answered; the last one tried if there is no hit.
        networks: number of structures that have the block.
        count: occurrences in all of them.
        hits: the first of these networks, largest share first.
        families: for each family the number of its structures that have the block, largest first.
        cut_short: structures in which the search gave up, so that occurrences may be missing.
    """

    block: ArchGraph
    level: Level
    networks: int
    count: int
    hits: tuple[BlockHit, ...]
    families: dict[str, int]
    cut_short: int = 0

    @property
    def text(self) -> str:
        """The operators of the block in words, with the attributes that count at the level."""
        return block_text(at_level(GraphBatch.from_graphs([self.block]), self.level)[0])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, as ``narfast search --block SPEC --json`` prints them."""
        return {
            "block": {
                "operators": self.text,
                "size": self.block.num_nodes,
                "structural_hash": self.block.structural_hash,
            },
            "level": self.level,
            "networks": self.networks,
            "count": self.count,
            "families": self.families,
            "cut_short": self.cut_short,
            "hits": [hit.to_json() for hit in self.hits],
        }

    def _show(self, console: Console) -> None:
        _print(console, self)


def find_blocks(
    block: Any,
    zoo: Zoo | str | os.PathLike[str] = "default",
    *,
    level: Level | Literal["auto"] = "auto",
    k: int = 10,
    family: str | None = None,
    allow: Collection[str] | None = None,
    num_threads: int = 1,
) -> BlockSearchResult:
    """Find the networks of a zoo that have a block, how often and where.

    A network has a block where its operators and all edges between them are found; its edges to
    other operators are free. The first search of a process reads the zoo.

    Args:
        block: the id of a motif, or at least 8 of its first digits, as ``narfast inspect`` prints
            it; a part of a network, as ``timm:resnet50#motif:2`` or ``timm:resnet50#layer1.0``; a
            source that has just the block, such as an ONNX file, ``block.py:build`` or a pair of
            module and example inputs; or a graph. Inputs of a source or graph are dropped.
        zoo: an open zoo, its folder, or ``"default"`` for the one that ships with narfast.
        level: ``exact``: operators with all attributes; ``shapes``: kernel, stride, dilation,
            widths and heads may differ; ``operators``: all attributes may differ; ``auto``: the
            first of these that has a hit.
        k: number of hits.
        family: only networks of this family.
        allow: names of the kinds of sources that may be read; see `narfast.load`.
        num_threads: threads across networks; the result does not depend on it.

    Raises:
        NarfastError: the block cannot be read or is not allowed, is empty or has above 10,000
            operators, there is no such zoo, level or family, or ``k`` < 1.

    Example:
        >>> found = find_blocks("timm:resnet50#motif:1", k=3)
        >>> found.level, found.networks > 100
        ('exact', True)
    """
    if k < 1:
        raise NarfastError(f"k must be at least 1, got {k}")
    if level != "auto" and level not in LEVELS:
        raise NarfastError(f"{level}: no such level; choose from auto, {', '.join(LEVELS)}")
    opened = zoo if isinstance(zoo, Zoo) else Zoo.open(zoo)
    allowed = None if family is None else _of_family(opened, family)
    pattern = read_block(block, opened, allow=allow)
    index = BlockIndex.of(opened)
    for tried in LEVELS if level == "auto" else (level,):
        found = index.search(opened, pattern, tried, allowed=allowed, num_threads=num_threads)
        if len(found.rows):
            break
    share = found.counts * pattern.num_nodes / index.nodes[found.rows]
    best = np.lexsort((found.rows, -found.counts, -share))[:k]
    families = index.families(opened)
    names = Counter(families[row] or "(none)" for row in found.rows.tolist())
    return BlockSearchResult(
        block=pattern,
        level=tried,
        networks=len(found.rows),
        count=len(found.nodes),
        hits=tuple(
            _hit(opened, found, place, float(share[place]), family) for place in best.tolist()
        ),
        families=dict(sorted(names.items(), key=lambda item: (-item[1], item[0]))),
        cut_short=found.cut_short,
    )


def _of_family(zoo: Zoo, family: str) -> NDArray[np.bool_]:
    zoo.check_family(family)
    return np.array([family in entry.families for entry in zoo], dtype=bool)


def _hit(zoo: Zoo, found: Occurrences, place: int, share: float, family: str | None) -> BlockHit:
    entry = zoo[int(found.rows[place])]
    first = next(r for r in entry.records if family is None or r.family == family)
    nodes = found.nodes[found.ptr[place] : found.ptr[place + 1]]
    return BlockHit(
        id=first.id,
        name=first.name,
        names=tuple(dict.fromkeys((first.name, *entry.names))),
        family=first.family,
        source=first.source,
        params=first.params,
        structural_hash=first.structural_hash,
        nodes=first.nodes,
        count=len(nodes),
        share=share,
        places=tuple(sorted(nodes.min(axis=1).tolist())),
    )


def _print(console: Console, result: BlockSearchResult) -> None:
    from rich.markup import escape

    from narfast._tables import cell, make_table, print_table, short_count

    size = _number(result.block.num_nodes, "operator")
    console.print(f"[bold]block[/bold]  {escape(result.text)} ({size})")
    console.print(f"[bold]level[/bold]  {result.level}: {_MEANING[result.level]}")
    if result.cut_short:
        console.print(
            f"The search gave up in {_number(result.cut_short, 'network')}: "
            "some occurrences may be missing."
        )
    if not result.hits:
        console.print("No network of the zoo has this block.")
        return
    table = make_table(
        f"{_number(result.count, 'occurrence')} in {_number(result.networks, 'network')}, "
        "largest share first"
    )
    table.add_column("#", justify="right")
    table.add_column("share", justify="right")
    table.add_column("count", justify="right")
    table.add_column("name", overflow="fold")
    for column in ("family", "library"):
        table.add_column(column, overflow="fold")
    table.add_column("params", justify="right")
    table.add_column("first nodes")
    for place, hit in enumerate(result.hits, 1):
        others = len(hit.names) - 1
        more = ", …" if hit.count > _PLACES else ""
        table.add_row(
            str(place),
            f"{hit.share:.0%}",
            str(hit.count),
            cell(hit.name) + (f" [dim]+{others} more[/dim]" if others else ""),
            cell(hit.family or "–"),
            cell(hit.source),
            short_count(hit.params),
            ", ".join(map(str, hit.places[:_PLACES])) + more,
        )
    print_table(console, table)
    shown = [f"{cell(name)} {count:,}" for name, count in result.families.items()]
    left = len(shown) - _FAMILIES
    console.print(
        "[bold]families[/bold]  "
        + ", ".join(shown[:_FAMILIES])
        + (f", and {left} more" if left > 0 else "")
    )


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
