"""From networks to a zoo folder: deduplication, row order, library versions, one atomic write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast.errors import Failure
from narfast.graph import ArchGraph, GraphBatch
from narfast.index import EXACT_LIMIT, IndexSettings, VectorIndex
from narfast.sources.registry import library_versions
from narfast.storage import format as folder
from narfast.storage.index_cache import index_key, store_index
from narfast.storage.records import NetworkRecord, by_structure
from narfast.storage.tables import (
    architectures_to_bytes,
    embeddings_to_bytes,
    errors_to_bytes,
    graphs_to_bytes,
)

__all__ = [
    "Encoder",
    "Progress",
    "ZooContents",
    "encode_graphs",
    "write_zoo",
]

_ENCODE_CHUNK = 2048  # graphs per step of the progress bar


class Encoder(Protocol):
    """The interface that a zoo needs of `narfast.encoder.encoder.ArchitectureEncoder`."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def fingerprint(self) -> str:
        """Identifies weights and configuration."""

    def encode(self, sources: Any, *, num_threads: int = ...) -> NDArray[np.float32]:
        """Return float32 [n, dim]."""


Progress = Callable[[int, int], None]
"""Called with the number of finished items and the total."""


@dataclass(frozen=True, kw_only=True)
class ZooContents:
    """All contents of a zoo folder, in row order.

    Attributes:
        groups: structural hash -> records, representative first; one group per row.
        graphs: canonical graphs, one per row.
        embeddings: float32 [rows, dim]; None if the zoo was not embedded yet.
        encoder: ``fingerprint``, ``dim`` and ``source`` of the encoder, or None.
        errors: networks that were requested and could not be read.
        versions: what read the networks (`library_versions`); those of the oldest graphs where
            some are older.
    """

    groups: dict[str, tuple[NetworkRecord, ...]]
    graphs: GraphBatch
    embeddings: NDArray[np.float32] | None = None
    encoder: dict[str, Any] | None = None
    errors: Sequence[Failure] = ()
    versions: Mapping[str, str] = field(default_factory=library_versions)

    @classmethod
    def from_networks(
        cls, networks: Iterable[tuple[NetworkRecord, ArchGraph]], *, errors: Sequence[Failure] = ()
    ) -> ZooContents:
        """Deduplicate (record, canonical graph) pairs; a later record replaces an equal id."""
        records: dict[str, NetworkRecord] = {}
        graphs: dict[str, ArchGraph] = {}
        for record, graph in networks:
            records[record.id] = record
            exact = graph.hyperparameters
            if exact is not None and not exact.network:
                graph = replace(graph, hyperparameters=replace(exact, network=record.id))
            known = graphs.setdefault(record.structural_hash, graph)
            if known.hyperparameters is None and exact is not None and known.same_structure(graph):
                graphs[record.structural_hash] = graph
        groups = by_structure(records.values())
        batch = GraphBatch.from_graphs([graphs[key] for key in groups])
        return cls(groups=groups, graphs=batch, errors=errors)

    def embedded(
        self, encoder: Encoder, *, source: str, progress: Progress | None = None
    ) -> ZooContents:
        """Return the zoo with embeddings by ``encoder``; ``source`` is its name or path."""
        return replace(
            self,
            embeddings=encode_graphs(encoder, list(self.graphs), progress=progress),
            encoder={
                "fingerprint": encoder.fingerprint,
                "dim": int(encoder.dim),
                "source": source,
            },
        )


def encode_graphs(
    encoder: Encoder, graphs: Sequence[ArchGraph], *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Return float32 [len(graphs), dim] of canonical graphs; report progress after each chunk."""
    parts = [np.empty((0, encoder.dim), dtype=np.float32)]
    for start in range(0, len(graphs), _ENCODE_CHUNK):
        chunk = graphs[start : start + _ENCODE_CHUNK]
        parts.append(np.asarray(encoder.encode(chunk), dtype=np.float32))
        if progress is not None:
            progress(min(start + _ENCODE_CHUNK, len(graphs)), len(graphs))
    return np.concatenate(parts)


def write_zoo(
    directory: Path,
    contents: ZooContents,
    *,
    exact_limit: int = EXACT_LIMIT,
    index_threads: int = 1,
) -> folder.Manifest:
    """Write ``contents`` to ``directory`` and replace an existing zoo atomically.

    The same contents, library versions and encoder give the same bytes. The index of a large zoo
    is stored elsewhere (`narfast.storage.index_cache`).

    Args:
        directory: the folder to create or replace.
        contents: the contents.
        exact_limit: up to this number of structures, a zoo needs no index.
        index_threads: threads that build the index (see `VectorIndex`).

    Raises:
        NarfastError: ``directory`` exists and is not a zoo.
        OSError: the disk is full, read-only, ...
    """
    records = [record for group in contents.groups.values() for record in group]
    files = {
        folder.ARCHITECTURES: architectures_to_bytes(records),
        folder.GRAPHS: graphs_to_bytes(list(contents.groups), contents.graphs),
    }
    if contents.errors:
        files[folder.ERRORS] = errors_to_bytes(contents.errors)
    settings: IndexSettings | None = None
    index: bytes | None = None
    if contents.embeddings is not None:
        files[folder.EMBEDDINGS] = embeddings_to_bytes(contents.embeddings)
        index = VectorIndex(
            contents.embeddings, exact_limit=exact_limit, num_threads=index_threads
        ).to_bytes()
        settings = None if index is None else IndexSettings()
    manifest = folder.replace_folder(
        directory,
        files,
        folder.Manifest(
            counts={"distinct": len(contents.groups), "names": len(records)},
            encoder=contents.encoder,
            index=None if settings is None else settings.to_json(),
            operators=tuple(info.name for info in operators.table()),
            versions=dict(contents.versions),
        ),
    )
    if index is not None and settings is not None:
        store_index(index_key(manifest.files[folder.EMBEDDINGS]["sha256"], settings), index)
    return manifest
