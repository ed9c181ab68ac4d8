"""Evaluation of searches: protocols define relevance, methods rank, metrics score."""

from __future__ import annotations

from narfast.evaluation.metrics import CUTOFFS, Difference, Metric
from narfast.evaluation.protocols import PROTOCOLS
from narfast.evaluation.report import Report, evaluate

__all__ = ["CUTOFFS", "PROTOCOLS", "Difference", "Metric", "Report", "evaluate"]
