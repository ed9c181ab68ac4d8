"""What a score means: words for it, by thresholds fitted on validation queries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narfast._documents import Number, Object, read_document
from narfast.encoder_files import encoder_folder, write_atomically

if TYPE_CHECKING:
    from narfast.graph import ArchGraph
    from narfast.zoo import Hit, Zoo

__all__ = ["PRECISION", "Calibration", "relations_of"]

PRECISION = 0.9
"""How often a word must be right among the hits that get it or a stronger one."""

_FILE = "calibration.json"
_SHAPE = Object({"same_family": Number(-2, 2), "related": Number(-2, 2)})  # cosines; 2 is never


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Thresholds of one encoder.

    Attributes:
        same_family: from this cosine on, hits are of the query's family nine times in ten.
        related: from this cosine on, hits are of its coarse class nine times in ten.
    """

    same_family: float
    related: float

    @classmethod
    def fit(
        cls,
        scores: NDArray[np.floating[Any]],
        same_family: NDArray[np.bool_],
        same_class: NDArray[np.bool_],
    ) -> Calibration:
        """Find the lowest thresholds at which words are right often enough.

        Args:
            scores: [n], cosines of hits as a search shows them.
            same_family: [n], whether the hit is of the query's family.
            same_class: [n], whether it is of the query's coarse class.
        """
        family = _lowest(scores, same_family)
        return cls(same_family=family, related=min(family, _lowest(scores, same_class)))

    @classmethod
    def load(cls, encoder: str | Path) -> Calibration | None:
        """Read the thresholds saved beside an encoder, or return None where there are none.

        Raises:
            CorruptFileError: the file is there and damaged.
        """
        try:
            value = read_document(
                encoder_folder(encoder) / _FILE,
                _SHAPE,
                what="the thresholds of an encoder",
                remedy="delete it, or run benchmarks/calibrate.py again",
            )
        except (FileNotFoundError, NotADirectoryError):
            return None
        return cls(same_family=float(value["same_family"]), related=float(value["related"]))

    def save(self, encoder: str | Path, **notes: Any) -> None:
        """Write the thresholds beside an encoder, with notes on how good they are."""
        path = encoder_folder(encoder) / _FILE
        text = json.dumps({**asdict(self), **notes}, indent=1) + "\n"
        write_atomically(path, text.encode())

    def word(self, score: float, *, same_structure: bool) -> str:
        """Say in a word how alike two networks are."""
        if same_structure:
            return "same structure"
        if score >= self.same_family:
            return "same family"
        return "related" if score >= self.related else "unrelated"


def relations_of(zoo: Zoo, query: ArchGraph, hits: Sequence[Hit]) -> list[str | None]:
    """Say in words what the scores of hits mean; None where the zoo's encoder has no thresholds."""
    stamp = zoo.manifest.encoder or {}
    calibration = Calibration.load(str(stamp.get("source", "default")))
    if calibration is None:
        return [None] * len(hits)
    own = query.structural_hash
    return [calibration.word(hit.score, same_structure=hit.structural_hash == own) for hit in hits]


def _lowest(scores: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """Return the lowest score at or above which `PRECISION` of all are right; above 1 if none."""
    order = np.argsort(-scores, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(scores) + 1)
    enough = np.flatnonzero(precision >= PRECISION)
    return round(float(scores[order[enough[-1]]]), 4) if len(enough) else 2.0
