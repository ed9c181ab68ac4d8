"""Names of the version before still work for one version, with a warning that says the new one."""

from __future__ import annotations

import importlib
import sys

import pytest

import narfast
from narfast import zoo
from narfast.graph import canonicalize


def test_frontends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "narfast.frontends", raising=False)
    with pytest.warns(DeprecationWarning, match="narfast.sources"):
        module = importlib.import_module("narfast.frontends")
    assert module.load is narfast.load


def test_architecture() -> None:
    with pytest.warns(DeprecationWarning, match="NetworkRecord"):
        assert zoo.Architecture is zoo.NetworkRecord
    with pytest.raises(AttributeError, match="no attribute 'Painting'"):
        _ = zoo.Painting


def test_canonicalization_passes() -> None:
    graph = narfast.load("nasbench201:" + "|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|")
    old = canonicalize(graph, passes=["drop_transparent", "merge_twins"])
    new = canonicalize(graph, passes=["eliminate_identity", "eliminate_common_subexpressions"])
    assert old.same_structure(new)
