"""A situation in the terminal: facts, neighbours by family, strips, sentences, rare parts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from narfast._tables import cell, make_table, print_table, short_count
from narfast.block_search import PieceFrequency
from narfast.comparison.strips import print_strips
from narfast.errors import printable
from narfast.situating.findings import Findings

__all__ = ["names_of", "print_situation"]

_SENTENCES = 6  # of the differences of a neighbour
_SHOWN = 5  # rare pieces of each kind


def print_situation(console: Console, situation: Findings) -> None:
    """Print a situation.

    Args:
        console: where to.
        situation: the result of `narfast.situate`.
    """
    facts = Table.grid(padding=(0, 2))
    rows = {
        "network": f"{situation.name} ({situation.query.num_nodes:,} operators)",
        "in the zoo": _listed([printable(name) for name in situation.known_as]),
        "family": str(situation.call),
        "novelty": str(situation.novelty),
    }
    for key, value in rows.items():
        if value:
            facts.add_row(f"[bold]{key}[/bold]", cell(value))
    console.print(facts)
    console.print()
    _print_neighbours(console, situation)
    _print_differences(console, situation)
    _print_rare(console, situation)


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more names" if len(names) > 3 else ""
    return f"as {', '.join(names[:3])}{more}; not compared with itself"


def _print_neighbours(console: Console, situation: Findings) -> None:
    table = make_table(f"The nearest {len(situation.neighbours)}, by family")
    for column in ("family", "#", "score", "relation", "closer than", "name", "library", "params"):
        right = column in ("#", "score", "closer than", "params")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for family, members in situation.families():
        for member in members:
            hit, relation = member.hit, member.relation
            percentile = None if relation is None else relation.percentile
            first = member is members[0]
            version = f" {member.version}" if member.version else ""
            table.add_row(
                cell(f"{family or '–'} ({len(members)})") if first else "",
                str(member.place),
                f"{hit.score:.4f}",
                "–" if relation is None else relation.word,
                "–" if percentile is None else f"{percentile:.1f} %",
                cell(hit.name) + (f" [dim]+{len(hit.ids) - 1} more[/dim]" * (len(hit.ids) > 1)),
                cell(hit.source + version),
                short_count(hit.params),
            )
    print_table(console, table)


def names_of(situation: Findings) -> list[str]:
    """Return the names of the query and of the networks that it is compared with."""
    compared = situation.neighbours[: len(situation.comparisons)]
    return ["query", *(f"{each.place} {each.hit.name}" for each in compared)]


def _print_differences(console: Console, situation: Findings) -> None:
    console.print()
    console.print("[bold]Beside the nearest[/bold]")
    print_strips(console, situation.comparisons, names_of(situation), most=_SENTENCES)


def _print_rare(console: Console, situation: Findings) -> None:
    rare = situation.rare
    console.print()
    if not rare:
        console.print(
            "[bold]Nothing rare[/bold]  every block occurs in another network of the zoo, every "
            "operator and every path of two edges in one of a hundred",
            soft_wrap=True,
        )
        return
    others = "one network" if rare.networks == 1 else f"{rare.networks:,} networks"
    table = make_table(f"What few others have, of {others}")
    for column in ("", "networks", "families", "times here", "operators"):
        right = column in ("networks", "families", "times here")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    kinds: dict[str, tuple[PieceFrequency, ...]] = {
        "block": rare.blocks,
        "operator": rare.operators,
        "path": rare.ngrams,
    }
    for kind, pieces in kinds.items():
        for piece in pieces[:_SHOWN]:
            table.add_row(
                kind,
                f"{piece.networks:,}" if piece.networks else "none",
                f"{piece.families:,}",
                f"{piece.count:,}",
                escape(piece.label),
            )
    print_table(console, table)
