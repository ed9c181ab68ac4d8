"""How well `narfast situate` tells new designs from known ones, and families in other libraries.

Usage: python benchmarks/studies/situate.py [-o RESULT.json]

Novelty: each network of the split's test families is asked for with all its family removed, each
network of the other families with itself alone removed; the area under the ROC curve is the chance
that a new one has the higher percentile. Family: each network of a library is asked for with all
that only this library offers removed, and each network of the test part with itself alone removed.
What the percentile and the confidence are measured on has no
network of a test family or test library; settings were chosen on validation families. Vectors are
those of the shipped zoo.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.situating.reference import KNOWN, LabelledVectors, Reference
from narfast.taxonomy.splits import standard_split
from narfast.zoo import Zoo

RESULT = Path(__file__).parents[1] / "results" / "situate.json"
SHADOWGENES = {"true_positive_rate": 0.975, "precision": 0.995, "models": 1400}


def area(new: NDArray[np.float64], known: NDArray[np.float64]) -> float:
    """Return the chance that a new network scores higher than a known one; ties count half."""
    ordered = np.sort(known)
    below = np.searchsorted(ordered, new, side="left")
    up_to = np.searchsorted(ordered, new, side="right")
    return float((below + up_to).mean() / 2 / len(known))


def novelty(networks: LabelledVectors, reference: Reference, test: NDArray[np.bool_]) -> Any:
    """Return how well the percentile separates networks of new families from known ones."""
    new, known, families, alone = [], [], [], []
    for row in range(len(networks)):
        own = networks.families[row]
        others = networks.others(row, families=own if test[row] else ())
        similarity = networks.vectors @ networks.vectors[row]
        percentile = reference.percentile(networks.nearest(similarity, others).novelty)
        if test[row]:
            new.append(percentile)
            families.append(min(own))
        elif any(len(networks.rows_of_family[family]) > 1 for family in own):
            known.append((percentile, min(own)))
        else:  # the only one of its family: as new as those that are removed
            alone.append(percentile)
    scores = np.array([score for score, _ in known])
    by_family: dict[str, list[float]] = {}
    for score, family in known:
        by_family.setdefault(family, []).append(score)
    means = np.array([np.mean(by_family[family]) for family in sorted(by_family)])
    new_by: dict[str, list[float]] = {}
    for score, family in zip(new, families, strict=True):
        new_by.setdefault(family, []).append(score)
    new_means = np.array([np.mean(new_by[family]) for family in sorted(new_by)])
    unseen = standard_split().validation_families
    unseen_scores = np.array([score for score, family in known if family in unseen])
    return {
        "new": {"networks": len(new), "families": len(new_by), "median": float(np.median(new))},
        "known": {
            "networks": len(known),
            "families": len(by_family),
            "median": float(np.median(scores)),
        },
        "auc": round(area(np.array(new), scores), 4),
        "known_that_training_never_saw": {
            "networks": len(unseen_scores),
            "families": len(unseen & by_family.keys()),
            "median": float(np.median(unseen_scores)),
            "auc": round(area(np.array(new), unseen_scores), 4),
        },
        "auc_of_family_means": round(area(new_means, means), 4),
        "alone_in_their_family": {
            "networks": len(alone),
            "median": float(np.median(alone)),
            "auc_to_known": round(area(np.array(alone), scores), 4),
        },
    }


def family_calls(
    networks: LabelledVectors,
    reference: Reference,
    rows: list[int],
    only: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return how families are called: elsewhere, called, right, confidence, one row each.

    Args:
        networks: the zoo.
        reference: what the confidence is measured on.
        rows: the networks that are asked for.
        only: bool[n], the networks that remain in the zoo; all by default.
    """
    calls = []
    for row in rows:
        allowed = networks.others(row, only=only)
        own = networks.families[row]
        elsewhere = any(allowed[networks.rows_of_family[family]].any() for family in own)
        found = networks.nearest(networks.vectors @ networks.vectors[row], allowed)
        sure = reference.confidence(found)
        calls.append((elsewhere, sure >= KNOWN, found.family in own, sure))
    return np.array(calls, dtype=np.float64).reshape(-1, 4)


def summary(calls: NDArray[np.float64]) -> dict[str, Any]:
    """Return rates over the rows of `family_calls`."""
    elsewhere, called, right = (calls[:, i] > 0 for i in range(3))
    return {
        "networks": len(calls),
        "elsewhere": int(elsewhere.sum()),
        "nowhere_else": int((~elsewhere).sum()),
        "true_positive_rate": share(called & right, elsewhere),
        "precision": share(right, called),
        "precision_of_known": share(right, called & elsewhere),
        "nearest_right": share(right, elsewhere),
        "none_rightly": share(~called, ~elsewhere),
        "mean_confidence": round(float(calls[:, 3].mean()), 3),
        "right": share(right, np.ones(len(calls), dtype=bool)),
    }


def share(what: NDArray[np.bool_], of: NDArray[np.bool_]) -> float | None:
    return round(float(what[of].mean()), 4) if of.any() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    output = parser.parse_args().output
    start = time.perf_counter()
    zoo = Zoo.open("default")
    networks = LabelledVectors.of(zoo)
    split = standard_split()
    of_family = np.array([bool(own & split.test_families) for own in networks.families])
    of_library = np.array([bool(own & split.test_libraries) for own in networks.libraries])
    reference = Reference.fit(networks.take(np.flatnonzero(~(of_family | of_library))))
    libraries = sorted({name for own in networks.libraries for name in own})
    calls = {}
    for name in libraries:
        rows = [row for row, own in enumerate(networks.libraries) if name in own]
        calls[name] = family_calls(networks, reference, rows, networks.offered_outside(name))
    test = np.flatnonzero(of_family | of_library).tolist()
    result = {
        "command": "python " + " ".join(sys.argv),
        "zoo": zoo.checksum[:16],
        "coefficients": reference.coefficients.round(4).tolist(),
        "measured_on": len(reference.novelty),
        "novelty": novelty(networks, reference, of_family),
        "test_libraries": sorted(split.test_libraries),
        "validation_libraries": sorted(split.validation_libraries),
        "libraries": {name: summary(each) for name, each in calls.items()},
        "all_libraries": summary(np.concatenate(list(calls.values()))),
        "all_test_libraries": summary(
            np.concatenate([calls[name] for name in sorted(split.test_libraries)])
        ),
        "relatives_present": summary(family_calls(networks, reference, test)),
        "shadowgenes": SHADOWGENES,
        "seconds": round(time.perf_counter() - start, 1),
    }
    output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
