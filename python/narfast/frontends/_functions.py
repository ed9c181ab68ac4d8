"""Custom functions of a network, such as reversible blocks, run as the plain code they hold.

What a `torch.autograd.Function` computes in its forward pass is not in PyTorch's graph: the whole
is one node there, and the parameters inside it are reached by nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from narfast.frontends._capture import InputMarker, Opaque

__all__ = ["functions_opened"]

_OWN = (InputMarker, Opaque)


class _Context:
    """Takes what a forward pass leaves for a backward pass that never comes."""

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


@contextlib.contextmanager
def functions_opened() -> Iterator[None]:
    """While active, ``apply`` of custom functions is their forward pass."""
    closed = torch.autograd.Function.__dict__["apply"]

    def opened(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if cls in _OWN:
            return closed.__get__(None, cls)(*args, **kwargs)
        if cls.setup_context is not torch.autograd.Function.setup_context:
            return cls.forward(*args, **kwargs)
        return cls.forward(_Context(len(args)), *args, **kwargs)

    torch.autograd.Function.apply = classmethod(opened)  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        torch.autograd.Function.apply = closed  # type: ignore[method-assign]
