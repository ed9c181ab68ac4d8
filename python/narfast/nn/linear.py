"""A linear layer whose rows do not depend on what else is in the batch, to the last bit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["RowLinear", "padded_log1p"]

_ROWS = 128


class RowLinear(nn.Linear):
    """``nn.Linear``; without gradients on the CPU, rows are multiplied in blocks of one size.

    Libraries choose how to add up products by the number of rows, so the same row may come out
    differently in its last bit in another batch. Blocks of one size, the last one filled up with
    zeros, leave nothing to choose.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map float[n, in_features] to float[n, out_features]."""
        if torch.is_grad_enabled() or input.is_cuda:
            return super().forward(input)
        rows = len(input)
        whole = -(-rows // _ROWS) * _ROWS
        result = input.new_empty(whole, self.out_features)
        transposed = self.weight.t()
        for start in range(0, whole, _ROWS):
            block = input[start : start + _ROWS]
            if len(block) < _ROWS:
                block = nn.functional.pad(block, (0, 0, 0, _ROWS - len(block)))
            out = result[start : start + _ROWS]
            if self.bias is None:
                torch.mm(block, transposed, out=out)
            else:
                torch.addmm(self.bias, block, transposed, out=out)
        return result[:rows]


def padded_log1p(values: Tensor) -> Tensor:
    """``log1p`` of float[n, d], each element computed alike.

    Vector instructions and the scalar code for what is left over at the end of an array differ in
    the last bit; here nothing is left over.
    """
    rows = len(values)
    return torch.log1p(nn.functional.pad(values, (0, 0, 0, -rows % _ROWS)))[:rows]
