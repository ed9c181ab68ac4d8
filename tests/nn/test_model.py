"""Layers and losses against slow twins, gradients included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from narfast._settings import read_settings
from narfast.encoder_config import ATTRIBUTE_FIELDS, EncoderConfig
from narfast.nn.features import AttributeTable, NodeFeatures, OneHotFeatures
from narfast.nn.layers import GcnLayer, GraphTensors, Readout, make_layer
from narfast.nn.losses import ContextScorer, context_contrast, supervised_contrast
from oracles import learning as oracle


@pytest.fixture(autouse=True)
def _double_precision() -> None:
    torch.manual_seed(0)


def gradients_agree(fast: Tensor, slow: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(fast, slow)
    for a, b in zip(
        torch.autograd.grad(fast, inputs), torch.autograd.grad(slow, inputs), strict=True
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
def test_supervised_contrast() -> None:
    vectors = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    label = [0, 1, 0, 2, 1, 0, 3]
    fast = supervised_contrast(vectors, torch.tensor(label), temperature=0.3)
    gradients_agree(fast, oracle.supervised_contrast(vectors, label, 0.3), vectors)


def test_supervised_contrast_without_positives() -> None:
    vectors = torch.randn(3, 4, requires_grad=True)
    loss = supervised_contrast(vectors, torch.tensor([0, 1, 2]))
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, vectors)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("negative", [[[1, 2], [0, -1], [0, 1]], [[-1], [-1], [-1]]])
def test_context_contrast(negative: list[list[int]]) -> None:
    scorer = ContextScorer(4).double()
    with torch.no_grad():
        scorer.bias.fill_(0.3)
    motif = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    context = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    fast = context_contrast(scorer, motif, context, torch.tensor(negative))
    slow = oracle.context_contrast(scorer.bilinear.weight, scorer.bias, motif, context, negative)
    gradients_agree(fast, slow, motif, context, scorer.bilinear.weight, scorer.bias)


def graph_of(edges: list[tuple[int, int]], num_nodes: int, segments: list[int]) -> GraphTensors:
    edges = sorted(edges, key=lambda edge: edge[1])
    in_degree = np.bincount([t for _, t in edges], minlength=num_nodes)
    return GraphTensors.from_csr(
        np.concatenate([[0], np.cumsum(in_degree)]).astype(np.int64),
        np.array([s for s, _ in edges], dtype=np.int64),
        np.array(segments, dtype=np.int64),
    )


EDGES = [(0, 1), (0, 2), (1, 2), (1, 2), (3, 4)]


def test_gcn() -> None:
    layer = GcnLayer(3, 4, dropout=0.5).double().eval()
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    fast = layer(x, graph_of(EDGES, 5, [0, 3, 5]))
    slow = oracle.gcn(x, layer.linear.weight, layer.linear.bias, EDGES)
    torch.testing.assert_close(fast, slow)
    gradients_agree(fast.square().sum(), slow.square().sum(), x, layer.linear.weight)


def test_gat() -> None:
    layer = make_layer("gat", 3, 8, dropout=0.5).double().eval()
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    fast = layer(x, graph_of(EDGES, 5, [0, 3, 5]))
    slow = oracle.gat(layer, x, EDGES)
    torch.testing.assert_close(fast, slow)
    gradients_agree(fast.square().sum(), slow.square().sum(), x, layer.linear.weight, layer.source)
    with pytest.raises(ValueError, match="multiple of 4"):
        make_layer("gat", 3, 6, dropout=0.0)


@pytest.mark.parametrize("kind", ["gcn", "gat", "bidirectional"])
def test_layers_do_not_mix_networks(kind: str) -> None:
    layer = make_layer(kind, 3, 4, dropout=0.0).eval()  # type: ignore[arg-type]
    x = torch.randn(5, 3)
    together = layer(x, graph_of(EDGES, 5, [0, 3, 5]))
    first = layer(x[:3], graph_of(EDGES[:4], 3, [0, 3]))
    second = layer(x[3:], graph_of([(0, 1)], 2, [0, 2]))
    torch.testing.assert_close(together, torch.cat([first, second]))


def test_direction_matters_to_the_bidirectional_layer_only() -> None:
    x = torch.randn(3, 3)
    forward, backward = graph_of([(0, 1), (1, 2)], 3, [0, 3]), graph_of([(1, 0), (2, 1)], 3, [0, 3])
    gcn = make_layer("gcn", 3, 3, dropout=0.0)
    torch.testing.assert_close(gcn(x, forward), gcn(x, backward))
    both = make_layer("bidirectional", 3, 3, dropout=0.0)
    assert (both(x, forward) - both(x, backward)).abs().max() > 1e-3


def test_readouts() -> None:
    x = torch.tensor([[1.0, -2.0], [3.0, 4.0], [-1.0, 0.5]])
    ptr = torch.tensor([0, 2, 2, 3])
    result = Readout(["mean", "sum_log", "max"])(x, ptr)
    expected = [
        [2.0, 1.0, np.log(5.0), np.log(5.0), 3.0, 4.0],
        [0.0] * 6,
        [-1.0, 0.5, 0.0, np.log(1.5), -1.0, 0.5],
    ]
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float32))
    with pytest.raises(ValueError, match="median"):
        Readout(["median"])  # type: ignore[list-item]


def test_attribute_table_reads_every_field() -> None:
    table = AttributeTable(ATTRIBUTE_FIELDS, 4)
    assert sum(bits for _, _, bits in ATTRIBUTE_FIELDS) == 25
    for _, shift, bits in ATTRIBUTE_FIELDS:
        values = torch.arange(2**bits) << shift
        rows = table(values)
        assert len(torch.unique(rows, dim=0)) == 2**bits
    offsets = np.cumsum([0, *(2**bits for _, _, bits in ATTRIBUTE_FIELDS)])[:-1]
    torch.testing.assert_close(
        table(torch.tensor([0]))[0], table.table.weight[torch.from_numpy(offsets)].sum(dim=0)
    )


def test_features() -> None:
    op, attr = torch.tensor([2, 0]), torch.tensor([1 << 3, 0])
    assert OneHotFeatures(3)(op, attr).tolist() == [[0, 0, 1], [1, 0, 0]]
    features = NodeFeatures(3, 4, ATTRIBUTE_FIELDS)
    torch.testing.assert_close(
        features(op, attr), features.operator.weight[op] + features.attribute(attr)
    )
    assert isinstance(features.operator, nn.Embedding)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"motif_layers": 10**9}, "motif_layers"),
        ({"motif_dim": 0}, "motif_dim"),
        ({"motif_dim": "128"}, "motif_dim must be int"),
        ({"layer": "gin"}, "layer must be one of"),
        ({"motif_readouts": []}, "motif_readouts"),
        ({"macro_readouts": "mean"}, "macro_readouts must be a list"),
        ({"wide_dim": 8}, "wide_share"),
        ({"colour": 1}, "unknown setting colour"),
        ({"attribute_fields": [["kernel", 40, 3]]}, "attribute_fields shift"),
    ],
)
def test_bad_settings(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_settings(EncoderConfig, values)
