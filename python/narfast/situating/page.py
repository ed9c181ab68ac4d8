"""A situation as one HTML file that works offline, in light and dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from narfast._tables import short_count
from narfast.block_search import PieceFrequency
from narfast.comparison.strips import strips_of
from narfast.drawing.colors import COLORS, text_color
from narfast.errors import printable
from narfast.situating.findings import Findings, Neighbour
from narfast.situating.report import names_of

__all__ = ["page"]

_PALETTE = [
    COLORS[kind]
    for kind in ("convolution", "linear", "pooling", "recurrent", "normalization", "activation")
]
_REST = COLORS["arithmetic"]  # families beyond the palette
_WIDTH, _HEIGHT, _RADIUS = 640, 460, 13  # of the map
_APART = 31.0  # least distance between two networks on the map
_ROUNDS = 400  # of pushing them apart
_STRIP = 110  # characters of a strip
_BARS = (560, 150)  # size of the histogram


def page(situation: Findings) -> str:
    """Return the page of a situation.

    Args:
        situation: the result of `narfast.situate`.
    """
    colors = _colors(situation)
    facts = {
        "operators": f"{situation.query.num_nodes:,}",
        "in the zoo": ", ".join(map(printable, situation.known_as)),
        "family": str(situation.call),
        "novelty": str(situation.novelty),
    }
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=escape(f"Where {situation.name} stands"),
        facts="".join(
            f"<dt>{k}</dt><dd>{escape(printable(v))}</dd>" for k, v in facts.items() if v
        ),
        map=_map(situation, colors),
        count=len(situation.neighbours),
        neighbours=_neighbours(situation, colors),
        strips=_strips(situation),
        sentences=_sentences(situation),
        rare=_rare(situation),
        histogram=_histogram(situation),
        text=escape(situation.paragraph()),
    )


def _colors(situation: Findings) -> dict[str | None, str]:
    """Give the families of most neighbours a colour."""
    counts = Counter(neighbour.hit.family for neighbour in situation.neighbours)
    named = [family for family, _ in counts.most_common() if family is not None]
    return dict(zip(named, _PALETTE, strict=False))


def _map(situation: Findings, colors: dict[str | None, str]) -> str:
    places = _places(situation.map.positions)
    parent = dict(situation.map.tree)
    cosine = situation.map.similarity
    edges = [
        f'<line class="edge" id="edge{child}" x1="{places[child, 0]:.1f}" '
        f'y1="{places[child, 1]:.1f}" x2="{places[other, 0]:.1f}" y2="{places[other, 1]:.1f}"/>'
        for child, other in situation.map.tree
    ]
    nodes = []
    for number, (x, y) in enumerate(places):
        if number == 0:
            shape = f'<circle r="{_RADIUS + 4}" fill="var(--ink)"/>'
            text, fill, title = "?", "var(--paper)", situation.name
        else:
            hit = situation.neighbours[number - 1].hit
            color = colors.get(hit.family, _REST)
            shape = f'<circle r="{_RADIUS}" fill="{color}"/>'
            text, fill = str(number), text_color(color)
            title = f"{hit.name} ({hit.family or 'no family'}), cosine {cosine[0, number]:.4f}"
        nodes.append(
            f'<g class="node" id="node{number}" data-parent="{parent.get(number, "")}" '
            f'tabindex="0" transform="translate({x:.1f} {y:.1f})">'
            f"<title>{escape(printable(title))}</title>{shape}"
            f'<text text-anchor="middle" dy="4" style="fill:{fill}">{text}</text></g>'
        )
    svg = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="map of the neighbourhood">{"".join(edges)}{"".join(reversed(nodes))}</svg>'
    )
    counts = Counter(neighbour.hit.family for neighbour in situation.neighbours)
    legend = [f"<p>{_dot('?', 'var(--ink)', 'var(--paper)')} {escape(situation.name)}</p>"]
    legend += [
        f"<p>{_dot(str(counts[family]), color)} {escape(printable(family or ''))}</p>"
        for family, color in colors.items()
    ]
    rest = sum(n for family, n in counts.items() if family not in colors)
    legend += [f"<p>{_dot(str(rest), _REST)} other families</p>"] if rest else []
    return f'<div class="two">{svg}<div>{"".join(legend)}</div></div>'


def _places(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a map into its picture, and push networks apart that would cover each other."""
    margin = _RADIUS + 8
    room = np.array([_WIDTH, _HEIGHT], dtype=np.float64) - 2 * margin
    low, high = positions.min(axis=0), positions.max(axis=0)
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    places: NDArray[np.float64] = margin + room / 2 + (positions - (low + high) / 2) * scale
    count = len(places)
    # Networks at one place go apart in fixed directions.
    angle = 2.4 * np.arange(count)
    places += 0.01 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for _ in range(_ROUNDS):
        apart = places[:, None] - places[None]
        distance = np.linalg.norm(apart, axis=2) + np.eye(count) * _APART
        push = np.maximum(0.0, _APART - distance) / 2
        places += (apart / distance[:, :, None] * push[:, :, None]).sum(axis=1) / 2
        np.clip(places, margin, margin + room, out=places)
    return places


def _dot(text: str, color: str, ink: str | None = None) -> str:
    style = f"background:{color};color:{ink or text_color(color)}"
    return f'<span class="dot" style="{style}">{text}</span>'


