"""What the tracing version stands for: the raw graphs of a fixed sample, as digests.

``python tests/tracing_sample.py`` writes ``tests/data/tracing.json`` anew. It refuses to overwrite
a changed digest until `narfast.sources.registry.TRACING_VERSION` is raised.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from narfast import operators
from narfast.graph import ArchGraph
from narfast.sources.loader import load_raw
from narfast.sources.registry import TRACING_VERSION
from paths import DATA, ROOT
from pt2_files import ConvNet
from pt2_files import export as export_program

PATH = DATA / "tracing.json"
_EXPORTS_STEP = 12  # of the ONNX files at hand, every so many
_RECORD = "torchvision/mobilenet_v3_small"  # of the records of NNRetrieval at hand
_CELLS = (
    "darts:DARTS_V2",
    "nasbench101:010/001/000|input,conv3x3-bn-relu,output",
    "nasbench201:|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|"
    "+|skip_connect~0|none~1|nor_conv_3x3~2|",
)


class Attention(nn.Module):
    """Attention over tokens, written out and fused, with an einsum, a gather and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, 16)
        self.qkv = nn.Linear(16, 48)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.gate = nn.Parameter(torch.zeros(16))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        scores = torch.einsum("bqc,bkc->bqk", q, k) / 4
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = scores.masked_fill(~mask, float("-inf")).softmax(-1)
        return self.layer(x + torch.tanh(self.gate) * (scores @ v)).mean(1)


class Recurrent(nn.Module):
    """An LSTM and a GRU, concatenated and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 12, num_layers=2, bidirectional=True)
        self.gru = nn.GRU(8, 12)
        self.norm = nn.LayerNorm(36)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(torch.cat([self.lstm(x)[0], self.gru(x)[0]], dim=-1)).relu()


class ChangesItself(nn.Module):
    """Changes a parameter as it runs, which autograd refuses; read off the dispatcher."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.scale += 1
        x = (nn.functional.max_pool2d(self.stem(x), 2).relu() * self.scale).flatten(2).mT
        return self.attention(x, x, x)[0].mean(1).softmax(-1)


def record() -> dict[str, Any]:
    """The record of NNRetrieval that is read."""
    lines = gzip.decompress((DATA / "nnretrieval_motifs.jsonl.gz").read_bytes()).splitlines()
    (found,) = (r for r in map(json.loads, lines) if r["name"] == _RECORD)
    return {"raw_edges": found["raw_edges"]}


def sample() -> Iterator[tuple[str, ArchGraph]]:
    """Names and raw graphs; no library of models decides any of them."""
    for cell in _CELLS:
        yield cell.partition(":")[0], load_raw(cell)
    image = torch.zeros(1, 3, 32, 32)
    modules: dict[str, tuple[nn.Module, Any]] = {
        "ConvNet": (ConvNet(), image),
        "Attention": (Attention(), torch.zeros(1, 7, dtype=torch.int64)),
        "Recurrent": (Recurrent(), torch.zeros(5, 1, 8)),
        "ChangesItself": (ChangesItself(), image),
    }
    for name, pair in modules.items():
        graph = load_raw(pair)
        expected = "dispatch" if name == "ChangesItself" else "autograd"
        assert graph.meta.trace_kind == expected, name
        yield name, graph
    yield "gated_resnet.onnx", load_raw(ROOT / "examples" / "gated_resnet.onnx")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "convnet.pt2"
        export_program(ConvNet().eval(), (image,), program)
        yield "convnet.pt2", load_raw(program)
        file = Path(folder) / "record.json"
        file.write_text(json.dumps(record()))
        yield file.name, load_raw(file)
        with zipfile.ZipFile(DATA / "onnx_exports.zip") as archive:
            for name in sorted(archive.namelist())[::_EXPORTS_STEP]:
                file = Path(folder) / "model.onnx"
                file.write_bytes(archive.read(name))
                yield name, load_raw(file)


def digest(graph: ArchGraph) -> str:
    """A text that differs for graphs that differ; operators count by name, not by id."""
    names = [operators.by_id(int(op)).name for op in graph.op]
    arrays = (graph.attr, graph.in_ptr, graph.in_src)
    value = [names, *(array.tolist() for array in arrays), sorted(graph.meta.unknown_ops)]
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def digests() -> dict[str, str]:
    """The digest of every network of the sample."""
    return {name: digest(graph) for name, graph in sample()}


def main() -> None:
    found = digests()
    kept = json.loads(PATH.read_text()) if PATH.exists() else {"version": 0, "digests": {}}
    changed = [name for name, old in kept["digests"].items() if found.get(name, old) != old]
    if changed and kept["version"] == TRACING_VERSION:
        sys.exit(f"{', '.join(changed)}: read in another way; raise TRACING_VERSION first")
    PATH.write_text(json.dumps({"version": TRACING_VERSION, "digests": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
