"""Motif against context: does this motif occur in this context? Binary cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ContextScorer", "context_contrast"]


class ContextScorer(nn.Module):
    """Bilinear score of a motif vector m and a context vector c: m' W c + b."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.bilinear = nn.Linear(dim, dim, bias=False)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, motif: Tensor, context: Tensor) -> Tensor:
        """Map float[B, d] and float[B, d] to logits float[B]."""
        # Scaled like attention, so that the logits do not grow with the width.
        scores = (self.bilinear(motif) * context).sum(dim=-1) / motif.shape[-1] ** 0.5
        logits: Tensor = scores + self.bias
        return logits


def context_contrast(scorer: nn.Module, motif: Tensor, context: Tensor, negative: Tensor) -> Tensor:
    """The motif's own context should score high, contexts of other motifs low.

    Args:
        scorer: Maps float[B, d], float[B, d] to logits float[B].
        motif: float[B, d].
        context: float[B, d], row b is the context of motif b.
        negative: int64[B, K], rows of ``context`` that belong to another motif; -1 for none.

    Returns:
        Mean binary cross-entropy over own pairs plus that over negative pairs; a term without pairs
        is zero.
    """
    own = scorer(motif, context)  # [B]
    loss = nn.functional.softplus(-own).mean() if len(own) else own.sum()
    anchor, k = torch.nonzero(negative >= 0, as_tuple=True)
    if len(anchor):
        other = scorer(motif[anchor], context[negative[anchor, k]])  # [pairs]
        loss = loss + nn.functional.softplus(other).mean()
    return loss
