"""A network in one line for terminals, and several lines with equal blocks under each other."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from narfast.blocks import Block, BlockView, Kind
from narfast.drawing.colors import COLORS, text_color

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["aligned_strips", "has_color", "strip"]

_SAME = "…"  # instead of the name of the block before
_SHORTEST = 4  # characters of a name that is cut
_SHOWN = 2  # blocks in one cell; of more, the number is shown
_EXTRA = 4  # characters by which many operators may widen a cell


@dataclass
class _Cell:
    """What stands in one column of one line."""

    names: list[str]
    counts: list[str]
    kind: Kind
    new: bool = False

    def label(self, length: int) -> str:
        """Return the text with names cut to a length."""
        pairs = list(zip(self.names, self.counts, strict=True))
        texts = [_cut(name, length) + count for name, count in pairs[:_SHOWN]]
        if len(pairs) > _SHOWN:
            texts.append(f"{len(pairs) - _SHOWN} more")
        return ("+ " if self.new else "") + " · ".join(texts)


def _cut(name: str, length: int) -> str:
    return name if len(name) <= length else name[: max(1, length - 1)] + "…"


def _cell(block: Block, former: Block | None = None, *, new: bool = False) -> _Cell:
    same = former is not None and former.name == block.name
    count = f" ×{block.count}" if block.count > 1 else ""
    return _Cell([_SAME if same else block.name], [count], block.kind, new)


def has_color(console: Console) -> bool:
    """Whether a console shows colours: it is a terminal, and NO_COLOR is not set."""
    return console.color_system is not None and not console.no_color


def strip(view: BlockView, *, width: int = 100, color: bool = True) -> Text:
    """Return a network as one line of blocks, from input to output.

    Args:
        view: The blocks.
        width: Columns to use at most. Names are cut first, then blocks in the middle are counted
            instead of shown.
        color: Draw cells in the colour of their kind. Without, `|` stands between blocks.
    """
    cells = [_cell(block, view.blocks[i - 1] if i else None) for i, block in enumerate(view.blocks)]
    sizes = [_extra(block) for block in view.blocks]
    (line,) = _lines([cells], sizes, width, color)
    return line


def aligned_strips(
    query: BlockView,
    hits: Sequence[BlockView],
    maps: Sequence[Sequence[int | None]],
    *,
    width: int = 100,
    color: bool = True,
) -> list[Text]:
    """Return the strips of a query and its hits, equal blocks under each other.

    Args:
        query: The blocks of the query.
        hits: Those of each hit.
        maps: For each hit, the block of the query that each of its blocks corresponds to, or None
            for a block that the query does not have; such blocks are marked with a plus.
        width: Columns to use at most.
        color: As for `strip`.

    Returns:
        One line for the query, then one for each hit, from input to output. A block that a hit
        lacks leaves a gap. Blocks that are in another order than in the query stand between its
        columns.

    Raises:
        ValueError: If a map is not as long as its hit has blocks, or names no block of the query.
    """
    if len(hits) != len(maps):
        raise ValueError(f"{len(hits)} hits with {len(maps)} maps: give one map for each hit")
    # Column 2 q + 1 is block q of the query; the even ones take what hits have between.
    columns = 2 * len(query.blocks) + 1
    rows: list[list[_Cell | None]] = [[None] * columns for _ in range(len(hits) + 1)]
    for number, block in enumerate(query.blocks):
        rows[0][2 * number + 1] = _cell(block, query.blocks[number - 1] if number else None)
    for row, hit, places in zip(rows[1:], hits, maps, strict=True):
        if len(places) != len(hit.blocks):
            raise ValueError(f"a map of {len(places)} blocks for a hit of {len(hit.blocks)}")
        for target in places:
            if target is not None and not 0 <= target < len(query.blocks):
                raise ValueError(f"a map names block {target} of {len(query.blocks)}")
        in_order = _rising(places)
        place = 0
        for number, (block, target) in enumerate(zip(hit.blocks, places, strict=True)):
            if target is not None and number in in_order:
                place = 2 * target + 1
            else:
                place += place % 2
            cell = _cell(block, hit.blocks[number - 1] if number else None, new=target is None)
            present = row[place]
            if present is None:
                row[place] = cell
            else:
                present.names += cell.names
                present.counts += cell.counts
    used = [i for i in range(columns) if any(row[i] is not None for row in rows)]
    sizes = [_extra(query.blocks[i // 2]) if i % 2 else 0 for i in used]
    return _lines([[row[i] for i in used] for row in rows], sizes, width, color)


def _rising(places: Sequence[int | None]) -> set[int]:
    """Return where a longest sequence of places that never fall is; O(n log n)."""
    ends: list[int] = []  # of the sequences of each length, the one that ends lowest
    tails: list[int] = []
    before: dict[int, int | None] = {}
    for number, place in enumerate(places):
        if place is None:
            continue
        length = bisect_right(tails, place)
        before[number] = ends[length - 1] if length else None
        tails[length : length + 1] = [place]
        ends[length : length + 1] = [number]
    found: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found


def _extra(block: Block) -> int:
    """Return the columns by which the operators of a block widen its cell."""
    return min(_EXTRA, int(math.log2(len(block.nodes) + 1) / 2))


def _lines(
    rows: Sequence[Sequence[_Cell | None]], extra: Sequence[int], width: int, color: bool
) -> list[Text]:
    """Lay out cells in columns within a width."""
    border = 2 if color else 3  # spaces inside a cell, or " | " between two
    columns = len(rows[0])
    longest = max((len(n) for row in rows for c in row if c for n in c.names), default=1)

    def widths(length: int, keep: Sequence[int]) -> list[int]:
        return [
            max((len(row[i].label(length)) for row in rows if row[i]), default=0)  # type: ignore[union-attr]
            for i in keep
        ]

    keep = list(range(columns))
    length = longest
    while length > _SHORTEST and sum(widths(length, keep)) + border * len(keep) > width:
        length -= 1
    # Cells in the middle are hidden, one by one: columns from `left` to before `right`.
    sizes = widths(length, keep)
    total = sum(sizes) + border * columns
    left = right = columns // 2
    while left + columns - right > 3 and total + 8 * (right > left) > max(width, 20):
        if columns - right >= left:
            total -= sizes[right] + border
            right += 1
        else:
            left -= 1
            total -= sizes[left] + border
    hidden = right - left
    keep = [*range(left), *range(right, columns)]
    chosen = widths(length, keep)
    spare = width - sum(chosen) - border * len(keep) - (8 if hidden else 0)
    wider = [extra[i] for i in keep]
    if color and sum(wider) <= spare:
        chosen = [a + b for a, b in zip(chosen, wider, strict=True)]
    middle = left if hidden else -1
    return [_line(row, keep, chosen, length, color, middle, hidden) for row in rows]


def _line(
    row: Sequence[_Cell | None],
    keep: Sequence[int],
    widths: Sequence[int],
    length: int,
    color: bool,
    middle: int,
    hidden: int,
) -> Text:
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ellipsis")
    for place, (column, width) in enumerate(zip(keep, widths, strict=True)):
        if place == middle:
            line.append(f" ⋯{hidden}⋯ ".center(8) if color else f"⋯ {hidden} ⋯ | ")
        cell = row[column]
        text = "" if cell is None else cell.label(length)
        if not color:
            line.append(text.ljust(width) + (" | " if place + 1 < len(keep) else ""))
        elif cell is None:
            line.append(" " * (width + 2))
        else:
            fill = COLORS[cell.kind]
            style = f"{'bold ' if cell.new else ''}{text_color(fill)} on {fill}"
            line.append(" " + text.center(width), style=style)
            line.append("▌", style=f"{fill} on default")
    line.rstrip()
    return line
