"""`Zoo`: open a zoo folder, iterate over its networks, search it, add to it, verify it."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import narfast
from narfast._data import SHIPPED_ZOO
from narfast.errors import CorruptFileError, NarfastError, UnsupportedSourceError
from narfast.graph import ArchGraph, GraphBatch, hash_texts, structural_hash
from narfast.index import IndexSettings, VectorIndex
from narfast.storage import format as folder
from narfast.storage.index_cache import index_key, load_index, store_index
from narfast.storage.records import Architecture, Failure
from narfast.storage.tables import (
    GraphFile,
    StructureGroups,
    architectures_from_bytes,
    embeddings_from_bytes,
    errors_from_bytes,
    graphs_from_bytes,
)
from narfast.storage.writing import recover, writing
from narfast.zoo.entries import Hit, ZooEntry
from narfast.zoo.store import (
    Encoder,
    Progress,
    ZooContents,
    encode_graphs,
    operator_map,
    write_zoo,
)

__all__ = ["DEFAULT_ZOO", "AddReport", "Query", "Source", "Zoo", "add_networks"]

DEFAULT_ZOO = SHIPPED_ZOO
"""The zoo that ships with the package."""

Source = str | os.PathLike[str] | ArchGraph
Query = Source | NDArray[Any]
_Read = tuple[Source, ArchGraph]

_FEW = 16  # networks of a zoo loaded one by one, before all its graphs are kept in memory

_log = logging.getLogger("narfast")


@dataclass(frozen=True)
class AddReport:
    """What `Zoo.add` did.

    Attributes:
        added: ids that are now in the zoo.
        new_structures: how many of them brought a structure that the zoo did not have.
        errors: (source, reason) of each that could not be read.
    """

    added: tuple[str, ...]
    new_structures: int
    errors: tuple[tuple[str, str], ...]


class Zoo:
    """A folder of distinct networks, opened for reading; files are checked when first used.

    Example:
        >>> zoo = Zoo.open("default")
        >>> zoo.search("zoo:timm:resnet50", k=1)[0].name
        'resnet50'
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, encoder: Encoder | None = None
    ) -> None:
        """Open the zoo at ``directory``; see `open`."""
        self._folder = folder.ZooFolder(directory)
        self._encoder = encoder
        self._given = encoder is not None
        self._loads = 0

    @classmethod
    def open(
        cls, directory: str | os.PathLike[str] = "default", *, encoder: Encoder | None = None
    ) -> Zoo:
        """Open a zoo.

        Args:
            directory: a folder, or ``"default"`` for the zoo that ships with narfast.
            encoder: the encoder behind its embeddings; found by the manifest when None.

        Raises:
            NarfastError: there is no zoo.
            CorruptFileError: its manifest is damaged. Other files are checked when first used.
        """
        if not str(directory):
            raise NarfastError(
                "the name of the zoo is empty; name a folder, or leave it out for the shipped zoo"
            )
        if directory == "default":
            directory = DEFAULT_ZOO
        return cls(directory, encoder=encoder)

    @property
    def directory(self) -> Path:
        """Where the zoo lies."""
        return self._folder.path

    @property
    def checksum(self) -> str:
        """Identifies the zoo's whole content."""
        return self._folder.manifest.checksum

    @property
    def manifest(self) -> folder.Manifest:
        """What the folder promises."""
        return self._folder.manifest

    def __len__(self) -> int:
        """Count distinct structures."""
        return self._folder.manifest.counts["distinct"]

    def __iter__(self) -> Iterator[ZooEntry]:
        return (ZooEntry(self, row, group) for row, group in enumerate(self._groups))

    def __getitem__(self, key: int | str) -> ZooEntry:
        """Return the entry of a row number, an id such as ``timm:resnet50``, or a hash.

        Raises:
            IndexError: no such row.
            KeyError: no such id or hash.
        """
        if isinstance(key, str):
            row = self._row(key)
            if row is None:
                raise KeyError(f"{key!r} is not in the zoo {self.directory}")
        else:
            if not -len(self) <= key < len(self):
                raise IndexError(f"row {key} of a zoo of {len(self)} structures")
            row = key % len(self)
        return ZooEntry(self, row, self._groups[row])

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._row(key) is not None

    @cached_property
    def _groups(self) -> StructureGroups:
        path = self.directory / folder.ARCHITECTURES
        groups = architectures_from_bytes(self._folder.read(folder.ARCHITECTURES), path)
        counts = self._folder.manifest.counts
        if len(groups) != counts["distinct"] or groups.names != counts["names"]:
            raise CorruptFileError(
                f"{path}: has {len(groups)} structures and {groups.names} names, the manifest "
                f"promises {counts['distinct']} and {counts['names']}; "
                f"{folder.remedy(folder.ARCHITECTURES)}"
            )
        return groups

    def _row(self, key: str) -> int | None:
        """The row of an id or a structural hash."""
        row = self._groups.row_of_id.get(key)
        return self._groups.row_of.get(key) if row is None else row

    @property
    def records(self) -> list[Architecture]:
        """All names, in row order."""
        return [record for group in self._groups for record in group]

    @cached_property
    def errors(self) -> tuple[Failure, ...]:
        """Networks that the build of this zoo wanted and could not read, by id."""
        if folder.ERRORS not in self._folder.manifest.files:
            return ()
        data = self._folder.read(folder.ERRORS)
        return tuple(errors_from_bytes(data, self.directory / folder.ERRORS))

    def family_of(self, row: int) -> str | None:
        """Return the family that most names of a row belong to; ties go to the representative's."""
        counts = Counter(record.family for record in self._groups[row] if record.family)
        return max(counts, key=lambda family: counts[family], default=None)

    @cached_property
    def graphs(self) -> GraphBatch:
        """All canonical graphs, one per row, with the representatives' metadata."""
        path = self.directory / folder.GRAPHS
        hashes, batch = graphs_from_bytes(self._folder.read(folder.GRAPHS), path)
        return self._described(hashes, batch, self._groups)

    def graph_rows(self, start: int, stop: int) -> GraphBatch:
        """Return the graphs of rows ``start`` to ``stop``, read by row groups of the file.

        Unlike `graphs`, nothing stays in memory but the row group read last.

        Raises:
            CorruptFileError: the file is damaged.
        """
        hashes, batch = self._graph_file.rows(start, stop)
        return self._described(hashes, batch, self._groups[start:stop])

    def graphs_at(self, rows: Sequence[int]) -> GraphBatch:
        """Return the graphs of some rows, in the order given.

        A few cost much less time and memory than `graphs`, which holds all of them.

        Raises:
            IndexError: no such row.
            CorruptFileError: the file is damaged.
        """
        entries = [self[row] for row in rows]
        if not entries or "graphs" in self.__dict__:
            return GraphBatch.from_graphs([entry.graph for entry in entries])
        hashes, batch = self._graph_file.pick([entry.row for entry in entries])
        return self._described(hashes, batch, [entry.records for entry in entries])

    @cached_property
    def _graph_file(self) -> GraphFile:
        return GraphFile(self._folder.open(folder.GRAPHS), self.directory / folder.GRAPHS)

    def _described(
        self, hashes: list[str], batch: GraphBatch, groups: Sequence[tuple[Architecture, ...]]
    ) -> GraphBatch:
        """Check rows of the file of graphs and add what is known of the networks."""
        path = self.directory / folder.GRAPHS
        if hashes != [group[0].structural_hash for group in groups]:
            raise CorruptFileError(
                f"{path}: its rows are not those of {folder.ARCHITECTURES}; "
                f"{folder.remedy(folder.GRAPHS)}"
            )
        stored = self._folder.manifest.operators
        if len(batch.op) and int(batch.op.max()) >= len(stored):
            raise CorruptFileError(
                f"{path}: uses an operator that the manifest does not name; "
                f"{folder.remedy(folder.GRAPHS)}"
            )
        renumbered = operator_map(stored, path)
        metas = tuple(group[0].graph_meta() for group in groups)
        return replace(
            batch, op=batch.op if renumbered is None else renumbered[batch.op], metas=metas
        )

    @cached_property
    def embeddings(self) -> NDArray[np.float32]:
        """Vectors, float32 [rows, dim]; read-only.

        Raises:
            NarfastError: no encoder has seen this zoo yet.
            CorruptFileError: the file is damaged.
        """
        path = self.directory / folder.EMBEDDINGS
        stamp = self._stamp()
        matrix = embeddings_from_bytes(self._folder.read(folder.EMBEDDINGS), path, len(self))
        if matrix.shape[1] != stamp["dim"]:
            raise CorruptFileError(
                f"{path}: vectors of {matrix.shape[1]} numbers, {folder.MANIFEST} promises "
                f"{stamp['dim']}; {folder.remedy(folder.EMBEDDINGS)}"
            )
        matrix.flags.writeable = False
        return matrix

    def _stamp(self) -> Mapping[str, Any]:
        """Return what the manifest says of the encoder behind the embeddings, if there are any."""
        stamp = self._folder.manifest.encoder
        if stamp is None:
            raise NarfastError(
                f"{self.directory}: this zoo has no embeddings yet; make them with "
                f"'narfast zoo embed {self.directory}'"
            )
        return stamp

    @cached_property
    def index(self) -> VectorIndex:
        """Search over the embeddings.

        That of a large zoo is built once by each user: no index from elsewhere is trusted. Building
        takes a thread about six minutes for a million vectors of 256 numbers.
        """
        stored = self._folder.manifest.index
        if stored is None:
            return VectorIndex(self.embeddings, exact_limit=max(len(self), 1))
        settings = IndexSettings(**stored)
        key = index_key(self._folder.manifest.files[folder.EMBEDDINGS]["sha256"], settings)
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
        """The encoder behind the embeddings.

        Raises:
            NarfastError: no encoder has seen this zoo yet, or the manifest names another one.
        """
        stamp = self._stamp()
        if self._encoder is None:
            self._encoder = _open_encoder(stamp["source"])
        if self._encoder.fingerprint != stamp["fingerprint"]:
            raise NarfastError(
                f"{self.directory}: embeddings are by encoder {stamp['fingerprint'][:12]}, "
                f"but {stamp['source']!r} is {self._encoder.fingerprint[:12]}; make them again "
                f"with 'narfast zoo embed {self.directory}'"
            )
        return self._encoder

    def find(self, source: str) -> ZooEntry | None:
        """Return the entry that ``id`` or ``zoo:id`` names, or None."""
        row = self._row(source.removeprefix("zoo:"))
        return None if row is None else self[row]

    def graph_of(self, identifier: str) -> ArchGraph:
        """Return the canonical graph of a name, with the metadata of that very name.

        Raises:
            KeyError: no such id.
        """
        entry = self[identifier]
        record = next((r for r in entry.records if r.id == identifier), entry.records[0])
        return replace(entry.graph, meta=record.graph_meta())

    def load(self, source: Source) -> ArchGraph:
        """Return the canonical graph of any source; networks of this zoo need no library.

        Raises:
            NarfastError: as `narfast.load`.
        """
        if isinstance(source, ArchGraph):
            return source
        if isinstance(source, str):
            entry = self.find(source)
            if entry is not None:
                self._loads += 1
                return entry.graph if self._loads > _FEW else self.graphs_at([entry.row])[0]
            if source.startswith("zoo:"):
                raise UnsupportedSourceError(
                    f"{source}: not in the zoo {self.directory}; ids look like 'timm:resnet50'"
                )
        return _load(source)

    def vector(self, query: Query) -> NDArray[np.float32]:
        """Return the vector of a source, graph or vector, float32 [dim].

        Raises:
            NarfastError: the source cannot be read, or a vector has another length.
        """
        return self._placed(query)[0]

    def _placed(self, query: Query) -> tuple[NDArray[np.float32], int | None]:
        """The vector of a query, and the row of its structure where this zoo has it."""
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
        where: Callable[[Architecture], bool] | None = None,
    ) -> list[Hit]:
        """Find the structures most like a network.

        Args:
            query: anything that `narfast.load` reads, an id of this zoo, a canonical graph, or a
                vector of the zoo's encoder.
            k: hits wanted.
            where: keeps a structure when it is true of one of its names, and shows that name.

        Returns:
            At most ``k`` hits, best first; the query's own structure before what is as near.

        Raises:
            NarfastError: the query cannot be read, or ``k`` < 1.
        """
        if k < 1:
            raise NarfastError(f"k must be at least 1, got {k}")
        allowed: NDArray[np.bool_] | None = None
        if where is not None:
            allowed = np.array([any(map(where, group)) for group in self._groups], dtype=bool)
        k = min(k, len(self))
        vector, own = self._placed(query)
        rows, scores = self.index.search(vector[None], k, allowed=allowed)
        found = dict(zip(rows[0].tolist(), scores[0].tolist(), strict=True))
        if own is not None and (allowed is None or allowed[own]):
            # Of nearly equal vectors, rounding may prefer another.
            found = {own: 1.0} | {row: score for row, score in found.items() if row != own}
        return [self._hit(row, score, where) for row, score in list(found.items())[:k]]

    def _hit(self, row: int, score: float, where: Callable[[Architecture], bool] | None) -> Hit:
        group = self._groups[row]
        first = group[0] if where is None else next(filter(where, group))
        return Hit.of((first, *(record for record in group if record is not first)), score)

    def info(self) -> dict[str, Any]:
        """Return counts, versions and the encoder's stamp, as plain JSON values.

        ``by_source`` and ``by_trace_kind`` count names, the other counts distinct structures; one
        that several libraries offer counts in ``distinct_by_source`` for each of them.
        """
        manifest = self._folder.manifest
        first = [group[0] for group in self._groups]
        structures = (source for group in self._groups for source in {r.source for r in group})
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
        """Check every file, and that they agree; return one line per problem, none when whole."""
        problems = self._folder.problems()
        if problems:
            return problems
        try:
            graphs = self.graphs
            if self._folder.manifest.encoder is not None:
                _ = self.embeddings
        except NarfastError as error:
            return [str(error)]
        edges = np.diff(graphs.in_ptr[graphs.node_ptr]).tolist()
        nodes = np.diff(graphs.node_ptr).tolist()
        hashes = hash_texts(structural_hash(graphs))
        for row, (structure, group) in enumerate(self._groups.to_dict().items()):
            facts = (hashes[row], nodes[row], edges[row])
            if any((structure, record.nodes, record.edges) != facts for record in group):
                problems.append(
                    f"{self.directory / folder.GRAPHS}: the graph of {group[0].id} is not the one "
                    f"that {folder.ARCHITECTURES} describes; make the zoo again"
                )
        return problems

    def add(
        self,
        sources: Iterable[Source],
        *,
        progress: Progress | None = None,
    ) -> AddReport:
        """Add networks, write the folder anew and reopen it; sources that fail are reported.

        What others have added since this zoo was opened stays; while others write, this waits.

        Args:
            sources: anything that `narfast.load` reads, or canonical graphs with a name.
            progress: told how many sources are done.

        Returns:
            What was added, and the errors.

        Raises:
            OSError: the folder cannot be written; the old zoo is then still whole.
        """
        networks, errors = _read(sources, self.load, progress)
        with writing(self.directory):
            self._reopen()
            return self._put(networks, errors)

    def _put(self, networks: Sequence[_Read], errors: Sequence[tuple[str, str]]) -> AddReport:
        """Name networks and write the zoo with them."""
        records = _named(networks, self.records)
        fresh = {record.structural_hash for record, _ in records} - set(self._groups.row_of)
        if records:
            self._rewrite(records)
        return AddReport(
            added=tuple(record.id for record, _ in records),
            new_structures=len(fresh),
            errors=tuple(errors),
        )

    def _rewrite(self, networks: Sequence[tuple[Architecture, ArchGraph]]) -> None:
        stored = [
            (record, self.graphs[row]) for row, group in enumerate(self._groups) for record in group
        ]
        contents = ZooContents.from_networks([*stored, *networks], errors=self.errors)
        stamp = self._folder.manifest.encoder
        if stamp is not None:
            known = self._groups.row_of
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
        """Make all embeddings again with another encoder; the graphs stay as they are.

        While another process writes the zoo, this waits.

        Args:
            encoder: the new encoder.
            source: what `ArchitectureEncoder.from_pretrained` finds it by.
            index_threads: threads that build the index of a zoo so large that it needs one; more
                than one are faster, and the index file is then another one each time.
            progress: told how many graphs are done.
        """
        with writing(self.directory):
            self._reopen()
            contents = ZooContents(
                groups=self._groups.to_dict(), graphs=self.graphs, errors=self.errors
            )
            contents = contents.embedded(encoder, source=source, progress=progress)
            self._encoder, self._given = encoder, True
            self._write(contents, index_threads)

    def _write(self, contents: ZooContents, index_threads: int = 1) -> None:
        write_zoo(self.directory, contents, index_threads=index_threads)
        self._reopen()

    def _reopen(self) -> None:
        """Look at the folder anew if someone has replaced it; call it in `writing`."""
        current = folder.ZooFolder(self.directory)
        if current.manifest.checksum == self.checksum:
            return
        encoder, given = self._encoder, self._given
        stamp = current.manifest.encoder
        self.__dict__.clear()  # every cached view belongs to the old files
        self._folder = current
        self._given = given
        self._loads = 0
        same = encoder is not None and stamp and encoder.fingerprint == stamp["fingerprint"]
        self._encoder = encoder if given or same else None


