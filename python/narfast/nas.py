"""Deprecated name of `narfast.search_spaces`; it goes with the next version."""

from __future__ import annotations

import warnings

from narfast.search_spaces import darts, nasbench101, nasbench201
from narfast.sources.registry import SEARCH_SPACES as SPACES

__all__ = ["SPACES", "darts", "nasbench101", "nasbench201"]

warnings.warn("narfast.nas is now narfast.search_spaces", DeprecationWarning, stacklevel=2)
