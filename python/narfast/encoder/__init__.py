"""The encoder: maps a network to a vector. `narfast.training` trains its layers."""

from narfast.encoder.encoder import ArchitectureEncoder

__all__ = ["ArchitectureEncoder"]
