"""What each part of the encoder gives: variants of `configs/ablation.toml`, trained and compared.

    python benchmarks/studies/ablations.py [--output DIR] [--only NAME ...]

Every variant is scored on the validation half of the split. Writes
`benchmarks/results/ablations.json`; encoders are kept under DIR, and one that is
there already with the same settings is not trained again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narfast.encoder.encoder import ArchitectureEncoder
from narfast.evaluation.corpus import Corpus
from narfast.evaluation.methods import by_encoder
from narfast.evaluation.metrics import per_query_scores
from narfast.evaluation.protocols import RetrievalTask, cross_library, heldout_family
from narfast.evaluation.report import rankings_of
from narfast.graph import ArchGraph, GraphBatch, canonicalize
from narfast.nn.collate import collate_motifs
from narfast.nn.inputs import OperatorRows, mine_batch, node_tensors
from narfast.nn.layers import GraphTensors
from narfast.nn.model import ArchitectureModel
from narfast.search_spaces import darts
from narfast.sources.registry import library_versions
from narfast.training.run import PretrainConfig, run
from narfast.zoo import Zoo

ROOT = Path(__file__).parents[2]
Change = Callable[[PretrainConfig], PretrainConfig]


def miner(name: str) -> Change:
    return lambda config: replace(config, encoder=replace(config.encoder, miner=name))


def motif(**settings: Any) -> Change:
    return lambda config: replace(config, motif=replace(config.motif, **settings))


def graph(**settings: Any) -> Change:
    return lambda config: replace(config, graph=replace(config.graph, **settings))


def features(kind: Any) -> Change:
    return lambda config: replace(config, encoder=replace(config.encoder, features=kind))


def frozen_random_motifs(config: PretrainConfig) -> PretrainConfig:
    return graph(motif_learning_rate=0.0)(motif(epochs=0)(config))


VARIANTS: dict[str, tuple[str, Change]] = {
    "base": ("motifs by neighbor_sequence, both levels trained", lambda config: config),
    "random_motif_encoder": ("motif encoder as initialized, never trained", frozen_random_motifs),
    "hashed_motifs": ("a random vector for every multiset of operators", frozen_random_motifs),
    "no_motif_pretraining": ("motif level trained with the graph level alone", motif(epochs=0)),
    "frozen_motifs": (
        "motif level left as pre-trained (the paper)",
        graph(motif_learning_rate=0.0),
    ),
    "no_graph_pretraining": ("graph level as initialized", graph(epochs=0)),
    "no_macro_graph": ("one graph network on the operators, no motifs", miner("whole")),
    "one_hot": ("operators one-hot, attributes unseen (the paper)", features("one_hot")),
    "repeats": ("motifs that recur, as a person would name them", miner("repeats")),
    "fixed_size": ("motifs of eight operators each", miner("fixed_size")),
    "fixed_count": ("eight motifs in each network", miner("fixed_count")),
    "random": ("motifs of random size", miner("random")),
    "libraries_unmixed": ("positives as they come", graph(mix_libraries=False)),
    "nas_to_real": ("trained on networks of the DARTS space alone", lambda config: config),
}


def hashed_motifs(
    model: ArchitectureModel, op: Tensor, attr: Tensor, graph: GraphTensors
) -> Tensor:
    """In place of the motif encoder: a random direction for every multiset of operators."""
    packed = (op << 32 | attr).numpy()
    rows = []
    for start, stop in pairwise(graph.segment_ptr.tolist()):
        key = hashlib.blake2b(np.sort(packed[start:stop]).tobytes(), digest_size=8).digest()
        random = np.random.default_rng(int.from_bytes(key, "little"))
        rows.append(random.standard_normal(model.config.motif_dim, dtype=np.float32))
    return torch.from_numpy(np.stack(rows))


def insert_hashed_motifs(encoder: ArchitectureEncoder, graphs: GraphBatch) -> None:
    """Let the core find the same vectors where it would look for motifs that it has encoded."""
    mined = mine_batch(graphs, miner=encoder.config.miner)
    nodes = collate_motifs(mined.graphs, mined.macros, mined.unique.representative)
    model = ArchitectureModel(encoder.config)
    vectors = hashed_motifs(model, *node_tensors(nodes, OperatorRows(encoder.config.operators)))
    encoder._core.insert_motifs(mined.unique.motif_id, vectors.numpy())


def nas_data() -> tuple[list[ArchGraph], list[str]]:
    """DARTS networks with their genotype as label; other genotypes than paper-nas asks about."""
    graphs, parents = darts.relatives(60, 25, seed=1)
    return list(canonicalize(graphs)), [f"genotype {parent}" for parent in parents]


def train(name: str, config: PretrainConfig, zoo: Zoo, folder: Path) -> ArchitectureEncoder:
    if (folder / "config.json").exists():
        before = ArchitectureEncoder.from_pretrained(folder)
        if before.training_notes.get("config") == json.loads(json.dumps(asdict(config))):
            return before
    if name == "nas_to_real":
        graphs, labels = nas_data()
        return run(config, graphs, labels, folder)
    split = config.data.split()
    entries = [entry for entry in zoo if entry.family]
    return run(
        config,
        [entry.graph for entry in entries],
        [entry.family for entry in entries],
        folder,
        held_out={i for i, e in enumerate(entries) if split.holds_out(e.families, e.sources)},
        libraries=[entry.source for entry in entries],
    )


def tasks(zoo: Zoo) -> dict[str, RetrievalTask]:
    across = {task.name: task for task in cross_library(zoo, validation=True)}
    return {
        "unseen families": heldout_family(zoo, validation=True)[0],
        "MONAI": across["monai"],
    }


def scores(
    zoo: Zoo, encoder: ArchitectureEncoder, asked: dict[str, RetrievalTask]
) -> dict[str, Any]:
    corpus, method = Corpus(zoo), by_encoder(encoder)
    result: dict[str, Any] = {}
    for name, task in asked.items():
        ranked = rankings_of(task, method(corpus, task), seed=0)
        found = per_query_scores(ranked, task.relevant)
        families = np.asarray(task.families)
        result[name] = {
            "queries": len(task.queries),
            "mrr": _mean(found["mrr"][20]),
            "map": _mean(found["map"][20]),
            "family_map": _mean(
                np.array([found["map"][20][families == f].mean() for f in np.unique(families)])
            ),
        }
    return result


def _mean(values: NDArray[np.float64]) -> float:
    return round(float(values.mean()), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "ablations")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args()
    zoo = Zoo.open("default")
    base = PretrainConfig.from_toml(ROOT / "configs" / "ablation.toml")
    asked = tasks(zoo)
    path = ROOT / "benchmarks" / "results" / "ablations.json"
    results = json.loads(path.read_text())["variants"] if path.exists() else {}
    for name in options.only:
        description, change = VARIANTS[name]
        with ExitStack() as stack:
            if name == "hashed_motifs":
                stack.enter_context(patch.object(ArchitectureModel, "embed_motifs", hashed_motifs))
            encoder = train(name, change(base), zoo, options.output / name)
            if name == "hashed_motifs":
                insert_hashed_motifs(encoder, zoo.graph_rows(0, len(zoo)))
            results[name] = {"description": description, **scores(zoo, encoder, asked)}
        print(name, json.dumps(results[name]), flush=True)
        facts = {"zoo": zoo.checksum, "seed": base.seed, "versions": library_versions()}
        path.write_text(json.dumps({**facts, "variants": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
