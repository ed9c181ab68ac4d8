"""Time of every stage of bulk encoding beside the least that it must do.

    python benchmarks/studies/floors.py [--graphs 1024] [--json FILE]

Stored graphs of the zoo, one and two threads, motifs unknown. The floor of a stage is the larger of
two: the bytes that it must read and write, at the bandwidth of a copy, and its multiplications and
additions, at the speed of a large float32 matrix product of NumPy; both measured in the same run.

What the encoder multiplies is counted beside it, from distinct colours: nodes that graph layers
cannot tell apart are one row (``tests/oracles/color_refinement.py``). Stages inside the encoder are
found by difference of what can be called alone, so that the product needs no clocks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.encoder.encoder import ArchitectureEncoder
from narfast.encoder_config import EncoderConfig
from narfast.graph import GraphBatch, canonicalize, structural_hash
from narfast.motifs import coarsen, mine
from narfast.nn.collate import collate_macros, collate_motifs
from narfast.nn.inputs import MinedBatch, mine_batch
from narfast.sources.registry import library_versions
from narfast.structural_features import structural_labels
from narfast.zoo import Zoo

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))
from oracles.color_refinement import refine  # noqa: E402

ROUNDS = 5
PRODUCT = """
import time
import numpy as np
a = np.random.default_rng(0).random((1024, 1024), dtype=np.float32)
taken = []
for _ in range(20):
    begin = time.perf_counter()
    a @ a
    taken.append(time.perf_counter() - begin)
print(2 * 1024**3 / min(taken))
"""


def best(action: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> float:
    """Seconds of the fastest of some rounds."""
    times = []
    for _ in range(ROUNDS):
        before()
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
    """Floating-point operations of a matrix product in a second, in a process of one thread."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, "1")
    command = [sys.executable, "-c", PRODUCT]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


# What the encoder multiplies and adds, counted from colours.


@dataclass
class Work:
    """Operations of graph layers over some nodes.

    Attributes:
        colors: Distinct colours after 0, 1, ... rounds.
        products: Multiplications and additions of matrix products.
        sums: Those of sums over neighbours and of readouts.
    """

    colors: NDArray[np.int64]
    nodes: int = 0
    products: float = 0.0
    sums: float = 0.0


def layer_work(
    work: Work, features: list[Any], in_ptr: Any, in_src: Any, segments: Any, *, widths: list[int]
) -> None:
    """Add what the bidirectional layers of ``widths`` do with collated graphs."""
    colorings = refine(features, in_ptr, in_src, rounds=len(widths) - 1)
    counts = [len(set(colors)) for colors in colorings]
    work.colors[: len(counts)] += counts
    work.nodes += len(features)
    sources = np.split(in_src, in_ptr[1:-1])
    targets: list[list[int]] = [[] for _ in features]
    for node, inputs in enumerate(sources):
        for source in inputs.tolist():
            targets[source].append(node)
    for layer, (inner, outer) in enumerate(pairwise(widths)):
        before, after = colorings[layer], colorings[layer + 1]
        work.products += 2.0 * counts[layer] * inner * 3 * outer
        representative = {color: node for node, color in reversed(list(enumerate(after)))}
        for node in representative.values():
            rows = 1 + len({before[s] for s in sources[node].tolist()})
            rows += len({before[t] for t in targets[node]})
            work.sums += 2.0 * rows * outer
    last = np.array(colorings[-1])
    for start, stop in zip(segments[:-1].tolist(), segments[1:].tolist(), strict=True):
        work.sums += 2.0 * 3 * len(np.unique(last[start:stop])) * widths[-1]


def engine_work(mined: MinedBatch, config: EncoderConfig) -> tuple[Work, Work]:
    """Work of the motif and of the macro layers, part by part as the core cuts a call."""
    depths = (config.motif_layers, config.macro_layers)
    motif, macro = (Work(np.zeros(1 + layers, np.int64)) for layers in depths)
    motif_widths = [config.feature_dim, *[config.motif_dim] * config.motif_layers]
    first = config.motif_dim + 2 * config.node_scalars
    macro_widths = [first, *[config.macro_dim] * config.macro_layers]
    instance_ptr = mined.macros.instance_ptr
    known: set[int] = set()
    for start, stop in parts(mined.graphs):
        instances = range(instance_ptr[start], instance_ptr[stop])
        new = dict.fromkeys(mined.unique.inverse[instances].tolist())
        rows = np.array([u for u in new if u not in known], np.int64)
        known.update(new)
        if len(rows):
            nodes = collate_motifs(mined.graphs, mined.macros, mined.unique.representative[rows])
            features = list(zip(nodes.op.tolist(), nodes.attr.tolist(), strict=True))
            graph = (nodes.in_ptr, nodes.in_src, nodes.segment_ptr)
            layer_work(motif, features, *graph, widths=motif_widths)
            motif.products += 2.0 * len(rows) * 3 * config.motif_dim * config.motif_dim
        batch = collate_macros(mined.macros, np.arange(start, stop))
        motifs = mined.unique.inverse[batch.instance].tolist()
        features = list(zip(motifs, mined.multiplicity[batch.instance].tolist(), strict=True))
        graph = (batch.in_ptr, batch.in_src, batch.segment_ptr)
        layer_work(macro, features, *graph, widths=macro_widths)
        read = 3 * config.macro_dim + config.wide_axes
        hidden = config.merge_dim * (read + config.deep_dim)
        macro.products += 2.0 * (stop - start) * hidden
    return motif, macro


