"""Drawings as one HTML file: whole, offline, and with the numbers that its script needs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from narfast.blocks import BlockView, blocks_of
from narfast.drawing.html import draw_html, draw_pair_html
from narfast.drawing.pair import Correspondence, level
from narfast.drawing.scene import make_scene
from narfast.drawing.svg import line_points, path
from narfast.graph import build_graph
from narfast.zoo import Zoo


@pytest.fixture(scope="module")
def resnet() -> BlockView:
    return blocks_of(Zoo.open("default").graph_of("timm:resnet50"))


@pytest.fixture(scope="module")
def unet() -> BlockView:
    return blocks_of(Zoo.open("default").graph_of("monai:BasicUNet-2d"))


def numbers(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="drawing">(.*?)</script>', page)
    assert found
    value = json.loads(found[1])
    assert isinstance(value, dict)
    return value


def test_a_page_needs_nothing_from_elsewhere(resnet: BlockView) -> None:
    page = draw_html(resnet, open=[1], title="a <b>")
    assert page.startswith("<!doctype html>")
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<title>a &lt;b&gt;</title>" in page
    assert "src=" not in page
    data = numbers(page)
    (scene,) = data["scenes"]  # type: ignore[misc]
    assert scene["open"] == [1]
    assert len(scene["boxes"]) == 6
    assert page.count('class="opened') == page.count('class="closed') == 6
    assert len(page) < 300_000


def test_two_networks_on_one_page(resnet: BlockView) -> None:
    page = draw_pair_html(resnet, resnet, Correspondence([(i, i) for i in range(6)]), open="all")
    data = numbers(page)
    assert data["pairs"] == data["anchors"] == [[i, i] for i in range(6)]
    assert page.count('class="opened') == 12


def test_names_cannot_end_the_script() -> None:
    graph = build_graph([0], [0], [[]], [0]).with_meta(name="</script><b>")
    page = draw_html(graph)
    assert "</script><b>" not in page
    assert page.count("</script>") == 2


def test_nothing() -> None:
    assert draw_html(build_graph([], [], [], []), title="nothing")


def chromium(page: Path, tmp_path: Path) -> str:
    """The page after its script has run."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/c"]
    done = subprocess.run(
        [program, *options, "--virtual-time-budget=3000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("opened", [(), (1,), (0, 2, 5)])
def test_the_script_places_everything_as_the_figure_does(
    resnet: BlockView, unet: BlockView, opened: tuple[int, ...], tmp_path: Path
) -> None:
    pairs = [(0, 0), (1, 2), (5, 4)]
    page = tmp_path / "pair.html"
    page.write_text(draw_pair_html(resnet, unet, Correspondence(pairs), open=opened))
    text = chromium(page, tmp_path)
    scenes = make_scene(resnet), make_scene(unet)
    others = [b for a, b in pairs if a in opened]
    for i, opening in enumerate(level(scenes, (opened, others), pairs)):
        for box in opening.boxes:
            found = re.search(
                rf'id="block{i}-{box.number}"[^>]*? transform="translate\(([^)]*)\)', text
            )
            assert found
            x, y = map(float, found[1].split())
            assert (x, y) == pytest.approx((box.x - box.width / 2, box.y - box.height / 2))
        for number, line in enumerate(scenes[i].lines):
            drawn = re.search(rf'id="line{i}-{number}" marker-end="[^"]*" d="([^"]*)"', text)
            assert drawn
            expected = path(line_points(line, opening), line.sides)
            ours, theirs = (
                list(map(float, re.findall(r"-?[\d.]+", run))) for run in (expected, drawn[1])
            )
            assert theirs == pytest.approx(ours, abs=0.11)
