"""torch.export files: the same structure as a trace of the module, and everything that is no such
file.

`test_pt2_hostile.py` has the damaged files.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import narfast
from narfast.graph import canonicalize
from narfast.sources.loader import load_raw
from narfast.sources.pt2 import load_pt2
from pt2_files import ConvNet, export, program_of, repacked


class Text(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.position = nn.Parameter(torch.zeros(1, 6, 16))
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 50)

    def forward(self, tokens: torch.Tensor) -> Any:
        x = self.embedding(tokens) + self.position
        return {"scores": self.head(self.encoder(x)), "first": x[:, 0]}


class EinsumAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.mix = nn.Parameter(torch.rand(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (t.unflatten(-1, (4, 4)) for t in self.qkv(x).chunk(3, dim=-1))
        scores = torch.einsum("bihd,bjhd->bhij", q, k) * 0.5
        scores = torch.einsum("gh,bhij->bgij", self.mix, scores).softmax(-1)
        return torch.einsum("bhij,bjhd->bihd", scores, v).flatten(2)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 16, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(32, 16, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gru(self.lstm(x)[0])[0][:, -1]


class InPlace(nn.Module):
    """Writes into a slice of an activation, and into a view of all of one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        x[:, :4] += x[:, 4:]
        x.view(x.shape[0], -1).relu_()
        return x.mul_(2.0)


class Frozen(nn.Module):
    """A part without gradients, which torch.export writes as a subgraph."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = self.body(x).tanh()
        return self.head(x)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.unused = nn.Linear(8, 8), nn.Linear(3, 3)
        self.two = nn.Linear(8, 8)
        self.two.weight = self.one.weight

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(x) * scale) / 3 - x**2


NETWORKS: dict[str, tuple[type[nn.Module], tuple[torch.Tensor, ...]]] = {
    "convolutions": (ConvNet, (torch.rand(2, 3, 16, 16),)),
    "text": (Text, (torch.randint(0, 50, (1, 6)),)),
    "einsum": (EinsumAttention, (torch.rand(2, 5, 16),)),
    "recurrent": (Recurrent, (torch.rand(2, 5, 8),)),
    "in_place": (InPlace, (torch.rand(2, 3, 8, 8),)),
    "frozen": (Frozen, (torch.rand(2, 8),)),
    "tied": (Tied, (torch.rand(2, 8), torch.rand(2, 8))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_file_and_trace_have_one_structure(name: str, tmp_path: Path) -> None:
    kind, inputs = NETWORKS[name]
    module = kind().eval()
    path = export(module, inputs, tmp_path / f"{name}.pt2")
    graph, traced = narfast.load(path), narfast.trace(module, inputs)
    assert graph.structural_hash == traced.structural_hash
    assert graph.meta.unknown_ops == {}
    assert graph.meta.params == traced.meta.params
    assert graph.meta.untraced == traced.meta.untraced
    assert graph.meta.input_shape == traced.meta.input_shape
    assert graph.meta.input_shapes == traced.meta.input_shapes
    assert (graph.meta.name, graph.meta.source, graph.meta.trace_kind) == (name, "pt2", "pt2")


@pytest.mark.parametrize("name", ["convolutions", "einsum"])
def test_operations_are_counted_as_by_the_tracer(name: str, tmp_path: Path) -> None:
    kind, inputs = NETWORKS[name]
    module = kind().eval()
    graph = load_pt2(export(module, inputs, tmp_path / "net.pt2"))
    expected = narfast.trace(module, inputs).meta.flops
    assert graph.meta.flops is not None
    assert name == "einsum" or graph.meta.flops == expected


@pytest.mark.slow
def test_decomposed_programs_are_the_same_network(tmp_path: Path) -> None:
    module = ConvNet().eval()
    path = export(module, (torch.rand(2, 3, 16, 16),), tmp_path / "net.pt2", decomposed=True)
    targets = {node["target"] for node in program_of(path)["graph_module"]["graph"]["nodes"]}
    assert "torch.ops.aten.convolution.default" in targets  # it is another program
    expected = narfast.trace(module, torch.rand(2, 3, 16, 16))
    assert narfast.load(path).structural_hash == expected.structural_hash


@pytest.mark.slow
def test_symbolic_sizes(tmp_path: Path) -> None:
    module, inputs = ConvNet().eval(), (torch.rand(2, 3, 16, 16),)
    free = ({0: torch.export.Dim("batch", min=1, max=64)},)
    graph = narfast.load(export(module, inputs, tmp_path / "net.pt2", dynamic_shapes=free))
    assert graph.meta.input_shape == (-1, 3, 16, 16)
    assert graph.structural_hash == narfast.trace(module, inputs).structural_hash


def test_weights_are_not_looked_at(tmp_path: Path) -> None:
    path = export(ConvNet().eval(), (torch.rand(2, 3, 16, 16),), tmp_path / "net.pt2")

    def without(name: str, data: bytes) -> bytes:
        return data if name.endswith(".json") else b"not weights"

    assert load_pt2(repacked(path, without)).same_structure(load_pt2(path))


def test_the_older_layout(tmp_path: Path) -> None:
    path = export(ConvNet().eval(), (torch.rand(2, 3, 16, 16),), tmp_path / "net.pt2")
    old = tmp_path / "old.pt2"
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("version", "8.2")
        archive.writestr("serialized_exported_program.json", json.dumps(program_of(path)))
        archive.writestr("serialized_state_dict.pt", b"not weights")
    assert load_pt2(old).same_structure(load_pt2(path))


@pytest.mark.slow
def test_branches_and_custom_operators(tmp_path: Path) -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> Any:
            return torch.cond(
                x.sum() > 0, lambda x: self.one(x).relu(), lambda x: self.two(x), (x,)
            )

    path = export(Branch().eval(), (torch.rand(2, 8),), tmp_path / "net.pt2")
    assert load_raw(path).op_names() == ["input", "linear", "relu"]  # the first branch
    assert load_raw(path).meta.untraced == 2
    program = program_of(path)
    graph = program["graph_module"]["graph"]
    graph["nodes"][-1]["target"] = "torch.ops.mine.something.default"
    graph["nodes"][-1]["inputs"] = [{"name": "x", "arg": {"as_tensor": {"name": "x"}}}]
    found = load_raw(
        repacked(path, lambda n, d: json.dumps(program).encode() if n.endswith("model.json") else d)
    )
    assert canonicalize(found).meta.unknown_ops == {"something": 1}
