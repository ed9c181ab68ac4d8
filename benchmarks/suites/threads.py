"""How encoding in the core grows with threads.

    python benchmarks/suites/threads.py [--threads 1 2 4 8 16] [--out FILE]

The stored graphs of the shipped zoo and all networks of NAS-Bench-201, canonical beforehand, motif
caches cold. Rounds of all thread counts alternate, so that a slow moment of the machine meets each
alike; ratios are of medians. Vectors are compared: they must not depend on threads. Needs what
narfast needs to search, no torch.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import narfast
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.graph import GraphBatch, canonicalize
from narfast.search_spaces import nasbench201
from narfast.zoo import Zoo


def processor() -> str:
    """The name of the processor as Linux tells it."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def measure(graphs: GraphBatch, threads: list[int], rounds: int) -> dict[str, Any]:
    """Median seconds, networks a second and speed beside the first of some thread counts."""
    encoder = ArchitectureEncoder.from_pretrained("default")
    expected = encoder.encode(graphs, num_threads=max(threads))  # warms up, too
    taken: dict[int, list[float]] = {count: [] for count in threads}
    for _ in range(rounds):
        for count in threads:
            encoder.motif_cache.clear()
            begin = time.perf_counter()
            vectors = encoder.encode(graphs, num_threads=count)
            taken[count].append(time.perf_counter() - begin)
            if not np.array_equal(vectors, expected):
                raise SystemExit(f"{count} threads gave other vectors than {max(threads)}")
    medians = {count: statistics.median(each) for count, each in taken.items()}
    return {
        "networks": len(graphs),
        "nodes": len(graphs.op),
        "threads": {
            str(count): {
                "median_seconds": round(seconds, 4),
                "seconds": [round(each, 4) for each in taken[count]],
                "networks_per_second": round(len(graphs) / seconds),
                "times_as_fast": round(medians[threads[0]] / seconds, 3),
            }
            for count, seconds in medians.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="networks of each collection, for a quick look")
    parser.add_argument("--out", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    zoo = Zoo.open("default")
    networks = nasbench201.networks(range(nasbench201.NUM_CELLS), num_threads=0)
    collections = {
        "zoo": zoo.graph_rows(0, len(zoo)),
        "nasbench201": canonicalize(networks, num_threads=0),
    }
    report: dict[str, Any] = {
        "machine": {
            "processor": processor(),
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
            "cores_of_this_process": len(os.sched_getaffinity(0)),
            "system": platform.release(),
            "load_before": [round(each, 2) for each in os.getloadavg()],
        },
        "python": platform.python_version(),
        "numpy": np.__version__,
        "narfast": narfast.__version__,
        "rounds": options.rounds,
        "collections": {},
    }
    for name, graphs in collections.items():
        part = graphs if options.limit is None else graphs.part(0, options.limit)
        made = measure(part, options.threads, options.rounds)
        report["collections"][name] = made
        for count, each in made["threads"].items():
            print(
                f"{name}: {count} threads, {each['median_seconds']} s, "
                f"{each['times_as_fast']} times as fast as {options.threads[0]}",
                flush=True,
            )
    report["machine"]["load_after"] = [round(each, 2) for each in os.getloadavg()]
    text = json.dumps(report, indent=1) + "\n"
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
