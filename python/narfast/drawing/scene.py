"""What a drawing shows and where: boxes of blocks, the operators inside, and the lines between.

Both `svg` and `html` draw a `Scene`. Positions are those of collapsed blocks; opening one moves
what lies beside and below it apart (`Scene.opened`), so everything else stays in place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from narfast import labels, operators
from narfast.blocks import Block, BlockView, Kind, kind_of_operator
from narfast.drawing.layout import layered_layout
from narfast.graph import ArchGraph

__all__ = ["Box", "Inner", "Line", "Opening", "Operator", "Scene", "label", "make_scene"]

Point = tuple[float, float]

BOX_HEIGHT = 42.0
OPERATOR_HEIGHT = 21.0
HEADER = 24.0  # of an opened block
STRIPE = 18.0  # with the letter of the kind
MARGIN = 12.0  # inside an opened block
LANE = 24.0  # between rows of blocks, and room for a skip at the side
_NARROWEST, _WIDEST = 150.0, 290.0
_AMBIENT = 4  # readers from which a value that is computed apart becomes a mark
_DETAILS = 4  # operators named below the name of a block
SMALL = 0.82  # size of small text, of that of names
_MOST_SIDE_BLOCKS = 4  # beside the two arms of a U


def label(graph: ArchGraph, node: int, *, widths: bool = True) -> str:
    """Return the words for one operator; the only place where drawings ask for them."""
    return labels.label(graph, node, widths=widths)


def hint(graph: ArchGraph, node: int) -> str:
    """Return what is shown when the pointer rests on an operator: all that is known of it."""
    info = operators.by_id(int(graph.op[node]))
    exact = dict(labels.exact_of(graph, node))
    path = exact.pop("path", None)
    lines = [label(graph, node), *([path] if path else [])]
    for name, value in exact.items():
        if name == "fused":
            value = [operators.by_id(op).name for op in value]
        text = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
        lines.append(f"{name.replace('_', ' ')}: {text}")
    return "\n".join([*lines, f"{info.category}, operator {node}"])


@cache
def _character_width(character: str) -> float:
    if character in "iljtfI.,:;|!'()[] ·":
        return 0.36
    if character in "mwMW…→×÷":
        return 0.96
    return 0.72 if character.isupper() else 0.63


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Estimate the width of a text in a sans-serif font; on the safe side."""
    return size * sum(map(_character_width, text)) * (1.1 if bold else 1.0)


def shortened(text: str, size: float, width: float, bold: bool = False) -> str:
    """Cut a text to a width."""
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text + "…", size, bold) > width:
        text = text[:-1]
    return text.rstrip(" ·→") + "…"


@dataclass(frozen=True)
class Operator:
    """A small box inside an opened block; x and y are its centre, from the corner of the block."""

    node: int
    text: str
    hint: str
    kind: Kind
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Line:
    """An edge. `points` lie between its ends; a skip is drawn thin.

    Attributes:
        source: number of the box that it leaves.
        target: number of the box that it enters.
        points: where it passes.
        skip: whether it passes by the blocks between.
        sides: where it leaves and enters: letters of left, right, top, bottom.
    """

    source: int
    target: int
    points: tuple[Point, ...] = ()
    skip: bool = False
    sides: str = "bt"


@dataclass(frozen=True)
class Inner:
    """What an opened block shows: the operators of one instance.

    Attributes:
        width: of the opened block.
        height: of the opened block.
        operators: its boxes.
        entries: points where values enter, with the block that they come from.
        lines: paths as points, and whether they are skips; all from the corner of the block.
    """

    width: float
    height: float
    operators: tuple[Operator, ...]
    entries: tuple[tuple[float, float, int], ...]
    lines: tuple[tuple[tuple[Point, ...], bool], ...]


