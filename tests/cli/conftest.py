"""A zoo of made-up networks, and the command line run in this process."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from narfast.bulk import LocalEngine, engines
from narfast.cli import app as cli
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.sources import loader
from narfast.zoo import NetworkRecord, Zoo
from narfast.zoo.store import ZooContents, write_zoo
from zoo_fakes import NAMES, FakeEncoder, load


@pytest.fixture
def zoo_path(tmp_path):
    networks = [(NetworkRecord.of(name, load(name)), load(name)) for name in NAMES]
    contents = ZooContents.from_networks(networks).embedded(FakeEncoder(), source="fake")
    write_zoo(tmp_path / "zoo", contents)
    return tmp_path / "zoo"


@pytest.fixture
def run(monkeypatch):
    """Run the CLI in this process, with the made-up networks in place of libraries and weights."""
    monkeypatch.setattr(loader, "load", load)
    monkeypatch.setattr("narfast.zoo.zoo.load", lambda source, allow=None: load(source))
    monkeypatch.setattr(ArchitectureEncoder, "from_pretrained", lambda source: FakeEncoder())
    monkeypatch.setattr(
        engines,
        "LocalEngine",
        lambda encoder, workers, limits: LocalEngine(
            encoder, workers, replace(limits, loader="zoo_fakes:load_raw")
        ),
    )
    monkeypatch.setattr(Zoo, "encoder", FakeEncoder())
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments):
        return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])

    return invoke
