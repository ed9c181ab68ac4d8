"""A zoo of made-up networks, and parts of few rows."""

from __future__ import annotations

import pytest

from narfast.bulk import tables
from narfast.zoo.store import write_zoo
from zoo_fakes import contents


@pytest.fixture
def zoo_path(tmp_path):
    write_zoo(tmp_path / "zoo", contents())
    return str(tmp_path / "zoo")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(tables, "_PART_ROWS", 8)
    monkeypatch.setattr("narfast.bulk.sources._NAMED", 4)
