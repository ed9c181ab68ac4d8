"""Supervised contrast: networks of one class attract each other, others repel (cosine)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["supervised_contrast"]


def supervised_contrast(vectors: Tensor, label: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Mean over anchors of the mean over their positives of -log softmax of the similarity.

    Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, the variant with the sum over
    positives outside the logarithm.

    Args:
        vectors: float[B, d]; normalised here.
        label: int64[B], classes.
        temperature: Divides the cosine similarity.

    Returns:
        The loss; zero if no anchor has a positive.
    """
    unit = nn.functional.normalize(vectors, dim=-1)
    similarity = unit @ unit.T / temperature  # [B, B]
    itself = torch.eye(len(label), dtype=torch.bool, device=label.device)
    log_softmax = similarity.masked_fill(itself, float("-inf")).log_softmax(dim=-1)
    positive = (label.unsqueeze(0) == label.unsqueeze(1)) & ~itself  # [B, B]
    count = positive.sum(dim=-1)  # [B]
    anchors = count > 0
    if not bool(anchors.any()):
        return vectors.sum() * 0
    # Other entries may be -inf, and -inf times zero is nan.
    total = torch.where(positive, log_softmax, 0.0).sum(dim=-1)  # [B]
    return -(total[anchors] / count[anchors]).mean()
