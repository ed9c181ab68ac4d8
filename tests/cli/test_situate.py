"""``narfast situate``: what it prints and writes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from narfast.zoo import NetworkRecord
from narfast.zoo.store import ZooContents, write_zoo
from zoo_fakes import NAMES, FakeEncoder, load


def test_situate(run, zoo_path, tmp_path):
    page = tmp_path / "place.html"
    result = run("situate", "fake:plain_3", "--zoo", zoo_path, "-k", 5, "--html", page)
    assert result.exit_code == 0, result.output
    assert "The nearest 5, by family" in result.stdout
    assert result.stderr == f"{page}: written\n"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_situate_json(run, zoo_path):
    result = run("situate", "fake:plain_3", "--zoo", zoo_path, "--json")
    value = json.loads(result.stdout)
    assert value["nearest_family"] == "plain"
    assert len(value["neighbours"]) == 15


@pytest.mark.parametrize(
    "arguments",
    [
        ["fake:bad_1"],
        ["zoo:nothing"],
        ["fake:plain_1", "--html", "place.svg"],
        ["fake:plain_1", "--html", "/proc/nothing/place.html"],
        ["fake:plain_1", "-k", "0"],
        ["fake:plain_1", "--zoo", "/nonexistent"],
        [],
    ],
)
def test_mistakes(run, zoo_path, arguments):
    if "--zoo" not in arguments:
        arguments = [*arguments, "--zoo", zoo_path]
    result = run("situate", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")


def test_names_of_a_zoo_do_not_control_the_terminal(run, tmp_path):
    graphs = [load(name) for name in NAMES]
    odd = "[red]a\x1b[31m"
    records = [
        replace(NetworkRecord.of(name, graph), name=odd, family=odd, source=odd)
        for name, graph in zip(NAMES, graphs, strict=True)
    ]
    contents = ZooContents.from_networks(list(zip(records, graphs, strict=True)))
    write_zoo(tmp_path / "zoo", contents.embedded(FakeEncoder(), source="fake"))
    page = tmp_path / "place.html"
    for command in (["situate", NAMES[0], "--html", page], ["search", NAMES[0]]):
        result = run(*command, "--zoo", tmp_path / "zoo")
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.stdout
        assert "[red]a\\x1b[31m" in result.stdout
    assert "\x1b" not in page.read_text(encoding="utf-8")
