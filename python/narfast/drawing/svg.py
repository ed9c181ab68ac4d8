"""A network as SVG. Needs no font files; follows light and dark; prints well."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Literal

from narfast.blocks import KINDS, BlockView, Kind, blocks_of, kind_of_operator
from narfast.drawing.colors import COLORS, LETTERS, mixed, text_color
from narfast.drawing.scene import (
    HEADER,
    OPERATOR_HEIGHT,
    SMALL,
    STRIPE,
    Box,
    Inner,
    Line,
    Opening,
    Point,
    Scene,
    make_scene,
    shortened,
    text_width,
)
from narfast.errors import NarfastError, printable
from narfast.graph import ArchGraph

__all__ = ["Open", "draw", "opened_blocks"]

Open = Collection[int] | Literal["all", "none"]

PAD = 20.0  # around the whole drawing
TITLE = 40.0
FONT = "system-ui,-apple-system,'Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif"
SIDES: dict[str, Point] = {"t": (0, -1), "b": (0, 1), "l": (-1, 0), "r": (1, 0)}
BEND = 46.0  # how far a bent line goes straight on
_LEGEND_ITEM = 20.0
_LIGHT, _DARK = "#ffffff", "#15181d"


def draw(
    graph: ArchGraph | BlockView,
    *,
    open: Open = "none",
    title: str | None = None,
    legend: bool = True,
    size: float = 13.0,
) -> str:
    """Draw a network as SVG, from top to bottom, collapsed to its blocks.

    Args:
        graph: A canonical graph, or its blocks.
        open: Numbers of blocks to show with their operators, ``"all"`` or ``"none"``.
        title: Shown on top; by default the name of the network. An empty text leaves it out.
        legend: Explain colours and marks at the end.
        size: Of names, in pixels.

    Returns:
        An SVG document, valid as a file and inside HTML.

    Raises:
        NarfastError: The network has no block of that number.
        InvalidGraphError: The graph is not well formed.
    """
    view = graph if isinstance(graph, BlockView) else blocks_of(graph)
    scene = make_scene(view, size=size)
    chosen = opened_blocks(view, open)
    opening = scene.opened(chosen)
    left, above, right, below = extent(scene, opening)
    width, height = right - left, below - above
    text = printable(view.graph.meta.name if title is None else title)
    top = TITLE if text else 0.0
    body = drawing(scene, opening, chosen)
    parts = [f'<g transform="translate({-left:.1f} {top - above:.1f})">{body}</g>']
    if text:
        parts.append(heading(text, summary(view), size))
        width = max(
            width,
            text_width(text, size + 3, bold=True),
            text_width(summary(view), size * SMALL),
        )
    if legend:
        shown = legend_of(kinds_of(view, chosen), marks_of(opening.boxes), width, size)
        parts.append(f'<g transform="translate(0 {top + height + 22:.1f})">{shown[0]}</g>')
        height += 22 + shown[1]
    return document("".join(parts), width, top + height, text or "network", size)


def opened_blocks(view: BlockView, open: Open) -> tuple[int, ...]:
    """Return the numbers of the blocks to open.

    Raises:
        NarfastError: The network has no block of that number.
    """
    if open == "none":
        return ()
    if open == "all":
        return tuple(range(len(view.blocks)))
    for number in open:
        if not isinstance(number, int) or not 0 <= number < len(view.blocks):
            raise NarfastError(
                f"open: no block {number!r}; the network has blocks 0 to {len(view.blocks) - 1}"
            )
    return tuple(sorted(map(int, set(open))))


def summary(view: BlockView) -> str:
    """Return the size and the origin of a network in one line."""
    from narfast._tables import short_count  # rich takes time to import

    meta = view.graph.meta
    facts = [f"{short_count(meta.params)} parameters"] if meta.params else []
    facts += [
        f"{view.graph.num_nodes:,} operators",
        *([printable(meta.source)] if meta.source else []),
    ]
    return " · ".join(facts)


def heading(text: str, line: str, size: float) -> str:
    """Return a title and a line below it, from the top of the drawing."""
    return (
        f'<text class="title" x="0" y="{size + 1:g}">{escape(text)}</text>'
        f'<text class="small" x="0" y="{size + 16:g}">{escape(line)}</text>'
    )


def document(body: str, width: float, height: float, title: str, size: float) -> str:
    """Return a whole SVG document around a drawing that begins at (0, 0)."""
    w, h = math.ceil(width + 2 * PAD), math.ceil(height + 2 * PAD)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="narfast" viewBox="0 0 {w} {h}" '
        f'width="{w}" height="{h}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><style>{style(size)}</style>{MARKER}"
        f'<rect class="paper" width="{w}" height="{h}"/>'
        f'<g transform="translate({PAD:g} {PAD:g})">{body}</g></svg>\n'
    )


MARKER = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto-start-reverse"><path class="tip" d="M0 0.6 8 4 0 7.4z"/>'
    "</marker></defs>"
)
"""The tip of an arrow."""


def style(size: float) -> str:
    """Return the style sheet: light first, then dark for screens that ask for it."""
    rules = [
        f".narfast text{{font-family:{FONT};font-size:{size:g}px}}",
        f".narfast .title{{font-size:{size + 3:g}px;font-weight:650}}",
        f".narfast .small,.narfast .op text{{font-size:{size * SMALL:.1f}px}}",
        ".narfast .name{font-weight:600}.narfast .mid{text-anchor:middle}",
        ".narfast .letter{font-weight:700;text-anchor:middle}",
        ".narfast .line{fill:none;stroke-width:1.5}.narfast .skip{stroke-width:1}",
        ".narfast .frame,.narfast .card{stroke-width:1.2}.narfast .op .card{stroke-width:.8}",
        ".narfast .new>.card,.narfast .new>.frame,.narfast .new .head,"
        ".narfast .op.new>.card{stroke-width:2.4;stroke-dasharray:5 3}",
        ".narfast .changed>.card,.narfast .changed>.frame{stroke-width:2.8}",
        ".narfast .tie{fill:none;stroke-width:1.2;stroke-dasharray:0.1 4;stroke-linecap:round}",
    ]
    rules += _theme(_LIGHT, "#1b1f24", "#4b5360", "#59616c", 0.17, 0.55)
    rules.append("@media screen and (prefers-color-scheme:dark){")
    rules += _theme(_DARK, "#f1f3f5", "#b9c1cb", "#a3acb7", 0.34, 0.75)
    rules.append("}")
    return "".join(rules)


def _theme(paper: str, ink: str, faint: str, line: str, tint: float, border: float) -> list[str]:
    rules = [
        f".narfast .paper,.narfast .frame{{fill:{paper}}}.narfast text{{fill:{ink}}}",
        f".narfast .small{{fill:{faint}}}.narfast .card~.small{{fill:{mixed(faint, ink, 0.5)}}}",
        f".narfast .line,.narfast .tie{{stroke:{line}}}",
        f".narfast .tip,.narfast .dot{{fill:{line}}}",
        f".narfast .badge{{fill:{paper};stroke:{line}}}",
        f".narfast .mark{{fill:{ink}}}.narfast .mark+.small{{fill:{paper}}}",
    ]
    for kind in KINDS:
        color, name = COLORS[kind], f".narfast .{kind}"
        rules += [
            f"{name}>.card,{name}>.tab{{fill:{mixed(color, paper, tint)}}}",
            f"{name}>.card,{name}>.frame{{stroke:{mixed(color, ink, border)}}}",
            f"{name}>.stripe{{fill:{color}}}{name}>.letter{{fill:{text_color(color)}}}",
        ]
    rules += [
        f".narfast .new>.card,.narfast .new>.frame,.narfast .changed>.card,"
        f".narfast .changed>.frame{{stroke:{ink}}}",
    ]
    return rules


def drawing(
    scene: Scene,
    opening: Opening,
    opened: Collection[int],
    classes: Sequence[str] = (),
    notes: Mapping[int, str] | None = None,
) -> str:
    """Return the lines and boxes of a scene, in its own coordinates (see `extent`)."""
    if not opening.boxes:
        return '<text class="small" y="12">an empty network</text>'
    parts = []
    for line in scene.lines:
        kind = "line skip" if line.skip else "line"
        run = path(line_points(line, opening), line.sides)
        parts.append(f'<path class="{kind}" marker-end="url(#tip)" d="{run}"/>')
    for box in opening.boxes:
        inner = scene.inner(box.number) if box.number in opened else None
        extra = classes[box.number] if classes else ""
        x, y = box.x - box.width / 2, box.y - box.height / 2
        parts.append(
            f'<g class="block {box.kind} {extra}" transform="translate({x:.1f} {y:.1f})">'
            f"{content(box, inner, scene.size, notes)}</g>"
        )
    return "".join(parts)


def extent(scene: Scene, opening: Opening) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a drawing."""
    if not opening.boxes:
        return 0.0, 0.0, 120.0, 20.0
    marked = 16.0 if any(box.marks for box in opening.boxes) else 0.0
    xs = [x for line in scene.lines for x, _ in line_points(line, opening)]
    return (
        min([*xs, *(box.x - box.width / 2 - marked for box in opening.boxes)]),
        min(box.y - box.height / 2 for box in opening.boxes),
        max([*xs, *(box.x + box.width / 2 + marked for box in opening.boxes)]),
        max(box.y + box.height / 2 for box in opening.boxes),
    )


