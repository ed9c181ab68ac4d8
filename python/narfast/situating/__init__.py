"""Where a design stands among all: neighbours, family, novelty, what no other network has."""

from __future__ import annotations

from narfast.situating.neighbourhood import Neighbourhood
from narfast.situating.situation import (
    FamilyCall,
    Neighbour,
    Novelty,
    RareParts,
    Situation,
    situate,
)

__all__ = [
    "FamilyCall",
    "Neighbour",
    "Neighbourhood",
    "Novelty",
    "RareParts",
    "Situation",
    "situate",
]
