"""Opens the engine of a run, with its encoder and motif cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from narfast.bulk.engines.base import Engine, ReadingLimits, load_encoder
from narfast.bulk.engines.local import LocalEngine

__all__ = ["open_engine"]


@contextmanager
def open_engine(
    kind: str,
    encoder: str,
    *,
    workers: int,
    limits: ReadingLimits,
    motif_cache: Path | None = None,
    address: str | None = None,
) -> Iterator[Engine]:
    """Open an engine; new motifs are saved even if the run stops early.

    Args:
        kind: ``local`` or ``ray``.
        encoder: name or path, for `ArchitectureEncoder.from_pretrained`.
        workers: number of processes and threads here, or of actors on a cluster.
        limits: limits for sources that run Python.
        motif_cache: folder for motif vectors.
        address: address of a Ray cluster.

    Raises:
        NarfastError: there is no such encoder or folder.
        MissingDependencyError: Ray is wanted and not installed.
    """
    if kind == "ray":
        from narfast.bulk.engines.ray import RayEngine

        yield RayEngine(encoder, workers, limits, motif_cache=motif_cache, address=address)
        return
    model = load_encoder(encoder, motif_cache)
    try:
        yield LocalEngine(model, workers, limits)
    finally:
        if motif_cache is not None:
            model.motif_cache.save()