def line_points(line: Line, opening: Opening) -> list[Point]:
    """Return where a line runs, from border to border."""
    source, target = opening.boxes[line.source], opening.boxes[line.target]
    points = [opening.moved(point) for point in line.points]
    begin = _end(source, line.sides[0], points[0] if points else None)
    end = _end(target, line.sides[1], points[-1] if points else None)
    return [begin, *points, end]


def _end(box: Box, side: str, towards: Point | None) -> Point:
    dx, dy = SIDES[side]
    x, y = box.x + dx * box.width / 2, box.y + dy * box.height / 2
    if towards is not None and dx == 0:
        room = box.width / 2 - STRIPE
        x = min(max(towards[0], x - room), x + room)
    return x, y


def path(points: Sequence[Point], sides: str = "bt") -> str:
    """Return an SVG path through points, leaving and entering at right angles to the sides."""
    words = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    last = len(points) - 2
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        out = SIDES[sides[0]] if i == 0 else (0, 1)
        into = SIDES[sides[1]] if i == last else (0, -1)
        opposite = out[0] == -into[0] and out[1] == -into[1]
        if opposite and (abs(x0 - x1) if out[0] == 0 else abs(y0 - y1)) < 0.5:
            words.append(f"L{x1:.1f} {y1:.1f}")
            continue
        across = sides != "bt" and i in (0, last)
        reach = max(abs(y1 - y0), abs(x1 - x0)) if across else abs(y1 - y0)
        bend = min(BEND, reach / 2)
        words.append(
            f"C{x0 + out[0] * bend:.1f} {y0 + out[1] * bend:.1f} "
            f"{x1 + into[0] * bend:.1f} {y1 + into[1] * bend:.1f} {x1:.1f} {y1:.1f}"
        )
    return "".join(words)