def add_networks(
    directory: Path,
    sources: Iterable[Source],
    *,
    encoder_source: str = "default",
    progress: Progress | None = None,
) -> tuple[Zoo | None, AddReport]:
    """Add networks to the zoo at a folder, which is made where there is none.

    Args:
        directory: a zoo, an empty folder, or nothing yet.
        sources: as for `Zoo.add`.
        encoder_source: what `ArchitectureEncoder.from_pretrained` finds a new zoo's encoder by.
        progress: told how many sources are done.

    Returns:
        The zoo, None where there was none and no source could be read; and what was added.

    Raises:
        NarfastError: ``directory`` is something else.
        OSError: the folder cannot be written.
    """
    if str(directory) == "default":
        raise NarfastError("default: means the shipped zoo; call a folder of that name ./default")
    recover(directory)
    folder.check_replaceable(directory)
    zoo = Zoo(directory) if _is_zoo(directory) else None
    networks, errors = _read(sources, _load if zoo is None else zoo.load, progress)
    if zoo is None and not networks:
        return None, AddReport((), 0, tuple(errors))
    with writing(directory):
        if _is_zoo(directory):
            zoo = Zoo(directory)
            return zoo, zoo._put(networks, errors)
        records = _named(networks, ())
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


def _load(source: Source) -> ArchGraph:
    """Return the canonical graph of any source."""
    return narfast.load(source)


