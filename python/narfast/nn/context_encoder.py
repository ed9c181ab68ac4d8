"""Context encoder: one vector for the surroundings of each motif; used in pre-training only."""

from __future__ import annotations

from narfast.nn.motif_encoder import MotifEncoder

__all__ = ["ContextEncoder"]


class ContextEncoder(MotifEncoder):
    """The same network as the motif encoder with weights of its own.

    An empty context (the motif is the whole network) gives the constant vector of an empty readout.
    """
