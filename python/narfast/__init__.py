"""Neural-architecture retrieval: find the most similar networks, and the motifs they share.

Public names are loaded on first use: ``import narfast`` imports neither torch, numba nor timm.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from narfast._version import __version__
from narfast.errors import (
    CorruptFileError,
    InvalidGraphError,
    MissingDependencyError,
    NarfastError,
    TraceError,
    UnsupportedSourceError,
)

if TYPE_CHECKING:
    from narfast.block_search.search import BlockSearchResult, find_blocks
    from narfast.comparison import Comparison, compare
    from narfast.encoder.calibration import Relation
    from narfast.encoder.encoder import ArchitectureEncoder
    from narfast.graph import ArchGraph, GraphBatch, canonicalize
    from narfast.motifs import coarsen, mine
    from narfast.retrieval import SearchResult, search
    from narfast.situating import Situation, situate
    from narfast.sources.loader import load, trace
    from narfast.zoo import Zoo


__all__ = [
    "ArchGraph",
    "ArchitectureEncoder",
    "BlockSearchResult",
    "Comparison",
    "CorruptFileError",
    "GraphBatch",
    "InvalidGraphError",
    "MissingDependencyError",
    "NarfastError",
    "Relation",
    "SearchResult",
    "Situation",
    "TraceError",
    "UnsupportedSourceError",
    "Zoo",
    "__version__",
    "canonicalize",
    "coarsen",
    "compare",
    "find_blocks",
    "load",
    "mine",
    "search",
    "situate",
    "trace",
]

_LAZY = {
    "ArchGraph": "narfast.graph",
    "ArchitectureEncoder": "narfast.encoder",
    "BlockSearchResult": "narfast.block_search",
    "GraphBatch": "narfast.graph",
    "Relation": "narfast.encoder.calibration",
    "SearchResult": "narfast.retrieval",
    "Situation": "narfast.situating",
    "Zoo": "narfast.zoo",
    "canonicalize": "narfast.graph",
    "coarsen": "narfast.motifs",
    "compare": "narfast.comparison",
    "Comparison": "narfast.comparison",
    "find_blocks": "narfast.block_search",
    "load": "narfast.sources.loader",
    "mine": "narfast.motifs",
    "search": "narfast.retrieval",
    "situate": "narfast.situating",
    "trace": "narfast.sources.loader",
}


def __getattr__(name: str) -> object:
    """Import the module behind a public name on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'narfast' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the lazy names too."""
    return sorted(set(globals()) | set(__all__))
