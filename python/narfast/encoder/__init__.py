"""The encoder at work: a network in, a vector out. Its layers are trained in `narfast.training`."""

from narfast.encoder.encoder import ArchitectureEncoder

__all__ = ["ArchitectureEncoder"]
