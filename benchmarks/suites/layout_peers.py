"""Time and crossings of the layered layout beside Graphviz's `dot`, on graphs of the shipped zoo.

    python benchmarks/suites/layout_peers.py        writes benchmarks/results/layout.json

Both lay out the same nodes (72 by 24 points) and the same edges, each edge once. Crossings are
counted alike for both: in every layer, nodes and the places where edges pass it are ordered from
left to right, and two edges cross where their order changes. For `dot` the places are those of the
splines that it draws; the number that `dot -v` reports for itself stands beside. Needs Graphviz
(`apt-get install graphviz`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from narfast import _core
from narfast.drawing.layout import layered_layout
from narfast.graph import ArchGraph
from narfast.zoo import Zoo

RESULTS = Path(__file__).parents[1] / "results" / "layout.json"
NETWORKS = (
    "timm:resnet50",
    "timm:hrnet_w18",
    "timm:densenet201",
    "smp:linknet-tu-mvitv2_large",
    "smp:deeplabv3plus-tu-ecaresnet269d",
    "diffusers:Kandinsky3UNet",
    "transformers:qwen3_omni_moe_thinker",
    "transformers:gemma3n",
)
LIMIT = 60  # seconds for one run of dot
SAMPLE = 900, 1100, 3  # operators: every third network of this size, as one sum
SAMPLE_LIMIT = 15
WIDTH, HEIGHT = 72.0, 24.0
INCH = 72.0


def edges_of(graph: ArchGraph) -> list[tuple[int, int]]:
    return sorted({(int(s), node) for node in range(graph.num_nodes) for s in graph.inputs(node)})


def crossings(layers: list[dict[Any, float]], pieces: list[list[tuple[Any, Any]]]) -> int:
    """Sum of the crossings between neighbouring layers; `pieces[i]` join layer i and the next."""
    total = 0
    for (upper, lower), joined in zip(pairwise(layers), pieces, strict=True):
        ranks = [
            {x: i for i, x in enumerate(sorted(set(layer.values())))} for layer in (upper, lower)
        ]
        ends = np.array(
            [(ranks[0][upper[a]], ranks[1][lower[b]]) for a, b in joined], np.int32
        ).reshape(-1, 2)
        columns = [np.ascontiguousarray(ends[:, i]) for i in range(2)]
        total += _core.count_crossings(*columns, np.ones(len(ends), np.int32))
    return total


def split(
    levels: dict[int, int],
    x: dict[int, float],
    paths: dict[tuple[int, int], list[float]],
) -> int:
    """Crossings of a drawing: layer and x of nodes, and where each edge passes between."""
    depth = max(levels.values()) + 1
    layers: list[dict[Any, float]] = [{} for _ in range(depth)]
    pieces: list[list[tuple[Any, Any]]] = [[] for _ in range(depth - 1)]
    for node, level in levels.items():
        layers[level][node] = x[node]
    for (source, target), passed in paths.items():
        before: Any = source
        for i, place in enumerate(passed):
            point = (source, target, i)
            layers[levels[source] + 1 + i][point] = place
            pieces[levels[source] + i].append((before, point))
            before = point
        pieces[levels[target] - 1].append((before, target))
    return crossings(layers, pieces)


def ours(graph: ArchGraph) -> dict[str, Any]:
    sizes = np.full(graph.num_nodes, WIDTH), np.full(graph.num_nodes, HEIGHT)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        layout = layered_layout(graph.in_ptr, graph.in_src, *sizes)
        times.append(time.perf_counter() - start)
    paths = {}
    for node in range(graph.num_nodes):
        for edge in range(int(graph.in_ptr[node]), int(graph.in_ptr[node + 1])):
            if not layout.bridge[edge]:
                paths[int(graph.in_src[edge]), node] = [x for x, _ in layout.route(edge)]
    levels = dict(enumerate(layout.layer.tolist()))
    drawn = split(levels, dict(enumerate(layout.x.tolist())), paths)
    return {
        "seconds": sorted(times)[len(times) // 2],
        "crossings": layout.crossings,
        "crossings of the drawing": drawn,
        "layers": int(layout.layer.max()) + 1,
        "bridges": int(layout.bridge.sum()),
    }


def bezier_x(points: np.ndarray, y: float) -> float:
    """The x at which a piecewise Bezier curve passes a height."""
    for i in range(0, len(points) - 3, 3):
        part = points[i : i + 4]
        if not min(part[0, 1], part[3, 1]) - 1e-6 <= y <= max(part[0, 1], part[3, 1]) + 1e-6:
            continue
        low, high = 0.0, 1.0
        falling = part[0, 1] > part[3, 1]
        for _ in range(40):
            t = (low + high) / 2
            weights = np.array([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
            if (float(weights @ part[:, 1]) > y) == falling:
                low = t
            else:
                high = t
        return round(float(weights @ part[:, 0]), 3)
    return float(points[np.argmin(np.abs(points[:, 1] - y)), 0])


def graphviz(graph: ArchGraph, limit: int = LIMIT) -> dict[str, Any]:
    edges = edges_of(graph)
    text = (
        f"digraph {{ node [shape=box fixedsize=true width={WIDTH / INCH} height={HEIGHT / INCH}]\n"
        + "".join(f"{node}\n" for node in range(graph.num_nodes))
        + "".join(f"{a}->{b}\n" for a, b in edges)
        + "}"
    )
    start = time.perf_counter()
    try:
        done = subprocess.run(
            ["dot", "-v", "-Tplain"], input=text, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return {"seconds": None, "note": f"over {limit} s"}
    seconds = time.perf_counter() - start
    x, y = {}, {}
    curves = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if words[0] == "node":
            x[int(words[1])], y[int(words[1])] = float(words[2]), round(float(words[3]), 2)
        elif words[0] == "edge":
            count = int(words[3])
            points = np.array(words[4 : 4 + 2 * count], float).reshape(-1, 2)
            curves[int(words[1]), int(words[2])] = points
    heights = sorted(set(y.values()), reverse=True)
    levels = {node: heights.index(height) for node, height in y.items()}
    paths = {
        (a, b): [bezier_x(points, heights[i]) for i in range(levels[a] + 1, levels[b])]
        for (a, b), points in curves.items()
    }
    reported = re.findall(r"mincross \S+: (\d+) crossings", done.stderr)
    return {
        "seconds": seconds,
        "crossings of the drawing": split(levels, x, paths),
        "crossings by its own count": int(reported[-1]) if reported else None,
        "layers": len(heights),
    }


def sample(zoo: Zoo) -> dict[str, Any]:
    """Sums over networks of about 1,000 operators, without those that `dot` does not finish."""
    low, high, step = SAMPLE
    sizes = np.diff(zoo.graphs.node_ptr)
    rows = np.flatnonzero((sizes >= low) & (sizes <= high))[::step]
    total = {"networks": 0, "not finished by dot": 0, "narfast": 0, "graphviz": 0}
    seconds = [0.0, 0.0]
    for row in rows.tolist():
        graph = zoo.graphs[row]
        theirs = graphviz(graph, SAMPLE_LIMIT)
        if theirs["seconds"] is None:
            total["not finished by dot"] += 1
            continue
        own = ours(graph)
        total["networks"] += 1
        total["narfast"] += own["crossings of the drawing"]
        total["graphviz"] += theirs["crossings of the drawing"]
        seconds = [seconds[0] + own["seconds"], seconds[1] + theirs["seconds"]]
    return total | {"seconds": seconds}


def main() -> None:
    if shutil.which("dot") is None:
        sys.exit("Graphviz is not installed: apt-get install graphviz")
    version = subprocess.run(["dot", "-V"], capture_output=True, text=True).stderr.strip()
    zoo = Zoo.open("default")
    rows = []
    for name in sys.argv[1:] or NETWORKS:
        graph = zoo.graph_of(name)
        row = {"network": name, "nodes": graph.num_nodes, "edges": len(edges_of(graph))}
        row |= {"narfast": ours(graph), "graphviz": graphviz(graph)}
        rows.append(row)
        print(json.dumps(row), flush=True)
    if not sys.argv[1:]:
        result = {"graphviz": version, "networks": rows, "sample": sample(zoo)}
        print(result["sample"])
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
