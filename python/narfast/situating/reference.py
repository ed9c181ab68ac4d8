"""What a similarity says of a zoo: how new a design is, and how sure its family.

Both are measured on networks of the zoo itself, a few of each family, as if these were queries. The
measurements are kept in the user's cache folder, one file for each state of a zoo.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from narfast._version import __version__
from narfast.index import normalize
from narfast.storage import format as folder
from narfast.storage.index_cache import load_index, store_index
from narfast.taxonomy.splits import standard_split
from narfast.zoo.zoo import Zoo

__all__ = ["KNOWN", "LabelledVectors", "Nearest", "Reference"]

KNOWN = 0.5
"""A family is called if it is more likely right than wrong."""

_FORMAT = 1  # raised with every change of what is measured
_STORED_FROM = 1000  # structures; a smaller zoo is measured anew in every process
_PER_FAMILY = 4  # networks of a family that are measured
_MOST = 2000  # networks that are measured
_STEPS = 30  # of Newton's method; it settles after about ten
_PRIOR = 1e-3  # precision of the normal prior of a coefficient
_CLOSEST = 1e-3  # two networks this close are as close as can be


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The network most like a query, and the nearest one of another family.

    Attributes:
        similarity: cosine to the nearest network; -1 if there is none.
        family: family of the nearest network that has one; None if none has.
        family_similarity: cosine to that network.
        lead: how much closer it is than the nearest network of any other family.
    """

    similarity: float
    family: str | None
    family_similarity: float
    lead: float

    @property
    def novelty(self) -> float:
        """Distance to the nearest network, from 0 to 2: one minus the cosine."""
        return 1.0 - self.similarity


@dataclass(frozen=True, eq=False)
class LabelledVectors:
    """Vectors of networks, with their families and libraries.

    Attributes:
        vectors: float32[n, dim], of length one.
        family: the family of most names of each; None if unknown.
        families: the families of all names of each.
        libraries: the libraries that offer each.
    """

    vectors: NDArray[np.float32]
    family: tuple[str | None, ...]
    families: tuple[frozenset[str], ...]
    libraries: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, zoo: Zoo) -> LabelledVectors:
        """Return the networks of a zoo.

        Raises:
            NarfastError: the zoo has no vectors.
        """
        entries = list(zoo)
        return cls(
            normalize(zoo.embeddings),
            tuple(entry.family for entry in entries),
            tuple(entry.families for entry in entries),
            tuple(entry.sources for entry in entries),
        )

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: NDArray[np.int64]) -> LabelledVectors:
        """Return some of the networks."""
        chosen = rows.tolist()
        return LabelledVectors(
            self.vectors[rows],
            tuple(self.family[row] for row in chosen),
            tuple(self.families[row] for row in chosen),
            tuple(self.libraries[row] for row in chosen),
        )

    @cached_property
    def rows_of_family(self) -> dict[str, NDArray[np.int64]]:
        """The rows of each family; a row with names in several families is in each."""
        rows: dict[str, list[int]] = {}
        for row, families in enumerate(self.families):
            for family in sorted(families):
                rows.setdefault(family, []).append(row)
        return {family: np.array(rows[family], dtype=np.int64) for family in sorted(rows)}

    @cached_property
    def _number(self) -> NDArray[np.int64]:
        """The number of each row's family among `_names`; -1 if unknown."""
        number = {name: i for i, name in enumerate(self._names)}
        return np.array([number.get(name or "", -1) for name in self.family], dtype=np.int64)

    @cached_property
    def _names(self) -> list[str]:
        return sorted({name for name in self.family if name})

    def offered_outside(self, library: str) -> NDArray[np.bool_]:
        """bool[n], whether another library offers a network too."""
        return np.array([bool(own - {library}) for own in self.libraries], dtype=bool)

    def others(
        self, row: int, *, families: Iterable[str] = (), only: NDArray[np.bool_] | None = None
    ) -> NDArray[np.bool_]:
        """bool[n], the networks other than one, without some families."""
        allowed = np.ones(len(self), dtype=bool) if only is None else only.copy()
        allowed[row] = False
        for family in families:
            allowed[self.rows_of_family.get(family, [])] = False
        return allowed

    def nearest(
        self, similarity: NDArray[np.floating], allowed: NDArray[np.bool_] | None = None
    ) -> Nearest:
        """Return the nearest network, and its lead over other families.

        Args:
            similarity: [n], cosines of a query to all networks.
            allowed: bool[n], the networks that count; all by default.
        """
        known = self._number >= 0
        if allowed is not None:
            similarity = np.where(allowed, similarity, -1.0)
            known = known & allowed
        best = float(similarity.max(initial=-1.0))
        if not known.any():
            return Nearest(similarity=best, family=None, family_similarity=-1.0, lead=0.0)
        labelled = np.where(known, similarity, -1.0)
        row = int(labelled.argmax())
        other = labelled[self._number != self._number[row]].max(initial=-1.0)
        return Nearest(
            similarity=best,
            family=self._names[int(self._number[row])],
            family_similarity=float(labelled[row]),
            lead=float(labelled[row] - other),
        )

    def sample(self) -> NDArray[np.int64]:
        """Return rows of every family, evenly spaced among its rows; each row once."""
        chosen: set[int] = set()
        for rows in self.rows_of_family.values():
            places = np.linspace(0, len(rows) - 1, min(_PER_FAMILY, len(rows)))
            chosen.update(rows[places.astype(np.int64)].tolist())
        rows = np.array(sorted(chosen), dtype=np.int64)
        places = np.linspace(0, len(rows) - 1, min(_MOST, len(rows))).astype(np.int64)
        spread: NDArray[np.int64] = rows[places]
        return spread


