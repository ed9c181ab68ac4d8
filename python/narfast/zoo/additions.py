"""Networks on their way into a zoo: read from sources, then described under ids of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from narfast.errors import NarfastError
from narfast.graph import ArchGraph
from narfast.storage.records import NetworkRecord
from narfast.zoo.store import Progress

__all__ = ["AddReport", "Addition", "Source", "assign_ids", "read_sources"]

Source = str | os.PathLike[str] | ArchGraph | tuple[Any, Any]
Addition = tuple[Source, ArchGraph]
"""A source, and its canonical graph."""


@dataclass(frozen=True)
class AddReport:
    """The result of `Zoo.add`.

    Attributes:
        added: ids that are now in the zoo.
        new_structures: number of structures that the zoo did not have.
        errors: (source, reason) of each source that could not be read.
    """

    added: tuple[str, ...]
    new_structures: int
    errors: tuple[tuple[str, str], ...]


def read_sources(
    sources: Iterable[Source], load: Callable[[Source], ArchGraph], progress: Progress | None
) -> tuple[list[Addition], list[tuple[str, str]]]:
    """Read sources one by one; an error does not stop the others.

    Args:
        sources: the sources.
        load: from a source to its canonical graph.
        progress: told how many sources are done, and the total.

    Returns:
        The networks that could be read, and (source, reason) of the others.
    """
    items = list(sources)
    networks: list[Addition] = []
    errors: list[tuple[str, str]] = []
    for done, source in enumerate(items, 1):
        try:
            networks.append((source, load(source)))
        except NarfastError as error:
            errors.append((str(source), str(error)))
        if progress is not None:
            progress(done, len(items))
    return networks, errors


def assign_ids(
    networks: Sequence[Addition], records: Iterable[NetworkRecord]
) -> list[tuple[NetworkRecord, ArchGraph]]:
    """Describe networks under ids that are unique among ``records``."""
    known = {record.id: record.structural_hash for record in records}
    named = []
    for source, graph in networks:
        record = NetworkRecord.of(_identifier(source, graph, known), graph)
        known[record.id] = record.structural_hash
        named.append((record, graph))
    return named


def _identifier(source: Source, graph: ArchGraph, known: dict[str, str]) -> str:
    """Choose an id: ``library:name`` as given, else the kind of source and the name."""
    text = source if isinstance(source, str) else ""
    prefix, separator, rest = text.partition(":")
    if separator and rest and prefix.isidentifier():
        return text.removeprefix("zoo:")
    identifier = f"{graph.meta.source or 'file'}:{graph.meta.name or 'unnamed'}"
    if known.get(identifier, graph.structural_hash) != graph.structural_hash:
        # Two files with the same name hold different networks: keep both.
        identifier += f"@{graph.structural_hash[:8]}"
    return identifier
