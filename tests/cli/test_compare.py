"""``narfast compare``: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json

import pytest

from paths import ROOT

GATED = str(ROOT / "examples" / "gated_resnet.onnx")


def test_two_networks_as_text_and_json(run):
    result = run("compare", "zoo:timm:resnet50", "zoo:timm:seresnet50")
    assert result.exit_code == 0, result.output
    assert "bottleneck" in result.stdout
    value = json.loads(run("compare", "zoo:timm:resnet50", "zoo:timm:seresnet50", "--json").stdout)
    assert {"a", "b", "same_structure", "facts", "differences", "kept"} <= value.keys()


def test_figures_and_files(run, tmp_path):
    svg, html, folder = tmp_path / "p.svg", tmp_path / "p.html", tmp_path / "explorer"
    result = run(
        *("compare", "zoo:timm:resnet18", "zoo:timm:resnet34", "--svg", svg, "--html", html),
        *("--model-explorer", folder),
    )
    assert result.exit_code == 0, result.output
    assert svg.read_text().startswith("<svg")
    assert html.read_text().lower().startswith("<!doctype html>")
    assert {path.name for path in folder.iterdir()} == {"a.json", "b.json", "mapping.json"}


def test_more_than_two_give_facts_and_similarities(run):
    names = ("zoo:timm:resnet18", "zoo:timm:resnet50", "zoo:timm:vit_tiny_patch16_224")
    text = run("compare", *names)
    assert text.exit_code == 0, text.output
    assert "Similarity" in text.stdout
    value = json.loads(run("compare", *names, "--json").stdout)
    assert len(value["networks"]) == 3
    assert all(len(fact["values"]) == 3 for fact in value["facts"])
    similarity = value["similarity"]
    assert [round(similarity[i][i], 5) for i in range(3)] == [1, 1, 1]
    assert similarity[0][1] > similarity[0][2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("zoo:timm:resnet18",), "two networks or more"),
        (("zoo:timm:resnet18", "zoo:timm:nothing"), "not in the zoo"),
        (("zoo:timm:resnet18", "no_such_file.onnx"), "no_such_file"),
        (("zoo:timm:resnet18", GATED, "--svg", "picture.png"), "ends in .svg"),
        (("zoo:timm:resnet18", GATED, GATED, "--svg", "p.svg"), "take two networks"),
        (("zoo:timm:resnet18", GATED, "--zoo", "nowhere"), "nowhere"),
        (
            ("zoo:timm:resnet18", "zoo:timm:resnet34", "--svg", "no/such/folder/p.svg"),
            "no/such/folder",
        ),
    ],
)
def test_mistakes_are_one_line(run, arguments, message):
    result = run("compare", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
