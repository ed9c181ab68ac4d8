"""Context encoder: one vector for the context of each motif; used in pre-training only."""

from __future__ import annotations

from narfast.nn.motif_encoder import MotifEncoder

__all__ = ["ContextEncoder"]


class ContextEncoder(MotifEncoder):
    """The same architecture as the motif encoder, with separate weights.

    An empty context (the motif is the whole network) gives a constant vector.
    """