def parts(graphs: GraphBatch) -> list[tuple[int, int]]:
    """The ranges of networks that one thread encodes together: as the core cuts a large call."""
    source = (ROOT / "cpp" / "narfast" / "encoder" / "encoder.cpp").read_text()
    most_nodes, most_graphs = (
        int(re.findall(rf"\b{name}\b = (\d+);", source)[0])
        for name in ("kPartNodes", "kPartGraphs")
    )
    begins = [0]
    for g in range(1, len(graphs)):
        nodes = graphs.node_ptr[g] - graphs.node_ptr[begins[-1]]
        if nodes >= most_nodes or g - begins[-1] >= most_graphs:
            begins.append(g)
    return list(zip(begins, [*begins[1:], len(graphs)], strict=True))


def color_shares(graphs: GraphBatch, mined: MinedBatch) -> dict[str, Any]:
    """Distinct colours for each node at hops 0, 1, 2: within a network, and across all."""
    unique = mined.unique.representative
    nodes = collate_motifs(mined.graphs, mined.macros, unique)
    macros = collate_macros(mined.macros, np.arange(len(mined)))
    # `in_src` of a batch counts within its graph.
    first = np.repeat(graphs.node_ptr[:-1], np.diff(graphs.node_ptr))
    whole = graphs.in_src + np.repeat(first, np.diff(graphs.in_ptr))
    motifs = mined.unique.inverse[macros.instance].tolist()
    kinds = {
        "operator graphs": (
            list(zip(graphs.op.tolist(), graphs.attr.tolist(), strict=True)),
            (graphs.in_ptr, whole, graphs.node_ptr),
        ),
        "distinct motifs": (
            list(zip(nodes.op.tolist(), nodes.attr.tolist(), strict=True)),
            (nodes.in_ptr, nodes.in_src, nodes.segment_ptr),
        ),
        "macro graphs": (
            list(zip(motifs, mined.multiplicity[macros.instance].tolist(), strict=True)),
            (macros.in_ptr, macros.in_src, macros.segment_ptr),
        ),
    }
    found = {}
    for name, (features, (in_ptr, in_src, segments)) in kinds.items():
        colorings = refine(features, in_ptr, in_src, rounds=2)
        within = [
            sum(len(np.unique(part)) for part in np.split(np.array(colors), segments[1:-1]))
            for colors in colorings
        ]
        across = [len(set(colors)) for colors in colorings]
        found[name] = {
            "nodes": len(features),
            "within": [round(count / len(features), 4) for count in within],
            "across": [round(count / len(features), 4) for count in across],
        }
    return found


# Times.


