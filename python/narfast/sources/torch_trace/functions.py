"""Runs custom functions of a network, such as reversible blocks, as plain code.

PyTorch's graph does not show the operators inside the forward pass of a `torch.autograd.Function`:
the whole function is one node, and no node reaches the parameters inside.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd import function

from narfast.sources.torch_trace.capture import InputMarker, Opaque

__all__ = ["functions_opened"]

_OWN = (InputMarker, Opaque)
_SingleLevelFunction: Any = function._SingleLevelFunction


class _Context:
    """Accepts the values that a forward pass stores for a backward pass; there is none here."""

    def __init__(self, arguments: int) -> None:
        self.needs_input_grad = (True,) * arguments

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        pass

    def mark_dirty(self, *tensors: Any) -> None:
        pass

    def mark_non_differentiable(self, *tensors: Any) -> None:
        pass

    def set_materialize_grads(self, value: bool) -> None:
        pass


class _Opened(threading.local):
    """Whether this thread runs custom functions as plain code."""

    here = False


_opened = _Opened()
_lock = threading.Lock()
_threads = 0  # number of threads in `functions_opened`


def _apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
    """Replaces the internal function behind ``torch.autograd.Function.apply``."""
    if not _opened.here or cls in _OWN:
        return super(_SingleLevelFunction, cls).apply(*args, **kwargs)
    if cls.setup_context is not torch.autograd.Function.setup_context:
        return cls.forward(*args, **kwargs)
    return cls.forward(_Context(len(args)), *args, **kwargs)


@contextlib.contextmanager
def functions_opened() -> Iterator[None]:
    """While active, ``apply`` of custom functions runs their forward pass, in this thread alone."""
    global _threads
    with _lock:
        _threads += 1
        _SingleLevelFunction.apply = classmethod(_apply)
    _opened.here = True
    try:
        yield
    finally:
        _opened.here = False
        with _lock:
            _threads -= 1
            if not _threads:
                del _SingleLevelFunction.apply
