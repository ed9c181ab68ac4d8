"""`BlockIndex`: which networks of a zoo have which n-grams and motifs, and the search in them.

It is computed from the zoo's graphs and kept in the user's cache folder, one file for each state of
a zoo. The file is checked when it is read, and written again if it is damaged.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import weakref
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from narfast import _core, operators
from narfast._version import __version__
from narfast.block_search.parts import induced_each
from narfast.errors import CorruptFileError
from narfast.graph import ArchGraph, GraphBatch, structural_hash
from narfast.motifs import mine
from narfast.storage import format as folder
from narfast.storage.index_cache import load_index, store_index
from narfast.zoo.zoo import Zoo

__all__ = ["LEVELS", "BlockIndex", "Level", "MotifTable", "Occurrences", "at_level"]

Level = Literal["exact", "shapes", "operators"]
"""How exactly operators must agree.

``exact``: in all attributes of the graph. ``shapes``: kernel, stride, dilation, ratio of channels,
number of heads and whether a window is square may differ. ``operators``: all attributes may differ.
"""

LEVELS: tuple[Level, ...] = ("exact", "shapes", "operators")

_FORMAT = 1  # of the cached file; raise it when its arrays change
_STORED_FROM = 256  # structures; the index of a smaller zoo is made quicker than read
_PICKED = 500  # graphs that are read one by one; after that, all are read and kept in memory

_log = logging.getLogger("narfast")


@dataclass(frozen=True, eq=False)
class MotifTable:
    """The distinct motifs that `narfast.mine` finds in the networks of a zoo.

    Attributes:
        motif_id: uint64[M, 2], ascending.
        coarse_id: uint64[M, 2, 2], structural hashes of the motif at the levels ``shapes`` and
            ``operators``.
        size: int32[M], operators.
        ptr: int64[M + 1], offsets into ``row`` and ``count``.
        row: int32[P], the rows that have each motif, ascending.
        count: int32[P], occurrences in that row.
    """

    motif_id: NDArray[np.uint64]
    coarse_id: NDArray[np.uint64]
    size: NDArray[np.int32]
    ptr: NDArray[np.int64]
    row: NDArray[np.int32]
    count: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.motif_id)

    @classmethod
    def build(cls, batch: GraphBatch, *, num_threads: int) -> MotifTable:
        """Mine all graphs of a batch."""
        motifs = mine(batch, num_threads=num_threads)
        first, number = _distinct(motifs.motif_id)
        graph = np.repeat(np.arange(len(batch)), np.diff(motifs.instance_ptr))
        pairs, counts = np.unique(number * len(batch) + graph, return_counts=True)
        ptr = np.searchsorted(pairs, np.arange(len(first) + 1) * len(batch))
        # The first instance of each motif stands for it.
        owner_of_instance = np.full(len(number), -1, dtype=np.int64)
        owner_of_instance[first] = np.arange(len(first))
        base = np.repeat(motifs.instance_ptr[:-1], np.diff(batch.node_ptr))
        owner = owner_of_instance[motifs.node_instance + base]
        blocks = induced_each(batch, owner, len(first))
        coarse = [structural_hash(at_level(blocks, level)) for level in LEVELS[1:]]
        return cls(
            motif_id=motifs.motif_id[first],
            coarse_id=np.stack(coarse, axis=1),
            size=np.diff(blocks.node_ptr).astype(np.int32),
            ptr=ptr.astype(np.int64),
            row=(pairs % max(len(batch), 1)).astype(np.int32),
            count=counts.astype(np.int32),
        )

    def check(self, rows: int) -> None:
        """Raise CorruptFileError unless the arrays fit together and name rows below ``rows``."""
        n, listed = len(self.motif_id), len(self.row)
        ends = self.ptr[1:-1]
        begins = np.zeros(listed, dtype=bool)
        begins[ends[(ends >= 0) & (ends < listed)]] = True
        if (
            self.motif_id.shape != (n, 2)
            or self.coarse_id.shape != (n, 2, 2)
            or self.size.shape != (n,)
            or self.ptr.shape != (n + 1,)
            or self.count.shape != (listed,)
            or self.ptr[0] != 0
            or self.ptr[-1] != listed
            or (np.diff(self.ptr) < 1).any()
            or not _ascends(self.motif_id)
            or (listed and not 0 <= self.row.min() <= self.row.max() < rows)
            or ((np.diff(self.row) <= 0) & ~begins[1:]).any()
            or (self.count < 1).any()
            or (self.size < 1).any()
        ):
            raise CorruptFileError("table of motifs: its arrays do not fit together")

    def find(self, prefix: str) -> NDArray[np.int64]:
        """Return the numbers of the motifs whose id begins with some hexadecimal digits."""
        low, high = (int(prefix.ljust(32, digit), 16) for digit in "0f")
        word = (1 << 64) - 1
        begin = np.searchsorted(self.motif_id[:, 0], np.uint64(low >> 64))
        end = np.searchsorted(self.motif_id[:, 0], np.uint64(high >> 64), side="right")
        if len(prefix) > 16:  # one high word
            ends = self.motif_id[begin:end, 1]
            begin, end = (
                begin + np.searchsorted(ends, np.uint64(low & word)),
                begin + np.searchsorted(ends, np.uint64(high & word), side="right"),
            )
        return np.arange(begin, end)

    def rows_of(self, motif: int) -> NDArray[np.int32]:
        """Return the rows that have a motif, ascending."""
        return self.row[self.ptr[motif] : self.ptr[motif + 1]]

    def ids_at(self, level: Level) -> NDArray[np.uint64]:
        """Return the hash of every motif at a level, uint64[M, 2]."""
        if level == "exact":
            return self.motif_id
        return self.coarse_id[:, LEVELS.index(level) - 1]


@dataclass(frozen=True, eq=False)
class Occurrences:
    """Places of a block in the networks of a zoo; those of one network share no node.

    Attributes:
        rows: int32[R], networks with at least one occurrence, ascending.
        ptr: int64[R + 1], first occurrence of each.
        nodes: int32[occurrences, block size], the node of the network for each node of the block.
        cut_short: networks in which the search reached its limit of steps, so that there may be
            more occurrences.
    """

    rows: NDArray[np.int32]
    ptr: NDArray[np.int64]
    nodes: NDArray[np.int32]
    cut_short: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64[R], occurrences in each network."""
        return np.diff(self.ptr)