def times(graphs: GraphBatch, encoder: ArchitectureEncoder, threads: int) -> dict[str, float]:
    """Seconds of every stage; stages inside the encoder by difference."""
    config, idf = encoder.config, encoder._weights.label_idf()
    assert idf is not None
    motifs = mine(graphs, method=config.miner)

    def encode() -> None:
        encoder.encode(graphs, batch_size=len(graphs), num_threads=threads)

    found = {
        "canonicalize (already canonical)": best(lambda: canonicalize(graphs, num_threads=threads)),
        "structural hash": best(lambda: structural_hash(graphs, num_threads=threads)),
        "mine": best(lambda: mine(graphs, method=config.miner, num_threads=threads)),
        "coarsen": best(lambda: coarsen(graphs, motifs, num_threads=threads)),
        "structural features: labels and their rarity": best(
            lambda: idf.features(graphs, 0, num_threads=threads)
        ),
    }
    projected = best(lambda: idf.features(graphs, config.wide_dim, num_threads=threads))
    cold = best(encode, encoder.motif_cache.clear)
    warm = best(encode)
    labels = found["structural features: labels and their rarity"]
    found["structural features: projection"] = projected - labels
    found["motifs: collate, refine, products, sums"] = cold - warm
    inside = found["mine"] + found["coarsen"] + projected
    found["macro graphs: the same, with axes and merge"] = warm - inside
    found["encode, whole"] = cold
    found["encode, whole, motifs known"] = warm
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--graphs", type=int, default=1024)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    zoo = Zoo.open("default")
    rows = np.random.default_rng(0).choice(len(zoo), options.graphs, replace=False)
    graphs = GraphBatch.from_graphs([zoo[int(row)].graph for row in rows])
    encoder = ArchitectureEncoder.from_pretrained("default")
    config, idf = encoder.config, encoder._weights.label_idf()
    assert idf is not None
    mined = mine_batch(graphs, miner=config.miner)
    motif, macro = engine_work(mined, config)

    arrays = float(sum(array.nbytes for array in graphs.arrays))
    macro_bytes = float(sum(np.asarray(a).nbytes for a in vars(mined.macros).values()))
    labels = structural_labels(graphs, hops=config.wide_hops, ngrams=config.wide_grams)
    at = graphs.node_ptr[1:-1]
    distinct = sum(len(np.unique(part[part != 0])) for row in labels for part in np.split(row, at))
    _, listed = idf.features(graphs, 0)
    vectors = 4.0 * len(graphs)
    projection = 2.0 * config.wide_dim * distinct
    axes = 2.0 * config.wide_axes * len(listed.row)
    weights = 4.0 * sum(
        tensor.size for name, tensor in encoder.tensors.items() if not name.startswith("wide_")
    )
    unit = np.ascontiguousarray(zoo.embeddings)
    motif_operations, macro_operations = (w.products + w.sums for w in (motif, macro))
    macro_stage = macro_operations + axes
    # What a stage must move, in bytes, and compute, in operations.
    least: dict[str, tuple[float, float]] = {
        "canonicalize (already canonical)": (2 * arrays, 0.0),
        "structural hash": (arrays, 0.0),
        "mine": (arrays + 4.0 * len(graphs.op), 0.0),
        "coarsen": (arrays + macro_bytes, 0.0),
        "structural features: labels and their rarity": (arrays + labels.nbytes, 0.0),
        "structural features: projection": (vectors * config.wide_dim, projection),
        "motifs: collate, refine, products, sums": (arrays + weights, motif_operations),
        "macro graphs: the same, with axes and merge": (macro_bytes + 2 * axes, macro_stage),
        "encode, whole": (
            3 * arrays + macro_bytes + vectors * config.dim,
            motif_operations + macro_stage + projection,
        ),
        "encode, whole, motifs known": (
            3 * arrays + macro_bytes + vectors * config.dim,
            macro_stage + projection,
        ),
    }
    moved, computed = bandwidth(), arithmetic()
    stages = []
    for threads in options.threads:
        for name, seconds in times(graphs, encoder, threads).items():
            size, operations = least[name]
            floor = max(size / moved, operations / computed / threads) / len(graphs)
            took = seconds / len(graphs)
            stages.append(
                {
                    "stage": name,
                    "threads": threads,
                    "bytes": size / len(graphs),
                    "operations": operations / len(graphs),
                    "seconds": took,
                    "floor": floor,
                }
            )
            print(
                f"{threads} threads, {name}: {took * 1e6:,.1f} us, floor {floor * 1e6:,.2f}, "
                f"{took / floor:,.1f} times it",
                flush=True,
            )
    took, size = best(lambda: unit @ unit[0]), float(unit.nbytes)
    search = {"seconds": took, "floor": max(size / moved, 2.0 * unit.size / computed)}
    counted = {
        "motif products": motif.products,
        "motif sums and readouts": motif.sums,
        "macro products and merge": macro.products,
        "macro sums and readouts": macro.sums,
        "projection of labels": projection,
        "axes": axes,
    }
    facts = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "graphs": len(graphs),
        "nodes": len(graphs.op),
        "distinct_motifs": len(mined.unique.representative),
        "gigabytes_a_second": moved / 1e9,
        "gigaflops": computed / 1e9,
        "versions": library_versions(),
        "stages": stages,
        "exact_search_of_one_query": search,
        "operations": {name: count / len(graphs) for name, count in counted.items()},
        "rows_multiplied": {
            "motifs": {"nodes": motif.nodes, "colors": motif.colors.tolist()},
            "macro graphs": {"nodes": macro.nodes, "colors": macro.colors.tolist()},
        },
        "colors": color_shares(graphs, mined),
    }
    for key in ("operations", "rows_multiplied", "colors"):
        print(key, json.dumps(facts[key], indent=1))
    if options.json:
        options.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
