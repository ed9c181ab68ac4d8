"""Novelty and confidence: against plain loops, and what they are for odd zoos."""

from __future__ import annotations

import numpy as np
import pytest

from narfast.situating import reference as module
from narfast.situating.reference import LabelledVectors, Nearest, Reference
from zoo_folders import open_zoo


def made_up(count=60, families=6, seed=0):
    """Vectors in clusters; every third network is of a second library, some have two families."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(families, 8))
    vectors = np.repeat(centres, count // families, axis=0) + 0.3 * rng.normal(size=(count, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"family{i // (count // families)}" for i in range(count)]
    return LabelledVectors(
        vectors.astype(np.float32),
        tuple(names),
        tuple(
            frozenset({name, "family0"}) if i % 11 == 5 else frozenset({name})
            for i, name in enumerate(names)
        ),
        tuple(frozenset({"b" if i % 3 == 0 else "a"}) for i in range(count)),
    )


def plain_nearest(networks, row, allowed):
    """The definition, one network at a time."""
    scores = [
        (float(networks.vectors[other] @ networks.vectors[row]), networks.family[other])
        for other in range(len(networks))
        if allowed(other)
    ]
    best, family = max(scores)
    other = max((score for score, name in scores if name != family), default=-1.0)
    return best, family, best - other


@pytest.mark.parametrize("row", [0, 5, 17, 59])
def test_nearest_by_hand(row):
    networks = made_up()
    own = networks.families[row]
    similarity = networks.vectors @ networks.vectors[row]
    views = {
        "alone": (networks.others(row), lambda other: other != row),
        "family": (
            networks.others(row, families=own),
            lambda other: other != row and not own & networks.families[other],
        ),
        "library": (
            networks.others(row, only=networks.offered_outside("a")),
            lambda other: other != row and networks.libraries[other] != {"a"},
        ),
    }
    for mask, allowed in views.values():
        found = networks.nearest(similarity, mask)
        best, family, lead = plain_nearest(networks, row, allowed)
        assert found.family == family
        assert found.similarity == found.family_similarity == pytest.approx(best, abs=1e-6)
        assert found.lead == pytest.approx(lead, abs=1e-6)
        assert found.novelty == pytest.approx(1 - best, abs=1e-6)


def test_the_percentile_is_the_share_of_families():
    networks = made_up()
    reference = Reference.fit(networks)
    assert (np.diff(reference.novelty) >= 0).all()
    assert reference.percentile(-1.0) == 0.0
    assert reference.percentile(3.0) == 100.0
    middle = float(reference.novelty[len(reference.novelty) // 2])
    below = reference.weight[reference.novelty < middle].sum() / reference.weight.sum()
    assert reference.percentile(middle) == pytest.approx(100 * below, abs=0.06)
    bounds, shares = reference.histogram(0.1, bins=10)
    assert shares.sum() == pytest.approx(1.0)
    assert len(bounds) == len(shares) + 1
    assert reference.histogram(1.9)[0][-1] == 1.9


def test_confidence_rises_with_closeness_and_lead():
    reference = Reference.fit(made_up())

    def confidence(similarity, lead):
        return reference.confidence(
            Nearest(similarity=similarity, family="a", family_similarity=similarity, lead=lead)
        )

    assert 0 <= confidence(0.2, 0.0) < confidence(0.99, 0.5) <= 1
    assert confidence(0.99, 0.5) > 0.5


def test_fitting_needs_no_luck():
    first, second = (Reference.fit(made_up()) for _ in range(2))
    assert first.to_bytes() == second.to_bytes()


def test_a_zoo_of_one_family_has_no_novelty():
    networks = made_up(count=10, families=1)
    reference = Reference.fit(networks)
    assert reference.percentile(0.5) is None
    assert reference.histogram(0.5)[1].sum() == 0


def test_networks_without_families_call_none():
    vectors = made_up().vectors
    none = (None,) * len(vectors)
    networks = LabelledVectors(
        vectors, none, (frozenset(),) * len(vectors), (frozenset({"a"}),) * len(vectors)
    )
    reference = Reference.fit(networks)
    found = networks.nearest(vectors @ vectors[0], networks.others(0))
    assert found.family is None
    assert found.similarity > 0.5
    assert reference.confidence(found) == 0.0


def test_networks_of_many_families_are_sampled(monkeypatch):
    networks = made_up(count=600, families=100)
    assert len(networks.sample()) <= 4 * 100
    monkeypatch.setattr(module, "_MOST", 50)
    rows = networks.sample()
    assert len(rows) == 50
    assert (np.diff(rows) > 0).all()


def test_what_is_measured_is_kept(zoo, zoo_path, cache, monkeypatch):
    monkeypatch.setattr(module, "_STORED_FROM", 1)
    networks = LabelledVectors.of(zoo)
    first = Reference.of(zoo, networks)
    assert Reference.of(zoo, networks) is first
    (file,) = cache.glob("*.situate")
    monkeypatch.setattr(Reference, "fit", None)
    again = open_zoo(zoo_path)
    assert Reference.of(again, LabelledVectors.of(again)).to_bytes() == first.to_bytes()
    monkeypatch.undo()
    assert file.read_bytes().endswith(first.to_bytes())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"novelty": [1], "weight": [], "coefficients": [1, 2, 3]}',
        b'{"novelty": [1], "weight": [1], "coefficients": [1, 2]}',
        b'{"novelty": [NaN], "weight": [1], "coefficients": [1, 2, 3]}',
        b'{"novelty": 1, "weight": 1, "coefficients": [1, 2, 3]}',
        b'{"novelty": ["x"], "weight": [1], "coefficients": [1, 2, 3]}',
        b"\xff",
    ],
)
def test_other_bytes_are_measured_again(data):
    assert Reference.from_bytes(data) is None
