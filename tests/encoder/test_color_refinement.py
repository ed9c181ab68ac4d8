"""Nodes of one colour get equal rows from graph layers: what the encoder of the core rests on."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch

from narfast.encoder_config import LayerKind
from narfast.nn.layers import GraphTensors, make_layer
from oracles.color_refinement import refine

NODES, ROUNDS, WIDTH = 400, 2, 8


@pytest.mark.parametrize("kind", get_args(LayerKind))
def test_nodes_of_one_color_get_one_row(kind: LayerKind) -> None:
    rng = np.random.default_rng(0)
    degree = rng.integers(0, 3, NODES)
    degree[0] = 0
    in_ptr = np.concatenate([[0], np.cumsum(degree)])
    in_src = np.concatenate([rng.integers(0, max(v, 1), d) for v, d in enumerate(degree)])
    operator = rng.integers(0, 3, NODES)
    graph = GraphTensors.from_csr(in_ptr, in_src, np.array([0, NODES]))
    features = operator.tolist()
    if kind == "gcn":  # reads degrees, too
        features = list(
            zip(features, (graph.in_degree() + graph.out_degree()).tolist(), strict=True)
        )
    colorings = refine(features, in_ptr, in_src, rounds=ROUNDS)
    counts = [len(set(colors)) for colors in colorings]
    assert counts == sorted(set(counts))  # every round tells more nodes apart
    assert counts[-1] < NODES
    torch.manual_seed(0)
    x = torch.randn(3, WIDTH, dtype=torch.float64)[operator]
    with torch.inference_mode():
        for before, colors in pairwise(colorings):
            x = make_layer(kind, WIDTH, WIDTH, dropout=0.0).double().eval()(x, graph)
            np.testing.assert_allclose(x, x[_first(colors)], rtol=0, atol=1e-12)
            assert not np.allclose(x, x[_first(before)])  # one round less says too little


def _first(colors: list[int]) -> list[int]:
    """For each node the first one of its colour."""
    return [colors.index(color) for color in colors]
