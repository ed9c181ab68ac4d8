"""Where a design stands among all: neighbours, family, novelty, what no other network has."""

from __future__ import annotations

from narfast.situating.findings import FamilyCall, Findings, Neighbour, Novelty, RareParts
from narfast.situating.neighbourhood import Neighbourhood
from narfast.situating.situation import Situation, situate

__all__ = [
    "FamilyCall",
    "Findings",
    "Neighbour",
    "Neighbourhood",
    "Novelty",
    "RareParts",
    "Situation",
    "situate",
]
