"""``narfast draw``: a picture in a file, or the blocks in the terminal."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest


def test_blocks_in_the_terminal(run, zoo_path):
    result = run("draw", "fake:plain_3", "--zoo", zoo_path)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert " | " in lines[0]
    assert any(line.split()[:2] == ["block", "name"] for line in lines)
    assert result.stderr == ""


@pytest.mark.parametrize("opened", [[], ["--open", "all"], ["--open", "0"]])
def test_an_svg_file(run, zoo_path, tmp_path, opened):
    path = tmp_path / "net.svg"
    result = run("draw", "fake:plain_3", "-o", path, "--zoo", zoo_path, *opened)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "blocks" in result.stderr
    assert ET.parse(path).getroot().tag.endswith("svg")


def test_an_html_file(run, zoo_path, tmp_path):
    path = tmp_path / "net.HTML"
    result = run("draw", "fake:plain_3", "-o", path, "--zoo", zoo_path)
    assert result.exit_code == 0, result.output
    assert path.read_text().startswith("<!doctype html>")


def test_blocks_are_opened_by_name(run, tmp_path):
    path = tmp_path / "net.svg"
    result = run("draw", "zoo:timm:resnet50", "-o", path, "--open", "bottleneck", "--open", "5")
    assert result.exit_code == 0, result.output
    text = path.read_text()
    assert text.count('class="frame"') == 5


def test_an_unknown_block_is_named(run, tmp_path):
    result = run("draw", "zoo:timm:resnet50", "-o", tmp_path / "net.svg", "--open", "77")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: --open 77: no such block; 'narfast draw' without -o lists the blocks, numbered 0 "
        "to 5\n"
    )


@pytest.mark.parametrize("block", ["9" * 5000, "٣", "-1", ""])
def test_what_is_no_number_of_a_block(run, zoo_path, block):
    result = run("draw", "fake:plain_3", "--open", block, "--zoo", zoo_path)
    assert result.exit_code == 2
    assert "no such block" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_output_that_cannot_be_written_is_named(run, zoo_path, tmp_path):
    folder = tmp_path / "folder.svg"
    folder.mkdir()
    for path in (folder, tmp_path / "missing" / "net.svg"):
        result = run("draw", "fake:plain_3", "-o", path, "--zoo", zoo_path)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: {path}: ")
    assert list(tmp_path.glob("*.svg*")) == [folder]
