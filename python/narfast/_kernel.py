"""The one way Numba is used here: compiled on first call, cached on disk, without the GIL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["kernel"]

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function of NumPy arrays and scalars; its declared types stay visible."""
    compiled: Function = njit(cache=True, nogil=True)(function)
    return compiled
