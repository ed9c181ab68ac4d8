"""Two networks side by side: level blocks, what is new and what changed."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from narfast.alignment import align
from narfast.blocks import BlockView, blocks_of
from narfast.drawing.pair import (
    Correspondence,
    anchors,
    difference,
    draw_pair,
    level,
    marked,
    notes_of,
    words_of,
)
from narfast.drawing.scene import make_scene
from narfast.zoo import Zoo


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return Zoo.open("default")


@pytest.fixture(scope="module")
def plain(zoo: Zoo) -> BlockView:
    return blocks_of(zoo.graph_of("timm:resnet50"))


@pytest.fixture(scope="module")
def gated(zoo: Zoo) -> BlockView:
    return blocks_of(zoo.graph_of("timm:seresnet101"))


STRAIGHT = [(i, i) for i in range(6)]


def test_differences_are_written_out(plain: BlockView, gated: BlockView) -> None:
    words = [difference(a, b) for a, b in zip(plain.blocks, gated.blocks, strict=True)]
    assert words == ["", "+ se", "+ se", "+ se, ×6 → ×23", "+ se", ""]
    assert difference(gated.blocks[1], plain.blocks[1]) == "− se"
    assert difference(plain.blocks[0], gated.blocks[1]) == "stem → bottleneck+se, ×1 → ×3"
    text = draw_pair(plain, gated, Correspondence(STRAIGHT))
    assert "+ se, ×6 → ×23" in text
    assert "in both, but changed" in text
    assert "only in this network" not in text


@pytest.mark.parametrize("opened", ["none", "all", (1,), (1, 3)])
def test_corresponding_blocks_are_level(
    plain: BlockView, gated: BlockView, opened: tuple[int, ...]
) -> None:
    ET.fromstring(draw_pair(plain, gated, Correspondence(STRAIGHT), open=opened))
    chosen = range(6) if opened == "all" else () if opened == "none" else opened
    both = level((make_scene(plain), make_scene(gated)), (chosen, chosen), STRAIGHT)
    tops = [[box.y - box.height / 2 for box in opening.boxes] for opening in both]
    assert tops[0] == pytest.approx(tops[1])


def test_blocks_of_one_network_only(zoo: Zoo, plain: BlockView) -> None:
    dense = blocks_of(zoo.graph_of("timm:densenet121"))
    pairs = [(0, 0), (5, 8), *((i, -1) for i in range(1, 5)), *((-1, i) for i in range(1, 8))]
    text = draw_pair(plain, dense, Correspondence(pairs), titles=("A", "B"))
    ET.fromstring(text)
    assert "only in this network" in text
    classes = marked(plain, dense, words_of(plain, dense, [(0, 0), (5, 8)], ({}, {})))
    assert classes[0][1:5] == ["new"] * 4
    assert "new" not in (classes[0][0], classes[1][8])


def test_a_difference_in_the_opening_of_a_stage_is_told(plain: BlockView) -> None:
    opening, inside = plain.blocks[2].instances[0], plain.blocks[3].instances[4]
    notes = {int(opening[3]): "new", int(inside[2]): "changed"}, {}
    words = words_of(plain, plain, STRAIGHT, notes)
    assert list(words.values()) == ["", "", "the first differs", "differs inside", "", ""]


def test_rows_that_cross_stay_where_they_are(plain: BlockView) -> None:
    scenes = make_scene(plain), make_scene(plain)
    assert anchors(scenes, [(1, 4), (2, 3), (3, 2), (5, 5)])[-1] == (5, 5)
    assert len(anchors(scenes, [(1, 4), (2, 3), (3, 2), (5, 5)])) == 2
    assert anchors(scenes, []) == []


def test_operators_without_counterpart_are_marked(plain: BlockView) -> None:
    size = plain.graph.num_nodes
    nodes = np.arange(size, dtype=np.int32)
    assert notes_of(plain, plain, nodes) == ({}, {})
    nodes[13] = -1
    assert notes_of(plain, plain, nodes) == ({13: "new"}, {13: "new"})
    nodes[12], nodes[14] = 14, 12
    left, right = notes_of(plain, plain, nodes)
    assert left[12] == right[14] == "changed"
    text = draw_pair(plain, plain, Correspondence(STRAIGHT, nodes), open="all")
    assert 'class="op' in text


def test_a_correspondence_is_checked(plain: BlockView) -> None:
    with pytest.raises(ValueError, match="no such pair"):
        draw_pair(plain, plain, Correspondence([(0, 99)]))
    with pytest.raises(ValueError, match="one node of the second network"):
        draw_pair(plain, plain, Correspondence([], np.zeros(3, np.int32)))
    wrong = np.full(plain.graph.num_nodes, 10_000, np.int32)
    with pytest.raises(ValueError, match="one node of the second network"):
        draw_pair(plain, plain, Correspondence([], wrong))


def test_two_networks_of_the_zoo_by_their_alignment(zoo: Zoo, plain: BlockView) -> None:
    deep_stem = blocks_of(zoo.graph_of("timm:resnet50d"))
    alignment = align(plain.graph, deep_stem.graph)
    found = Correspondence([(i, i) for i in range(6)], alignment.to_b)
    text = draw_pair(plain, deep_stem, found, open=[0])
    ET.fromstring(text)
    assert text.count('class="op convolution new"') == 2  # of the three convolutions of the stem
    assert "the first differs" in text  # its shortcut pools before it projects
