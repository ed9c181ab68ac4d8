"""One network and those compared with it as lines of blocks, equal blocks under each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from narfast.comparison.comparison import Comparison
from narfast.drawing.strip import aligned_strips, has_color
from narfast.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["print_strips", "strips_of"]

_NAME = 24  # characters of a name


def strips_of(
    pairs: Sequence[Comparison], names: Sequence[str], *, width: int, color: bool
) -> list[tuple[str, Text]]:
    """Return the first network of all pairs, then each second one: names and lines.

    Args:
        pairs: comparisons of one network with others, at least one.
        names: of the network, then of the others.
        width: columns of a line.
        color: whether cells have the colour of their kind.
    """
    lines = aligned_strips(
        pairs[0].views[0],
        [pair.views[1] for pair in pairs],
        [pair.blocks_of_a() for pair in pairs],
        width=width,
        color=color,
    )
    return [(printable(name)[:_NAME], line) for name, line in zip(names, lines, strict=True)]


def print_strips(
    console: Console, pairs: Sequence[Comparison], names: Sequence[str], *, most: int
) -> None:
    """Print the lines of `strips_of`, below each other one at most ``most`` sentences of why."""
    from rich.text import Text

    margin = min(max(map(len, names)), _NAME) + 2
    width = max(console.width - margin, _NAME)
    first, *others = strips_of(pairs, names, width=width, color=has_color(console))
    console.print(Text(first[0].ljust(margin)) + first[1])
    for (name, line), pair in zip(others, pairs, strict=True):
        console.print(Text(name.ljust(margin)) + line)
        sentences = pair.sentences() or [pair.verdict]
        rest = len(sentences) - most
        shown = sentences[:most] + ([f"… and {rest} more"] if rest > 0 else [])
        for sentence in shown:
            console.print(Text(" " * margin + printable(sentence), style="dim"), soft_wrap=True)
