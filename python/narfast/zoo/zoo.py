"""`Zoo`: open a zoo folder, iterate over its networks, search it, add to it, verify it."""

from __future__ import annotations

import difflib
import logging
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast._data import SHIPPED_ZOO
from narfast.errors import Failure, NarfastError, UnsupportedSourceError
from narfast.graph import ArchGraph, GraphBatch, hash_texts, structural_hash
from narfast.index import IndexSettings, VectorIndex
from narfast.sources.loader import load
from narfast.sources.registry import STORED, check_allowed
from narfast.storage import format as folder
from narfast.storage.format import Manifest
from narfast.storage.index_cache import index_key, load_index, store_index
from narfast.storage.records import NetworkRecord
from narfast.storage.stored_zoo import StoredZoo
from narfast.storage.writing import recover, writing
from narfast.zoo.additions import Addition, AddReport, Source, assign_ids, read_sources
from narfast.zoo.entries import Hit, ZooEntry
from narfast.zoo.store import (
    Encoder,
    Progress,
    ZooContents,
    encode_graphs,
    write_zoo,
)

__all__ = ["DEFAULT_ZOO", "Query", "Zoo", "add_networks"]

DEFAULT_ZOO = SHIPPED_ZOO
"""The zoo that ships with the package."""

Query = Source | NDArray[Any]

# So many networks are loaded one by one; after that, all graphs are read and kept in memory.
_SINGLE_LOADS = 16

_log = logging.getLogger("narfast")


