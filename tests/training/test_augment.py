"""Random edits: valid, reproducible, and what they say they are."""

from __future__ import annotations

import numpy as np
import pytest

from narfast import operators
from narfast.graph import GraphBatch
from narfast.training.augment import AugmentConfig, augment
from networks import network, tiny_zoo

EVERYTHING = AugmentConfig(0.1, 0.3, 0.1, 0.3, 0.3, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_edited_graphs_are_valid(seed: int) -> None:
    graphs = GraphBatch.from_graphs(tiny_zoo()[0])
    edited = augment(graphs, EVERYTHING, seed=seed)
    edited.validate()
    assert len(edited) == len(graphs)
    again = augment(graphs, EVERYTHING, seed=seed)
    assert all(a.same_structure(b) for a, b in zip(edited, again, strict=True))
    other = augment(graphs, EVERYTHING, seed=seed + 1)
    assert not all(a.same_structure(b) for a, b in zip(edited, other, strict=True))


def test_no_edits() -> None:
    graphs = GraphBatch.from_graphs(tiny_zoo()[0])
    edited = augment(graphs, AugmentConfig(), seed=0)
    assert all(a.same_structure(b) for a, b in zip(edited, graphs, strict=True))


def edit(family: str, **chances: float) -> list[str]:
    graphs = GraphBatch.from_graphs([network(family, 3)])
    return augment(graphs, AugmentConfig(**chances), seed=0)[0].op_names()


def test_dropping_every_node_with_one_input() -> None:
    assert edit("vgg", drop_node=1.0) == ["input"]
    assert edit("resnet", drop_node=1.0) == ["input", "add", "add", "add"]


def test_dropping_light_operators_only() -> None:
    names = network("mixer", 3).op_names()
    assert edit("mixer", drop_kind=1.0) == [n for n in names if n != "permute"]


def test_bypassed_edges() -> None:
    graph = augment(
        GraphBatch.from_graphs([network("resnet", 2)]), AugmentConfig(drop_node=1.0), seed=0
    )[0]
    assert [graph.inputs(v).tolist() for v in range(3)] == [[], [0, 0], [1, 1]]


def test_insertions_are_systematic() -> None:
    before = network("vgg", 3).op_names()
    after = edit("vgg", insert_kind=1.0)
    assert after[::2] == before
    follower = {}
    for name, inserted in zip(after[::2], after[1::2], strict=True):
        assert follower.setdefault(name, inserted) == inserted


def test_cleared_fields_and_masked_operators() -> None:
    graph = network("vgg", 3)
    masked = edit("vgg", mask_operator=1.0)
    assert masked == [
        operators.unknown(operators.by_name(name).category).name for name in graph.op_names()
    ]
    kernels = set()
    for seed in range(60):
        edited = augment(
            GraphBatch.from_graphs([graph]), AugmentConfig(clear_field=1.0), seed=seed
        )[0]
        assert edited.op_names() == graph.op_names()
        conv = np.array(graph.op_names()) == "conv"
        assert len(set(edited.attr[conv].tolist())) == 1
        kernels.add(int(edited.attr[conv][0]) & 7)
    assert kernels == {0, 3}


def test_probabilities_are_checked() -> None:
    with pytest.raises(ValueError, match=r"augment.drop_node must be a probability, not 1.5"):
        AugmentConfig(drop_node=1.5)
