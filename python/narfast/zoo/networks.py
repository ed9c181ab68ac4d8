"""Reads a network that is named in a query: from the zoo if it is there, else from its source."""

from __future__ import annotations

from collections.abc import Collection

from narfast.errors import MissingDependencyError, TraceError, UnsupportedSourceError
from narfast.graph import ArchGraph
from narfast.reading.isolation import isolated
from narfast.sources.loader import load
from narfast.sources.registry import STORED, check_allowed
from narfast.zoo.additions import Source
from narfast.zoo.zoo import Zoo

__all__ = ["read_network"]


def read_network(
    source: Source, zoo: Zoo, *, exact: bool = False, allow: Collection[str] | None = None
) -> ArchGraph:
    """Return the canonical graph of a network.

    A Python file is read in a separate process.

    Args:
        source: an id of the zoo, or anything that `narfast.load` reads.
        zoo: where ids are looked up first.
        exact: hyperparameters are needed: if the zoo has none for this id, the network is read
            from its library, where this is installed.
        allow: names of the kinds of sources that may be read; see `narfast.load`.

    Raises:
        NarfastError: as `narfast.load`.
    """
    entry = zoo.find(source) if isinstance(source, str) else None
    if not isinstance(source, str) or entry is None:
        return zoo.load(isolated(source, allow=allow), allow=allow)
    if not exact:
        return zoo.load(source, allow=allow)
    check_allowed(STORED, allow, source)
    identifier = source.removeprefix("zoo:")
    known = next((own.id for own in entry.records if own.id == identifier), entry.id)
    stored = zoo.graph_of(known)
    if stored.hyperparameters is not None or source.startswith("zoo:"):
        return stored
    try:
        return load(source, allow=allow)
    except (MissingDependencyError, TraceError, UnsupportedSourceError):
        return stored  # it is the same structure, without widths
