"""The interface of the engines of a bulk run, and what all of them need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from narfast.bulk.sources import Block
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.reading.worker_pool import DEFAULT_LOADER, MEMORY, TIMEOUT

__all__ = ["Engine", "ReadingLimits", "load_encoder"]


class Engine(Protocol):
    """Reads and encodes blocks: on this machine (`LocalEngine`), or on a cluster."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def fingerprint(self) -> str:
        """Identifies the encoder."""

    def tables(self, blocks: Iterable[Block]) -> Iterator[Any]:
        """Yield a `row_table` for each block, in order.

        A row depends only on its source.
        """


@dataclass(frozen=True)
class ReadingLimits:
    """Limits for reading one network.

    Attributes:
        timeout: seconds.
        memory: bytes.
        loader: ``module:function`` from a source string to its raw graph.
    """

    timeout: float = TIMEOUT
    memory: int = MEMORY
    loader: str = DEFAULT_LOADER


def load_encoder(encoder: str, motif_cache: Path | None) -> ArchitectureEncoder:
    """Open an encoder with its motif cache.

    Args:
        encoder: name or path, for `ArchitectureEncoder.from_pretrained`.
        motif_cache: folder for motif vectors.
    """
    model = ArchitectureEncoder.from_pretrained(encoder)
    if motif_cache is not None:
        model.use_motif_cache(motif_cache)
    return model
