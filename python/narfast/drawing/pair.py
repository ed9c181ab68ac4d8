"""Two networks side by side: equal blocks at equal height, what differs marked and written out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from narfast.blocks import Block, BlockView
from narfast.drawing.scene import SMALL, Opening, Scene, label, make_scene, text_width
from narfast.drawing.svg import (
    TITLE,
    Open,
    document,
    drawing,
    extent,
    heading,
    kinds_of,
    legend_of,
    marks_of,
    opened_blocks,
    summary,
)
from narfast.errors import printable

__all__ = ["Correspondence", "draw_pair"]

MIDDLE = 120.0  # between the two drawings, at least
_ONLY_HERE, _CHANGED = "only in this network", "in both, but changed"


@dataclass(frozen=True, eq=False)
class Correspondence:
    """What corresponds in two networks.

    Attributes:
        blocks: pairs of a block of the first and a block of the second; -1 stands for none.
        nodes: int32[N] of the first network: the node of the second, or -1. None if unknown.
    """

    blocks: Sequence[tuple[int, int]]
    nodes: NDArray[np.int32] | None = None

    def checked(self, first: BlockView, second: BlockView) -> Correspondence:
        """Return itself if it belongs to two networks.

        Raises:
            ValueError: A number is not one of a block or node.
        """
        for a, b in self.blocks:
            if not -1 <= a < len(first.blocks) or not -1 <= b < len(second.blocks):
                raise ValueError(f"blocks {a} and {b}: no such pair of blocks")
        if self.nodes is not None and (
            len(self.nodes) != first.graph.num_nodes
            or (len(self.nodes) and not -1 <= self.nodes.min() <= self.nodes.max())
            or (len(self.nodes) and self.nodes.max() >= second.graph.num_nodes)
        ):
            raise ValueError("nodes: one node of the second network, or -1, for each of the first")
        return self


def draw_pair(
    first: BlockView,
    second: BlockView,
    correspondence: Correspondence,
    *,
    open: Open = "none",
    titles: tuple[str, str] | None = None,
    size: float = 13.0,
) -> str:
    """Draw two networks side by side as SVG.

    Args:
        first: The blocks of the network on the left.
        second: Those of the network on the right.
        correspondence: What corresponds; equal blocks stand at equal height where order allows it.
        open: Blocks of the first to open, with their counterparts; or ``"all"`` or ``"none"``.
        titles: Names of both; by default those of the graphs.
        size: Of names, in pixels.

    Returns:
        An SVG document. Dashed blocks and operators are in one network only; a thick border and
        words between the drawings mark what changed.

    Raises:
        NarfastError: The first network has no block of that number.
        ValueError: The correspondence does not belong to the networks.
    """
    correspondence = correspondence.checked(first, second)
    scenes = make_scene(first, size=size), make_scene(second, size=size)
    pairs = [(a, b) for a, b in correspondence.blocks if a >= 0 and b >= 0]
    chosen = opened_blocks(first, open)
    others = opened_blocks(
        second, "all" if open == "all" else [b for a, b in pairs if a in set(chosen)]
    )
    opened = chosen, others
    notes = notes_of(first, second, correspondence.nodes)
    words = words_of(first, second, pairs, notes)
    classes = marked(first, second, words)
    openings = level(scenes, opened, pairs)
    extents = [extent(s, o) for s, o in zip(scenes, openings, strict=True)]
    above = min(e[1] for e in extents)
    below = max(e[3] for e in extents)
    small = size * SMALL
    middle = max([MIDDLE, *(text_width(w, small) + 40 for w in words.values())])
    names = [printable(n) for n in titles or (first.graph.meta.name, second.graph.meta.name)]
    columns = [
        max(e[2] - e[0], text_width(n, size + 3, bold=True), text_width(summary(v), small))
        for e, n, v in zip(extents, names, (first, second), strict=True)
    ]
    shifts = (
        (columns[0] - extents[0][2] - extents[0][0]) / 2,
        columns[0] + middle + (columns[1] - extents[1][2] - extents[1][0]) / 2,
    )
    parts = [heading(names[0], summary(first), size)]
    parts.append(
        f'<g transform="translate({columns[0] + middle:.1f} 0)">'
        f"{heading(names[1], summary(second), size)}</g>"
    )
    parts.append(f'<g transform="translate(0 {TITLE - above:.1f})">')
    for a, b in pairs:
        left, right = openings[0].boxes[a], openings[1].boxes[b]
        x0, x1 = left.x + left.width / 2 + shifts[0], right.x - right.width / 2 + shifts[1]
        y0, y1 = left.y - left.height / 2 + 12, right.y - right.height / 2 + 12
        parts.append(f'<path class="tie" d="M{x0 + 6:.1f} {y0:.1f}L{x1 - 6:.1f} {y1:.1f}"/>')
        if words[a, b]:
            x = columns[0] + middle / 2
            share = min(max((x - x0) / (x1 - x0), 0.0), 1.0) if x1 > x0 else 0.5
            y = y0 + (y1 - y0) * share - 5
            parts.append(
                f'<text class="small mid" x="{x:.1f}" y="{y:.1f}">{escape(words[a, b])}</text>'
            )
    for i, scene in enumerate(scenes):
        body = drawing(scene, openings[i], opened[i], classes[i], notes[i])
        parts.append(f'<g transform="translate({shifts[i]:.1f} 0)">{body}</g>')
    parts.append("</g>")
    width, height = columns[0] + middle + columns[1], TITLE + below - above
    kinds = kinds_of(first, opened[0]) | kinds_of(second, opened[1])
    signs = marks_of(openings[0].boxes) + marks_of(openings[1].boxes)
    shown = legend_of(kinds, signs_of(classes, notes) + list(dict.fromkeys(signs)), width, size)
    parts.append(f'<g transform="translate(0 {height + 22:.1f})">{shown[0]}</g>')
    title = f"{names[0]} and {names[1]}"
    return document("".join(parts), width, height + 22 + shown[1], title, size)


def signs_of(
    classes: Sequence[Sequence[str]], notes: Sequence[Mapping[int, str]]
) -> list[tuple[str, str]]:
    """Return the signs of what is new and changed, with their meaning."""
    used = {name for row in classes for name in row}
    used |= {name for row in notes for name in row.values()}
    return [
        (
            f'<g class="{name}"><rect class="card" x="1" y="2" width="14" height="11" rx="2" '
            'style="fill:none"/></g>',
            text,
        )
        for name, text in (("new", _ONLY_HERE), ("changed", _CHANGED))
        if name in used
    ]


def words_of(
    first: BlockView,
    second: BlockView,
    pairs: Sequence[tuple[int, int]],
    notes: tuple[Mapping[int, str], Mapping[int, str]],
) -> dict[tuple[int, int], str]:
    """Say how the blocks of each pair differ; nothing where they do not."""
    words = {}
    for a, b in pairs:
        one, two = first.blocks[a], second.blocks[b]
        text = difference(one, two)
        if not text:
            differ = [
                number
                for block, of_block in ((one, notes[0]), (two, notes[1]))
                for number, nodes in enumerate(block.instances)
                if not of_block.keys().isdisjoint(nodes.tolist())
            ]
            if differ:
                text = "differs inside" if max(differ) or one.count == 1 else "the first differs"
        words[a, b] = text
    return words


def marked(
    first: BlockView, second: BlockView, words: Mapping[tuple[int, int], str]
) -> tuple[list[str], list[str]]:
    """Return the class of each block: ``new``, ``changed`` or empty."""
    classes = ["new"] * len(first.blocks), ["new"] * len(second.blocks)
    for (a, b), text in words.items():
        classes[0][a] = classes[1][b] = "changed" if text else ""
    return classes


def difference(first: Block, second: Block) -> str:
    """Say in a few words how two blocks that correspond differ; nothing if they do not."""
    words = []
    if first.name != second.name:
        extra = second.name.removeprefix(first.name), first.name.removeprefix(second.name)
        if extra[0].startswith("+"):
            words.append(extra[0].replace("+", "+ ", 1))
        elif extra[1].startswith("+"):
            words.append(extra[1].replace("+", "− ", 1))
        else:
            words.append(f"{first.name} → {second.name}")
    if first.count != second.count:
        words.append(f"×{first.count} → ×{second.count}")
    if not words and first.motif_id != second.motif_id:
        words.append("differs inside")
    return ", ".join(words)


def notes_of(
    first: BlockView, second: BlockView, nodes: NDArray[np.int32] | None
) -> tuple[dict[int, str], dict[int, str]]:
    """Return the classes of operators: new, or changed where their words differ."""
    if nodes is None:
        return {}, {}
    left = {int(n): "new" for n in np.flatnonzero(nodes < 0)}
    right = dict.fromkeys(range(second.graph.num_nodes), "new")
    for a, b in enumerate(nodes.tolist()):
        if b >= 0:
            right.pop(b, None)
            if label(first.graph, a) != label(second.graph, b):
                left[a] = right[b] = "changed"
    return left, right


def level(
    scenes: tuple[Scene, Scene],
    opened: tuple[Collection[int], Collection[int]],
    pairs: Sequence[tuple[int, int]],
) -> tuple[Opening, Opening]:
    """Place two drawings so that the rows of corresponding blocks are level where order allows."""
    rows = [sorted({box.row for box in scene.boxes}) for scene in scenes]
    shifts = [[0.0] * len(each) for each in rows]
    places = [{row: place for place, row in enumerate(each)} for each in rows]
    openings = [scene.opened(blocks) for scene, blocks in zip(scenes, opened, strict=True)]
    moved = [0.0, 0.0]  # pairs rise in both drawings: what was moved so far is above
    for pair in anchors(scenes, pairs):
        at = [places[i][scenes[i].boxes[block].row] for i, block in enumerate(pair)]
        # The borders of rows come in twos, upper and lower, before and after opening.
        tops = [
            openings[i].rows[2 * place] + openings[i].down[2 * place] + moved[i]
            for i, place in enumerate(at)
        ]
        gap = tops[0] - tops[1]
        shifts[gap > 0][at[gap > 0]] += abs(gap)
        moved[gap > 0] += abs(gap)
    return (
        scenes[0].opened(opened[0], shifts[0]),
        scenes[1].opened(opened[1], shifts[1]),
    )


def anchors(scenes: tuple[Scene, Scene], pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the most pairs of rows that rise in both drawings, by a longest rising sequence."""
    found = sorted(
        {(scenes[0].boxes[a].row, scenes[1].boxes[b].row): (a, b) for a, b in pairs}.items(),
        key=lambda item: (item[0][0], -item[0][1]),
    )
    tails: list[int] = []  # the lowest last row of rising sequences of each length
    ends: list[int] = []
    before = [-1] * len(found)
    for i, ((_, row), _) in enumerate(found):
        place = bisect_left(tails, row)
        before[i] = ends[place - 1] if place else -1
        tails[place : place + 1] = [row]
        ends[place : place + 1] = [i]
    chain = []
    i = ends[-1] if ends else -1
    while i >= 0:
        chain.append(found[i][1])
        i = before[i]
    return chain[::-1]
