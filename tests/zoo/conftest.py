"""A zoo of made-up networks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from narfast.zoo.store import write_zoo
from zoo_fakes import FakeEncoder, contents


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("zoos") / "zoo"
    write_zoo(path, contents().embedded(FakeEncoder(), source="fake"))
    return path


@pytest.fixture
def zoo_path(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "zoo"))
