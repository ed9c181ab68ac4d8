"""Exports a part of the zoo to ONNX and keeps the graphs: the queries of protocol cross-format.

    python benchmarks/studies/onnx_exports.py [--seed 0] [--workers 2] [--timeout 120]

Distinct structures of at most 12 million parameters are drawn at random from every library, with
quotas, since one of them offers most of the zoo. Each is built with made-up weights, exported by
both of PyTorch's exporters, and read back from the file's structure. The graphs are written as a
zoo to `python/narfast/data/exports`, with the list of what could not be exported. A run that is
stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from narfast.graph import ArchGraph
from narfast.sources.loader import library, load_raw
from narfast.sources.torch_trace.module_copy import (
    as_call,
    map_tensors,
    output_tensors,
    real_module,
    real_weights,
)
from narfast.zoo import Zoo
from narfast.zoo.builder import build_zoo

EXPORTERS: dict[str, dict[str, Any]] = {
    "script": {"dynamo": False},
    "dynamo": {"dynamo": True, "external_data": True},
}
MOST_PARAMETERS = 12_000_000  # larger ones take too long to export by the hundred
QUOTAS = {
    "timm": 190,
    "smp": 150,
    "transformers": 120,
    "monai": 70,
    "torch_geometric": 30,
    "vit_pytorch": 25,
    "torchvision": 20,
    "diffusers": 10,
}
ROOT = Path(__file__).parents[2]
TARGET = ROOT / "python" / "narfast" / "data" / "exports"


class _Positional(nn.Module):
    """Calls a module by keywords and returns tensors: all that the scripting exporter knows."""

    def __init__(self, module: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.module = module
        self.names = names

    def forward(self, *values: Any) -> Any:
        return tuple(output_tensors(self.module(**dict(zip(self.names, values, strict=True)))))


def load_export(task: str) -> ArchGraph:
    """Read the ONNX export of ``exporter:library:name``."""
    exporter, _, identifier = task.partition(":")
    prefix, _, name = identifier.partition(":")
    torch.manual_seed(0)
    module, inputs = library(prefix).build(name)
    module, _ = real_module(module)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                # Exporters merge equal weights, of which a trained network has none.
                tensor.uniform_(0.1, 1.0)
    args, kwargs = as_call(map_tensors(inputs, real_weights))
    if kwargs:
        module, args = _Positional(module, list(kwargs)), tuple(kwargs.values())
    silent = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(silent),
    ):
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(module.eval(), args, str(path), **EXPORTERS[exporter])
        graph = load_raw(path)
    return replace(graph, meta=replace(graph.meta, name=identifier, source=exporter))


def drawn(zoo: Zoo, seed: int) -> list[str]:
    """Return ids of the structures to export, in random order."""
    generator = random.Random(seed)
    chosen = []
    for source, quota in QUOTAS.items():
        small = [
            entry.id
            for entry in zoo
            if entry.source == source and 0 < (entry.params or 0) <= MOST_PARAMETERS
        ]
        chosen += generator.sample(small, min(quota, len(small)))
    generator.shuffle(chosen)
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--most", type=int, help="stop after so many networks; the order is fixed")
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()
    chosen = drawn(Zoo.open("default"), options.seed)[: options.most]
    tasks = [f"{exporter}:{identifier}" for identifier in chosen for exporter in EXPORTERS]
    report = build_zoo(
        options.output,
        tasks,
        encoder=None,
        workers=options.workers,
        timeout=options.timeout,
        loader="onnx_exports:load_export",
        keep_journal=True,
        on_network=lambda done, total, _: print(
            f"\r{done} of {total} exports", end="", file=sys.stderr, flush=True
        ),
    )
    print(f"\n{len(tasks) - len(report.failures)} of {len(tasks)} exports read")
    for failure in report.failures:
        print(f"  not exported: {failure.id}: {failure.reason[:150]}")


if __name__ == "__main__":
    main()
