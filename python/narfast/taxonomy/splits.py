"""Families and libraries that are held out of training: one split, in ``data/splits.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from narfast._data import DATA

__all__ = ["Split", "standard_split"]

_FILE = DATA / "splits.toml"


@dataclass(frozen=True)
class Split:
    """Names that are held out of training.

    Attributes:
        validation_families: for choosing settings and thresholds.
        test_families: for reports only.
        validation_libraries: code bases for choosing settings.
        test_libraries: code bases for reports only.
    """

    validation_families: frozenset[str] = frozenset()
    test_families: frozenset[str] = frozenset()
    validation_libraries: frozenset[str] = frozenset()
    test_libraries: frozenset[str] = frozenset()

    def holds_out(self, families: Iterable[str], libraries: Iterable[str]) -> bool:
        """Whether a structure is held out of training.

        One held-out name is enough, so that equal structures never straddle the split.

        Args:
            families: families of all names of the structure.
            libraries: libraries that have it.
        """
        held_families = self.validation_families | self.test_families
        held_libraries = self.validation_libraries | self.test_libraries
        return not (held_families.isdisjoint(families) and held_libraries.isdisjoint(libraries))


@cache
def standard_split() -> Split:
    """Return the split that the shipped encoder and every report use."""
    table = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return Split(
        validation_families=frozenset(table["validation"]["families"]),
        test_families=frozenset(table["test"]["families"]),
        validation_libraries=frozenset(table["validation"]["libraries"]),
        test_libraries=frozenset(table["test"]["libraries"]),
    )
