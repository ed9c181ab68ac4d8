"""Encodes whole collections as ``narfast encode`` does: time, networks a second, memory over time.

The stored graphs of the shipped zoo, every network of NAS-Bench-101 (generated, canonicalized,
mined, encoded, written), and a million stored graphs: the zoo's, repeated. Each collection is
encoded in a process of its own, so that its memory is its own. Stages are timed apart on a sample,
in one thread.

    python benchmarks/bulk_encode.py [--workers N] [--share S] [--out FILE]

``--share 0.1`` encodes the first tenth of NAS-Bench-101 and says so in its results.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narfast.batching import collate_motifs
from narfast.bulk import Block, Inputs, LocalEngine, ReadingLimits, encode_to_parquet
from narfast.encoder import ArchitectureEncoder
from narfast.graph import canonicalize, hash_texts, structural_hash
from narfast.motifs import coarsen, mine
from narfast.nas import nasbench101
from narfast.nn.inputs import macro_tensors, mine_batch, node_tensors, wide_tensors
from narfast.zoo import Zoo

MOMENTS = 10  # at which memory is looked at
SAMPLE = 8  # blocks whose stages are timed


@dataclass(frozen=True)
class Share(Inputs):
    """The first part of a collection's blocks, or its blocks several times over."""

    part: float = 1.0

    def blocks(self) -> Iterator[Block]:
        whole = list(super().blocks())
        wanted = round(self.part * len(whole))
        for number in range(wanted):
            yield whole[number % len(whole)]

    def total(self) -> int:
        return sum(map(len, self.blocks()))


def resident() -> float:
    """Memory that this process holds, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def encode(inputs: Share, workers: int) -> dict[str, Any]:
    """Encode a collection into a table and measure it."""
    begin = time.perf_counter()
    encoder = ArchitectureEncoder.from_pretrained()
    engine = LocalEngine(encoder, workers, ReadingLimits())
    total = inputs.total()
    ready = time.perf_counter()
    memory: list[tuple[int, float]] = []

    def look(done: int, _: int | None) -> None:
        if done >= len(memory) * total / MOMENTS:
            memory.append((done, round(resident())))
            seconds = time.perf_counter() - ready
            print(f"  {done:,} of {total:,}: {seconds:.0f} s, {memory[-1][1]:.0f} MB", flush=True)

    cpu = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out.parquet")
        report = encode_to_parquet(inputs, output, engine, progress=look)
        size = output.stat().st_size
    seconds = time.perf_counter() - ready
    return {
        "networks": report.rows,
        "errors": report.failed,
        "seconds": round(seconds, 1),
        "processor_seconds": round(time.process_time() - cpu, 1),
        "networks_per_second": round(report.rows / seconds),
        "start_seconds": round(ready - begin, 1),
        "distinct_motifs_in_memory": len(encoder.motif_cache),
        "table_bytes": size,
        "memory_mb": memory,
    }


def stages() -> dict[str, float]:
    """Microseconds per network of NAS-Bench-101 in each stage, one thread, cold motif cache."""
    torch.set_num_threads(1)
    encoder = ArchitectureEncoder.from_pretrained()
    model, rarity, axes = encoder.model, encoder._rarity, encoder._axes
    method = encoder.config.miner
    spent: dict[str, float] = defaultdict(float)
    networks = 0

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = work()
        spent[stage] += time.perf_counter() - begin
        return result

    blocks = list(Inputs(["nasbench101:all"]).blocks())
    chosen = [blocks[i] for i in np.linspace(0, len(blocks) - 2, SAMPLE + 1).astype(int)]
    for number, block in enumerate(chosen):
        if number == 1:  # the first one only warms up
            spent.clear()
            networks = 0
        cells = nasbench101.cells()[block.start : block.stop]
        with torch.inference_mode():
            raw = timed("generate", lambda cells=cells: nasbench101.networks(cells))
            graphs = timed("canonicalize", lambda raw=raw: canonicalize(raw))
            timed("hash", lambda graphs=graphs: hash_texts(structural_hash(graphs)))
            found = timed("mine", lambda graphs=graphs: mine(graphs, method=method))
            timed("coarsen", lambda graphs=graphs, found=found: coarsen(graphs, found))
            mined = mine_batch(graphs, miner=encoder.config.miner)

            def motifs(missing: Any, mined: Any = mined) -> Any:
                rows = mined.unique.representative[missing]
                nodes = collate_motifs(mined.graphs, mined.macros, rows)
                return model.embed_motifs(*node_tensors(nodes, encoder._rows))

            table = timed(
                "encode motifs",
                lambda mined=mined, motifs=motifs: encoder.motif_cache.get(
                    mined.unique.motif_id, motifs
                ),
            )
            wide = timed(
                "project labels",
                lambda graphs=graphs: wide_tensors(model, rarity, graphs, axes),
            )
            macro = macro_tensors(mined, np.arange(len(mined)))
            timed(
                "encode macro graphs",
                lambda macro=macro, table=table, wide=wide: model.embed_networks(
                    table.index_select(0, macro.motif),
                    macro.size,
                    macro.multiplicity,
                    macro.graph,
                    wide.axes,
                ),
            )
        networks += len(block)
    return {stage: round(1e6 * seconds / networks, 1) for stage, seconds in spent.items()}


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--share", type=float, default=1.0, help="of NAS-Bench-101")
    parser.add_argument(
        "--stored", type=int, default=1_000_000, help="stored graphs, the zoo's repeated"
    )
    parser.add_argument("--out", type=Path, help="where to write the numbers")
    options = parser.parse_args()

    machine = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
    }
    report: dict[str, Any] = {
        "machine": machine,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "workers": options.workers,
        "share_of_nasbench101": options.share,
    }
    print("stages of one network of NAS-Bench-101", flush=True)
    report["stages_us"] = apart(stages)
    for stage, microseconds in report["stages_us"].items():
        print(f"  {stage:20}{microseconds:8.1f} us", flush=True)
    inputs = {
        "zoo": Share(["zoo:all"]),
        "nasbench101": Share(["nasbench101:all"], part=options.share),
        "stored": Share(["zoo:all"], part=options.stored / len(Zoo.open())),
    }
    for name, each in inputs.items():
        print(name, flush=True)
        made = report[name] = apart(encode, each, options.workers)
        print(
            f"{name}: {made['networks']:,} networks in {made['seconds']} s, "
            f"{made['networks_per_second']:,} a second",
            flush=True,
        )
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
