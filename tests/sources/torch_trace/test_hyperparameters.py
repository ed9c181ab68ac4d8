"""Hyperparameters and module paths that tracing finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import narfast
from narfast import operators
from narfast.graph import ArchGraph, canonicalize
from narfast.sources._torchvision_compat import import_torchvision
from narfast.sources.torch_trace.tracer import trace

IMAGE = torch.zeros(1, 16, 32, 32)
TOKENS = torch.zeros(1, 10, 64)


class Function(nn.Module):
    """A module out of a function of itself and its inputs."""

    def __init__(self, function: Any, **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *args: Tensor) -> Any:
        return self.function(self, *args)


def known(graph: ArchGraph) -> list[tuple[str, dict[str, Any]]]:
    """Names and hyperparameters of the operators that have any, without inputs."""
    assert graph.hyperparameters is not None
    graph.hyperparameters.check(graph.num_nodes)
    rows = [graph.hyperparameters.of(node) for node in range(graph.num_nodes)]
    return [
        (name, row) for name, row in zip(graph.op_names(), rows, strict=True) if name != "input"
    ]


def only(module: nn.Module, *inputs: Tensor, op: str | None = None) -> dict[str, Any]:
    """The hyperparameters, without path, of the one operator of a canonical graph."""
    rows = known(canonicalize(trace(module, inputs)))
    (row,) = [row for name, row in rows if op in (None, name)]
    return {name: value for name, value in row.items() if name != "path"}


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (
            nn.Conv2d(16, 64, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=4),
            (16, 32, 32),
            {
                "kernel": (3, 5),
                "stride": (2, 1),
                "dilation": (1, 2),
                "padding": (1, 2),
                "groups": 4,
                "in_channels": 16,
                "out_channels": 64,
                "params": 64 * 4 * 15 + 64,
            },
        ),
        (
            nn.Conv1d(64, 8, 4, stride=4, bias=False),
            (64, 20),
            {
                "kernel": (4,),
                "stride": (4,),
                "dilation": (1,),
                "padding": (0,),
                "groups": 1,
                "in_channels": 64,
                "out_channels": 8,
                "params": 64 * 8 * 4,
            },
        ),
        (
            nn.ConvTranspose2d(16, 8, 2, stride=2, groups=2),
            (16, 32, 32),
            {
                "kernel": (2, 2),
                "stride": (2, 2),
                "dilation": (1, 1),
                "padding": (0, 0),
                "groups": 2,
                "in_channels": 16,
                "out_channels": 8,
                "params": 16 * 4 * 4 + 8,
            },
        ),
        (
            nn.MaxPool2d(3, 2, 1),
            (16, 32, 32),
            {"kernel": (3, 3), "stride": (2, 2), "dilation": (1, 1), "padding": (1, 1)},
        ),
        (
            nn.AvgPool2d((2, 3)),
            (16, 32, 32),
            {"kernel": (2, 3), "stride": (2, 3), "padding": (0, 0)},
        ),
        (nn.AdaptiveAvgPool2d((7, 5)), (16, 32, 32), {"output_size": (7, 5)}),
        (nn.AdaptiveMaxPool2d(4), (16, 32, 32), {"kernel": (8, 8), "stride": (8, 8)}),
        (nn.AdaptiveAvgPool2d(1), (16, 32, 32), {"axes": (2, 3)}),
        (nn.BatchNorm2d(16).eval(), (16, 32, 32), {"norm_size": 16, "params": 32}),
        (nn.GroupNorm(4, 16), (16, 8, 8), {"norm_size": 16, "norm_groups": 4, "params": 32}),
        (nn.InstanceNorm2d(16, affine=True), (16, 8, 8), {"norm_size": 16, "params": 32}),
        (nn.LayerNorm(64), (10, 64), {"norm_size": 64, "params": 128}),
        (nn.LayerNorm((10, 64)), (10, 64), {"norm_size": 640, "params": 1280}),
        (nn.RMSNorm(64), (10, 64), {"norm_size": 64, "params": 64}),
        (nn.GRU(64, 32), (10, 64), {"in_channels": 64, "out_channels": 32, "params": 9408}),
        (nn.Linear(64, 8), (10, 64), {"in_channels": 64, "out_channels": 8, "params": 520}),
        (nn.LeakyReLU(0.2), (16, 8, 8), {"slope": 0.2}),
        (nn.LeakyReLU(float("inf")), (16, 8, 8), {}),
        (nn.PReLU(16), (16, 8, 8), {"params": 16}),
        (nn.Softmax(-1), (10, 64), {"axes": (2,)}),
        (nn.Upsample(scale_factor=2), (16, 8, 8), {"output_size": (16, 16)}),
        (nn.Upsample((50, 20), mode="bilinear"), (16, 8, 8), {"output_size": (50, 20)}),
    ],
    ids=str,
)
def test_a_layer(layer: nn.Module, shape: tuple[int, ...], expected: dict[str, Any]) -> None:
    assert only(layer, torch.zeros(1, *shape)) == expected


def test_padding_by_name_is_what_it_comes_to() -> None:
    row = only(nn.Conv2d(16, 16, 3, padding="same", dilation=2), IMAGE)
    assert (row["padding"], row["dilation"]) == ((2, 2), (2, 2))


def test_an_embedding_has_its_table() -> None:
    row = only(nn.Embedding(100, 32), torch.zeros(1, 5, dtype=torch.long))
    assert row == {"in_channels": 100, "out_channels": 32, "params": 3200}


def test_every_direction_and_layer_of_a_recurrent_network() -> None:
    lstm = nn.LSTM(64, 32, 2, bidirectional=True, batch_first=True)
    rows = [row for name, row in known(trace(lstm, (TOKENS,))) if name == "lstm"]
    # The width is that of both directions.
    assert [(row["in_channels"], row["out_channels"]) for row in rows] == [(64, 64), (64, 64)]
    assert sum(row["params"] for row in rows) == sum(p.numel() for p in lstm.parameters())


def test_a_deformable_convolution() -> None:
    import_torchvision()
    from torchvision.ops import DeformConv2d

    module = Function(
        lambda self, x: self.bend(x, self.offset(x)),
        offset=nn.Conv2d(16, 18, 3, padding=1),
        bend=DeformConv2d(16, 8, 3, padding=1, stride=1),
    )
    (row,) = [row for name, row in known(trace(module, (IMAGE,))) if name == "deform_conv"]
    assert row["kernel"] == (3, 3)
    assert row["padding"] == (1, 1)
    assert (row["in_channels"], row["out_channels"]) == (16, 8)
    assert row["params"] == 8 * 16 * 9 + 8
    assert row["path"] == "bend"


def heads(x: Tensor, count: int) -> Tensor:
    return x.unflatten(-1, (count, 16)).transpose(1, 2)


def test_heads_of_grouped_queries() -> None:
    module = Function(
        lambda self, x: self.out(
            F.scaled_dot_product_attention(
                heads(self.q(x), 4), heads(self.k(x), 1), heads(self.v(x), 1), enable_gqa=True
            )
            .transpose(1, 2)
            .flatten(2)
        ),
        q=nn.Linear(64, 64),
        k=nn.Linear(64, 16),
        v=nn.Linear(64, 16),
        out=nn.Linear(64, 64),
    )
    rows = known(canonicalize(trace(module, (TOKENS,))))
    assert [name for name, _ in rows] == ["linear", "attention", "linear"]
    assert rows[0][1]["out_channels"] == 64 + 16 + 16
    assert rows[0][1]["params"] == 65 * 96
    assert rows[1][1] == {"heads": 4, "key_heads": 1, "head_size": 16, "path": ""}


def test_attention_written_out_has_the_heads_of_its_softmax() -> None:
    def attend(self: nn.Module, x: Tensor) -> Tensor:
        q, k, v = (heads(layer(x), 4) for layer in (self.q, self.k, self.v))
        return torch.softmax(q @ k.transpose(-1, -2) / 4, -1) @ v

    module = Function(attend, q=nn.Linear(64, 64), k=nn.Linear(64, 64), v=nn.Linear(64, 64))
    rows = dict(known(canonicalize(trace(module, (TOKENS,)))))
    assert rows["attention"]["heads"] == 4


def test_parts_of_one_weight_have_their_part_of_its_parameters() -> None:
    attention = nn.MultiheadAttention(64, 8, batch_first=True)
    context = torch.zeros(1, 10, 64)
    graph = canonicalize(trace(attention, (TOKENS, context, context)))
    rows = [row for name, row in known(graph) if name == "linear"]
    assert sum(row["params"] for row in rows) == graph.meta.params
    assert {row["out_channels"] for row in rows} <= {64, 128}


class Blocks(nn.Module):
    """A block that is called twice, under two names, between functions."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.alias = self.block
        self.stages = nn.ModuleDict({"one": Function(lambda self, x: F.gelu(x))})

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages["one"](self.block(x))
        return torch.tanh(self.alias(x))


