"""A situation in the terminal: facts, neighbours by family, strips, sentences, rare parts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from narfast._tables import make_table, print_table, short_count
from narfast.block_search import PieceFrequency
from narfast.drawing.strip import aligned_strips, has_color
from narfast.errors import printable
from narfast.situating.findings import Findings

__all__ = ["print_situation", "strips_of"]

_NAME = 24  # characters of a name beside a strip
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
            facts.add_row(f"[bold]{key}[/bold]", escape(value))
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
                escape(f"{family or '–'} ({len(members)})") if first else "",
                str(member.place),
                f"{hit.score:.4f}",
                "–" if relation is None else relation.word,
                "–" if percentile is None else f"{percentile:.1f} %",
                escape(hit.name) + (f" [dim]+{len(hit.ids) - 1} more[/dim]" * (len(hit.ids) > 1)),
                escape(hit.source + version),
                short_count(hit.params),
            )
    print_table(console, table)


def strips_of(situation: Findings, *, width: int, color: bool) -> list[tuple[str, Text]]:
    """Return the query and the compared neighbours as lines of blocks, each with its name.

    Args:
        situation: the result of `narfast.situate`.
        width: columns of a strip.
        color: whether cells have the colour of their kind.
    """
    pairs = situation.comparisons
    strips = aligned_strips(
        pairs[0].views[0],
        [pair.views[1] for pair in pairs],
        [pair.blocks_of_a() for pair in pairs],
        width=width,
        color=color,
    )
    names = ["query", *(f"{each.place} {each.hit.name}" for each in situation.neighbours)]
    return [(printable(name)[:_NAME], line) for name, line in zip(names, strips, strict=False)]


def _print_differences(console: Console, situation: Findings) -> None:
    margin = _NAME + 2
    width = max(console.width - margin, _NAME)
    lines = strips_of(situation, width=width, color=has_color(console))
    console.print()
    console.print("[bold]Beside the nearest[/bold]")
    console.print(Text(lines[0][0].ljust(margin)) + lines[0][1])
    for (name, line), pair in zip(lines[1:], situation.comparisons, strict=True):
        console.print(Text(name.ljust(margin)) + line)
        sentences = pair.sentences() or [pair.verdict]
        for sentence in sentences[:_SENTENCES]:
            console.print(Text(" " * margin + printable(sentence), style="dim"), soft_wrap=True)
        if len(sentences) > _SENTENCES:
            rest = f"… and {len(sentences) - _SENTENCES} more; --json lists all"
            console.print(Text(" " * margin + rest, style="dim"))


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
    table = make_table("What few others have, of " + f"{rare.networks:,} networks")
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
