"""Search by block over the shipped zoo: how fast, and whether it misses or invents a network.

Usage: python benchmarks/studies/block_search.py [--blocks 200] [--graphs ROWS] [--times]
       [-o RESULT.json]

Blocks are drawn with a fixed seed from networks of the zoo: half are motifs, half grow from a
random operator to 2 to 40 connected ones. The truth is a scan of every network by the slow twin of
the tests, plain backtracking in Python, which shares no code with the core. It leaves a few pairs
of block and network undecided, where too many operators are alike. Of what the core finds, the
first occurrence in each network is checked by the definition.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from narfast.block_search import BlockIndex, find_blocks
from narfast.block_search.index import LEVELS, Level
from narfast.block_search.parts import induced
from narfast.graph import ArchGraph
from narfast.motifs import mine
from narfast.zoo import Zoo

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from oracles.occurrences import (
    Plain,
    TooLong,
    grown,
    is_occurrence,
    occurrences,
)

RESULT = Path(__file__).parents[1] / "results" / "block_search.json"
SEED = 16
LIMIT = 100_000  # places that the scan tries before it leaves a pair undecided


def draw_blocks(zoo: Zoo, count: int) -> list[ArchGraph]:
    """Return half motifs, half connected pieces, from networks drawn at random."""
    rng = np.random.default_rng(SEED)
    blocks = []
    for number in range(count):
        graph = zoo.graphs[int(rng.integers(len(zoo)))]
        if number % 2:
            nodes = grown(graph, int(rng.integers(2, 41)), rng)
        else:
            instance = mine(graph).node_instance
            nodes = np.flatnonzero(instance == instance[int(rng.integers(graph.num_nodes))])
        blocks.append(induced(graph, nodes))
    return blocks


def timed_search(block: ArchGraph, zoo: Zoo, level: Level) -> tuple[float, float]:
    """Return seconds of the clock and of the processor, the least of three searches each."""
    clock, processor = [], []
    for _ in range(3):
        start, used = time.perf_counter(), time.process_time()
        find_blocks(block, zoo, level=level, k=10)
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return min(clock), min(processor)


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median_ms": round(1e3 * statistics.median(ordered), 2),
        "p95_ms": round(1e3 * ordered[int(0.95 * (len(ordered) - 1))], 2),
        "max_ms": round(1e3 * ordered[-1], 2),
        "above_50_ms": sum(second > 0.05 for second in ordered),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=200)
    parser.add_argument("--graphs", type=int, help="scan only so many networks")
    parser.add_argument("--times", action="store_true", help="keep the scan of the result")
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    arguments = parser.parse_args()

    zoo = Zoo.open("default")
    read_zoo = timed(lambda: zoo.graphs)
    build = timed(lambda: BlockIndex.build(zoo.graphs, num_threads=1))
    index = BlockIndex.of(zoo)
    data = index.to_bytes()
    load = timed(lambda: BlockIndex.from_bytes(data, len(zoo)))
    warm = timed(lambda: index.warm(zoo))
    find_blocks("timm:resnet50#motif:1", zoo)  # opens what a warm process has open
    blocks = draw_blocks(zoo, arguments.blocks)
    result: dict[str, Any] = {
        "command": "python " + " ".join(sys.argv),
        "structures": len(zoo),
        "operators": len(zoo.graphs.op),
        "blocks": len(blocks),
        "block_sizes": {
            "median": statistics.median(block.num_nodes for block in blocks),
            "max": max(block.num_nodes for block in blocks),
        },
        "seed": SEED,
        "zoo": zoo.checksum[:16],
        "load_average": os.getloadavg(),
        "seconds": {
            "read all graphs": round(read_zoo, 2),
            "build the index, one thread": round(build, 2),
            "read the index": round(load, 3),
            "prepare all graphs": round(warm, 2),
        },
        "index_bytes": len(data),
        "levels": {},
    }
    scanned = range(len(zoo) if arguments.graphs is None else min(len(zoo), arguments.graphs))
    for level in LEVELS:
        seconds, found, candidates, cut_short = [], [], 0, 0
        for block in blocks:
            seconds.append(timed_search(block, zoo, level))
            places = index.search(zoo, block, level)
            first = places.nodes[places.ptr[:-1]].tolist()
            found.append(dict(zip(places.rows.tolist(), first, strict=True)))
            cut_short += places.cut_short
            arrays = (block.op, block.attr, block.in_ptr, block.in_src)
            candidates += len(index.ngrams.candidate_rows(*arrays, level=level))
        times = {
            "clock": summary([clock for clock, _ in seconds]),
            "processor": summary([used for _, used in seconds]),
        }
        if arguments.times:
            known = json.loads(arguments.output.read_text())["levels"][level]
            assert known["pairs_found"] == sum(map(len, found)), "the scan is of another search"
            result["levels"][level] = known | times
            continue
        plain_blocks = [Plain(block, level) for block in blocks]
        counts = Counter[str]()
        start = time.perf_counter()
        for row in scanned:
            graph = Plain(zoo.graphs[row], level)
            for block, images in zip(plain_blocks, found, strict=True):
                image = images.get(row)
                if image is not None:
                    counts["found"] += 1
                    counts["confirmed"] += is_occurrence(block, graph, image)
                try:
                    occurs = bool(occurrences(block, graph, first=True, limit=LIMIT))
                except TooLong:
                    counts["undecided"] += 1
                    continue
                counts["true"] += occurs
                counts["true and found"] += occurs and image is not None
        scan = time.perf_counter() - start
        result["levels"][level] = {
            **times,
            "pairs_found": counts["found"],
            "pairs_by_scan": counts["true"],
            "pairs_undecided_by_scan": counts["undecided"],
            "recall": counts["true and found"] / counts["true"],
            "precision": counts["confirmed"] / counts["found"],
            "candidates_after_screening": candidates,
            "searches_cut_short": cut_short,
            "scan_seconds": round(scan, 1),
        }
        print(level, json.dumps(result["levels"][level]), flush=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
