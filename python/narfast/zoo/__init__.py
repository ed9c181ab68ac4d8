"""Zoos: folders of distinct networks with names, graphs and vectors; reading, search, building."""

from __future__ import annotations

import warnings

from narfast.errors import Failure
from narfast.storage.records import NetworkRecord
from narfast.zoo.additions import AddReport
from narfast.zoo.entries import Hit, ZooEntry
from narfast.zoo.zoo import DEFAULT_ZOO, Zoo

__all__ = ["DEFAULT_ZOO", "AddReport", "Failure", "Hit", "NetworkRecord", "Zoo", "ZooEntry"]


def __getattr__(name: str) -> object:
    """Return names of the previous version, with a warning."""
    if name == "Architecture":
        warnings.warn(
            "narfast.zoo.Architecture is now narfast.zoo.NetworkRecord",
            DeprecationWarning,
            stacklevel=2,
        )
        return NetworkRecord
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
