"""The Numba decorator of this package, and a mixing function that kernels share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

__all__ = ["kernel", "splitmix64"]

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function of NumPy arrays and scalars; keep its declared types for checkers.

    It is compiled on the first call, cached on disk, and runs without the GIL.
    """
    compiled: Function = njit(cache=True, nogil=True)(function)
    return compiled


@kernel
def splitmix64(state: Any) -> Any:
    """Map a uint64 one-to-one to a well-mixed uint64 (Steele, Lea, Flood: SplitMix, 2014)."""
    z = state + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
