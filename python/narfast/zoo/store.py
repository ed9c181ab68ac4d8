"""From networks to a zoo folder: deduplication, row order, library versions, one atomic write."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast._version import __version__
from narfast.errors import CorruptFileError
from narfast.graph import ArchGraph, GraphBatch
from narfast.index import EXACT_LIMIT, IndexSettings, VectorIndex
from narfast.sources import LIBRARIES
from narfast.storage import format as folder
from narfast.storage.index_cache import index_key, store_index
from narfast.storage.records import Architecture, Failure, by_structure
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
    "library_version",
    "library_versions",
    "operator_map",
    "write_zoo",
]

_DISTRIBUTIONS = {
    "open_clip": "open_clip_torch",
    "smp": "segmentation-models-pytorch",
    "vit_pytorch": "vit-pytorch",
}
_ENCODE_CHUNK = 2048  # graphs per step of the progress bar


class Encoder(Protocol):
    """What a zoo needs of `narfast.encoder.encoder.ArchitectureEncoder`."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def fingerprint(self) -> str:
        """Identifies weights and configuration."""

    def encode(self, sources: Any, *, num_threads: int = ...) -> NDArray[np.float32]:
        """Return float32 [n, dim]."""


Progress = Callable[[int, int], None]
"""Told how many are done, of how many."""


@dataclass(frozen=True, kw_only=True)
class ZooContents:
    """Everything a zoo folder holds, in row order.

    Attributes:
        groups: structural hash -> records, representative first; one group per row.
        graphs: canonical graphs, one per row.
        embeddings: float32 [rows, dim], or None where no encoder has seen the zoo.
        encoder: ``fingerprint``, ``dim`` and ``source`` of the encoder, or None.
        errors: networks that were wanted and could not be read.
    """

    groups: dict[str, tuple[Architecture, ...]]
    graphs: GraphBatch
    embeddings: NDArray[np.float32] | None = None
    encoder: dict[str, Any] | None = None
    errors: Sequence[Failure] = ()

    @classmethod
    def from_networks(
        cls, networks: Iterable[tuple[Architecture, ArchGraph]], *, errors: Sequence[Failure] = ()
    ) -> ZooContents:
        """Deduplicate (record, canonical graph) pairs. A later record replaces one of equal id."""
        records: dict[str, Architecture] = {}
        graphs: dict[str, ArchGraph] = {}
        for record, graph in networks:
            records[record.id] = record
            graphs.setdefault(record.structural_hash, graph)
        groups = by_structure(records.values())
        batch = GraphBatch.from_graphs([graphs[key] for key in groups])
        return cls(groups=groups, graphs=batch, errors=errors)

    def embedded(
        self, encoder: Encoder, *, source: str, progress: Progress | None = None
    ) -> ZooContents:
        """Return the same zoo with embeddings by ``encoder``, which ``source`` loads again."""
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
    """Return float32 [len(graphs), dim] of canonical graphs, in steps that move ``progress``."""
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
    """Write ``contents`` at ``directory``, replacing a zoo that is there in one step.

    The same contents, library versions and encoder give the same bytes. The index of a large zoo is
    kept elsewhere (`narfast.storage.index_cache`).

    Args:
        directory: the folder to create or replace.
        contents: what to write.
        exact_limit: structures up to which a zoo needs no index.
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
            versions=library_versions(),
        ),
    )
    if index is not None and settings is not None:
        store_index(index_key(manifest.files[folder.EMBEDDINGS]["sha256"], settings), index)
    return manifest


def library_version(library: str) -> str | None:
    """Return the installed version of a library that narfast reads, None where it is missing."""
    try:
        # Builds of one version for different devices ("2.13.0+cpu") trace the same graphs.
        found = importlib.metadata.version(_DISTRIBUTIONS.get(library, library))
    except importlib.metadata.PackageNotFoundError:
        return None
    return found.partition("+")[0]


def library_versions() -> dict[str, str]:
    """Return the versions of the installed libraries that decide a zoo's content."""
    versions = {name: library_version(name) for name in sorted(("torch", *LIBRARIES))}
    return {
        "narfast": __version__,
        **{name: version for name, version in versions.items() if version},
    }


def operator_map(stored: Sequence[str], path: Path) -> NDArray[np.uint16] | None:
    """Return today's id of each stored operator id, or None when the tables agree.

    Raises:
        CorruptFileError: the zoo uses an operator that this narfast lacks.
    """
    current = {info.name: info.id for info in operators.table()}
    if all(current.get(name) == position for position, name in enumerate(stored)):
        return None
    missing = [name for name in stored if name not in current]
    if missing:
        raise CorruptFileError(
            f"{path}: uses operators that this narfast lacks ({', '.join(missing[:3])}); "
            "upgrade narfast or make the zoo again with 'narfast zoo build'"
        )
    return np.array([current[name] for name in stored], dtype=np.uint16)