class BlockIndex:
    """N-grams and motifs of a zoo; threads may share one."""

    def __init__(
        self, ngrams: _core.NgramIndex, motifs: MotifTable, nodes: NDArray[np.int64], checksum: str
    ) -> None:
        """See `of` and `build`."""
        self.ngrams = ngrams
        self.motifs = motifs
        self.nodes = nodes
        self._checksum = checksum
        self._graphs: _core.SearchableGraphs | None = None
        self._picked = 0
        self._lock = threading.Lock()
        self._families: list[str | None] | None = None

    @classmethod
    def of(cls, zoo: Zoo) -> BlockIndex:
        """Return the index of an open zoo: from memory, from the cache folder, or made anew."""
        with _LOCK:
            known = _OPEN.get(zoo)
            if known is None or known._checksum != zoo.checksum:
                known = _OPEN[zoo] = cls._read(zoo)
            return known

    @classmethod
    def build(cls, batch: GraphBatch, *, checksum: str = "", num_threads: int = 0) -> BlockIndex:
        """Compute the index of graphs, one for each row."""
        return cls(
            _core.NgramIndex.build(*batch.arrays, num_threads=num_threads),
            MotifTable.build(batch, num_threads=num_threads),
            np.diff(batch.node_ptr),
            checksum,
        )

    @classmethod
    def _read(cls, zoo: Zoo) -> BlockIndex:
        key = _key(zoo)
        stored = load_index(key, "blocks") if len(zoo) >= _STORED_FROM else None
        if stored is not None:
            try:
                return cls.from_bytes(stored, len(zoo), checksum=zoo.checksum)
            except CorruptFileError as error:
                _log.warning("the stored %s; building the index of blocks again", error)
        index = cls.build(zoo.graphs, checksum=zoo.checksum)
        if len(zoo) >= _STORED_FROM:
            store_index(key, index.to_bytes(), "blocks")
        return index

    def to_bytes(self) -> bytes:
        """Return the index as the bytes of a safetensors file."""
        from safetensors.numpy import save

        names = ("label", "ngram", "ptr", "row", "count", "partial")
        arrays = dict(zip(names, self.ngrams.arrays(), strict=True))
        motifs = self.motifs
        return bytes(
            save(
                {f"ngrams.{name}": array for name, array in arrays.items()}
                | {f"motifs.{name}": getattr(motifs, name) for name in _MOTIF_ARRAYS}
                | {"nodes": self.nodes}
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes, rows: int, *, checksum: str = "") -> BlockIndex:
        """Return the index of a zoo of ``rows`` structures from the bytes of `to_bytes`.

        Raises:
            CorruptFileError: the bytes are not those of an index of so many rows.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            tensors = load(data)
            ngrams = _core.NgramIndex(
                rows,
                **{
                    name: np.ascontiguousarray(tensors[f"ngrams.{name}"])
                    for name in ("label", "ngram", "ptr", "row", "count", "partial")
                },
            )
            motifs = MotifTable(**{name: tensors[f"motifs.{name}"] for name in _MOTIF_ARRAYS})
            wrong = [
                name
                for name, dtype in _MOTIF_ARRAYS.items()
                if getattr(motifs, name).dtype != dtype
            ]
            nodes = tensors["nodes"]
            if wrong or nodes.dtype != np.int64 or nodes.shape != (rows,):
                raise CorruptFileError("index of blocks: its arrays have other types")
            motifs.check(rows)
        except (SafetensorError, KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, CorruptFileError):
                raise
            raise CorruptFileError(f"index of blocks: cannot be read ({error})") from None
        return cls(ngrams, motifs, nodes, checksum)

    def families(self, zoo: Zoo) -> list[str | None]:
        """Return the family of every row; see `Zoo.family_of`."""
        if self._families is None:
            self._families = [zoo.family_of(row) for row in range(len(zoo))]
        return self._families

    def warm(self, zoo: Zoo) -> None:
        """Read all graphs, so that every search in this process is as fast as it can be."""
        with self._lock:
            if self._graphs is None:
                self._graphs = _searchable(zoo.graphs)

    def search(
        self,
        zoo: Zoo,
        block: ArchGraph,
        level: Level,
        *,
        allowed: NDArray[np.bool_] | None = None,
        num_threads: int = 1,
    ) -> Occurrences:
        """Find the places of a block in the networks of the zoo of this index.

        N-grams screen the networks; what passes is searched. A block occurs where its operators and
        the edges between them are found, none more and none less; its edges to other operators are
        free. See ``cpp/narfast/match/occurrences.h``.

        Args:
            zoo: the zoo of this index.
            block: the operators of the block and the edges between them.
            level: how exactly operators must agree.
            allowed: bool[rows], the networks to search; all by default.
            num_threads: threads across networks; the result does not depend on it.

        Raises:
            InvalidGraphError: the block is empty, above 10,000 operators, or not well formed.
        """
        arrays = (block.op, block.attr, block.in_ptr, block.in_src)
        rows = self.ngrams.candidate_rows(*arrays, level=level)
        if allowed is not None:
            rows = rows[allowed[rows]]
        graphs, numbers = self._searchable(zoo, rows)
        ptr, nodes, complete = graphs.find(numbers, *arrays, level=level, num_threads=num_threads)
        hit = np.diff(ptr) > 0
        return Occurrences(
            rows=rows[hit],
            ptr=np.concatenate([ptr[:1], ptr[1:][hit]]),
            nodes=nodes.reshape(-1, block.num_nodes),
            cut_short=int(np.count_nonzero(complete == 0)),
        )

    def _searchable(
        self, zoo: Zoo, rows: NDArray[np.int32]
    ) -> tuple[_core.SearchableGraphs, NDArray[np.int32]]:
        """Return prepared graphs, and the numbers of the given rows among them."""
        with self._lock:
            if self._graphs is None and self._picked + len(rows) <= _PICKED:
                self._picked += len(rows)
                few = True
            else:
                few = False
                if self._graphs is None:
                    self._graphs = _searchable(zoo.graphs)
                graphs = self._graphs
        if few:
            return _searchable(zoo.graphs_at(rows.tolist())), np.arange(len(rows), dtype=np.int32)
        return graphs, rows

    @cached_property
    def motif_rows(self) -> NDArray[np.int64]:
        """int64[M], number of networks that have each motif."""
        return np.diff(self.motifs.ptr)


_MOTIF_ARRAYS = {
    "motif_id": np.uint64,
    "coarse_id": np.uint64,
    "size": np.int32,
    "ptr": np.int64,
    "row": np.int32,
    "count": np.int32,
}
_OPEN: weakref.WeakKeyDictionary[Zoo, BlockIndex] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def _searchable(batch: GraphBatch) -> _core.SearchableGraphs:
    arrays = (np.ascontiguousarray(array) for array in batch.arrays)
    return _core.SearchableGraphs(*arrays, num_threads=1)


def _key(zoo: Zoo) -> str:
    """Identify what an index is computed from, and the code that computes it."""
    names = [info.name for info in operators.table()]
    facts = [zoo.manifest.files[folder.GRAPHS]["sha256"], names, __version__, _FORMAT]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _distinct(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first place of each distinct hash, ascending by hash, and the number of each."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))  # stable
    ranked = hashes[order]
    begins = np.ones(len(hashes), dtype=bool)
    begins[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    number = np.empty(len(hashes), dtype=np.int64)
    number[order] = np.cumsum(begins) - 1
    return order[begins], number


def _ascends(hashes: NDArray[np.uint64]) -> bool:
    """Whether hashes uint64[n, 2] ascend without repetition, as numbers of 128 bits."""
    high, low = hashes[:, 0], hashes[:, 1]
    later = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] > low[:-1]))
    return bool(later.all())


def at_level(batch: GraphBatch, level: Level) -> GraphBatch:
    """Return graphs with only those attributes that count at a level."""
    return replace(batch, attr=batch.attr & np.uint32(_core.compared_attributes(level)))
