"""Sums, means and maxima over segments and neighbours: all message passing goes through here.

On CUDA the work is done by ``torch_scatter`` where it is installed, on the CPU by native torch. On
the CPU ``embedding_bag`` serves for the sorted cases: it adds gathered rows without writing them
out first, which measured 4 to 10 times faster than ``index_add`` or ``segment_reduce``.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "gather_csr",
    "neighbor_sum",
    "scatter_max",
    "scatter_mean",
    "scatter_sum",
    "segment_max",
    "segment_mean",
    "segment_sum",
]


@cache
def _torch_scatter() -> Any:
    """The ``torch_scatter`` package, or None where it is not installed."""
    if importlib.util.find_spec("torch_scatter") is None:
        return None
    import torch_scatter

    return torch_scatter


def _fused(x: Tensor) -> Any:
    return _torch_scatter() if x.is_cuda else None


def scatter_sum(x: Tensor, index: Tensor, size: int) -> Tensor:
    """Add rows that share an index.

    Args:
        x: float[n, d].
        index: int64[n] in [0, size), in any order.
        size: Rows of the result.

    Returns:
        float[size, d]; zeros where no row fell.
    """
    library = _fused(x)
    if library is not None:
        result: Tensor = library.scatter_sum(x, index, dim=0, dim_size=size)
        return result
    return x.new_zeros((size, *x.shape[1:])).index_add(0, index, x)


def scatter_mean(x: Tensor, index: Tensor, size: int) -> Tensor:
    """Average rows that share an index; see ``scatter_sum``."""
    count = x.new_zeros(size).index_add(0, index, x.new_ones(len(index)))
    return scatter_sum(x, index, size) / count.clamp(min=1).unsqueeze(-1)


def scatter_max(x: Tensor, index: Tensor, size: int) -> Tensor:
    """Columnwise maximum of rows that share an index; zeros where no row fell.

    See ``scatter_sum`` for the shapes. Of equal maxima, gradients reach at least one.
    """
    library = _fused(x)
    if library is not None:
        result: Tensor = library.scatter_max(x, index, dim=0, dim_size=size)[0]
        return result
    expanded = index.unsqueeze(-1).expand_as(x)
    return x.new_zeros((size, x.shape[1])).scatter_reduce(
        0, expanded, x, reduce="amax", include_self=False
    )


def gather_csr(x: Tensor, ptr: Tensor) -> Tensor:
    """Repeat row s of ``x`` for each element of segment s.

    Args:
        x: float[S, d].
        ptr: int64[S + 1], sorted offsets from 0 to n.

    Returns:
        float[n, d].
    """
    library = _fused(x)
    if library is not None:
        result: Tensor = library.gather_csr(x, ptr)
        return result
    return x.index_select(0, _segment_index(ptr))


def segment_sum(x: Tensor, ptr: Tensor) -> Tensor:
    """Add the rows of each segment.

    Args:
        x: float[n, d].
        ptr: int64[S + 1], sorted offsets from 0 to n.

    Returns:
        float[S, d]; zeros for an empty segment.
    """
    library = _fused(x)
    if library is not None:
        result: Tensor = library.segment_csr(x, ptr, reduce="sum")
        return result
    summed: Tensor = _SegmentSum.apply(x, ptr)  # type: ignore[no-untyped-call]
    return summed


def segment_mean(x: Tensor, ptr: Tensor) -> Tensor:
    """Average the rows of each segment; zeros for an empty one. See ``segment_sum``."""
    count = (ptr[1:] - ptr[:-1]).clamp(min=1).to(x.dtype)
    return segment_sum(x, ptr) / count.unsqueeze(-1)


def segment_max(x: Tensor, ptr: Tensor) -> Tensor:
    """Columnwise maximum of each segment; zeros for an empty one. See ``segment_sum``."""
    library = _fused(x)
    if library is not None:
        result: Tensor = library.segment_csr(x, ptr, reduce="max")
        return result
    return _bag(x, torch.arange(len(x), device=x.device), ptr, "max")


def neighbor_sum(x: Tensor, ptr: Tensor, index: Tensor, back: tuple[Tensor, Tensor]) -> Tensor:
    """Add the rows of each node's neighbours.

    Args:
        x: float[n, d].
        ptr: int64[n + 1], offsets into ``index`` by receiving node.
        index: int64[e], sending nodes.
        back: The transposed pair (``ptr``, ``index`` by sending node), along which gradients flow.

    Returns:
        float[n, d]; zeros for a node without neighbours.
    """
    library = _fused(x)
    if library is not None:
        result: Tensor = library.segment_csr(x.index_select(0, index), ptr, reduce="sum")
        return result
    summed: Tensor = _NeighborSum.apply(x, ptr, index, *back)  # type: ignore[no-untyped-call]
    return summed


def _segment_index(ptr: Tensor) -> Tensor:
    return torch.repeat_interleave(ptr[1:] - ptr[:-1])


def _bag(x: Tensor, index: Tensor, ptr: Tensor, mode: str) -> Tensor:
    if len(index) == 0:
        # embedding_bag refuses an empty table; nothing to add is zeros.
        return x.new_zeros((len(ptr) - 1, x.shape[1])) + 0 * x.sum()
    return functional.embedding_bag(index, x, ptr, mode=mode, include_last_offset=True)


class _SegmentSum(torch.autograd.Function):
    """``embedding_bag`` forwards; backwards one gather instead of its atomic scatter."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ptr: Tensor) -> Tensor:
        ctx.save_for_backward(ptr)
        return _bag(x, torch.arange(len(x), device=x.device), ptr, "sum")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (ptr,) = ctx.saved_tensors
        return grad_outputs[0].index_select(0, _segment_index(ptr)), None


class _NeighborSum(torch.autograd.Function):
    """The gradient of a neighbour sum is the neighbour sum over the reversed edges."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, ptr: Tensor, index: Tensor, back_ptr: Tensor, back_index: Tensor
    ) -> Tensor:
        ctx.save_for_backward(back_ptr, back_index)
        return _bag(x, index, ptr, "sum")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None, None]:
        back_ptr, back_index = ctx.saved_tensors
        return (
            _bag(grad_outputs[0].contiguous(), back_index, back_ptr, "sum"),
            None,
            None,
            None,
            None,
        )
