"""Folders of distinct networks with their names, graphs and vectors: read, searched, built."""

from __future__ import annotations

from narfast.errors import Failure
from narfast.storage.records import NetworkRecord
from narfast.zoo.entries import Hit, ZooEntry
from narfast.zoo.zoo import DEFAULT_ZOO, AddReport, Zoo

__all__ = ["DEFAULT_ZOO", "AddReport", "Failure", "Hit", "NetworkRecord", "Zoo", "ZooEntry"]
