"""Deprecated name of `narfast.training.run`; it goes with the next version."""

from __future__ import annotations

import warnings

from narfast.training.run import PretrainConfig, check_output, family_quality, run

__all__ = ["PretrainConfig", "check_output", "family_quality", "run"]

warnings.warn("narfast.pretrain is now narfast.training.run", DeprecationWarning, stacklevel=2)
