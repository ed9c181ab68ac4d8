"""Layered layouts: crossings against a count of all pairs, and what holds for every drawing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfast import _core
from narfast.drawing.layout import Layout, layered_layout
from narfast.errors import InvalidGraphError
from narfast.graph import ArchGraph
from narfast.zoo import Zoo
from oracles.crossings import count_crossings

EDGE = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(1, 3))


@settings(max_examples=300, deadline=None)
@given(st.lists(EDGE, max_size=40))
def test_crossings_equal_those_of_all_pairs(edges: list[tuple[int, int, int]]) -> None:
    columns = np.array(edges, np.int32).reshape(-1, 3).T
    found = _core.count_crossings(*map(np.ascontiguousarray, columns))
    assert found == count_crossings(*columns.tolist())


def laid_out(rows: list[list[int]], width: float = 40.0, **options: float) -> Layout:
    ptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    src = np.array([s for row in rows for s in row], np.int32)
    sizes = np.full(len(rows), width), np.full(len(rows), 10.0)
    return layered_layout(ptr, src, *sizes, **options)  # type: ignore[arg-type]


@st.composite
def networks(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(1, 30))
    return [
        draw(st.lists(st.integers(0, node - 1), max_size=4)) if node else [] for node in range(size)
    ]


def drawn_crossings(rows: list[list[int]], layout: Layout) -> int:
    """Crossings of the edges as they run through the points of the layout."""
    depth = int(layout.layer.max()) + 1
    pieces: list[list[tuple[float, float]]] = [[] for _ in range(depth)]
    edge = 0
    seen = set()
    for node, row in enumerate(rows):
        for source in row:
            if (source, node) not in seen and not layout.bridge[edge]:
                seen.add((source, node))
                xs = [layout.x[source], *(x for x, _ in layout.route(edge)), layout.x[node]]
                for i, piece in enumerate(pairwise(xs)):
                    pieces[int(layout.layer[source]) + i].append(piece)
            edge += 1
    total = 0
    for piece in pieces:
        for i, (a, b) in enumerate(piece):
            total += sum((a - c) * (b - d) < -1e-9 for c, d in piece[i + 1 :])
    return total


@settings(max_examples=200, deadline=None)
@given(networks())
def test_what_holds_for_every_drawing(rows: list[list[int]]) -> None:
    layout = laid_out(rows)
    edge = 0
    for node, row in enumerate(rows):
        for source in row:
            span = int(layout.layer[node] - layout.layer[source])
            assert span >= 1
            assert len(layout.route(edge)) == (0 if layout.bridge[edge] else span - 1)
            edge += 1
    for layer in range(int(layout.layer.max()) + 1):
        nodes = np.flatnonzero(layout.layer == layer)
        nodes = nodes[np.argsort(layout.place[nodes])]
        assert (np.diff(layout.place[nodes]) == 1).all()
        assert (np.diff(layout.x[nodes]) >= 64 - 1e-6).all()
        assert len(set(layout.y[nodes].tolist())) == 1
    assert layout.x.min() >= 20 - 1e-6
    assert layout.x.max() <= layout.width - 20 + 1e-6
    assert layout.crossings == drawn_crossings(rows, layout)
    assert layout.crossings <= laid_out(rows, sweeps=0).crossings


def test_a_network_of_the_zoo_without_crossings() -> None:
    graph: ArchGraph = Zoo.open("default").graph_of("timm:resnet50")
    sizes = np.full(graph.num_nodes, 60.0), np.full(graph.num_nodes, 20.0)
    layout = layered_layout(graph.in_ptr, graph.in_src, *sizes)
    assert layout.crossings == 0
    assert not layout.bridge.any()
    trunk = [node for node in range(graph.num_nodes) if len(graph.inputs(node)) > 1]
    assert len({round(layout.x[node], 6) for node in trunk}) == 1, "the trunk is straight"


def test_nothing() -> None:
    layout = layered_layout(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0), np.empty(0))
    assert (layout.width, layout.height, layout.crossings) == (0, 0, 0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidGraphError, match="does not stand before it"):
        laid_out([[0]])
    with pytest.raises(ValueError, match="finite"):
        laid_out([[]], width=float("nan"))
    with pytest.raises(ValueError, match="one entry per node"):
        layered_layout(np.zeros(2, np.int64), np.empty(0, np.int32), np.ones(3), np.ones(1))
    with pytest.raises(ValueError, match="in_ptr must rise"):
        layered_layout(np.array([0, 5]), np.empty(0, np.int32), np.ones(1), np.ones(1))
    with pytest.raises(TypeError, match="in_src"):
        layered_layout(np.zeros(2, np.int64), np.empty(0), np.ones(1), np.ones(1))  # type: ignore[arg-type]