def _read(
    sources: Iterable[Source], load: Callable[[Source], ArchGraph], progress: Progress | None
) -> tuple[list[_Read], list[tuple[str, str]]]:
    """Read sources: those that can be, and the reasons of the others."""
    items = list(sources)
    networks: list[_Read] = []
    errors: list[tuple[str, str]] = []
    for done, source in enumerate(items, 1):
        try:
            networks.append((source, load(source)))
        except NarfastError as error:
            errors.append((str(source), str(error)))
        if progress is not None:
            progress(done, len(items))
    return networks, errors


def _named(
    networks: Sequence[_Read], records: Iterable[Architecture]
) -> list[tuple[Architecture, ArchGraph]]:
    """Describe networks under ids that no other structure of ``records`` has."""
    known = {record.id: record.structural_hash for record in records}
    named = []
    for source, graph in networks:
        record = Architecture.of(_identifier(source, graph, known), graph)
        known[record.id] = record.structural_hash
        named.append((record, graph))
    return named


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    """Count values, the most frequent first."""
    counted = Counter(value or "" for value in values)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _identifier(source: Source, graph: ArchGraph, known: dict[str, str]) -> str:
    """Name a new network: ``library:name`` as given, else by its kind of source and its name."""
    text = source if isinstance(source, str) else ""
    prefix, separator, rest = text.partition(":")
    if separator and rest and prefix.isidentifier():
        return text.removeprefix("zoo:")
    identifier = f"{graph.meta.source or 'file'}:{graph.meta.name or 'unnamed'}"
    if known.get(identifier, graph.structural_hash) != graph.structural_hash:
        # Two files of one name hold different networks: keep both.
        identifier += f"@{graph.structural_hash[:8]}"
    return identifier
