"""``narfast situate``: what it prints and writes."""

from __future__ import annotations

import json

import pytest


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