class Zoo:
    """A folder of distinct networks, opened for reading; files are checked on first use.

    Example:
        >>> zoo = Zoo.open("default")
        >>> zoo.search("zoo:timm:resnet50", k=1)[0].name
        'resnet50'
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, encoder: Encoder | None = None
    ) -> None:
        """Open the zoo at ``directory``; see `open`."""
        self._stored = StoredZoo(directory)
        self._encoder = encoder
        self._given = encoder is not None
        self._index: VectorIndex | None = None
        self._loads = 0
        self._read_only = False

    @classmethod
    def open(
        cls, directory: str | os.PathLike[str] = "default", *, encoder: Encoder | None = None
    ) -> Zoo:
        """Open a zoo.

        Args:
            directory: a folder, or ``"default"`` for the zoo that ships with narfast.
            encoder: the encoder of its embeddings; by default the one that the manifest names.

        Raises:
            NarfastError: there is no zoo.
            CorruptFileError: its manifest is damaged. Other files are checked on first use.
        """
        if not str(directory):
            raise NarfastError(
                "the name of the zoo is empty; name a folder, or leave it out for the shipped zoo"
            )
        shipped = directory == "default"
        zoo = cls(DEFAULT_ZOO if shipped else directory, encoder=encoder)
        zoo._read_only = shipped
        return zoo

    @property
    def directory(self) -> Path:
        """Path of the zoo folder."""
        return self._stored.path

    @property
    def manifest(self) -> Manifest:
        """The manifest of the folder."""
        return self._stored.manifest

    @property
    def checksum(self) -> str:
        """Identifies the whole content of the zoo."""
        return self.manifest.checksum

    @property
    def records(self) -> list[NetworkRecord]:
        """All names, in row order."""
        return [record for group in self._stored.groups for record in group]

    @property
    def errors(self) -> tuple[Failure, ...]:
        """Networks that the build of this zoo could not read, by id."""
        return self._stored.errors

    @property
    def graphs(self) -> GraphBatch:
        """All canonical graphs, one per row, with the representatives' metadata."""
        return self._stored.graphs

    def graph_rows(self, start: int, stop: int) -> GraphBatch:
        """Return the graphs of rows ``start`` to ``stop``; see `StoredZoo.graph_rows`."""
        return self._stored.graph_rows(start, stop)

    def graphs_at(self, rows: Sequence[int]) -> GraphBatch:
        """Return the graphs of some rows, in the order given; see `StoredZoo.graphs_at`."""
        return self._stored.graphs_at([self._row(row) for row in rows])

    def graph_of(self, identifier: str) -> ArchGraph:
        """Return the canonical graph of a name, with the metadata of this name.

        Raises:
            KeyError: no such id.
        """
        return self._stored.graph_of(identifier)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """Vectors, float32 [rows, dim]; read-only.

        Raises:
            NarfastError: this zoo has no embeddings yet.
            CorruptFileError: the file is damaged.
        """
        return self._stored.embeddings

    def family_of(self, row: int) -> str | None:
        """Return the family of most names of a row; ties go to the representative's family."""
        return self._stored.family_of(row)

    def check_family(self, family: str) -> None:
        """Raise NarfastError unless a name of this zoo has this family; name those like it."""
        known = sorted({record.family for record in self.records if record.family})
        if family not in known:
            close = difflib.get_close_matches(family, known, n=3)
            hint = f"did you mean {', '.join(close)}?" if close else "see 'narfast zoo info'"
            raise NarfastError(f"{family}: no such family in the zoo {self.directory}; {hint}")

    def __len__(self) -> int:
        """Count distinct structures."""
        return len(self._stored)

    def __iter__(self) -> Iterator[ZooEntry]:
        return (ZooEntry(self._stored, row, group) for row, group in enumerate(self._stored.groups))

    def __getitem__(self, key: int | str) -> ZooEntry:
        """Return the entry for a row number, an id such as ``timm:resnet50``, or a hash.

        Raises:
            IndexError: no such row.
            KeyError: no such id or hash.
        """
        if isinstance(key, str):
            found = self._stored.row_of(key)
            if found is None:
                raise KeyError(f"{key!r} is not in the zoo {self.directory}")
        else:
            found = self._row(key)
        return ZooEntry(self._stored, found, self._stored.groups[found])

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._stored.row_of(key) is not None

    def _row(self, row: int) -> int:
        """Return a row number from 0 on; negative ones count from the end."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} is out of range: the zoo has {len(self)} structures")
        return row % len(self)

    @property
    def index(self) -> VectorIndex:
        """Search over the embeddings.

        Each user builds the index of a large zoo once: an index from elsewhere is not trusted. One
        thread needs about six minutes for a million vectors of 256 numbers.
        """
        if self._index is None:
            self._index = self._open_index()
        return self._index

    def _open_index(self) -> VectorIndex:
        stored = self.manifest.index
        if stored is None:
            return VectorIndex(self.embeddings, exact_limit=max(len(self), 1))
        settings = IndexSettings(**stored)
        key = index_key(self.manifest.files[folder.EMBEDDINGS]["sha256"], settings)
        serialized = load_index(key)
        if serialized is None:
            _log.warning(
                "%s: building the index of its %d structures, once", self.directory, len(self)
            )
        index = VectorIndex(
            self.embeddings, exact_limit=-1, settings=settings, serialized=serialized
        )
        if serialized is None:
            store_index(key, index.to_bytes() or b"")
        return index

    @property
    def encoder(self) -> Encoder:
        """The encoder of the embeddings.

        Raises:
            NarfastError: this zoo has no embeddings, or the manifest names another encoder.
        """
        stamp = self._stored.stamp()
        if self._encoder is None:
            self._encoder = _open_encoder(stamp["source"])
        if self._encoder.fingerprint != stamp["fingerprint"]:
            raise NarfastError(
                f"{self.directory}: the embeddings are by encoder {stamp['fingerprint'][:12]}, "
                f"but {stamp['source']!r} is {self._encoder.fingerprint[:12]}; compute them again "
                f"with 'narfast zoo embed {self.directory}'"
            )
        return self._encoder

    def find(self, source: str) -> ZooEntry | None:
        """Return the entry that ``id`` or ``zoo:id`` names, or None."""
        row = self._stored.row_of(source.removeprefix("zoo:"))
        return None if row is None else self[row]

    def load(self, source: Source, *, allow: Collection[str] | None = None) -> ArchGraph:
        """Return the canonical graph of any source; networks of this zoo need no library.

        Args:
            source: an id of this zoo, or anything that `narfast.load` reads.
            allow: as for `narfast.load`; networks of this zoo have the kind ``zoo``.

        Raises:
            NarfastError: as `narfast.load`.
        """
        if isinstance(source, ArchGraph):
            return source
        if isinstance(source, str):
            entry = self.find(source)
            if entry is not None:
                check_allowed(STORED, allow, source)
                self._loads += 1
                return (
                    entry.graph if self._loads > _SINGLE_LOADS else self.graphs_at([entry.row])[0]
                )
            if source.startswith("zoo:"):
                raise UnsupportedSourceError(
                    f"{source}: not in the zoo {self.directory}; ids look like 'timm:resnet50'"
                )
        return load(source, allow=allow)

    def vector(self, query: Query) -> NDArray[np.float32]:
        """Return the vector of a source, graph or vector, float32 [dim].

        Raises:
            NarfastError: the source cannot be read, or a vector has the wrong length.
        """
        return self._vector_and_row(query)[0]

    def _vector_and_row(self, query: Query) -> tuple[NDArray[np.float32], int | None]:
        """Return the vector of a query, and the row of its structure if this zoo has it."""
        if isinstance(query, np.ndarray):
            if query.shape != (self.index.dim,) or not np.issubdtype(query.dtype, np.number):
                raise NarfastError(
                    f"a query vector must have shape ({self.index.dim},), got "
                    f"{query.dtype} {query.shape}"
                )
            if not np.isfinite(query).all():
                raise NarfastError("a query vector must be finite; found NaN or infinity")
            return query.astype(np.float32), None
        entry = self.find(query) if isinstance(query, str) else None
        if entry is None:
            graph = self.load(query)
            if graph.structural_hash not in self:
                return np.asarray(self.encoder.encode([graph]))[0], None
            entry = self[graph.structural_hash]
        return entry.embedding, entry.row

    def search(
        self,
        query: Query,
        k: int = 10,
        *,
        where: Callable[[NetworkRecord], bool] | None = None,
    ) -> list[Hit]:
        """Find the structures that are most similar to a network.

        Args:
            query: anything that `narfast.load` reads, an id of this zoo, a canonical graph, or a
                vector of the zoo's encoder.
            k: number of hits.
            where: keeps a structure if this is true for one of its names, and shows that name.

        Returns:
            At most ``k`` hits, best first; the query's own structure comes first.

        Raises:
            NarfastError: the query cannot be read, or ``k`` < 1.
        """
        if k < 1:
            raise NarfastError(f"k must be at least 1, got {k}")
        allowed: NDArray[np.bool_] | None = None
        if where is not None:
            allowed = np.array(
                [any(map(where, group)) for group in self._stored.groups], dtype=bool
            )
        k = min(k, len(self))
        vector, own = self._vector_and_row(query)
        rows, scores = self.index.search(vector[None], k, allowed=allowed)
        found = dict(zip(rows[0].tolist(), scores[0].tolist(), strict=True))
        if own is not None and (allowed is None or allowed[own]):
            # Rounding may rank a nearly equal vector first.
            found = {own: 1.0} | {row: score for row, score in found.items() if row != own}
        return [self._hit(row, score, where) for row, score in list(found.items())[:k]]

    def _hit(self, row: int, score: float, where: Callable[[NetworkRecord], bool] | None) -> Hit:
        group = self._stored.groups[row]
        first = group[0] if where is None else next(filter(where, group))
        return Hit.of((first, *(record for record in group if record is not first)), score)

    def info(self) -> dict[str, Any]:
        """Return counts, versions and the encoder's stamp, as plain JSON values.

        ``by_source`` and ``by_trace_kind`` count names; the other counts are of distinct
        structures. ``distinct_by_source`` counts a structure once for each library that has it.
        """
        manifest = self.manifest
        first = [group[0] for group in self._stored.groups]
        structures = (
            source for group in self._stored.groups for source in {r.source for r in group}
        )
        return {
            "path": str(self.directory),
            "distinct": manifest.counts["distinct"],
            "names": manifest.counts["names"],
            "by_source": _counts(record.source for record in self.records),
            "distinct_by_source": _counts(structures),
            "by_family": _counts(self.family_of(row) for row in range(len(self))),
            "by_task": _counts(record.task for record in first),
            "by_coarse_class": _counts(record.coarse_class for record in first),
            "by_trace_kind": _counts(record.trace_kind for record in self.records),
            "errors": len(self.errors),
            "format_version": manifest.format_version,
            "encoder": manifest.encoder,
            "index": manifest.index,
            "versions": dict(manifest.versions),
            "bytes": sum(facts["bytes"] for facts in manifest.files.values()),
            "checksum": manifest.checksum,
        }

    def verify(self) -> list[str]:
        """Check every file and their consistency; return one line per problem."""
        problems = self._stored.problems()
        if problems:
            return problems
        try:
            graphs = self.graphs
            if self.manifest.encoder is not None:
                _ = self.embeddings
        except NarfastError as error:
            return [str(error)]
        edges = np.diff(graphs.in_ptr[graphs.node_ptr]).tolist()
        nodes = np.diff(graphs.node_ptr).tolist()
        hashes = hash_texts(structural_hash(graphs))
        for row, (structure, group) in enumerate(self._stored.groups.to_dict().items()):
            facts = (hashes[row], nodes[row], edges[row])
            if any((structure, record.nodes, record.edges) != facts for record in group):
                problems.append(
                    f"{self.directory / folder.GRAPHS}: the graph of {group[0].id} differs from "
                    f"its row in {folder.ARCHITECTURES}; build the zoo again"
                )
        return problems

    def add(
        self,
        sources: Iterable[Source],
        *,
        progress: Progress | None = None,
    ) -> AddReport:
        """Add networks, write the folder again and reopen it; sources that fail are reported.

        Networks that others have added meanwhile are kept. If another process writes the zoo, this
        one waits.

        Args:
            sources: anything that `narfast.load` reads, or canonical graphs with a name.
            progress: told how many sources are done, and the total.

        Returns:
            The added ids, and the errors.

        Raises:
            NarfastError: this is the zoo that ships with narfast.
            OSError: the folder cannot be written; the old zoo is still intact.
        """
        self._check_writable()
        networks, errors = read_sources(sources, self.load, progress)
        with writing(self.directory):
            self._reopen()
            return self._put(networks, errors)

    def _check_writable(self) -> None:
        if self._read_only:
            raise NarfastError(
                "default: the zoo that ships with narfast does not change; make one of your own "
                "with 'narfast zoo add DIR'"
            )

    def _put(self, networks: Sequence[Addition], errors: Sequence[tuple[str, str]]) -> AddReport:
        """Assign ids to networks and write the zoo with them."""
        records = assign_ids(networks, self.records)
        fresh = {record.structural_hash for record, _ in records} - set(self._stored.groups.row_of)
        if records:
            self._rewrite(records)
        return AddReport(
            added=tuple(record.id for record, _ in records),
            new_structures=len(fresh),
            errors=tuple(errors),
        )

    def _rewrite(self, networks: Sequence[tuple[NetworkRecord, ArchGraph]]) -> None:
        stored = [
            (record, self.graphs[row])
            for row, group in enumerate(self._stored.groups)
            for record in group
        ]
        contents = ZooContents.from_networks([*stored, *networks], errors=self.errors)
        contents = replace(contents, versions=self.manifest.versions)
        stamp = self.manifest.encoder
        if stamp is not None:
            known = self._stored.groups.row_of
            fresh = [row for row, key in enumerate(contents.groups) if key not in known]
            old = [row for row, key in enumerate(contents.groups) if key in known]
            matrix = np.empty((len(contents.groups), self.embeddings.shape[1]), dtype=np.float32)
            keys = list(contents.groups)
            matrix[old] = self.embeddings[[known[keys[row]] for row in old]]
            if fresh:
                matrix[fresh] = encode_graphs(self.encoder, [contents.graphs[row] for row in fresh])
            contents = replace(contents, embeddings=matrix, encoder=dict(stamp))
        self._write(contents)

    def embed(
        self,
        encoder: Encoder,
        *,
        source: str = "default",
        index_threads: int = 1,
        progress: Progress | None = None,
    ) -> None:
        """Compute all embeddings again with another encoder; the graphs do not change.

        If another process writes the zoo, this one waits.

        Args:
            encoder: the new encoder.
            source: its name or path, for `ArchitectureEncoder.from_pretrained`.
            index_threads: threads that build the index of a large zoo; more than one are faster,
                and the index file then differs from run to run.
            progress: told how many graphs are done, and the total.

        Raises:
            NarfastError: this is the zoo that ships with narfast.
            OSError: the folder cannot be written; the old zoo is still intact.
        """
        self._check_writable()
        with writing(self.directory):
            self._reopen()
            contents = ZooContents(
                groups=self._stored.groups.to_dict(),
                graphs=self.graphs,
                errors=self.errors,
                versions=self.manifest.versions,
            )
            contents = contents.embedded(encoder, source=source, progress=progress)
            self._encoder, self._given = encoder, True
            self._write(contents, index_threads)

    def _write(self, contents: ZooContents, index_threads: int = 1) -> None:
        write_zoo(self.directory, contents, index_threads=index_threads)
        self._reopen()

    def _reopen(self) -> None:
        """Read the folder again if it was replaced; call this inside `writing`."""
        current = StoredZoo(self.directory)
        if current.manifest.checksum == self.checksum:
            return
        self._stored, self._index, self._loads = current, None, 0
        stamp = current.manifest.encoder
        same = self._encoder and stamp and self._encoder.fingerprint == stamp["fingerprint"]
        if not self._given and not same:
            self._encoder = None


def add_networks(
    directory: Path,
    sources: Iterable[Source],
    *,
    encoder_source: str = "default",
    progress: Progress | None = None,
) -> tuple[Zoo | None, AddReport]:
    """Add networks to the zoo at a folder; create the zoo if there is none.

    Args:
        directory: a zoo, an empty folder, or a path that does not exist yet.
        sources: as for `Zoo.add`.
        encoder_source: name or path of the encoder of a new zoo, for
            `ArchitectureEncoder.from_pretrained`.
        progress: told how many sources are done, and the total.

    Returns:
        The zoo, and what was added. The zoo is None if there was none and no source could be read.

    Raises:
        NarfastError: ``directory`` is something else.
        OSError: the folder cannot be written.
    """
    if str(directory) == "default":
        raise NarfastError("default: the name of the shipped zoo; for a folder, write ./default")
    recover(directory)
    folder.check_replaceable(directory)
    zoo = Zoo(directory) if _is_zoo(directory) else None
    networks, errors = read_sources(sources, load if zoo is None else zoo.load, progress)
    if zoo is None and not networks:
        return None, AddReport((), 0, tuple(errors))
    with writing(directory):
        if _is_zoo(directory):
            zoo = Zoo(directory)
            return zoo, zoo._put(networks, errors)
        records = assign_ids(networks, ())
        contents = ZooContents.from_networks(records)
        encoder = _open_encoder(encoder_source)
        write_zoo(directory, contents.embedded(encoder, source=encoder_source))
        added = tuple(record.id for record, _ in records)
        zoo = Zoo(directory, encoder=encoder)
    return zoo, AddReport(added, len(contents.groups), tuple(errors))


def _is_zoo(directory: Path) -> bool:
    return (directory / folder.MANIFEST).exists()


def _open_encoder(source: str) -> Encoder:
    from narfast.encoder.encoder import ArchitectureEncoder

    return ArchitectureEncoder.from_pretrained(source)


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    """Count values, the most frequent first."""
    counted = Counter(value or "" for value in values)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
