"""Networks of the shipped zoo as sources, such as ``zoo:timm:resnet50``."""

from __future__ import annotations

from functools import cache

from narfast._data import SHIPPED_ZOO
from narfast.errors import UnsupportedSourceError
from narfast.graph import ArchGraph
from narfast.storage.stored_zoo import StoredZoo

__all__ = ["load_stored"]


@cache
def _shipped() -> StoredZoo:
    return StoredZoo(SHIPPED_ZOO)


def load_stored(identifier: str) -> ArchGraph:
    """Read a network of the shipped zoo; its graph is already canonical.

    Args:
        identifier: Its id in the zoo, such as ``timm:resnet50``, or its structural hash.

    Raises:
        UnsupportedSourceError: The zoo has no such network.
    """
    zoo = _shipped()
    row = zoo.row_of(identifier)
    if row is None:
        raise UnsupportedSourceError(
            f"zoo:{identifier}: the shipped zoo has no such entry; its ids look like timm:resnet50"
        )
    return zoo.graphs_at([row])[0]
