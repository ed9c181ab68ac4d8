"""A zoo of made-up networks, large enough to keep what is measured, in a cache of its own."""

from __future__ import annotations

import pytest

from narfast.zoo.store import write_zoo
from zoo_fakes import FakeEncoder, contents
from zoo_folders import open_zoo


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "narfast" / "indexes"


@pytest.fixture(scope="module")
def zoo_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("zoos") / "zoo"
    write_zoo(path, contents().embedded(FakeEncoder(), source="fake"))
    return path


@pytest.fixture
def zoo(zoo_path, cache):
    return open_zoo(zoo_path)