def test_paths_of_modules_functions_and_shared_modules() -> None:
    graph = canonicalize(trace(Blocks().eval(), (IMAGE,)))
    rows = known(graph)
    assert [(name, row["path"]) for name, row in rows] == [
        ("conv", "block.0"),
        ("relu", "block.2"),
        ("gelu", "stages.one"),
        ("conv", "block.0"),
        ("relu", "block.2"),
        ("tanh", ""),
    ]
    assert rows[0][1]["fused"] == (operators.by_name("batch_norm").id,)
    # A module that is called twice counts at both places.
    assert sum(row.get("params", 0) for _, row in rows) == 2 * graph.meta.params


class ChangesItself(Blocks):
    """A network that changes its weights, which autograd refuses: its calls are recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        self.scale += 1
        return super().forward(x) * self.scale


def test_recorded_calls_say_the_same() -> None:
    plain, recorded = trace(Blocks().eval(), (IMAGE,)), trace(ChangesItself().eval(), (IMAGE,))
    assert (plain.meta.trace_kind, recorded.meta.trace_kind) == ("autograd", "dispatch")
    *rows, scale = known(canonicalize(recorded))
    assert rows == known(canonicalize(plain))
    assert scale == ("mul", {"params": 16, "path": ""})


@pytest.mark.parametrize("source", ["timm:resnet50", "timm:vit_base_patch16_224"])
def test_all_parameters_are_somewhere(source: str) -> None:
    # Elsewhere the sum is larger where layers share weights (T5's tied embeddings), and smaller
    # where a network does not use all its parameters (`meta.untraced`).
    graph = narfast.load(source)
    assert graph.hyperparameters is not None
    assert int(graph.hyperparameters.first("params", 0).sum()) == graph.meta.params
    assert graph.hyperparameters.paths.count(None) == graph.op_names().count("input")
