"""Rows of hyperparameters: storing, selecting, joining, and refusing what does not fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfast import operators
from narfast.graph import ArchGraph, GraphBatch, build_graph, canonicalize
from narfast.hyperparameters import NAMES, Hyperparameters

ROWS: list[dict[str, Any]] = [
    {"kernel": (7, 5), "stride": (2, 2), "padding": (3, -1), "params": 9408, "path": "stem.conv"},
    {},
    {"slope": 0.2, "path": ""},
    {"einsum": "bij,bkj->bik", "path": "stem.conv", "fused": (9, 9), "axes": (1,)},
    {"heads": 8, "key_heads": 2, "head_size": 64},
]


def test_rows_come_back_as_they_were() -> None:
    rows = Hyperparameters.from_rows(ROWS)
    rows.check(len(ROWS))
    assert [rows.of(node) for node in range(len(ROWS))] == ROWS
    assert rows.paths == ["stem.conv", None, "", "stem.conv", None]
    assert rows.texts.count("stem.conv") == 1
    assert rows.first("params").tolist() == [9408, -1, -1, -1, -1]
    assert rows.first("kernel", 0).tolist() == [7, 0, 0, 0, 0]
    assert repr(rows) == "Hyperparameters(nodes=5, values=18)"


def test_what_is_unknown_is_absent() -> None:
    rows = [{"kernel": None, "heads": 4, "path": None}, {"kernel": ()}, {"slope": math.inf}]
    rows += [{"slope": math.nan}, {"axes": tuple(range(9))}]
    stored = Hyperparameters.from_rows(rows)
    assert [stored.of(node) for node in range(5)] == [{"heads": 4}, {}, {}, {}, {}]


def test_numbers_beyond_64_bits_are_cut() -> None:
    stored = Hyperparameters.from_rows([{"params": 2**80, "padding": (-(2**80), 2**63)}])
    assert stored.of(0) == {"params": 2**63 - 1, "padding": (1 - 2**63, 2**63 - 1)}
    assert Hyperparameters.from_rows([{"slope": -1e300}]).of(0)["slope"] < -1e12


def test_a_name_must_be_known() -> None:
    with pytest.raises(KeyError):
        Hyperparameters.from_rows([{"colour": 3}])


def test_no_nodes() -> None:
    rows = Hyperparameters.from_rows([])
    rows.check(0)
    assert rows.paths == []
    assert len(rows.rows(np.empty(0, np.int32)).ptr) == 1


known = st.fixed_dictionaries(
    {},
    optional={
        "kernel": st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
        "padding": st.lists(st.integers(-3, 3), min_size=1, max_size=3).map(tuple),
        "params": st.integers(0, 2**63 - 1),
        "slope": st.integers(-(10**6), 10**6).map(lambda n: n / 10**6),
        "path": st.sampled_from(["", "a.b", "ü→", "ij,jk->ik"]),
        "einsum": st.sampled_from(["", "a.b", "ü→", "ij,jk->ik"]),
        "fused": st.lists(st.integers(0, 20), min_size=1, max_size=4).map(tuple),
    },
)


@given(st.lists(st.lists(known, max_size=5) | st.none(), min_size=1, max_size=4), st.data())
def test_joining_separating_and_selecting(
    graphs: list[list[dict[str, Any]] | None], data: st.DataObject
) -> None:
    sizes = [2 if rows is None else len(rows) for rows in graphs]
    parts = [None if rows is None else Hyperparameters.from_rows(rows) for rows in graphs]
    texts = [() if part is None else part.texts for part in parts]
    arrays = Hyperparameters.concatenated(parts, sizes)
    node_ptr = np.cumsum([0, *sizes], dtype=np.int64)
    for rows, size, again in zip(
        graphs, sizes, Hyperparameters.separated(arrays, node_ptr, texts), strict=True
    ):
        again.check(size)
        rows = rows or [{}] * size
        assert [again.of(node) for node in range(size)] == rows
        chosen = data.draw(st.lists(st.integers(0, size - 1), max_size=6)) if size else []
        some = again.rows(np.array(chosen, np.int32))
        some.check(len(chosen))
        assert [some.of(node) for node in range(len(chosen))] == [rows[node] for node in chosen]
    bare = Hyperparameters.separated(arrays, node_ptr)
    assert all(part.texts == () for part in bare)


@pytest.mark.parametrize(
    "change",
    [
        {"ptr": np.array([0, 1], np.int64)},
        {"ptr": np.array([], np.int64)},
        {"ptr": np.array([1, 1, 2, 3], np.int64)},
        {"ptr": np.array([0, 2, 1, 3], np.int64)},
        {"ptr": np.array([0, 1, 2, 4], np.int64)},
        {"value": np.array([1, 2], np.int64)},
        {"key": np.array([0, len(NAMES), NAMES.index("path")], np.uint8)},
        {"key": np.array([3, 0, NAMES.index("path")], np.uint8), "ptr": np.array([0, 2, 2, 3])},
        {"texts": ()},
        {"value": np.array([3, 1, -1], np.int64)},
    ],
    ids=lambda change: "-".join(change),
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    arrays: dict[str, Any] = {
        "ptr": np.array([0, 1, 2, 3], np.int64),
        "key": np.array([0, 1, NAMES.index("path")], np.uint8),
        "value": np.array([3, 1, 0], np.int64),
        "texts": ("head",),
    }
    Hyperparameters(**arrays).check(3)
    with pytest.raises(ValueError, match="hyperparameters"):
        Hyperparameters(**arrays | change).check(3)


def test_operators_by_their_number_here() -> None:
    renumbered = np.arange(20, dtype=np.uint16) + 5
    rows = Hyperparameters.from_rows([{"fused": (9, 3), "heads": 4}]).with_operators(renumbered)
    assert rows.of(0) == {"fused": (14, 8), "heads": 4}


def chain(names: list[str], rows: list[dict[str, Any]] | None) -> ArchGraph:
    count = len(names)
    ids = [operators.by_name(name).id for name in names]
    inputs = [[node - 1] if node else [] for node in range(count)]
    return build_graph(ids, [0] * count, inputs, [count - 1], hyperparameters=rows)


def test_graphs_with_and_without_side_by_side() -> None:
    rows = [{}, {"kernel": (3, 3), "params": 10, "path": "a"}, {"params": 4}, {"path": "b"}]
    names = ["input", "conv", "batch_norm", "relu"]
    batch = canonicalize(GraphBatch.from_graphs([chain(names, None), chain(names, rows)]))
    bare, known = batch
    assert bare.hyperparameters is None
    assert bare.same_structure(known)
    assert bare.structural_hash == known.structural_hash
    assert known.hyperparameters is not None
    assert [known.hyperparameters.of(node) for node in range(known.num_nodes)] == [
        {},
        {
            "kernel": (3, 3),
            "params": 14,
            "fused": (operators.by_name("batch_norm").id,),
            "path": "a",
        },
        {"path": "b"},
    ]


def test_build_graph_renumbers_rows() -> None:
    relu, source = operators.by_name("relu").id, operators.by_name("input").id
    rows = [{"path": "last"}, {"path": "lost"}, {"path": "first"}]
    graph = build_graph([relu, relu, source], [0] * 3, [[2], [2], []], [0], hyperparameters=rows)
    assert graph.hyperparameters is not None
    assert graph.hyperparameters.paths == ["first", "last"]
