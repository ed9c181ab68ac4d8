"""Reading of sources that run a user's own code in a separate process."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from narfast.graph import ArchGraph, canonicalize
from narfast.reading.worker_pool import read_apart
from narfast.sources.loader import python_file_of
from narfast.sources.registry import check_allowed, kind_of

__all__ = ["isolated"]

_Source = TypeVar("_Source")


def isolated(source: _Source, *, allow: Collection[str] | None = None) -> _Source | ArchGraph:
    """Read the network of a Python file in a separate process; return other sources unchanged.

    The file's code may print to any descriptor, end its process, fork or crash. The separate
    process keeps such code from changing the answer.

    Args:
        source: anything that `narfast.load` reads.
        allow: names of the kinds of sources that may be read.

    Raises:
        NarfastError: the file cannot be read, or is not allowed.
    """
    kind = kind_of(source) if isinstance(source, str) else None
    if not isinstance(source, str) or kind is None or kind.name != "python":
        return source
    check_allowed(kind, allow, source)
    python_file_of(source)  # complains of a missing file before a process starts
    return canonicalize(read_apart(source))
