"""Alignment of networks of the zoo: how much it matches, and how fast, beside a sequence diff.

Usage: python benchmarks/studies/alignment.py [-o RESULT.json]

The diff is `difflib.SequenceMatcher` over the names of the operators in their order, what one gets
without a graph. Both are timed in one run by the processor, the least of several. Matched are nodes
of equal operator, kept are edges whose image is an edge; each is divided by the smaller network.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from narfast.alignment import align
from narfast.graph import ArchGraph
from narfast.zoo import Zoo

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from oracles.alignment import kept_edges

RESULT = Path(__file__).parents[1] / "results" / "alignment.json"
REPEATS = 15
PAIRS = (
    ("timm:resnet50", "timm:resnet101"),
    ("timm:resnet50", "timm:seresnet50"),
    ("timm:densenet121", "timm:densenet201"),
    ("timm:vit_base_patch16_224", "timm:deit3_base_patch16_224"),
    ("transformers:gpt2", "transformers:llama"),
    ("transformers:qwen3_omni_moe_thinker", "transformers:qwen2_5_omni_thinker"),
    ("transformers:gemma3n", "transformers:gemma3n_text"),
)


def sequence_diff(a: ArchGraph, b: ArchGraph) -> list[int]:
    """Return the partner of each node by the order of operator names, -1 for none."""
    matcher = difflib.SequenceMatcher(None, a.op_names(), b.op_names(), autojunk=False)
    to_b = [-1] * a.num_nodes
    for match in matcher.get_matching_blocks():
        to_b[match.a : match.a + match.size] = range(match.b, match.b + match.size)
    return to_b


def measured(
    a: ArchGraph, b: ArchGraph, work: Callable[[], list[int]], repeats: int
) -> dict[str, float]:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        to_b = work()
        seconds.append(time.process_time() - start)
    partners = np.array(to_b)
    nodes = np.flatnonzero(partners >= 0)
    equal = int((a.op[nodes] == b.op[partners[nodes]]).sum())
    return {
        "matched": round(equal / min(a.num_nodes, b.num_nodes), 4),
        "kept_edges": round(kept_edges(a, b, to_b) / min(a.num_edges, b.num_edges), 4),
        "processor_ms": round(1e3 * min(seconds), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    arguments = parser.parse_args()

    zoo = Zoo.open("default")
    rows: list[dict[str, Any]] = []
    for names in PAIRS:
        a, b = map(zoo.graph_of, names)
        row = {
            "a": names[0],
            "b": names[1],
            "nodes": [a.num_nodes, b.num_nodes],
            "align": measured(a, b, lambda a=a, b=b: align(a, b).to_b.tolist(), REPEATS),
            "sequence_diff": measured(a, b, lambda a=a, b=b: sequence_diff(a, b), 3),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    result = {
        "command": "python " + " ".join(sys.argv),
        "machine": f"{platform.system()}-{platform.machine()}-{os.cpu_count()}-cores".lower(),
        "load_average": os.getloadavg(),
        "zoo": zoo.checksum[:16],
        "repeats": REPEATS,
        "pairs": rows,
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
