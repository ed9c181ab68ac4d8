"""A zoo folder on disk: its networks, graphs and vectors, read and checked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast.errors import CorruptFileError, Failure, NarfastError
from narfast.graph import ArchGraph, GraphBatch
from narfast.storage import format as folder
from narfast.storage.records import NetworkRecord
from narfast.storage.tables import (
    GraphFile,
    StructureGroups,
    architectures_from_bytes,
    embeddings_from_bytes,
    errors_from_bytes,
    graphs_from_bytes,
)

__all__ = ["StoredZoo", "operator_map"]


class StoredZoo:
    """A zoo folder, opened for reading; files are checked on first use."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Open a folder.

        Raises:
            NarfastError: there is no zoo.
            CorruptFileError: its manifest is damaged.
        """
        self._folder = folder.ZooFolder(directory)
        self._graphs: GraphBatch | None = None

    @property
    def path(self) -> Path:
        """Path of the folder."""
        return self._folder.path

    @property
    def manifest(self) -> folder.Manifest:
        """The manifest of the folder."""
        return self._folder.manifest

    def __len__(self) -> int:
        """Count distinct structures."""
        return self.manifest.counts["distinct"]

    @cached_property
    def groups(self) -> StructureGroups:
        """The records of every row, the representative first."""
        path = self.path / folder.ARCHITECTURES
        groups = architectures_from_bytes(self._folder.read(folder.ARCHITECTURES), path)
        counts = self.manifest.counts
        if len(groups) != counts["distinct"] or groups.names != counts["names"]:
            raise CorruptFileError(
                f"{path}: has {len(groups)} structures and {groups.names} names, the manifest "
                f"promises {counts['distinct']} and {counts['names']}; "
                f"{folder.remedy(folder.ARCHITECTURES)}"
            )
        return groups

    def row_of(self, key: str) -> int | None:
        """Return the row of an id or a structural hash; None if the zoo does not have it."""
        row = self.groups.row_of_id.get(key)
        return self.groups.row_of.get(key) if row is None else row

    @cached_property
    def errors(self) -> tuple[Failure, ...]:
        """Networks that the build of this zoo could not read, by id."""
        if folder.ERRORS not in self.manifest.files:
            return ()
        data = self._folder.read(folder.ERRORS)
        return tuple(errors_from_bytes(data, self.path / folder.ERRORS))

    def family_of(self, row: int) -> str | None:
        """Return the family of most names of a row; ties go to the representative's family."""
        counts = Counter(record.family for record in self.groups[row] if record.family)
        return max(counts, key=lambda family: counts[family], default=None)

    @property
    def graphs(self) -> GraphBatch:
        """All canonical graphs, one per row, with the representatives' metadata."""
        if self._graphs is None:
            path = self.path / folder.GRAPHS
            hashes, batch = graphs_from_bytes(self._folder.read(folder.GRAPHS), path)
            self._graphs = self._described(hashes, batch, self.groups)
        return self._graphs

    def graph_rows(self, start: int, stop: int) -> GraphBatch:
        """Return the graphs of rows ``start`` to ``stop``, read by row groups of the file.

        Unlike `graphs`, only the last row group stays in memory.

        Raises:
            CorruptFileError: the file is damaged.
        """
        hashes, batch = self._graph_file.rows(start, stop)
        return self._described(hashes, batch, self.groups[start:stop])

    def graphs_at(self, rows: Sequence[int]) -> GraphBatch:
        """Return the graphs of some rows, in the order given.

        For a few rows, this takes much less time and memory than `graphs`, which reads all.

        Raises:
            IndexError: no such row.
            CorruptFileError: the file is damaged.
        """
        if not rows or self._graphs is not None:
            return GraphBatch.from_graphs([self.graphs[row] for row in rows])
        hashes, batch = self._graph_file.pick(rows)
        return self._described(hashes, batch, [self.groups[row] for row in rows])

    @cached_property
    def _graph_file(self) -> GraphFile:
        return GraphFile(self._folder.open(folder.GRAPHS), self.path / folder.GRAPHS)

    def _described(
        self, hashes: list[str], batch: GraphBatch, groups: Sequence[tuple[NetworkRecord, ...]]
    ) -> GraphBatch:
        """Check rows of the file of graphs and add the metadata of their networks."""
        path = self.path / folder.GRAPHS
        if hashes != [group[0].structural_hash for group in groups]:
            raise CorruptFileError(
                f"{path}: its rows differ from those of {folder.ARCHITECTURES}; "
                f"{folder.remedy(folder.GRAPHS)}"
            )
        stored = self.manifest.operators
        fit = all(own is None or own.fits_operators(len(stored)) for own in batch.hyperparameters)
        if not fit or (len(batch.op) and int(batch.op.max()) >= len(stored)):
            raise CorruptFileError(
                f"{path}: uses an operator that the manifest does not name; "
                f"{folder.remedy(folder.GRAPHS)}"
            )
        renumbered = operator_map(stored, path)
        metas = tuple(group[0].graph_meta() for group in groups)
        if renumbered is not None:
            exact = tuple(own and own.with_operators(renumbered) for own in batch.hyperparameters)
            batch = replace(batch, op=renumbered[batch.op], hyperparameters=exact)
        return replace(batch, metas=metas)

    def graph_of(self, identifier: str) -> ArchGraph:
        """Return the canonical graph of a name, with the metadata of this name.

        It has hyperparameters only if those that the zoo stores of its structure are its own.

        Raises:
            KeyError: no such id.
        """
        row = self.groups.row_of_id[identifier]
        record = next(record for record in self.groups[row] if record.id == identifier)
        graph = self.graphs_at([row])[0]
        exact = graph.hyperparameters
        own = exact if exact is not None and exact.network == identifier else None
        return replace(graph, meta=record.graph_meta(), hyperparameters=own)

    @cached_property
    def embeddings(self) -> NDArray[np.float32]:
        """Vectors, float32 [rows, dim]; read-only.

        Raises:
            NarfastError: this zoo has no embeddings yet.
            CorruptFileError: the file is damaged.
        """
        path = self.path / folder.EMBEDDINGS
        stamp = self.stamp()
        matrix = embeddings_from_bytes(self._folder.read(folder.EMBEDDINGS), path, len(self))
        if matrix.shape[1] != stamp["dim"]:
            raise CorruptFileError(
                f"{path}: vectors of {matrix.shape[1]} numbers; {folder.MANIFEST} promises "
                f"{stamp['dim']}; {folder.remedy(folder.EMBEDDINGS)}"
            )
        matrix.flags.writeable = False
        return matrix

    def stamp(self) -> Mapping[str, Any]:
        """Return the manifest's facts about the encoder of the embeddings."""
        stamp = self.manifest.encoder
        if stamp is None:
            raise NarfastError(
                f"{self.path}: this zoo has no embeddings yet; make them with "
                f"'narfast zoo embed {self.path}'"
            )
        return stamp

    def problems(self) -> list[str]:
        """Return one line for each file that differs from the manifest."""
        return self._folder.problems()


def operator_map(stored: Sequence[str], path: Path) -> NDArray[np.uint16] | None:
    """Return the current id of each stored operator id, or None if the tables agree.

    Raises:
        CorruptFileError: the zoo uses an operator that this narfast does not have.
    """
    current = {info.name: info.id for info in operators.table()}
    if all(current.get(name) == position for position, name in enumerate(stored)):
        return None
    missing = [name for name in stored if name not in current]
    if missing:
        raise CorruptFileError(
            f"{path}: uses operators that this narfast does not have ({', '.join(missing[:3])}); "
            "upgrade narfast or make the zoo again with 'narfast zoo build'"
        )
    return np.array([current[name] for name in stored], dtype=np.uint16)
