"""`document_frequency`: how many networks and families of a zoo have each piece of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from narfast import _core, operators
from narfast.block_search.index import LEVELS, BlockIndex, Level, at_level
from narfast.block_search.parts import induced_each
from narfast.errors import NarfastError
from narfast.explain import block_text, operator_label
from narfast.graph import ArchGraph, GraphBatch, hash_texts, structural_hash
from narfast.motifs import mine
from narfast.zoo.zoo import Zoo

__all__ = ["DocumentFrequencies", "PieceFrequency", "document_frequency"]


@dataclass(frozen=True, kw_only=True)
class PieceFrequency:
    """A piece of a network, and how common it is in a zoo.

    Attributes:
        label: its operators in words, along the data flow.
        size: number of operators.
        count: occurrences in the network.
        networks: structures of the zoo that have it.
        families: families of these structures.
        motif_id: structural hash of a motif at the level, 32 hexadecimal digits; None for n-grams.
    """

    label: str
    size: int
    count: int
    networks: int
    families: int
    motif_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class DocumentFrequencies:
    """The pieces of a network, the rarest of each kind first.

    Attributes:
        level: how exactly operators agree.
        networks: structures of the zoo that were looked at.
        operators: single operators.
        ngrams: edges and paths of two edges, by the operators along them.
        motifs: the motifs of the network; those that the miner finds nowhere in the zoo were
            searched in all networks, since it may divide them otherwise.
    """

    level: Level
    networks: int
    operators: tuple[PieceFrequency, ...]
    ngrams: tuple[PieceFrequency, ...]
    motifs: tuple[PieceFrequency, ...]


def document_frequency(
    graph: ArchGraph,
    zoo: Zoo,
    *,
    level: Level = "exact",
    without_family: str | None = None,
    without_structure: str | None = None,
) -> DocumentFrequencies:
    """Count the structures and families of a zoo that have the pieces of a network.

    Args:
        graph: a canonical graph.
        zoo: an open zoo.
        level: how exactly operators must agree; see `narfast.find_blocks`.
        without_family: leave out the structures of this family, such as the network's own.
        without_structure: leave out the structure with this hash or id, such as the network itself.

    Raises:
        NarfastError: no such level.
    """
    if level not in LEVELS:
        raise NarfastError(f"{level}: no such level; choose from {', '.join(LEVELS)}")
    index = BlockIndex.of(zoo)
    counter = _Counter(index.families(zoo), without_family)
    if without_structure is not None and without_structure in zoo:
        counter.leave_out(zoo[without_structure].row)
    ngrams = _ngrams(graph, index, level, counter)
    return DocumentFrequencies(
        level=level,
        networks=counter.networks,
        operators=tuple(piece for piece in ngrams if piece.size == 1),
        ngrams=tuple(piece for piece in ngrams if piece.size > 1),
        motifs=tuple(_motifs(graph, zoo, index, level, counter)),
    )


class _Counter:
    """Counts rows and their families."""

    def __init__(self, families: Sequence[str | None], without: str | None) -> None:
        names = {name: i for i, name in enumerate(dict.fromkeys(filter(None, families)))}
        self._family = np.array([names.get(name or "", -1) for name in families], dtype=np.int64)
        self._kept = np.ones(len(families), dtype=bool)
        if without in names:
            self._kept = self._family != names[without]

    @property
    def networks(self) -> int:
        """Return the number of all rows that count."""
        return int(np.count_nonzero(self._kept))

    def leave_out(self, row: int) -> None:
        """Count a row no longer."""
        self._kept[row] = False

    def of(self, rows: NDArray[np.integer]) -> tuple[int, int]:
        """Return the number of rows that count, and of their families."""
        kept = rows[self._kept[rows]]
        families = np.unique(self._family[kept])
        return len(kept), int(np.count_nonzero(families >= 0))


def _rarity(piece: PieceFrequency) -> tuple[int, int, int, str]:
    return piece.networks, piece.families, -piece.size, piece.label


def _ngrams(
    graph: ArchGraph, index: BlockIndex, level: Level, counter: _Counter
) -> list[PieceFrequency]:
    labels, counts, _ = _core.count_ngrams(
        graph.op, graph.attr, graph.in_ptr, graph.in_src, level=level
    )
    ptr, rows, _ = index.ngrams.find(labels, level=level)
    pieces = []
    for place, (ngram, count) in enumerate(zip(labels.tolist(), counts.tolist(), strict=True)):
        words = [_label(label, level) for label in ngram if label != _core.NO_LABEL]
        networks, families = counter.of(rows[ptr[place] : ptr[place + 1]])
        pieces.append(
            PieceFrequency(
                label=" → ".join(words),
                size=len(words),
                count=count,
                networks=networks,
                families=families,
            )
        )
    return sorted(pieces, key=_rarity)


def _label(label: int, level: Level) -> str:
    op, attr = label >> 32, label & 0xFFFFFFFF
    return operators.by_id(op).name if level == "operators" else operator_label(op, attr)


def _motifs(
    graph: ArchGraph, zoo: Zoo, index: BlockIndex, level: Level, counter: _Counter
) -> list[PieceFrequency]:
    batch = GraphBatch.from_graphs([graph])
    motifs = mine(batch)
    count = len(motifs.motif_id)
    blocks = induced_each(batch, motifs.node_instance.astype(np.int64), count)
    hashes = structural_hash(at_level(blocks, level))
    known = index.motifs.ids_at(level)
    pieces = []
    for identifier in sorted(set(map(tuple, hashes.tolist()))):
        same = np.flatnonzero((hashes == np.array(identifier, dtype=np.uint64)).all(axis=1))
        block = blocks[int(same[0])]
        listed = np.flatnonzero(
            (known[:, 0] == np.uint64(identifier[0])) & (known[:, 1] == np.uint64(identifier[1]))
        )
        rows: NDArray[np.integer] = np.unique(
            np.concatenate(
                [np.empty(0, np.int32), *(index.motifs.rows_of(int(motif)) for motif in listed)]
            )
        )
        networks, families = counter.of(rows)
        if networks == 0 and block.num_nodes <= _core.MAX_PATTERN_NODES:
            networks, families = counter.of(index.search(zoo, block, level).rows)
        shown = at_level(GraphBatch.from_graphs([block]), level)[0]
        pieces.append(
            PieceFrequency(
                label=block_text(replace(shown, meta=graph.meta)),
                size=block.num_nodes,
                count=len(same),
                networks=networks,
                families=families,
                motif_id=hash_texts(hashes[same[:1]])[0],
            )
        )
    return sorted(pieces, key=_rarity)
