"""Part of the zoo read again from ONNX exports: is the right structure the first hit?

    python benchmarks/onnx_retrace.py [--zoo DIR] [--share 0.01] [--seed 0] [--json FILE]

Distinct structures are drawn at random. Each is built with made-up weights, exported by both of
PyTorch's ONNX exporters, read back from the file's structure, and searched for. Exports run in
processes that are cut off after two minutes or 8 GB. What could not be exported is listed and not
counted; every miss is listed with the operators in which the two graphs differ.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narfast.frontends import library, load_raw
from narfast.frontends._modules import as_call, map_tensors, real_module, real_weights
from narfast.graph import ArchGraph, canonicalize
from narfast.zoo import Failure, Zoo, ZooEntry
from narfast.zoo.journal import unpack_graph
from narfast.zoo.store import library_versions
from narfast.zoo.workers import read_networks

EXPORTERS = {"script": {"dynamo": False}, "dynamo": {"dynamo": True, "external_data": True}}


def load_export(task: str) -> ArchGraph:
    """Read the ONNX export of ``exporter|library:name``."""
    exporter, _, identifier = task.partition("|")
    prefix, _, name = identifier.partition(":")
    torch.manual_seed(0)
    module, inputs = library(prefix).build(name)
    module, _ = real_module(module)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if (
                tensor.is_floating_point()
            ):  # exporters merge equal weights, which training gives none
                tensor.uniform_(0.1, 1.0)
    args, kwargs = as_call(map_tensors(inputs, real_weights))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(module.eval(), args, str(path), kwargs=kwargs, **EXPORTERS[exporter])
        return load_raw(path)


@dataclass(frozen=True)
class Row:
    id: str
    exporter: str
    equal: bool  # structural hashes
    hit: bool  # the first hit is the structure
    score: float  # cosine between the export's vector and the structure's
    first: str
    differing: dict[str, int]  # operators: how many more the export has


def compare(zoo: Zoo, entry: ZooEntry, exporter: str, raw: ArchGraph) -> Row:
    graph = canonicalize(raw)
    vector = zoo.vector(graph)
    first = zoo.search(vector, k=1)[0]
    counts = collections.Counter(graph.op_names())
    counts.subtract(entry.graph.op_names())
    return Row(
        id=entry.id,
        exporter=exporter,
        equal=graph.structural_hash == entry.structural_hash,
        hit=first.structural_hash == entry.structural_hash,
        score=float(np.dot(vector, entry.embedding)),
        first=first.id,
        differing={name: count for name, count in sorted(counts.items()) if count},
    )


def summarize(rows: list[Row], failures: list[Failure]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for exporter in EXPORTERS:
        own = [row for row in rows if row.exporter == exporter]
        failed = [f for f in failures if f.id.startswith(f"{exporter}|")]
        summary[exporter] = {
            "exported": len(own),
            "not_exported": {f.id.partition("|")[2]: f.reason for f in failed},
            "equal_hash": sum(row.equal for row in own),
            "hit_at_1": sum(row.hit for row in own),
            "misses": [asdict(row) for row in own if not row.hit],
            "hit_but_different": [asdict(row) for row in own if row.hit and not row.equal],
        }
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", default="default")
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    zoo = Zoo.open(options.zoo)
    rng = random.Random(options.seed)
    drawn = rng.sample(range(len(zoo)), max(1, round(options.share * len(zoo))))
    entries = {zoo[row].id: zoo[row] for row in sorted(drawn)}
    tasks = [f"{exporter}|{identifier}" for identifier in entries for exporter in EXPORTERS]
    rows: list[Row] = []
    failures: list[Failure] = []
    results = read_networks(
        tasks, workers=options.workers, timeout=120, loader="onnx_retrace:load_export"
    )
    for done, result in enumerate(results, 1):
        print(f"\r{done} of {len(tasks)} exports", end="", file=sys.stderr, flush=True)
        if isinstance(result, Failure):
            failures.append(result)
            continue
        task, raw = unpack_graph(result)
        exporter, _, identifier = task.partition("|")
        rows.append(compare(zoo, entries[identifier], exporter, raw))
    rows.sort(key=lambda row: (row.id, row.exporter))
    summary = summarize(rows, failures)
    for exporter, result in summary.items():
        done = result["exported"]
        print(
            f"{exporter}: {done} of {len(entries)} exported, hit@1 {result['hit_at_1']} of {done}, "
            f"equal hash {result['equal_hash']} of {done}"
        )
        for row in result["misses"]:
            print(f"  MISS {row['id']} -> {row['first']} ({row['score']:.3f}): {row['differing']}")
        for row in result["hit_but_different"]:
            print(f"  differs, found: {row['id']} ({row['score']:.3f}): {row['differing']}")
        for identifier, reason in result["not_exported"].items():
            print(f"  not exported: {identifier}: {reason[:150]}")
    if options.json:
        facts = {"versions": library_versions(), "zoo": zoo.checksum, **vars(options)}
        facts = {
            key: str(value) if isinstance(value, Path) else value for key, value in facts.items()
        }
        options.json.write_text(json.dumps({**facts, "exporters": summary}, indent=1) + "\n")


if __name__ == "__main__":
    main()
