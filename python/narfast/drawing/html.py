"""A network, or two, as one HTML file that works offline: blocks fold and unfold in place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from importlib import resources
from typing import Any

from narfast.blocks import BlockView, blocks_of
from narfast.drawing.pair import (
    MIDDLE,
    Correspondence,
    anchors,
    marked,
    notes_of,
    signs_of,
    words_of,
)
from narfast.drawing.scene import (
    BOX_HEIGHT,
    SMALL,
    STRIPE,
    Scene,
    make_scene,
    text_width,
)
from narfast.drawing.svg import (
    BEND,
    PAD,
    TITLE,
    Open,
    content,
    document,
    heading,
    kinds_of,
    legend_of,
    marks_of,
    opened_blocks,
    summary,
)
from narfast.errors import printable
from narfast.graph import ArchGraph

__all__ = ["draw_html", "draw_pair_html"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>
:root{{color-scheme:light dark}}
body{{margin:0;font:14px system-ui,-apple-system,"Segoe UI",Arial,sans-serif}}
@media screen and (prefers-color-scheme:dark){{body{{background:#15181d;color:#f1f3f5}}}}
#controls{{position:sticky;top:0;padding:8px 20px;background:inherit;z-index:1}}
button{{font:inherit;padding:2px 10px;margin-right:8px}}
main{{overflow-x:auto}}
svg.narfast{{display:block;margin:0 auto}}
.narfast .block{{cursor:pointer;outline:none}}
.narfast .block>.opened,.narfast .block.open>.closed{{display:none}}
.narfast .block.open>.opened{{display:inline}}
.narfast .hot>g>.card,.narfast .hot>g>.frame{{stroke-width:3.4}}
@media print{{#controls{{display:none}}}}
</style></head><body>
<div id="controls" hidden><button id="unfold">Open all</button><button id="fold">Close all</button>
<span>Click a block to open it; rest on an operator for its settings.</span></div>
<main>{svg}</main>
<script type="application/json" id="drawing">{data}</script>
<script>{script}</script>
</body></html>
"""


def draw_html(
    graph: ArchGraph | BlockView, *, open: Open = "none", title: str | None = None
) -> str:
    """Draw a network as one HTML file.

    Args:
        graph: A canonical graph, or its blocks.
        open: Blocks that are open at first: numbers, ``"all"`` or ``"none"``.
        title: By default the name of the network.

    Raises:
        NarfastError: The network has no block of that number.
        InvalidGraphError: The graph is not well formed.
    """
    view = graph if isinstance(graph, BlockView) else blocks_of(graph)
    name = printable(view.graph.meta.name or "network" if title is None else title)
    return _page([view], [name], [opened_blocks(view, open)], {}, [[""] * len(view)], [{}])


def draw_pair_html(
    first: BlockView,
    second: BlockView,
    correspondence: Correspondence,
    *,
    open: Open = "none",
    titles: tuple[str, str] | None = None,
) -> str:
    """Draw two networks side by side as one HTML file; see `draw_pair`.

    A click on a block opens it and its counterpart, which stay at equal height.

    Raises:
        NarfastError: The first network has no block of that number.
        ValueError: The correspondence does not belong to the networks.
    """
    correspondence = correspondence.checked(first, second)
    pairs = [(a, b) for a, b in correspondence.blocks if a >= 0 and b >= 0]
    chosen = opened_blocks(first, open)
    others = [b for a, b in pairs if a in set(chosen)]
    opened = [chosen, opened_blocks(second, "all" if open == "all" else others)]
    names = [printable(n) for n in titles or (first.graph.meta.name, second.graph.meta.name)]
    notes = notes_of(first, second, correspondence.nodes)
    words = words_of(first, second, pairs, notes)
    return _page([first, second], names, opened, words, marked(first, second, words), notes)


def _page(
    views: Sequence[BlockView],
    names: Sequence[str],
    opened: Sequence[Sequence[int]],
    words: Mapping[tuple[int, int], str],
    classes: Sequence[Sequence[str]],
    notes: Sequence[Mapping[int, str]],
) -> str:
    pairs = list(words)
    scenes = [make_scene(view) for view in views]
    size = scenes[0].size
    parts = [
        f'<path class="tie" id="tie{n}"/><text class="small mid" id="word{n}">{escape(text)}</text>'
        for n, text in enumerate(words.values())
    ]
    for i, (scene, name) in enumerate(zip(scenes, names, strict=True)):
        parts.append(f'<g id="heading{i}">{heading(name, summary(views[i]), size)}</g>')
        parts.append(_scene(scene, i, classes[i], notes[i]))
    kinds = set().union(*(kinds_of(view, range(len(view))) for view in views))
    signs = signs_of(classes, notes) if pairs else []
    for scene in scenes:
        signs += [sign for sign in marks_of(scene.boxes) if sign not in signs]
    legend, height = legend_of(kinds, signs, 460.0, size)
    parts.append(f'<g id="legend">{legend}</g>')
    top = min((box.y - box.height / 2 for scene in scenes for box in scene.boxes), default=0.0)
    data = {
        "scenes": [_numbers(scene, opened[i], names[i], size) for i, scene in enumerate(scenes)],
        "pairs": pairs,
        "anchors": anchors((scenes[0], scenes[1]), pairs) if pairs else [],
        "height": BOX_HEIGHT,
        "stripe": STRIPE,
        "bend": BEND,
        "pad": PAD,
        "top": TITLE - top,
        "middle": max([MIDDLE, *(text_width(word, size * SMALL) + 40 for word in words.values())]),
        "legend": [200, height],
    }
    svg = document("".join(parts), 800, 600, " and ".join(names), size)
    return _PAGE.format(
        title=escape(" and ".join(names)),
        svg=svg,
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        script=resources.files("narfast.drawing").joinpath("page.js").read_text("utf-8"),
    )


def _scene(scene: Scene, number: int, classes: Sequence[str], notes: Mapping[int, str]) -> str:
    parts = [
        f'<path class="{"line skip" if line.skip else "line"}" id="line{number}-{n}" '
        'marker-end="url(#tip)"/>'
        for n, line in enumerate(scene.lines)
    ]
    for box in scene.boxes:
        inner = scene.inner(box.number)
        large = replace(box, width=inner.width, height=inner.height)
        kind = f"{box.kind} {classes[box.number]}"
        parts.append(
            f'<g class="block" id="block{number}-{box.number}">'
            f'<g class="closed {kind}">{content(box, None, scene.size)}</g>'
            f'<g class="opened {kind}">{content(large, inner, scene.size, notes)}</g></g>'
        )
    return f'<g id="scene{number}">{"".join(parts)}</g>'


def _numbers(scene: Scene, opened: Sequence[int], name: str, size: float) -> dict[str, Any]:
    """Return what the script needs to place a drawing."""
    rows = sorted({(box.row, box.y) for box in scene.boxes})
    at = {row: place for place, (row, _) in enumerate(rows)}
    small = size * SMALL
    return {
        "open": list(opened),
        "rows": [y for _, y in rows],
        "marked": any(box.marks for box in scene.boxes),
        "least": max(text_width(name, size + 3, bold=True), text_width(summary(scene.view), small)),
        "boxes": [
            {
                "x": box.x,
                "row": at[box.row],
                "w": box.width,
                "h": box.height,
                "iw": scene.inner(box.number).width,
                "ih": scene.inner(box.number).height,
            }
            for box in scene.boxes
        ],
        "lines": [
            {"s": line.source, "t": line.target, "points": line.points, "sides": line.sides}
            for line in scene.lines
        ],
    }
