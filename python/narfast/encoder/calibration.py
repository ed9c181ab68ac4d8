"""Meaning of a score: a word by thresholds fitted on validation queries, and a percentile.

The word agrees with the shared blocks that a search shows: see `SHARED`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narfast._documents import ListOf, Number, Object, read_document
from narfast._files import replace_file
from narfast.encoder.storage import encoder_folder
from narfast.errors import CorruptFileError

if TYPE_CHECKING:
    from narfast.explain import SharedMotif

__all__ = ["PRECISION", "SHARED", "Calibration", "Relation", "shares_blocks"]

PRECISION = 0.9
"""Required precision of a word among the hits that get it or a stronger one."""

SHARED = 0.1
"""Two networks "share blocks" if common blocks make up at least this share of one of them.

One in a hundred random pairs of different coarse classes does, and one in forty of all random
pairs (`benchmarks/studies/calibrate.py`).
"""

_BLOCK = 3  # operators; shorter chains occur in networks of every kind

_FILE = "calibration.json"
_WHAT = "the thresholds of an encoder"
_REMEDY = "delete it, or run benchmarks/studies/calibrate.py again"
_QUANTILES = 101
_COSINE = Number(-2, 2)  # a threshold of 2 is never reached
_SHAPE = Object(
    {"same_family": _COSINE, "related": _COSINE},
    {"nearest": ListOf(_COSINE, 1 << 16)},
)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The thresholds of one encoder.

    Attributes:
        same_family: from this cosine on, nine in ten hits are of the query's family.
        related: from this cosine on, nine in ten hits are of its coarse class.
        nearest: quantiles, in equal steps and ascending, of the cosine between a network of the zoo
            and its nearest neighbour; empty if not measured.
    """

    same_family: float
    related: float
    nearest: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls,
        scores: NDArray[np.floating[Any]],
        same_family: NDArray[np.bool_],
        same_class: NDArray[np.bool_],
        nearest: NDArray[np.floating[Any]] | None = None,
    ) -> Calibration:
        """Find the lowest thresholds at which words have `PRECISION`.

        Args:
            scores: [n], cosines of hits.
            same_family: [n], whether the hit is of the query's family.
            same_class: [n], whether it is of the query's coarse class.
            nearest: [networks], cosine of each network of the zoo to its nearest neighbour.
        """
        family = _lowest(scores, same_family)
        quantiles = () if nearest is None else np.quantile(nearest, np.linspace(0, 1, _QUANTILES))
        return cls(
            same_family=family,
            related=min(family, _lowest(scores, same_class)),
            nearest=tuple(round(min(float(value), 1.0), 6) for value in quantiles),
        )

    @classmethod
    def load(cls, encoder: str | Path) -> Calibration | None:
        """Read the thresholds saved beside an encoder; return None if there are none.

        Raises:
            CorruptFileError: the file is damaged.
        """
        path = encoder_folder(encoder) / _FILE
        try:
            value = read_document(path, _SHAPE, what=_WHAT, remedy=_REMEDY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        nearest = tuple(float(score) for score in value.get("nearest", ()))
        if nearest and (len(nearest) < 2 or not np.all(np.diff(nearest) >= 0)):
            raise CorruptFileError(f"{path}: not {_WHAT} (nearest must ascend); {_REMEDY}")
        return cls(
            same_family=float(value["same_family"]),
            related=float(value["related"]),
            nearest=nearest,
        )

    def save(self, encoder: str | Path, **notes: Any) -> None:
        """Write the thresholds beside an encoder, with notes on their quality."""
        path = encoder_folder(encoder) / _FILE
        text = json.dumps({**asdict(self), **notes}, indent=1) + "\n"
        replace_file(path, text.encode())

    def word(self, score: float, *, same_structure: bool, shares_blocks: bool = False) -> str:
        """Say in a word how similar two networks are.

        Args:
            score: their cosine.
            same_structure: whether they have the same structural hash.
            shares_blocks: result of `shares_blocks` for them.
        """
        if same_structure:
            return "same structure"
        if score >= self.same_family:
            return "same family"
        if score >= self.related:
            return "related"
        return "shares blocks" if shares_blocks else "unrelated"

    def percentile(self, score: float) -> float | None:
        """Return the percentage of the zoo's networks whose nearest neighbour is no closer.

        It is rounded down to a tenth; None if the quantiles are unknown.
        """
        if not self.nearest:
            return None
        steps = np.linspace(0.0, 100.0, len(self.nearest))
        return math.floor(10.0 * float(np.interp(score, self.nearest, steps))) / 10.0


@dataclass(frozen=True)
class Relation:
    """How similar a query and a hit are.

    Attributes:
        word: result of `Calibration.word`.
        percentile: result of `Calibration.percentile`.
    """

    word: str
    percentile: float | None


def shares_blocks(nodes: int, other: int, shared: Iterable[SharedMotif]) -> bool:
    """Whether common blocks make up at least `SHARED` of one of two networks.

    Args:
        nodes: operators of one network.
        other: operators of the other.
        shared: motifs that both have; motifs of fewer than three operators do not count.
    """
    covered = sum(m.size * min(m.count, m.query_count) for m in shared if m.size >= _BLOCK)
    return covered >= SHARED * min(nodes, other)


def _lowest(scores: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """Return the lowest threshold with `PRECISION`; above 1 if there is none."""
    order = np.argsort(-scores, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(scores) + 1)
    enough = np.flatnonzero(precision >= PRECISION)
    return round(float(scores[order[enough[-1]]]), 4) if len(enough) else 2.0