@dataclass(frozen=True, eq=False)
class Reference:
    """Measurements on the networks of a zoo.

    Attributes:
        novelty: float64[m], ascending: distance of networks to the nearest one of other families.
        weight: float64[m], of each; a family weighs the same however many networks it has.
        coefficients: float64[3], of the confidence; see `confidence`.
    """

    novelty: NDArray[np.float64]
    weight: NDArray[np.float64]
    coefficients: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    @classmethod
    def of(cls, zoo: Zoo, networks: LabelledVectors) -> Reference:
        """Return the reference of a zoo: from memory, from the cache folder, or measured anew.

        Args:
            zoo: the zoo.
            networks: its networks.
        """
        known = _KNOWN_ZOOS.get(zoo)
        if known is not None and known[0] == zoo.checksum:
            return known[1]
        key = _key(zoo)
        stored = load_index(key, "situate") if len(zoo) >= _STORED_FROM else None
        reference = None if stored is None else cls.from_bytes(stored)
        if reference is None:
            reference = cls.fit(networks)
            if len(zoo) >= _STORED_FROM:
                store_index(key, reference.to_bytes(), "situate")
        _KNOWN_ZOOS[zoo] = (zoo.checksum, reference)
        return reference

    def to_bytes(self) -> bytes:
        """Return the measurements as JSON."""
        return json.dumps({name: getattr(self, name).tolist() for name in _ARRAYS}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Reference | None:
        """Return measurements from the bytes of `to_bytes`; None if they are something else."""
        try:
            value = json.loads(data)
            arrays = {name: np.array(value[name], dtype=np.float64) for name in _ARRAYS}
        except (ValueError, KeyError, TypeError):
            return None
        shapes = [arrays[name].shape for name in ("novelty", "weight")]
        fits = shapes[0] == shapes[1] and len(shapes[0]) == 1
        finite = all(np.isfinite(array).all() for array in arrays.values())
        return cls(**arrays) if fits and finite and arrays["coefficients"].shape == (3,) else None

    @classmethod
    def fit(cls, networks: LabelledVectors) -> Reference:
        """Ask for networks of every family, as if the zoo did not have some of the others.

        Novelty: without all networks of the own family. Confidence: only networks of the training
        part of the split are asked for, three times each: without the network itself, without its
        family, and without all that only its library has.
        """
        split = standard_split()
        novelty, weight = [], []
        features, right, kind = [], [], []
        outside: dict[str, NDArray[np.bool_]] = {}
        rows = networks.sample()
        asked = np.array([len(networks.rows_of_family[_first(networks.families[r])]) for r in rows])
        share = 1.0 / np.minimum(asked, _PER_FAMILY)
        for row, part in zip(rows.tolist(), share.tolist(), strict=True):
            own, libraries = networks.families[row], networks.libraries[row]
            similarity = networks.vectors @ networks.vectors[row]
            foreign = networks.others(row, families=own)
            if not foreign.any():
                continue
            alone = networks.nearest(similarity, foreign)
            novelty.append(alone.novelty)
            weight.append(part)
            if split.holds_out(own, libraries):
                continue
            library = _first(libraries)
            if library not in outside:
                outside[library] = networks.offered_outside(library)
            views = (networks.others(row), networks.others(row, only=outside[library]), foreign)
            for view, allowed in enumerate(views):
                found = networks.nearest(similarity, allowed)
                if found.family is None:
                    continue
                present = any(allowed[networks.rows_of_family[family]].any() for family in own)
                features.append(_features(found))
                right.append(found.family in own)
                kind.append(view if present else _ABSENT)
        order = np.argsort(novelty, kind="stable")
        return cls(
            np.array(novelty, dtype=np.float64)[order],
            np.array(weight, dtype=np.float64)[order],
            _logistic(
                np.array(features, dtype=np.float64).reshape(-1, 3),
                np.array(right, dtype=np.float64),
                np.array(kind, dtype=np.int64),
            ),
        )

    def percentile(self, novelty: float) -> float | None:
        """Return the percentage of networks that are nearer to other families than this distance.

        None if nothing was measured, because the zoo has a single family.
        """
        if not len(self.novelty):
            return None
        below = self.weight[: int(np.searchsorted(self.novelty, novelty))].sum()
        return round(100.0 * float(below / self.weight.sum()), 1)

    def histogram(
        self, reach: float, bins: int = 30
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return equal bins of the distances, and the share of families in each.

        Args:
            reach: a distance that the bins must reach.
            bins: number of bins.
        """
        top = max(reach, _CLOSEST, float(self.novelty.max(initial=0.0)))
        shares, bounds = np.histogram(self.novelty, bins, (0.0, top), weights=self.weight)
        return bounds, shares / max(float(self.weight.sum()), _CLOSEST)

    def confidence(self, nearest: Nearest) -> float:
        """Return the probability that the family of the nearest network is right.

        It is a logistic function of two numbers: minus the logarithm of the distance to that
        network, and its lead over the nearest network of another family. Of the queries, half are
        taken to be of families that the zoo does not have, and a quarter to have relatives in
        libraries of other people alone.
        """
        if nearest.family is None:
            return 0.0
        return float(_sigmoid(_features(nearest) @ self.coefficients))


_WEIGHTS = (0.25, 0.25, 0.5)  # of queries with relatives in their library, elsewhere, and nowhere
_ABSENT = 2  # the kind of the last
_ARRAYS = ("novelty", "weight", "coefficients")
_KNOWN_ZOOS: weakref.WeakKeyDictionary[Zoo, tuple[str, Reference]] = weakref.WeakKeyDictionary()


def _key(zoo: Zoo) -> str:
    """Identify what a reference is computed from, and the code that computes it."""
    files = zoo.manifest.files
    tables = [files[name]["sha256"] for name in (folder.ARCHITECTURES, folder.EMBEDDINGS)]
    held = [sorted(names) for names in vars(standard_split()).values()]
    return hashlib.sha256(json.dumps([tables, held, __version__, _FORMAT]).encode()).hexdigest()


def _first(names: frozenset[str]) -> str:
    return min(names)


def _features(nearest: Nearest) -> NDArray[np.float64]:
    distance = max(0.0, 1.0 - nearest.family_similarity)
    return np.array([1.0, -np.log(distance + _CLOSEST), nearest.lead])


def _sigmoid(value: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(value, -50.0, 50.0))))


def _logistic(
    features: NDArray[np.float64], right: NDArray[np.float64], kind: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Fit a logistic regression by Newton's method.

    Args:
        features: [n, k].
        right: [n], 1 where the answer was right.
        kind: [n], index into `_WEIGHTS`.
    """
    count = np.bincount(kind, minlength=len(_WEIGHTS))
    weight = (len(kind) * np.array(_WEIGHTS) / np.maximum(count, 1))[kind]
    coefficients = np.zeros(features.shape[1])
    prior = _PRIOR * np.eye(features.shape[1])
    for _ in range(_STEPS):
        chance = _sigmoid(features @ coefficients)
        slope = features.T @ (weight * (right - chance)) - prior @ coefficients
        curvature = (features * (weight * chance * (1 - chance))[:, None]).T @ features + prior
        coefficients = coefficients + np.linalg.solve(curvature, slope)
    return coefficients
