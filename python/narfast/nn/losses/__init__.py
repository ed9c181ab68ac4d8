"""One loss per file, each a pure function of tensors."""

from __future__ import annotations

from narfast.nn.losses.context_contrast import ContextScorer, context_contrast
from narfast.nn.losses.supervised_contrast import supervised_contrast

__all__ = ["ContextScorer", "context_contrast", "supervised_contrast"]