@dataclass(frozen=True)
class Box:
    """A block of the drawing; x and y are its centre.

    Attributes:
        number: its number in the view.
        name: what it is called.
        count: repetitions.
        detail: its main operators.
        kind: its category.
        marks: numbers of the marks of values that it reads without a line.
        mark: the mark of its own value, or 0.
        marks_right: whether marks stand on its right, since lines enter on its left.
        row: its row; boxes of a row move apart together.
    """

    number: int
    name: str
    count: int
    detail: str
    kind: Kind
    x: float
    y: float
    width: float
    height: float
    row: int
    marks: tuple[int, ...] = ()
    mark: int = 0
    marks_right: bool = False


@dataclass(frozen=True)
class Opening:
    """Where everything stands when some blocks are open, and where points go."""

    boxes: tuple[Box, ...]
    rows: tuple[float, ...]  # upper and lower borders of rows before
    down: tuple[float, ...]  # by how much each border moves
    columns: tuple[tuple[float, int, float], ...]  # centre, row and half the growth of open blocks

    def moved(self, point: Point) -> Point:
        """Return where a point goes."""
        x, y = point
        return x + _sideways(x, self.columns), y + float(np.interp(y, self.rows, self.down))


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawing before it is written.

    Attributes:
        view: the blocks.
        boxes: one for each block.
        lines: between them.
        trunk: numbers of the blocks on the path of most operators.
        size: of the names, in pixels.
    """

    view: BlockView
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    trunk: tuple[int, ...] = ()
    size: float = 13.0
    _inner: dict[int, Inner] = field(default_factory=dict)

    def inner(self, number: int) -> Inner:
        """Return what a block shows when it is open."""
        if number not in self._inner:
            self._inner[number] = _inner(self.view, number, self.size)
        return self._inner[number]

    def opened(self, opened: Collection[int], shifts: Sequence[float] = ()) -> Opening:
        """Return the drawing with some blocks open.

        Args:
            opened: Numbers of the blocks.
            shifts: Of each row, by how much more it moves down.
        """
        rows = sorted({(box.row, box.y) for box in self.boxes})
        grown = dict.fromkeys((row for row, _ in rows), 0.0)
        columns = []
        for number in sorted(opened):
            box, inner = self.boxes[number], self.inner(number)
            grown[box.row] = max(grown[box.row], inner.height - box.height)
            columns.append((box.x, box.row, max(0.0, inner.width - box.width) / 2))
        borders: list[float] = []
        down: list[float] = []
        above = 0.0
        centre: dict[int, float] = {}
        for place, (row, y) in enumerate(rows):
            above += shifts[place] if place < len(shifts) else 0.0
            borders += [y - BOX_HEIGHT / 2, y + BOX_HEIGHT / 2]
            down += [above, above + grown[row]]
            centre[row] = y + above + grown[row] / 2
            above += grown[row]
        boxes = []
        for box in self.boxes:
            size = self.inner(box.number) if box.number in opened else box
            boxes.append(
                replace(
                    box,
                    x=box.x + _sideways(box.x, columns),
                    y=centre[box.row],
                    width=size.width,
                    height=size.height,
                )
            )
        return Opening(tuple(boxes), tuple(borders), tuple(down), tuple(columns))


def _sideways(x: float, columns: Sequence[tuple[float, int, float]]) -> float:
    """Return by how much open blocks push a point aside: right of their middle, or left."""
    right: dict[int, float] = {}
    left: dict[int, float] = {}
    for middle, row, half in columns:
        if middle < x - 0.5:
            right[row] = right.get(row, 0.0) + half
        elif middle > x + 0.5:
            left[row] = left.get(row, 0.0) + half
    return max(right.values(), default=0.0) - max(left.values(), default=0.0)


def make_scene(view: BlockView, *, size: float = 13.0) -> Scene:
    """Lay out a network as blocks from top to bottom; one with nested long skips as a U.

    Args:
        view: The blocks.
        size: Of the names, in pixels.
    """
    if not view.blocks:
        return Scene(view, (), ())
    details = [_detail(view.graph, block) for block in view.blocks]
    small = size * SMALL
    wanted = [
        STRIPE + 20 + max(text_width(block.name, size, bold=True) + _badge(block, size), 0.0)
        for block in view.blocks
    ]
    wanted += [STRIPE + 20 + text_width(detail, small) for detail in details]
    width = float(np.clip(max(wanted), _NARROWEST, _WIDEST))
    details = [shortened(detail, small, width - STRIPE - 16) for detail in details]
    readers: list[list[int]] = [[] for _ in view.blocks]
    for number, block in enumerate(view.blocks):
        for source in block.inputs:
            readers[source].append(number)
    begins = [number for number, block in enumerate(view.blocks) if not block.inputs]
    marks: dict[int, int] = {}
    for number in begins:
        if len(readers[number]) >= _AMBIENT and len(begins) - len(marks) > 1:
            marks[number] = len(marks) + 1
    trunk = _trunk(view, marks)
    on_trunk = set(trunk)
    edges = []
    for number, block in enumerate(view.blocks):
        for source in block.inputs:
            if source not in marks or number == readers[source][0]:
                edges.append((source, number))
    places, lines = _as_u(view, trunk, edges, width) or _in_layers(view, edges, width)
    entered = {
        line.target
        for line in lines
        if line.skip and line.sides == "rl" and line.source in on_trunk
    }
    boxes = []
    for number, block in enumerate(view.blocks):
        x, y, row = places[number]
        read = tuple(sorted(marks[s] for s in block.inputs if s in marks))
        boxes.append(
            Box(
                number=number,
                name=block.name,
                count=block.count,
                detail=details[number],
                kind=block.kind,
                x=x,
                y=y,
                width=width,
                height=BOX_HEIGHT,
                row=row,
                marks=read,
                mark=marks.get(number, 0),
                marks_right=number in entered,
            )
        )
    return Scene(view, tuple(boxes), tuple(lines), tuple(trunk), size)


def _badge(block: Block, size: float) -> float:
    return text_width(f"×{block.count}", size) + 18 if block.count > 1 else 0.0


def _detail(graph: ArchGraph, block: Block) -> str:
    """Name the operators that do the work of one instance, at most a few."""
    worth = {"convolution", "linear", "attention", "recurrent"}
    nodes = block.instances[-1].tolist()
    kept = [n for n in nodes if kind_of_operator(int(graph.op[n])) in worth]
    kept = kept or [n for n in nodes if kind_of_operator(int(graph.op[n])) != "layout"] or nodes
    words: list[tuple[str, int]] = []
    for node in kept:
        text = label(graph, node, widths=False)
        if words and words[-1][0] == text:
            words[-1] = text, words[-1][1] + 1
        else:
            words.append((text, 1))
    texts = [f"{count}× {text}" if count > 1 else text for text, count in words]
    if texts == [block.name]:
        return ""
    more = f" · {len(texts) - _DETAILS} more" if len(texts) > _DETAILS else ""
    return " · ".join(texts[:_DETAILS]) + more + _width(graph, kept)


def _width(graph: ArchGraph, nodes: Sequence[int]) -> str:
    """Return the channels with which a block ends, where they are known."""
    known = [labels.exact_of(graph, node).get("out_channels") for node in reversed(nodes)]
    last = next((value for value in known if value), None)
    return f" → {last}" if last else ""


def _trunk(view: BlockView, without: Collection[int]) -> list[int]:
    """Return the path of most operators, without some blocks."""
    weight = [len(block.nodes) for block in view.blocks]
    best = list(weight)
    before = [-1] * len(weight)
    for number, block in enumerate(view.blocks):
        for source in block.inputs:
            if (
                source < number
                and source not in without
                and best[source] + weight[number] > best[number]
            ):
                best[number] = best[source] + weight[number]
                before[number] = source
    node = max(range(len(best)), key=lambda n: (best[n], -n))
    path = []
    while node >= 0:
        path.append(node)
        node = before[node]
    return path[::-1]


def _in_layers(
    view: BlockView, edges: Sequence[tuple[int, int]], width: float
) -> tuple[list[tuple[float, float, int]], list[Line]]:
    """Place blocks by the layered layout of the core."""
    count = len(view.blocks)
    rows: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        rows[target].append(source)
    ptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    src = np.array([s for row in rows for s in row], np.int32)
    layout = layered_layout(
        ptr,
        src,
        np.full(count, width),
        np.full(count, BOX_HEIGHT),
        node_gap=LANE,
        layer_gap=LANE,
    )
    lines = []
    edge = 0
    for target, row in enumerate(rows):
        for source in row:
            span = int(layout.layer[target] - layout.layer[source])
            half = BOX_HEIGHT / 2
            points = [p for x, y in layout.route(edge) for p in ((x, y - half), (x, y + half))]
            lines.append(Line(source, target, tuple(points), skip=span > 1))
            edge += 1
    places = [
        (float(x), float(y), int(layer))
        for x, y, layer in zip(layout.x, layout.y, layout.layer, strict=True)
    ]
    return places, lines


def _as_u(
    view: BlockView, trunk: Sequence[int], edges: Sequence[tuple[int, int]], width: float
) -> tuple[list[tuple[float, float, int]], list[Line]] | None:
    """Place blocks on the two arms of a U if long skips on the trunk are nested; None if not."""
    at = {number: place for place, number in enumerate(trunk)}
    skips = [(at[s], at[t]) for s, t in edges if s in at and t in at and at[t] - at[s] > 1]
    if len(skips) < 2 or len(view.blocks) - len(trunk) > _MOST_SIDE_BLOCKS:
        return None
    turn = max(s for s, _ in skips)
    back = min(t for _, t in skips)
    nested = all(
        (a - c) * (b - d) <= 0 for i, (a, b) in enumerate(skips) for c, d in skips[i + 1 :]
    )
    if turn >= back or not nested:
        return None
    # Rows: equal for the two ends of a skip, one more for what follows on the way down.
    group = list(range(len(trunk)))
    taken_source: set[int] = set()
    taken_target: set[int] = set()
    for source, target in sorted(skips, key=lambda st: (st[1], -st[0])):
        if source not in taken_source and target not in taken_target:
            taken_source.add(source)
            taken_target.add(target)
            group[target] = source
    below: list[tuple[int, int]] = [(i, i + 1) for i in range(back - 1)]
    below += [(i + 1, i) for i in range(back, len(trunk) - 1)]
    below.append((group[back], back - 1)) if group[back] != back - 1 else None
    row = [0] * len(trunk)
    for _ in range(len(trunk) + 2):
        changed = False
        for upper, lower in below:
            a, b = group[upper], group[lower]
            if row[b] < row[a] + 1:
                row[b] = row[a] + 1
                changed = True
        if not changed:
            break
    else:
        return None
    step = BOX_HEIGHT + LANE
    gap = 72.0
    left, right = width / 2, width / 2 + width + gap
    places: list[tuple[float, float, int]] = [(0.0, 0.0, 0)] * len(view.blocks)
    for place, number in enumerate(trunk):
        level = row[group[place]]
        middle = turn < place < back
        x = (left + right) / 2 if middle else left if place <= turn else right
        places[number] = x, level * step + BOX_HEIGHT / 2, level
    used = {0: 0.0}
    for number, block in enumerate(view.blocks):
        if number in at:
            continue
        readers = [n for n, other in enumerate(view.blocks) if number in other.inputs]
        level = min(
            (places[n][2] for n in readers if n in at),
            default=min(places[n][2] for n in block.inputs) if block.inputs else 0,
        )
        while used.get(level):
            level += 1
        used[level] = 1.0
        places[number] = left - width - gap / 2, level * step + BOX_HEIGHT / 2, level
    lines = []
    for source, target in edges:
        if source in at and target in at:
            a, b = at[source], at[target]
            if b == a + 1:
                sides = "bt" if b <= turn or (b < back and a > turn) else "tb"
                if turn < b < back and a <= turn:
                    sides = "bl" if places[source][0] < places[target][0] else "bt"
                elif b >= back and a < back:
                    sides = "rb" if a > turn else "rl" if row[group[a]] == row[group[b]] else "bb"
                lines.append(Line(source, target, (), False, sides))
            else:
                lines.append(Line(source, target, (), True, "rl"))
        elif places[source][0] < places[target][0]:
            lines.append(Line(source, target, (), True, "rl"))
        else:
            lines.append(Line(source, target, (), True, "lr" if source in at else "bt"))
    return places, lines


def _inner(view: BlockView, number: int, size: float) -> Inner:
    """Lay out the operators of one instance of a block."""
    graph, block = view.graph, view.blocks[number]
    nodes = block.instances[-1].tolist()
    inside = {node: place for place, node in enumerate(nodes)}
    small = size * SMALL
    # Values from outside enter at points: one for each value that is read.
    outside: dict[int, int] = {}
    for node in nodes:
        for source in graph.inputs(node).tolist():
            if source not in inside:
                outside.setdefault(source, len(outside))
    first = len(outside)
    rows: list[list[int]] = [[] for _ in range(first)]
    for node in nodes:
        row = [
            outside[s] if s in outside else first + inside[s] for s in graph.inputs(node).tolist()
        ]
        rows.append(list(dict.fromkeys(row)))
    texts = [label(graph, node) for node in nodes]
    texts = [shortened(text, small, 170) for text in texts]
    widths = np.array([6.0] * first + [text_width(t, small) + STRIPE + 12 for t in texts])
    heights = np.array([6.0] * first + [OPERATOR_HEIGHT] * len(nodes))
    ptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    src = np.array([s for row in rows for s in row], np.int32)
    layout = layered_layout(ptr, src, widths, heights, node_gap=12.0, layer_gap=13.0)
    title = STRIPE + 20 + text_width(block.name, size, bold=True) + _badge(block, size)
    width = max(layout.width + 2 * MARGIN, title)
    left = (width - layout.width) / 2
    top = HEADER + MARGIN

    def at(x: float, y: float) -> Point:
        return round(x + left, 1), round(y + top, 1)

    lines: list[tuple[tuple[Point, ...], bool]] = []
    edge = 0
    for target, row in enumerate(rows):
        for source in row:
            route = layout.route(edge)
            edge += 1
            begin = (float(layout.x[source]), float(layout.y[source] + heights[source] / 2))
            end = (float(layout.x[target]), float(layout.y[target] - heights[target] / 2))
            if route:
                begin = _near(route[0][0], begin, widths[source])
                end = _near(route[-1][0], end, widths[target])
            points = tuple(at(*p) for p in (begin, *route, end))
            lines.append((points, len(route) > 0))
    boxes = tuple(
        Operator(
            node=node,
            text=texts[place],
            hint=hint(graph, node),
            kind=kind_of_operator(int(graph.op[node])),
            x=at(float(layout.x[first + place]), 0)[0],
            y=at(0, float(layout.y[first + place]))[1],
            width=float(widths[first + place]),
        )
        for node, place in inside.items()
    )
    entries = tuple(
        (*at(float(layout.x[place]), float(layout.y[place])), int(view.block_of[source]))
        for source, place in outside.items()
    )
    return Inner(
        width=round(width, 1),
        height=round(layout.height + top + MARGIN, 1),
        operators=boxes,
        entries=entries,
        lines=tuple(lines),
    )


def _near(x: float, end: Point, width: float) -> Point:
    """Move the end of a line along its box towards where the line comes from."""
    room = max(0.0, width / 2 - 8)
    return min(max(x, end[0] - room), end[0] + room), end[1]