def content(
    box: Box, inner: Inner | None, size: float, notes: Mapping[int, str] | None = None
) -> str:
    """Return what a block shows, from its upper left corner.

    Args:
        box: The block, of the size that it has.
        inner: What is inside, if it is open.
        size: Of names.
        notes: Classes of operators, by node.
    """
    head = HEADER if inner else box.height
    parts = [
        f"<title>{escape(_hint(box))}</title>"
        f'<rect class="{"frame" if inner else "card"}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="6"/>'
    ]
    if inner:
        parts.append(
            f'<path class="tab" d="M6 .6H{box.width - 6:.1f}a5.4 5.4 0 0 1 5.4 5.4V{HEADER:g}H.6V6'
            'a5.4 5.4 0 0 1 5.4 -5.4z"/>'
        )
    corner = "H0" if inner else "H6a6 6 0 0 1 -6 -6"
    parts.append(
        f'<path class="stripe" d="M6 0H{STRIPE:g}V{head:g}{corner}V6a6 6 0 0 1 6 -6z"/>'
        f'<text class="letter small" x="{STRIPE / 2:g}" y="{head / 2 + 4:g}" '
        f'style="fill:{text_color(COLORS[box.kind])}">{LETTERS[box.kind]}</text>'
    )
    badge = text_width(f"×{box.count}", size, bold=True) + 12 if box.count > 1 else 0.0
    room = box.width - STRIPE - 14 - (badge + 8 if badge else 0)
    name = escape(shortened(box.name, size, room, bold=True))
    two_lines = bool(box.detail) and inner is None
    parts.append(
        f'<text class="name" x="{STRIPE + 8:g}" y="{16.5 if two_lines else head / 2 + 4.5:g}">'
        f"{name}</text>"
    )
    if badge:
        left, top = box.width - badge - 6, 4.0 if two_lines or inner else head / 2 - 8
        parts.append(
            f'<rect class="badge" x="{left:.1f}" y="{top:g}" width="{badge:.1f}" height="16" '
            f'rx="8"/><text class="name mid" x="{left + badge / 2:.1f}" y="{top + 12.5:g}">'
            f"×{box.count}</text>"
        )
    if inner:
        parts.append(_operators(inner, notes or {}))
    elif box.detail:
        parts.append(f'<text class="small" x="{STRIPE + 8:g}" y="33">{escape(box.detail)}</text>')
    for place, mark in enumerate(box.marks):
        side = box.width + 9 if box.marks_right else -9
        parts.append(_mark(side, head / 2 - 8 * (len(box.marks) - 1) + 16 * place, mark))
    if box.mark:
        parts.append(_mark(box.width, head / 2 if inner else head - 2, box.mark))
    return "".join(parts)


