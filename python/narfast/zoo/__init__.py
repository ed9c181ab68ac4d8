"""Folders of distinct networks with their names, graphs and vectors: read, searched, built."""

from __future__ import annotations

from narfast.storage.records import Architecture, Failure
from narfast.zoo.entries import Hit, ZooEntry
from narfast.zoo.zoo import DEFAULT_ZOO, AddReport, Zoo

__all__ = ["DEFAULT_ZOO", "AddReport", "Architecture", "Failure", "Hit", "Zoo", "ZooEntry"]
