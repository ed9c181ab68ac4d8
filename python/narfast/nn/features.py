"""Input features of operator nodes: one-hot as in the paper, or learned tables."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["AttributeTable", "NodeFeatures", "OneHotFeatures"]


class AttributeTable(nn.Module):
    """Sum of one learned vector for each field of the packed attributes."""

    def __init__(self, fields: tuple[tuple[str, int, int], ...], dim: int) -> None:
        super().__init__()
        self.fields = fields
        self.table = nn.Embedding(sum(2**bits for _, _, bits in fields), dim)
        nn.init.normal_(self.table.weight, std=0.3)

    def forward(self, attr: Tensor) -> Tensor:
        """Map int64[n] packed attributes to float[n, dim]."""
        rows = []
        offset = 0
        for _, shift, bits in self.fields:
            rows.append(((attr >> shift) & (2**bits - 1)) + offset)
            offset += 2**bits
        return nn.functional.embedding_bag(torch.stack(rows, dim=1), self.table.weight, mode="sum")


class NodeFeatures(nn.Module):
    """Learned operator vector plus learned attribute vectors."""

    def __init__(
        self, num_operators: int, dim: int, fields: tuple[tuple[str, int, int], ...]
    ) -> None:
        super().__init__()
        self.dim = dim
        self.operator = nn.Embedding(num_operators, dim)
        self.attribute = AttributeTable(fields, dim)

    def forward(self, op: Tensor, attr: Tensor) -> Tensor:
        """Map vocabulary rows int64[n] and attributes int64[n] to float[n, dim]."""
        features: Tensor = self.operator(op) + self.attribute(attr)
        return features


class OneHotFeatures(nn.Module):
    """The paper's features: the operator alone."""

    def __init__(self, num_operators: int) -> None:
        super().__init__()
        self.dim = num_operators

    def forward(self, op: Tensor, attr: Tensor) -> Tensor:
        """Map vocabulary rows int64[n] to float[n, num_operators]; ``attr`` is ignored."""
        return nn.functional.one_hot(op, self.dim).to(torch.get_default_dtype())
