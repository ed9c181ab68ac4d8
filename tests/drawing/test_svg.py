"""Drawings as SVG: valid, legible, whole, and without overlaps."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from narfast import operators
from narfast.blocks import KINDS, BlockView, blocks_of
from narfast.comparison import compare_graphs
from narfast.comparison.model_explorer import write_model_explorer
from narfast.drawing import svg
from narfast.drawing.colors import COLORS, contrast, mixed
from narfast.drawing.html import draw_html, draw_pair_html
from narfast.drawing.pair import Correspondence, draw_pair
from narfast.drawing.scene import Opening, make_scene, shortened, text_width
from narfast.drawing.svg import draw, extent, opened_blocks, path
from narfast.errors import NarfastError
from narfast.graph import build_graph
from narfast.zoo import Zoo

NAMES = [
    "timm:resnet50",
    "timm:vit_base_patch16_224",
    "timm:hrnet_w18",
    "monai:BasicUNet-2d",
    "diffusers:stable-diffusion-v1-5/unet",
    "transformers:mixtral",
    "transformers:t5",
    "transformers:detr",
]


@pytest.fixture(scope="module")
def views() -> dict[str, BlockView]:
    zoo = Zoo.open("default")
    return {name: blocks_of(zoo.graph_of(name)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("opened", ["none", "all", (1,)])
def test_every_drawing_is_valid_and_whole(
    views: dict[str, BlockView], name: str, opened: svg.Open
) -> None:
    view = views[name]
    text = draw(view, open=opened)
    root = ET.fromstring(text)
    kinds = [element.get("class") or "" for element in root.iter() if element.tag.endswith("}g")]
    blocks = [kind for kind in kinds if kind.split()[:1] == ["block"]]
    assert len(blocks) == len(view)
    shown = opened_blocks(view, opened)
    operators = [kind for kind in kinds if kind.split()[:1] == ["op"]]
    assert len(operators) == sum(len(view.blocks[i].instances[-1]) for i in shown)
    assert f">×{max(block.count for block in view.blocks)}<" in text or all(
        block.count == 1 for block in view.blocks
    )
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "nan" not in text
    assert draw(view, open=opened) == text


def overlaps(opening: Opening) -> list[tuple[str, str]]:
    return [
        (a.name, b.name)
        for a, b in combinations(opening.boxes, 2)
        if abs(a.x - b.x) < (a.width + b.width) / 2 - 0.1
        and abs(a.y - b.y) < (a.height + b.height) / 2 - 0.1
    ]


@pytest.mark.parametrize("name", NAMES)
def test_boxes_do_not_overlap(views: dict[str, BlockView], name: str) -> None:
    scene = make_scene(views[name])
    everything = range(len(views[name]))
    for opened in ((), (0,), everything, [i for i in everything if i % 2]):
        opening = scene.opened(opened)
        assert overlaps(opening) == []
        left, top, right, bottom = extent(scene, opening)
        for box in opening.boxes:
            assert left <= box.x - box.width / 2
            assert box.x + box.width / 2 <= right
            assert top <= box.y - box.height / 2
            assert box.y + box.height / 2 <= bottom


@pytest.mark.parametrize("name", NAMES)
def test_operators_of_an_open_block_stand_inside_it(views: dict[str, BlockView], name: str) -> None:
    scene = make_scene(views[name])
    for number in range(len(views[name])):
        inner = scene.inner(number)
        for each in inner.operators:
            assert each.x - each.width / 2 >= 0
            assert each.x + each.width / 2 <= inner.width
            assert 0 <= each.y <= inner.height
        for points, _ in inner.lines:
            assert all(0 <= x <= inner.width and 0 <= y <= inner.height for x, y in points)


def test_opening_a_block_leaves_the_rest_in_place(views: dict[str, BlockView]) -> None:
    scene = make_scene(views["timm:resnet50"])
    closed, opened = scene.opened(()), scene.opened((2,))
    for before, after in zip(closed.boxes[:2], opened.boxes[:2], strict=True):
        assert (before.x, before.y) == (after.x, after.y)
    below = {
        round(after.y - before.y, 6)
        for before, after in zip(closed.boxes[3:], opened.boxes[3:], strict=True)
    }
    assert len(below) == 1


def test_a_residual_network_fits_a_column(views: dict[str, BlockView]) -> None:
    text = draw(views["timm:resnet50"])
    assert len(views["timm:resnet50"]) < 12
    width = re.search(r'width="(\d+)"', text)
    assert width
    assert int(width[1]) < 340


def test_a_u_net_has_two_arms_with_level_skips(views: dict[str, BlockView]) -> None:
    scene = make_scene(views["monai:BasicUNet-2d"])
    assert len({box.x for box in scene.boxes}) == 3
    skips = [line for line in scene.lines if line.skip]
    assert len(skips) == 4
    for line in skips:
        assert scene.boxes[line.source].y == scene.boxes[line.target].y
        assert line.sides == "rl"


def test_what_many_blocks_read_is_a_mark(views: dict[str, BlockView]) -> None:
    view = views["diffusers:stable-diffusion-v1-5/unet"]
    boxes = make_scene(view).boxes
    assert {box.name for box in boxes if box.mark} == {"time embedding", "input"}
    assert sum(bool(box.marks) for box in boxes) > 10
    assert "value of “time embedding”" in draw(view)


def test_text_is_legible_in_both_themes() -> None:
    for paper, ink, faint, tint in (
        ("#ffffff", "#1b1f24", "#4b5360", 0.17),
        ("#15181d", "#f1f3f5", "#b9c1cb", 0.34),
    ):
        assert paper in svg.style(13)
        assert contrast(faint, paper) >= 4.5
        for kind in KINDS:
            card = mixed(COLORS[kind], paper, tint)
            assert card in svg.style(13)
            assert contrast(ink, card) >= 4.5, (paper, kind)
            assert contrast(mixed(faint, ink, 0.5), card) >= 4.5, (paper, kind)


def test_titles_are_escaped_and_optional(views: dict[str, BlockView]) -> None:
    view = views["timm:resnet50"]
    assert "a &lt;b&gt; &amp; c" in draw(view, title="a <b> & c")
    assert 'class="title"' not in draw(view, title="")
    assert "convolution</text>" not in draw(view, legend=False)


@pytest.mark.parametrize("name", ["\x1b[31m\x00", "\udcff\ud800", "\ufffe\uffff", "]]>\x07\n<b>"])
def test_no_name_makes_a_damaged_file(tmp_path: Path, name: str) -> None:
    graph = build_graph([operators.by_name("relu").id], [0], [[]], [0])
    graph = replace(graph, meta=replace(graph.meta, name=name, source=name))
    pair = compare_graphs(graph, graph)
    same = Correspondence(pair.block_map)
    figures = [draw(graph), draw(graph, title=name), draw_pair(*pair.views, same)]
    for figure in (*figures, draw_pair(*pair.views, same, titles=(name, name))):
        ET.fromstring(figure.encode())
    for page in (draw_html(graph), draw_pair_html(*pair.views, same)):
        assert not set(page.encode().decode()) & set("\x00\x07\x1b\ufffe\uffff")
    assert len(write_model_explorer(pair, tmp_path)) == 3


def test_nothing_and_almost_nothing() -> None:
    ET.fromstring(draw(build_graph([], [], [], [])))
    ET.fromstring(draw(build_graph([0], [0], [[]], [0]), open="all"))


@pytest.mark.parametrize("wrong", [[6], [-1], ["stem"], [2.5]])
def test_blocks_that_are_not_there(views: dict[str, BlockView], wrong: list[int]) -> None:
    with pytest.raises(NarfastError, match="the network has blocks 0 to 5"):
        draw(views["timm:resnet50"], open=wrong)


def test_texts_are_cut_to_their_room() -> None:
    assert shortened("conv", 13, 100) == "conv"
    cut = shortened("a long name of a block", 13, 80)
    assert cut.endswith("…")
    assert text_width(cut, 13) <= 80


def test_straight_lines_are_straight() -> None:
    assert path([(0, 0), (0, 10)]) == "M0.0 0.0L0.0 10.0"
    assert path([(0, 0), (30, 0)], "rl") == "M0.0 0.0L30.0 0.0"
    assert "C" in path([(0, 0), (5, 10)])


def test_a_network_of_five_thousand_operators_is_one_figure() -> None:
    graph = Zoo.open("default").graph_of("transformers:gemma3n")
    text = draw(graph)
    assert len(blocks_of(graph)) < 60
    assert len(text) < 100_000