def _hint(box: Box) -> str:
    count = f" ×{box.count}" if box.count > 1 else ""
    return f"block {box.number}: {box.name}{count}\n{box.detail}"


def _mark(x: float, y: float, mark: int) -> str:
    return (
        f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="7"/>'
        f'<text class="small mid" x="{x:.1f}" y="{y + 3.7:.1f}">{mark}</text>'
    )


def _operators(inner: Inner, notes: Mapping[int, str]) -> str:
    """Return what an open block shows."""
    parts = []
    for points, skip in inner.lines:
        kind = "line skip" if skip else "line"
        parts.append(f'<path class="{kind}" marker-end="url(#tip)" d="{path(points)}"/>')
    for x, y, _ in inner.entries:
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
    height, half = OPERATOR_HEIGHT, OPERATOR_HEIGHT / 2
    for each in inner.operators:
        left = each.x - each.width / 2
        parts.append(
            f'<g class="op {each.kind} {notes.get(each.node, "")}" '
            f'transform="translate({left:.1f} {each.y - half:.1f})">'
            f"<title>{escape(each.hint)}</title>"
            f'<rect class="card" width="{each.width:.1f}" height="{height:g}" rx="4"/>'
            f'<path class="stripe" d="M4 0H15V{height:g}H4a4 4 0 0 1 -4 -4V4a4 4 0 0 1 4 -4z"/>'
            f'<text class="letter" x="7.5" y="{half + 3.8:g}" '
            f'style="fill:{text_color(COLORS[each.kind])}">{LETTERS[each.kind]}</text>'
            f'<text x="21" y="{half + 3.8:g}">{escape(each.text)}</text></g>'
        )
    return "".join(parts)


def kinds_of(view: BlockView, opened: Collection[int]) -> set[Kind]:
    """Return the kinds that a drawing shows."""
    kinds: set[Kind] = {block.kind for block in view.blocks}
    for number in opened:
        ops = set(view.graph.op[view.blocks[number].instances[-1]].tolist())
        kinds |= {kind_of_operator(op) for op in ops}
    return kinds


def marks_of(boxes: Iterable[Box]) -> list[tuple[str, str]]:
    """Return the marks of a drawing and what they mean."""
    return [
        (_mark(7.5, 7.5, box.mark), f"value of “{box.name}”, where a block reads it")
        for box in boxes
        if box.mark
    ]


def legend_of(
    kinds: Collection[Kind], more: Sequence[tuple[str, str]], width: float, size: float
) -> tuple[str, float]:
    """Return the meaning of colours and other signs, and the height that it takes."""
    parts = []
    x = y = 0.0
    for kind in KINDS:
        if kind not in kinds:
            continue
        item = 30 + text_width(kind, size * SMALL)
        if x and x + item > width:
            x, y = 0.0, y + _LEGEND_ITEM
        parts.append(
            f'<g class="{kind}" transform="translate({x:.1f} {y:.1f})">'
            f'<rect class="stripe" width="15" height="15" rx="3"/>'
            f'<text class="letter small" x="7.5" y="11.3" '
            f'style="fill:{text_color(COLORS[kind])}">{LETTERS[kind]}</text>'
            f'<text class="small" x="20" y="11.3">{kind}</text></g>'
        )
        x += item
    for sign, text in more:
        x, y = 0.0, y + _LEGEND_ITEM
        parts.append(
            f'<g transform="translate(0 {y:.1f})">{sign}'
            f'<text class="small" x="22" y="11.3">{escape(text)}</text></g>'
        )
    return "".join(parts), y + 16