def _neighbours(situation: Findings, colors: dict[str | None, str]) -> str:
    lines = [
        "<table><tr><th>family</th><th></th><th class=number>score</th><th>relation</th>"
        "<th class=number>closer than</th><th>name</th><th>library</th>"
        "<th class=number>params</th></tr>"
    ]
    for family, members in situation.families():
        for member in members:
            first = member is members[0]
            words = escape(printable(f"{family or '–'} ({len(members)})")) if first else ""
            lines.append(
                f"<tr{' class=first' if first else ''}><td>{words}</td>"
                f"<td>{_dot(str(member.place), colors.get(family, _REST))}</td>{_row(member)}</tr>"
            )
    return "".join(lines) + "</table>"


def _row(member: Neighbour) -> str:
    hit, relation = member.hit, member.relation
    percentile = None if relation is None else relation.percentile
    others = escape(", ".join(map(printable, hit.ids[1:])))
    more = f' <span class=soft title="{others}">+{len(hit.ids) - 1} more</span>'
    return (
        f"<td class=number>{hit.score:.4f}</td>"
        f"<td>{'–' if relation is None else relation.word}</td>"
        f"<td class=number>{'–' if percentile is None else f'{percentile:.1f} %'}</td>"
        f"<td>{escape(printable(hit.name))}{more if len(hit.ids) > 1 else ''}</td>"
        f"<td>{escape(printable(hit.source))} "
        f"<span class=soft>{escape(member.version or '')}</span></td>"
        f"<td class=number>{short_count(hit.params)}</td>"
    )


def _strips(situation: Findings) -> str:
    pairs = situation.comparisons
    lines = strips_of(pairs, names_of(situation), width=_STRIP, color=True)
    margin = max(len(name) for name, _ in lines) + 2
    return "\n".join(escape(name.ljust(margin)) + _colored(line) for name, line in lines)


def _colored(line: Text) -> str:
    """Return a strip as HTML; the half blocks between cells become their background."""
    parts = []
    at = 0
    for span in sorted(line.spans):
        style = str(span.style)
        words = style.removeprefix("bold ").split()
        parts.append(escape(line.plain[at : span.start]))
        text = line.plain[span.start : span.end]
        at = span.end
        if words[-1] == "default":  # the right edge of a cell
            parts.append(f'<span style="color:{words[0]}">{escape(text)}</span>')
            continue
        bold = ";font-weight:bold" if style.startswith("bold") else ""
        css = f"color:{words[0]};background:{words[-1]}{bold}"
        parts.append(f'<span style="{css}">{escape(text)}</span>')
    return "".join(parts) + escape(line.plain[at:])


def _sentences(situation: Findings) -> str:
    parts = []
    for neighbour, pair in zip(situation.neighbours, situation.comparisons, strict=False):
        lines = "".join(f"<li>{escape(printable(line))}</li>" for line in pair.sentences())
        name = escape(printable(neighbour.hit.name))
        parts.append(
            f"<p><b>{neighbour.place} {name}</b> <span class=soft>{escape(pair.verdict)}</span></p>"
            f"<ul>{lines}</ul>"
        )
    return "".join(parts)


def _rare(situation: Findings) -> str:
    rare = situation.rare
    if not rare:
        return (
            "<p>Nothing: every block occurs in another network of the zoo, every operator and "
            "every path of two edges in one of a hundred.</p>"
        )
    kinds: dict[str, Sequence[PieceFrequency]] = {
        "block that no network has": rare.blocks,
        "operator": rare.operators,
        "path": rare.ngrams,
    }
    lines = [
        f"<table><tr><th>of {rare.networks:,} networks</th><th class=number>have it</th>"
        "<th class=number>families</th><th class=number>times here</th><th>operators</th></tr>"
    ]
    for kind, pieces in kinds.items():
        for place, piece in enumerate(pieces):
            lines.append(
                f"<tr{'' if place else ' class=first'}><td>{'' if place else kind}</td>"
                f"<td class=number>{piece.networks or 'none'}</td>"
                f"<td class=number>{piece.families}</td><td class=number>{piece.count:,}</td>"
                f"<td>{escape(piece.label)}</td></tr>"
            )
    return "".join(lines) + "</table>"


def _histogram(situation: Findings) -> str:
    novelty = situation.novelty
    width, height = _BARS
    top = max(max(novelty.shares), 1e-9)
    step = width / len(novelty.shares)
    bars = "".join(
        f'<rect class="bar" x="{i * step + 1:.1f}" width="{step - 2:.1f}" '
        f'y="{18 + height * (1 - share / top):.1f}" height="{height * share / top:.1f}"/>'
        for i, share in enumerate(novelty.shares)
    )
    end = novelty.bounds[-1]
    x = width * novelty.distance / end
    anchor = "end" if x > width / 2 else "start"
    shift = -6 if anchor == "end" else 6
    ticks = "".join(
        f'<text class="axis" x="{width * part:.0f}" y="{height + 36}" text-anchor="{place}">'
        f"{end * part:.2f}</text>"
        for part, place in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
    return (
        f'<svg viewBox="-4 0 {width + 8} {height + 56}" width="{width + 8}" height="{height + 56}" '
        f'role="img" aria-label="distribution of novelty">{bars}'
        f'<line class="here" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height + 18}"/>'
        f'<text x="{x + shift:.1f}" y="14" text-anchor="{anchor}" style="fill:var(--ink)">'
        f"{escape(situation.name)}</text>{ticks}"
        f'<text class="axis" x="{width / 2}" y="{height + 52}" text-anchor="middle">'
        "1 − cosine to the nearest network of another family</text></svg>"
        "<p class=soft>Bars: networks of the zoo, each without its own family; every family counts "
        "the same. The line is the distance of the query to its nearest network.</p>"
    )
