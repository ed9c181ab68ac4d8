"""Time of every stage of bulk encoding beside the least that it must do.

    python benchmarks/floors.py [--graphs 1024] [--json FILE]

One thread. The floor of a stage that moves data is the bytes that it must read and write, at the
bandwidth of a copy measured in the same run; that of a stage that computes is its multiplications
and additions, at the speed of a large matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narfast.batching import collate_motifs
from narfast.encoder import ArchitectureEncoder
from narfast.graph import GraphBatch, canonicalize, structural_hash
from narfast.motifs import coarsen, mine
from narfast.nn.inputs import macro_tensors, mine_batch, node_tensors, wide_tensors
from narfast.wide import LabelCounts
from narfast.zoo import Zoo
from narfast.zoo.store import library_versions

ROUNDS = 3


def tensors_of(counts: LabelCounts) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in (counts.ptr, counts.row, counts.weight)]


def best(action: Callable[[], Any]) -> float:
    """Seconds of the fastest of some rounds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def bandwidth() -> float:
    """Bytes that a copy reads and writes in a second."""
    source = np.ones(1 << 25, dtype=np.float64)
    target = np.empty_like(source)
    return 2 * source.nbytes / best(lambda: np.copyto(target, source))


def arithmetic() -> float:
    """Floating-point operations of a matrix product in a second."""
    a = torch.rand(1024, 1024)
    return 2 * 1024**3 / best(lambda: a @ a)


def layer_operations(module: torch.nn.Module, rows: int) -> float:
    """Operations of the linear maps of a module on so many rows."""
    weights = sum(m.weight.numel() for m in module.modules() if isinstance(m, torch.nn.Linear))
    return 2.0 * weights * rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", type=int, default=1024)
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    zoo = Zoo.open("default")
    rows = np.random.default_rng(0).choice(len(zoo), options.graphs, replace=False)
    graphs = GraphBatch.from_graphs([zoo[int(row)].graph for row in rows])
    encoder = ArchitectureEncoder.from_pretrained("default")
    model, rarity = encoder.model, encoder._rarity
    mined = mine_batch(graphs, miner=encoder.config.miner)
    method = encoder.config.miner
    motifs = mine(graphs, method=method)
    every = np.arange(len(mined))
    nodes = collate_motifs(mined.graphs, mined.macros, mined.unique.representative)
    macro = macro_tensors(mined, every)
    vectors = model.embed_motifs(*node_tensors(nodes, encoder._rows)).index_select(0, macro.motif)
    wide_dim = encoder.config.wide_dim
    wide = wide_tensors(model, rarity, graphs, encoder._axes)
    unit = np.ascontiguousarray(zoo.embeddings)

    arrays = sum(array.nbytes for array in graphs.arrays)
    motif_arrays = sum(np.asarray(a).nbytes for a in vars(nodes).values())
    macro_arrays = sum(np.asarray(a).nbytes for a in vars(mined.macros).values())
    # name, what is done, bytes, operations
    stages: list[tuple[str, Callable[[], Any], float, float]] = [
        ("canonicalize (already canonical)", lambda: canonicalize(graphs), 2.0 * arrays, 0.0),
        ("structural hash", lambda: structural_hash(graphs), 1.0 * arrays, 0.0),
        (
            "mine",
            lambda: mine(graphs, method=method),
            1.0 * arrays + motifs.node_instance.nbytes,
            0.0,
        ),
        ("coarsen", lambda: coarsen(graphs, motifs), 1.0 * arrays + macro_arrays, 0.0),
        (
            "collate distinct motifs",
            lambda: node_tensors(
                collate_motifs(mined.graphs, mined.macros, mined.unique.representative),
                encoder._rows,
            ),
            2.0 * motif_arrays,
            0.0,
        ),
        (
            "motif encoder",
            lambda: model.embed_motifs(*node_tensors(nodes, encoder._rows)),
            0.0,
            layer_operations(model.motif, len(nodes.op)),
        ),
        (
            "macro encoder",
            lambda: model.embed_networks(
                vectors, macro.size, macro.multiplicity, macro.graph, wide.axes
            ),
            0.0,
            layer_operations(model.macro, len(macro.motif)),
        ),
    ]
    if rarity is not None:
        labels, at = rarity.labels(graphs), graphs.node_ptr
        distinct = sum(
            len(np.unique(row[start:stop]))
            for row in labels
            for start, stop in pairwise(graphs.node_ptr.tolist())
        )
        counts = rarity.counts(labels, at)
        project = 2.0 * encoder.config.wide_axes * len(counts.row)  # operations
        stages += [
            ("wide part: labels", lambda: rarity.labels(graphs), 1.0 * arrays + labels.nbytes, 0.0),
            (
                "wide part: random directions",
                lambda: rarity.vectors(labels, at, wide_dim),
                1.0 * labels.nbytes,
                2.0 * wide_dim * distinct,
            ),
            (
                "wide part: count labels",
                lambda: rarity.counts(labels, at),
                1.0 * labels.nbytes,
                0.0,
            ),
            (
                "wide part: axes",
                lambda: model.project(encoder._axes, *tensors_of(counts)),
                2 * project,
                project,
            ),
        ]
    stages.append(
        ("exact search of one query", lambda: unit @ unit[0], 1.0 * unit.nbytes, 2.0 * unit.size)
    )
    moved, computed = bandwidth(), arithmetic()
    results = []
    with torch.inference_mode():
        for name, action, size, operations in stages:
            action()
            each = 1 if name.startswith("exact search") else len(mined)
            floor = max(size / moved, operations / computed) / each
            took = best(action) / each
            results.append({"stage": name, "seconds": took, "floor": floor})
            print(
                f"| {name} | {took * 1e6:,.1f} | {floor * 1e6:,.2f} | {took / floor:,.1f} |",
                flush=True,
            )

        def encode() -> None:
            encoder.motif_cache.clear()
            encoder.encode(graphs, num_threads=1)

        whole = best(encode) / len(mined)
    print(
        f"whole: {whole * 1e6:,.1f} microseconds a network, {len(graphs.op) / len(mined):.0f} nodes"
    )
    if options.json:
        facts = {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg(),
            "threads": 1,
            "graphs": len(mined),
            "nodes": len(graphs.op),
            "distinct_motifs": len(mined.unique.representative),
            "gigabytes_a_second": moved / 1e9,
            "gigaflops": computed / 1e9,
            "versions": library_versions(),
            "whole_seconds": whole,
            "stages": results,
        }
        options.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
