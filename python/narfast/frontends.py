"""Deprecated name of `narfast.sources`; the next version removes it."""

from __future__ import annotations

import warnings

from narfast.sources.loader import library, load, load_raw, python_file_of, trace
from narfast.sources.registry import LIBRARIES

__all__ = ["LIBRARIES", "library", "load", "load_raw", "python_file_of", "trace"]

warnings.warn(
    "narfast.frontends is now narfast.sources; use narfast.load and narfast.trace",
    DeprecationWarning,
    stacklevel=2,
)
