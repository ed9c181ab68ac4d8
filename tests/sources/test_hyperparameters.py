"""One network from every kind of file has the same hyperparameters and module paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import narfast
from exports import VARIANTS, export, trained_looks
from narfast import operators
from narfast.graph import ArchGraph, canonicalize
from narfast.sources.onnx import load_onnx
from narfast.sources.torch_trace.tracer import trace

IMAGE = torch.zeros(1, 3, 16, 16)


class Net(nn.Module):
    """A stem with a norm to fold, layers of a list, functions between modules."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2)), nn.BatchNorm2d(8), nn.LeakyReLU(0.2)
        )
        self.layer = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1, groups=8) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        for layer in self.layer:
            x = x + F.gelu(layer(x))
        return self.head(self.norm(F.adaptive_avg_pool2d(x, 1).flatten(1)))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return trained_looks(Net())


def rows_of(graph: ArchGraph) -> list[tuple[str, dict[str, Any]]]:
    assert graph.hyperparameters is not None
    graph.hyperparameters.check(graph.num_nodes)
    rows = [(name, graph.hyperparameters.of(node)) for node, name in enumerate(graph.op_names())]
    for name, row in rows:
        if name == "global_avg_pool":
            row.pop("axes", None)  # not every spelling has them
    return rows


def sum_of_parameters(graph: ArchGraph) -> int:
    assert graph.hyperparameters is not None
    return int(graph.hyperparameters.first("params", 0).sum())


@pytest.mark.parametrize("variant", VARIANTS)
def test_onnx_says_what_the_trace_says(net: nn.Module, variant: str, tmp_path: Path) -> None:
    export(net, (IMAGE,), tmp_path / "net.onnx", variant)
    graph = narfast.load(tmp_path / "net.onnx")
    expected = rows_of(canonicalize(trace(net, (IMAGE,))))
    if "folded" in variant:
        stem = expected[1][1]
        del stem["fused"]
        stem["params"] -= 2 * 8
        if variant == "dynamo_folded":
            stem["path"] = "stem.1"  # PyTorch's optimizer keeps the place of the norm
    assert rows_of(graph) == expected
    assert sum_of_parameters(graph) == graph.meta.params


def test_an_exported_program_says_what_the_trace_says(net: nn.Module, tmp_path: Path) -> None:
    torch.export.save(torch.export.export(net, (IMAGE,)), str(tmp_path / "net.pt2"))
    graph = narfast.load(tmp_path / "net.pt2")
    assert rows_of(graph) == rows_of(canonicalize(trace(net, (IMAGE,))))
    assert sum_of_parameters(graph) == graph.meta.params


def weight(name: str, *shape: int, dtype: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(shape, dtype), name)


def read(
    tmp_path: Path,
    nodes: list[onnx.NodeProto],
    shape: list[int],
    weights: list[onnx.TensorProto],
) -> list[tuple[str, dict[str, Any]]]:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        weights,
    )
    path = tmp_path / "net.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return [(name, row) for name, row in rows_of(load_onnx(path)) if name != "input"]


@pytest.mark.parametrize("transposed", [False, True])
def test_dense_layers_have_their_widths(tmp_path: Path, transposed: bool) -> None:
    shape = (8, 64) if transposed else (64, 8)
    gemm = helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], transB=int(transposed))
    rows = read(tmp_path, [gemm], [1, 64], [weight("fc.weight", *shape), weight("fc.bias", 8)])
    widths = {"in_channels": 64, "out_channels": 8, "params": 520, "path": "fc"}
    assert rows == [("linear", widths)]
    matmul = helper.make_node("MatMul", ["x", "fc.weight"], ["y"])
    ((name, row),) = read(tmp_path, [matmul], [1, 5, 64], [weight("fc.weight", 64, 8)])
    assert name == "linear"
    assert (row["in_channels"], row["out_channels"], row["params"]) == (64, 8, 512)


def test_attention_of_a_runtime_has_its_heads(tmp_path: Path) -> None:
    node = helper.make_node(
        "Attention", ["x", "w", "b"], ["y"], domain="com.microsoft", num_heads=4
    )
    rows = read(tmp_path, [node], [1, 10, 64], [weight("w", 64, 192), weight("b", 192)])
    assert [row["heads"] for name, row in rows if name == "attention"] == [4]
    assert sum(row.get("params", 0) for _, row in rows) == 64 * 192 + 192


def test_quantized_weights(tmp_path: Path) -> None:
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    weights = [weight(name, dtype=np.uint8 if name.endswith("z") else np.float32) for name in names]
    weights[names.index("w")] = weight("w", 16, 3, 3, 3, dtype=np.uint8)
    node = helper.make_node("QLinearConv", names, ["y"], pads=[1, 1, 1, 1])
    ((name, row),) = read(tmp_path, [node], [1, 3, 8, 8], weights[1:])
    assert name == "conv"
    assert row["kernel"] == (3, 3)
    assert row["padding"] == (1, 1)


@pytest.mark.parametrize(
    "source",
    [
        "nasbench201:|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|",
        "darts:DARTS_V2",
    ],
)
def test_cells_of_search_spaces(source: str) -> None:
    graph = narfast.load(source)
    assert graph.hyperparameters is not None
    graph.hyperparameters.check(graph.num_nodes)
    norm = operators.by_name("batch_norm").id
    convs = [
        row
        for name, row in rows_of(graph)
        if operators.by_name(name).category == "convolution" and "in_channels" in row
    ]
    assert convs
    assert convs[0]["in_channels"] == 3
    assert convs[0]["fused"] == (norm,)
    for row in convs:
        weights = row["out_channels"] * row["in_channels"] // row["groups"]
        norms = 2 * row["out_channels"] * len(row.get("fused", ()))
        assert row["params"] == weights * int(np.prod(row["kernel"])) + norms
