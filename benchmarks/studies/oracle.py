"""Whether the core computes what the torch model computes, for every shipped configuration.

    python benchmarks/studies/oracle.py [--device cuda] [--limit N] [--only CONFIGURATION ...]

Over the stored graphs of the zoo, the stored exports, and 10,000 networks of NAS spaces: the
largest difference of a number and the largest 1 - cosine of a vector, of unit vectors. The torch
model computes in single precision; where it differs by more than the tolerance, as for networks of
a hundred thousand operators, it is asked again in double precision. Weights are
the shipped ones for `default`, made up from a fixed seed for the other files of `configs/`. Writes
`benchmarks/results/oracle.json`; exits with an error where a difference is not below the tolerance.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narfast import operators
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.evaluation.protocols import EXPORTS
from narfast.graph import GraphBatch, canonicalize
from narfast.nn.inference import TorchInference
from narfast.nn.inputs import store_idf
from narfast.nn.model import ArchitectureModel
from narfast.search_spaces import darts, nasbench101, nasbench201
from narfast.sources.registry import library_versions
from narfast.structural_features import LabelIdf
from narfast.training.run import PretrainConfig
from narfast.zoo import Zoo

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "oracle.json"
CONFIGURATIONS = sorted(path.stem for path in (ROOT / "configs").glob("*.toml"))
NAS_NETWORKS = 10_000
SEED = 0
TOLERANCE = 1e-5
FITTED = 500  # networks that made-up structural features are fitted to
MOST_NODES = {"cpu": 1 << 14}  # of a batch of the torch model: rows of 512 floats take 32 MB
MOST_NODES_ELSEWHERE = 1 << 17


def nas_networks() -> GraphBatch:
    """A third each of DARTS, NAS-Bench-101 and NAS-Bench-201, drawn at random, canonical."""
    third = NAS_NETWORKS // 3
    rng = np.random.default_rng(SEED)
    cells = rng.choice(nasbench101.cells(), third, replace=False)
    spellings = rng.choice(nasbench201.NUM_CELLS, third, replace=False)
    drawn = list(darts.random_genotypes(NAS_NETWORKS - 2 * third, seed=SEED))
    parts = [
        nasbench101.networks(cells, num_threads=0),
        nasbench201.networks(spellings, num_threads=0),
        darts.networks(drawn, num_threads=0),
    ]
    graphs = [graph for part in parts for graph in canonicalize(part, num_threads=0)]
    order = rng.permutation(len(graphs))  # so that the first few are of all three
    return GraphBatch.from_graphs([graphs[i] for i in order])


def stored(zoo: Zoo) -> GraphBatch:
    return zoo.graph_rows(0, len(zoo))


def encoder_of(name: str, graphs: GraphBatch) -> ArchitectureEncoder:
    """The shipped encoder, or made-up weights in the shape of a configuration."""
    if name == "default":
        return ArchitectureEncoder.from_pretrained("default")
    config = PretrainConfig.from_toml(ROOT / "configs" / f"{name}.toml").encoder
    config = replace(config, operators=tuple(info.name for info in operators.table()))
    idf = None
    if config.wide_dim:
        idf = LabelIdf.fit(
            graphs, hops=config.wide_hops, size=config.wide_size, ngrams=config.wide_grams
        )
        config = replace(config, wide_size=len(idf.label))
    torch.manual_seed(SEED)
    model = ArchitectureModel(config)
    if idf is not None:
        axes = np.random.default_rng(SEED).normal(size=(len(idf.label), config.wide_axes))
        store_idf(model, idf, axes.astype(np.float32))
    return ArchitectureEncoder.from_model(model)


def batches(graphs: GraphBatch, most: int) -> Iterator[GraphBatch]:
    """Consecutive graphs of at most so many nodes together, or one that has more."""
    start = 0
    for stop in range(1, len(graphs) + 1):
        nodes = graphs.node_ptr[min(stop + 1, len(graphs))] - graphs.node_ptr[start]
        if stop == len(graphs) or nodes > most:
            yield graphs.part(start, stop)
            start = stop


def compare(
    encoder: ArchitectureEncoder, model: TorchInference, graphs: GraphBatch, threads: int
) -> dict[str, Any]:
    """Largest differences between both, over some networks."""
    begin = time.perf_counter()
    difference = distance = 0.0
    doubtful = []
    most = MOST_NODES.get(model.device.type, MOST_NODES_ELSEWHERE)
    for batch in batches(graphs, most):
        ours = encoder.encode(batch, num_threads=threads).astype(np.float64)
        theirs = model.encode(batch, num_threads=threads).astype(np.float64)
        each = np.abs(ours - theirs).max(axis=1, initial=0)
        difference = max(difference, _largest(each))
        doubtful += [
            np.abs(ours[i] - in_double(model, batch.part(i, i + 1), threads)).max()
            for i in np.flatnonzero(~(each < TOLERANCE)).tolist()
        ]
        units = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (ours, theirs)]
        # |a - b|^2 / 2 is 1 - cosine, without the digits that 1 - x loses.
        distance = max(distance, _largest(((units[0] - units[1]) ** 2).sum(axis=1) / 2))
    return {
        "networks": len(graphs),
        "nodes": len(graphs.op),
        "largest_difference": difference,
        "largest_cosine_distance": distance,
        "asked_again_in_double": len(doubtful),
        "largest_difference_to_double": _largest(np.array(doubtful)) if doubtful else None,
        "seconds": round(time.perf_counter() - begin, 1),
    }


def in_double(model: TorchInference, graphs: GraphBatch, threads: int) -> np.ndarray:
    """The vector of one network by the torch model in double precision."""
    exact = copy.copy(model)
    exact.model = copy.deepcopy(model.model).double()
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return exact.encode(graphs, num_threads=threads)[0]
    finally:
        torch.set_default_dtype(before)


def _largest(values: np.ndarray) -> float:
    """The maximum; infinity where there is a nan, which no comparison with a bound would find."""
    return float(np.nan_to_num(values, nan=np.inf).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu", help="of the torch model")
    parser.add_argument("--threads", type=int, default=0, help="of the core; 0 for all cores")
    parser.add_argument("--limit", type=int, help="networks of each set, for a quick look")
    parser.add_argument(
        "--only",
        nargs="*",
        choices=CONFIGURATIONS,
        default=CONFIGURATIONS,
        help="these alone; the others that the file has are kept",
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    sets = {
        "zoo": stored(Zoo.open("default")),
        "exports": stored(Zoo.open(EXPORTS)),
        "nas": nas_networks(),
    }
    cuda = torch.device(options.device).type == "cuda"
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name(options.device) if cuda else options.device,
        "tolerance": TOLERANCE,
        "cores": os.cpu_count(),
        "versions": library_versions(),
        "torch": torch.__version__,
        "limit": options.limit,
        "configurations": {},
    }
    if options.only != CONFIGURATIONS and options.out.exists():
        report["configurations"] = json.loads(options.out.read_text("utf-8"))["configurations"]
    misses = []
    for name in options.only:
        encoder = encoder_of(name, sets["zoo"].part(0, FITTED))
        model = TorchInference(encoder._weights, options.device)
        made: dict[str, Any] = {
            "weights": "shipped" if name == "default" else f"made up, seed {SEED}",
            "sets": {},
        }
        report["configurations"][name] = made
        for title, graphs in sets.items():
            part = graphs.part(0, min(len(graphs), options.limit or len(graphs)))
            found = made["sets"][title] = compare(encoder, model, part, options.threads)
            print(name, title, json.dumps(found), flush=True)
            exact = found["largest_difference_to_double"]
            for value in (found["largest_cosine_distance"], 0.0 if exact is None else exact):
                if not value < TOLERANCE:
                    misses.append(f"{name}, {title}: {value}")
            options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if misses:
        raise SystemExit("\n".join(["not below the tolerance:", *misses]))


if __name__ == "__main__":
    main()
