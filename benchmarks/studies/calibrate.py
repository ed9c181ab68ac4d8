"""Fits what a score of the shipped encoder means, and says how often the words are right.

    python benchmarks/studies/calibrate.py

Hits are the first twenty of the validation queries of `heldout-family` and `cross-library`; the
words are then checked on the test queries. Percentiles are those of every network's nearest
neighbour in the zoo. How often networks share blocks by chance is counted on random pairs. Writes
``calibration.json`` beside the encoder; the same vectors give the same file.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from narfast.encoder.calibration import PRECISION, SHARED, Calibration, shares_blocks
from narfast.evaluation.protocols import cross_library, heldout_family
from narfast.explain import shared_motifs
from narfast.index import normalize
from narfast.zoo import Zoo

SHOWN = 20
QUERIES, PARTNERS = 200, 10  # of the random pairs

Hits = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]


def hits(zoo: Zoo, *, validation: bool) -> Hits:
    """Scores, whether of the query's family, whether of its coarse class: of all hits shown."""
    unit = normalize(zoo.embeddings)
    kind = np.array([entry.coarse_class or "" for entry in zoo])
    scores, family, coarse = [], [], []
    for task in (
        heldout_family(zoo, validation=validation)[0],
        cross_library(zoo, validation=validation)[0],
    ):
        for place, (query, relevant) in enumerate(zip(task.queries, task.relevant, strict=True)):
            similarity = unit @ unit[query]
            similarity[query] = -np.inf
            if task.candidates is not None:
                similarity[~task.candidates[place]] = -np.inf
            first = np.argsort(-similarity, kind="stable")[:SHOWN]
            scores.append(similarity[first])
            family.append(np.isin(first, relevant))
            coarse.append(kind[first] == kind[query])
    return np.concatenate(scores), np.concatenate(family), np.concatenate(coarse)


def precision(found: Hits, calibration: Calibration) -> dict[str, dict[str, float]]:
    """How many hits get each word, and how often it is right."""
    scores, family, coarse = found
    named = scores >= calibration.same_family
    related = (scores >= calibration.related) & ~named
    rest = scores < calibration.related
    return {
        "same family": {"hits": int(named.sum()), "of the family": share(family[named])},
        "related": {
            "hits": int(related.sum()),
            "of the family": share(family[related]),
            "of the class": share(coarse[related]),
        },
        "below": {  # called "shares blocks" or "unrelated"
            "hits": int(rest.sum()),
            "of the family": share(family[rest]),
            "of the class": share(coarse[rest]),
        },
    }


def share(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 3) if len(right) else float("nan")


def nearest(zoo: Zoo) -> NDArray[np.float32]:
    """The cosine of every network to the nearest other one, float32 [networks]."""
    unit = normalize(zoo.embeddings)
    best = np.empty(len(unit), dtype=np.float32)
    for row, vector in enumerate(unit):
        similarity = unit @ vector
        similarity[row] = -np.inf
        best[row] = similarity.max()
    return best


def blocks_by_chance(zoo: Zoo) -> dict[str, float]:
    """How many random pairs of networks have as much in common as "shares blocks" asks for."""
    generator = np.random.default_rng(0)
    found = []
    for query in generator.choice(len(zoo), QUERIES, replace=False).tolist():
        others = generator.choice(len(zoo), PARTNERS, replace=False)
        others = others[others != query].tolist()
        graph, graphs = zoo[query].graph, [zoo[row].graph for row in others]
        for row, other, motifs in zip(others, graphs, shared_motifs(graph, graphs), strict=True):
            enough = shares_blocks(graph.num_nodes, other.num_nodes, motifs)
            found.append((zoo[query].coarse_class == zoo[row].coarse_class, enough))
    alike, enough = np.array(found).T
    return {
        "from a share of": SHARED,
        "pairs": len(enough),
        "of all pairs": share(enough),
        "of pairs of one class": share(enough[alike]),
        "of pairs of two classes": share(enough[~alike]),
    }


def main() -> None:
    zoo = Zoo.open("default")
    found = hits(zoo, validation=True)
    calibration = Calibration.fit(*found, nearest=nearest(zoo))
    notes = {
        "precision": PRECISION,
        "shares blocks by chance": blocks_by_chance(zoo),
        "validation": precision(found, calibration),
        "test": precision(hits(zoo, validation=False), calibration),
        "fingerprint": zoo.manifest.encoder and zoo.manifest.encoder["fingerprint"],
        "zoo": zoo.checksum,
    }
    calibration.save("default", **notes)
    print(json.dumps({**vars(calibration), **notes}, indent=1))


if __name__ == "__main__":
    main()
