"""Names of the version before still work for one version, with a warning that says the new one."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import pytest

from narfast import zoo
from narfast.evaluation import protocols


@pytest.mark.parametrize(
    ("former", "current"),
    [
        ("frontends.load", "sources.loader.load"),
        ("nas.darts", "search_spaces.darts"),
        ("pretrain.run", "training.run.run"),
    ],
)
def test_modules(monkeypatch: pytest.MonkeyPatch, former: str, current: str) -> None:
    module, name = f"narfast.{former}".rsplit(".", 1)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.warns(DeprecationWarning, match=current.split(".")[0]):
        found = getattr(importlib.import_module(module), name)
    assert found is pkgutil.resolve_name(f"narfast.{current}")


@pytest.mark.parametrize(
    ("former", "current"), [("Ask", "RetrievalQuery"), ("Setting", "RetrievalTask")]
)
def test_what_protocols_are_made_of(former: str, current: str) -> None:
    with pytest.warns(DeprecationWarning, match=current):
        assert getattr(protocols, former) is getattr(protocols, current)
    with pytest.raises(AttributeError, match="no attribute 'Painting'"):
        _ = protocols.Painting


def test_architecture() -> None:
    with pytest.warns(DeprecationWarning, match="NetworkRecord"):
        assert zoo.Architecture is zoo.NetworkRecord
    with pytest.raises(AttributeError, match="no attribute 'Painting'"):
        _ = zoo.Painting
