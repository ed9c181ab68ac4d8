"""The exceptions a user can meet. Every message says what, where, and the remedy."""

from __future__ import annotations

__all__ = [
    "CorruptFileError",
    "InvalidGraphError",
    "MissingDependencyError",
    "NarfastError",
    "TraceError",
    "UnsupportedSourceError",
]


class NarfastError(Exception):
    """Base of every error that narfast raises for bad input."""


class InvalidGraphError(NarfastError, ValueError):
    """A graph that cannot be a network: cyclic, dangling, mis-shaped, or too large."""


class UnsupportedSourceError(NarfastError, ValueError):
    """A source string or object that no frontend can read."""


class CorruptFileError(NarfastError, ValueError):
    """A file whose bytes are not what its format or its manifest promises."""


class TraceError(NarfastError, RuntimeError):
    """A network that no way of tracing could follow."""


class MissingDependencyError(NarfastError, ImportError):
    """An optional library is needed and not installed; the message has the pip command."""
