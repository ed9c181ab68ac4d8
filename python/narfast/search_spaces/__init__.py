"""Search spaces whose networks are generated, never downloaded: one file per space.

Every space offers `parse` (text to cell), `text` (its inverse), `networks` (cells to a batch of raw
graphs, as tracing the PyTorch modules would give), and `load`, which reads one source string.
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from narfast.graph import ArchGraph

__all__ = ["SPACES", "Space", "space"]

SPACES = ("darts", "nasbench101", "nasbench201")
"""Prefixes of sources, as in ``darts:DARTS_V2``; each is a module here."""


class Space(Protocol):
    """What a module of this package offers to `narfast.load`."""

    def load(self, text: str) -> ArchGraph:
        """The raw graph of one network, given what follows the prefix.

        Raises:
            UnsupportedSourceError: The text is not a cell of the space.
        """


def space(name: str) -> Space:
    """The search space of this name, one of `SPACES`."""
    return cast("Space", importlib.import_module(f"narfast.search_spaces.{name}"))
