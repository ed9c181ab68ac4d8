"""Floating-point operations of an operator call.

As usual, only products count; a multiply-add counts as two operations.
"""

from __future__ import annotations

import math
from typing import Any

from narfast.sources.torch_trace.attributes import Fields, Shape

__all__ = ["attention_flops", "flops"]


def _numbers(value: Any, count: int) -> Shape | None:
    if isinstance(value, int):
        return (value,) * count
    if isinstance(value, tuple) and len(value) == count:
        return value
    return None


def _convolution(fields: Fields, *, transposed: bool) -> int:
    data, weight = fields.shape("input"), fields.shape("weight")
    if data is None or weight is None or len(weight) < 3:
        return 0
    rank = len(weight) - 2
    places = data[-rank:]
    channels = weight[0]
    if not transposed:
        found = [_numbers(fields.value(name), rank) for name in ("stride", "padding", "dilation")]
        stride, padding, dilation = found
        if stride is None or padding is None or dilation is None:
            return 0
        places = tuple(
            (side + 2 * p - d * (k - 1) - 1) // s + 1
            for side, k, s, p, d in zip(places, weight[2:], stride, padding, dilation, strict=True)
        )
    batch = data[0] if len(data) == rank + 2 else 1
    return 2 * batch * channels * math.prod(places) * math.prod(weight[1:])


def _product(fields: Fields) -> int:
    for first, second in (("mat1", "mat2"), ("batch1", "batch2"), ("self", "mat2")):
        left, right = fields.shape(first), fields.shape(second)
        if left is not None and right is not None and right:
            return 2 * math.prod(left) * right[-1]
    left, weight = fields.shape("input"), fields.shape("weight")
    if left is None or weight is None:
        return 0
    return 2 * math.prod(left) * weight[0]


def attention_flops(query: Shape, key: Shape, value: Shape) -> int:
    """Count both products of an attention: query with key, and the scores with value."""
    return 2 * math.prod(query) * key[-2] + 2 * math.prod(query[:-1]) * key[-2] * value[-1]


def flops(op: str, fields: Fields) -> int:
    """Count the operations of a call; 0 for operators without products or with unknown shapes."""
    if op in ("conv", "conv_transpose"):
        return _convolution(fields, transposed=op == "conv_transpose")
    if op in ("linear", "matmul"):
        return _product(fields)
    known = fields.value("flops")
    return int(known) if isinstance(known, int) else 0
