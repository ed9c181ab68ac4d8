"""Strips: one line for one network, equal blocks under each other for several."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from narfast.blocks import KINDS, BlockView, blocks_of
from narfast.drawing.colors import COLORS, LETTERS, contrast, mixed, text_color
from narfast.drawing.strip import aligned_strips, has_color, strip
from narfast.zoo import Zoo


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return Zoo.open("default")


@pytest.fixture(scope="module")
def resnet(zoo: Zoo) -> BlockView:
    return blocks_of(zoo.graph_of("timm:resnet50"))


def test_colours_are_legible_and_letters_distinct() -> None:
    assert set(COLORS) == set(LETTERS) == set(KINDS)
    assert len(set(LETTERS.values())) == len(KINDS) == len(set(COLORS.values()))
    for color in COLORS.values():
        assert contrast(color, text_color(color)) >= 4.5
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert mixed("#ff0000", "#0000ff", 0.5) == "#800080"


def test_a_network_in_one_line(resnet: BlockView) -> None:
    line = strip(resnet, color=False)
    assert line.plain == "stem | bottleneck ×3 | … ×4 | … ×6 | … ×3 | head"
    colored = strip(resnet)
    assert all(name in colored.plain for name in ("stem", "bottleneck ×3", "… ×6", "head"))
    styles = {str(span.style) for span in colored.spans}
    assert f"{text_color(COLORS['convolution'])} on {COLORS['convolution']}" in styles


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("width", [20, 40, 60, 100, 200])
def test_a_strip_keeps_to_its_width(zoo: Zoo, color: bool, width: int) -> None:
    for name in ("timm:resnet50", "timm:convnext_tiny", "timm:hrnet_w18", "transformers:bert"):
        line = strip(blocks_of(zoo.graph_of(name)), width=max(width, 40), color=color)
        assert line.cell_len <= max(width, 40)
        assert line.plain.lstrip().startswith(("stem", "ste", "emb"))


def test_equal_blocks_stand_under_each_other(zoo: Zoo, resnet: BlockView) -> None:
    hits = [blocks_of(zoo.graph_of(f"timm:{n}")) for n in ("resnet101", "densenet121", "resnet50")]
    maps: list[list[int | None]] = [
        list(range(6)),
        [0, *[None] * 7, 5],
        list(range(6)),
    ]
    lines = aligned_strips(resnet, hits, maps, width=120, color=False)
    query, deeper, dense, same = (line.plain for line in lines)
    assert query == same
    assert deeper.index("×23") < query.index("×6") + 3
    assert len({line.index("head") for line in (query, deeper, dense, same)}) == 1
    assert "+ dense layer ×6 · transition · 5 more" in dense
    assert "bottleneck" not in dense


def test_blocks_in_another_order_keep_the_order_of_their_network(resnet: BlockView) -> None:
    query, hit = aligned_strips(resnet, [resnet], [[0, 4, 1, 2, 3, 5]], width=120, color=False)
    names = [cell.strip() for cell in hit.plain.split("|") if cell.strip()]
    assert names == ["stem", "bottleneck ×3", "… ×4", "… ×6", "… ×3", "head"]
    assert hit.plain.index("… ×4") == query.plain.index("bottleneck")
    assert "+" not in hit.plain


def test_a_strip_of_forty_thousand_blocks(resnet: BlockView) -> None:
    stem, block, *_ = resnet.blocks
    many = BlockView(resnet.graph, (stem, *[block] * 40_000), resnet.block_of)
    begin = time.process_time()
    line = strip(many, width=80, color=False)
    assert line.cell_len <= 80
    assert "⋯ 39" in line.plain
    assert time.process_time() - begin < 10


def test_maps_are_checked(resnet: BlockView) -> None:
    with pytest.raises(ValueError, match="one map for each hit"):
        aligned_strips(resnet, [resnet], [])
    with pytest.raises(ValueError, match="a map of 1 blocks for a hit of 6"):
        aligned_strips(resnet, [resnet], [[0]])
    with pytest.raises(ValueError, match="names block 9 of 6"):
        aligned_strips(resnet, [resnet], [[9] * 6])


def test_whether_a_console_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
    assert has_color(terminal)
    assert not has_color(Console(file=io.StringIO()))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_color(Console(file=io.StringIO(), force_terminal=True))
