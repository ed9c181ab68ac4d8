"""Zoos keep the graphs that were read into them as long as reading has not changed."""

from __future__ import annotations

import json

import tracing_sample
from narfast.sources import registry
from narfast.sources.registry import TRACING_VERSION, library_versions


def test_other_graphs_need_another_version() -> None:
    kept = json.loads(tracing_sample.PATH.read_text())
    found = tracing_sample.digests()
    assert found.keys() == kept["digests"].keys(), "run python tests/tracing_sample.py"
    changed = {name for name in found if found[name] != kept["digests"][name]}
    assert not changed, (
        "these networks are read in another way than before; raise TRACING_VERSION in "
        "sources/registry.py and run python tests/tracing_sample.py"
    )
    assert kept["version"] == TRACING_VERSION, "run python tests/tracing_sample.py"


def test_the_version_is_part_of_what_a_zoo_was_made_by(monkeypatch) -> None:
    monkeypatch.setattr(registry, "TRACING_VERSION", 1)
    assert "tracing" not in library_versions()  # as in zoos from before there was a version
    monkeypatch.setattr(registry, "TRACING_VERSION", 2)
    assert library_versions()["tracing"] == "2"
