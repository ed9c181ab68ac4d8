"""Generates whole search spaces, batch by batch, and counts their distinct structures.

Every network of NAS-Bench-101 (423,624) and NAS-Bench-201 (15,625), and random ones of DARTS: time,
networks a second, peak memory, and how many structural hashes are distinct, raw and canonical.

    python benchmarks/studies/nas_spaces.py [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narfast.graph import GraphBatch, canonicalize, structural_hash
from narfast.search_spaces import darts, nasbench101, nasbench201

BATCH = 1024
RANDOM = 20_000  # genotypes of DARTS
SEED = 0


def random_darts(count: int) -> Iterator[GraphBatch]:
    drawn = darts.random_genotypes(count, seed=SEED)
    while part := list(islice(drawn, BATCH)):
        yield darts.networks(part)


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def distinct(hashes: list[NDArray[np.uint64]]) -> int:
    return len(np.unique(np.concatenate(hashes), axis=0))


def generate(batches: Iterator[GraphBatch]) -> dict[str, float]:
    """Time of generation alone."""
    networks = nodes = 0
    first = 0.0
    begin = time.perf_counter()
    for batch in batches:
        networks += len(batch)
        nodes += len(batch.op)
        first = first or peak_memory()
    seconds = time.perf_counter() - begin
    return {
        "networks": networks,
        "nodes": nodes,
        "seconds": round(seconds, 2),
        "networks_per_second": round(networks / seconds),
        "memory_after_first_batch_mb": round(first),
        "peak_memory_mb": round(peak_memory()),
    }


def count(batches: Iterator[GraphBatch], num_threads: int) -> dict[str, float]:
    """Distinct structural hashes, before and after canonicalization."""
    raw: list[NDArray[np.uint64]] = []
    canonical: list[NDArray[np.uint64]] = []
    for batch in batches:
        raw.append(structural_hash(batch, num_threads=num_threads))
        simple = canonicalize(batch, num_threads=num_threads)
        canonical.append(structural_hash(simple, num_threads=num_threads))
    return {"distinct_raw": distinct(raw), "distinct_canonical": distinct(canonical)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--num-threads", type=int, default=1, help="for hashing")
    parser.add_argument("--out", type=Path, help="where to write the numbers")
    options = parser.parse_args()

    begin = time.perf_counter()
    cells = nasbench101.cells()
    enumeration = time.perf_counter() - begin
    print(f"nasbench101: {len(cells):,} cells enumerated in {enumeration:.2f} s", flush=True)
    results: dict[str, dict[str, float]] = {}
    for name, batches in {
        "nasbench201": lambda: nasbench201.batches(batch_size=BATCH),
        "darts": lambda: random_darts(RANDOM),
        "nasbench101": lambda: nasbench101.batches(batch_size=BATCH),
    }.items():
        made = results[name] = generate(batches())
        print(
            f"{name}: {made['networks']:,.0f} networks, {made['nodes']:,.0f} nodes in "
            f"{made['seconds']:.2f} s, {made['networks_per_second']:,.0f} a second, "
            f"{made['peak_memory_mb']} MB at most "
            f"({made['memory_after_first_batch_mb']} MB after the first batch)",
            flush=True,
        )
        made |= count(batches(), options.num_threads)
        print(
            f"{name}: {made['distinct_raw']:,} distinct graphs, "
            f"{made['distinct_canonical']:,} after canonicalization",
            flush=True,
        )
    results["nasbench101"]["enumeration_seconds"] = round(enumeration, 3)
    if options.out:
        machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        report = {"machine": machine, "python": platform.python_version(), "spaces": results}
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
