"""Fits what a score of the shipped encoder means, and says how often the words are right.

    python benchmarks/calibrate.py

Hits are the first twenty of the validation queries of `heldout-family` and `cross-library`; the
words are then checked on the test queries. Writes ``calibration.json`` beside the encoder.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from narfast.calibration import PRECISION, Calibration
from narfast.evaluation.protocols import cross_library, heldout_family
from narfast.index import normalize
from narfast.zoo import Zoo

SHOWN = 20

Hits = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]


def hits(zoo: Zoo, *, validation: bool) -> Hits:
    """Scores, whether of the query's family, whether of its coarse class: of all hits shown."""
    unit = normalize(zoo.embeddings)
    kind = np.array([entry.coarse_class or "" for entry in zoo])
    scores, family, coarse = [], [], []
    for setting in (
        heldout_family(zoo, validation=validation)[0],
        cross_library(zoo, validation=validation)[0],
    ):
        for place, (query, relevant) in enumerate(
            zip(setting.queries, setting.relevant, strict=True)
        ):
            similarity = unit @ unit[query]
            similarity[query] = -np.inf
            if setting.candidates is not None:
                similarity[~setting.candidates[place]] = -np.inf
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
        "unrelated": {"hits": int(rest.sum()), "of the family": share(family[rest])},
    }


def share(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 3) if len(right) else float("nan")


def main() -> None:
    zoo = Zoo.open("default")
    found = hits(zoo, validation=True)
    calibration = Calibration.fit(*found)
    notes = {
        "precision": PRECISION,
        "validation": precision(found, calibration),
        "test": precision(hits(zoo, validation=False), calibration),
        "fingerprint": zoo.manifest.encoder and zoo.manifest.encoder["fingerprint"],
        "zoo": zoo.checksum,
    }
    calibration.save("default", **notes)
    print(json.dumps({**vars(calibration), **notes}, indent=1))


if __name__ == "__main__":
    main()
