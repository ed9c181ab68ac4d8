"""`widespread_motifs`: the blocks that most families of a zoo have in common."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.block_search.block import nodes_of_motif
from narfast.block_search.index import BlockIndex
from narfast.block_search.parts import induced
from narfast.blocks import blocks_of
from narfast.errors import NarfastError
from narfast.explain import block_text
from narfast.graph import ArchGraph, hash_texts
from narfast.zoo.zoo import Zoo

__all__ = ["ZooMotif", "widespread_motifs"]

_OVERLAP = 0.5  # part of a motif and a block that they share, if the motif is called like the block


@dataclass(frozen=True, kw_only=True)
class ZooMotif:
    """A motif of the networks of a zoo.

    Attributes:
        motif_id: structural hash, 32 hexadecimal digits.
        name: after the family that it fits best and the block of `narfast.blocks` that it is, such
            as ``resnet bottleneck``; ``resnet block`` if it is none of these.
        named_after: this family, or None if no network with the motif has a family.
        size: operators in one occurrence.
        networks: structures that have it.
        families: families of these structures.
        count: occurrences in all of them.
        operators: the operators of one occurrence in order, in words.
    """

    motif_id: str
    name: str
    named_after: str | None
    size: int
    networks: int
    families: int
    count: int
    operators: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def widespread_motifs(
    zoo: Zoo, *, k: int = 20, family: str | None = None, min_size: int = 4
) -> list[ZooMotif]:
    """Return the motifs of most families, then of most networks.

    A motif is named after the family that it fits best: the one with the largest overlap (Dice,
    twice the family's structures that have it, divided by all structures of the family and all that
    have the motif). The family with the most structures would not do, because networks that decode
    the features of many backbones outnumber these; and the zoo has no dates to tell which was
    first. Motifs that would have one name are numbered in the order of this list.

    Args:
        zoo: an open zoo.
        k: number of motifs.
        family: only motifs of structures of this family, those of most of its structures first.
        min_size: operators that a motif must have at least.

    Raises:
        NarfastError: there is no such family, or ``k`` or ``min_size`` is below 1.
    """
    if k < 1 or min_size < 1:
        raise NarfastError(f"k and the least size must be at least 1, got {k} and {min_size}")
    index = BlockIndex.of(zoo)
    motifs, families = index.motifs, index.families(zoo)
    known = sorted({name for name in families if name})
    number = {name: i for i, name in enumerate(known)}
    of_row = np.array([number.get(name or "", len(known)) for name in families], dtype=np.int64)
    # How many structures of each family have each motif, as pairs of motif and family.
    width = len(known) + 1
    motif_of_row = np.repeat(np.arange(len(motifs)), index.motif_rows)
    pairs, structures = np.unique(motif_of_row * width + of_row[motifs.row], return_counts=True)
    motif, member = np.divmod(pairs, width)
    named = member < len(known)
    spread = np.bincount(motif[named], minlength=len(motifs))
    wanted = motifs.size >= min_size
    if family is None:
        order = np.lexsort((-motifs.size, -index.motif_rows, -spread))
    else:
        zoo.check_family(family)
        own = np.zeros(len(motifs), dtype=np.int64)
        of_family = member == number.get(family, -1)
        own[motif[of_family]] = structures[of_family]
        wanted &= own > 0
        order = np.lexsort((-index.motif_rows, -motifs.size, -own))
    chosen = order[wanted[order]][:k]
    sizes = np.bincount(of_row, minlength=width)
    dice = 2 * structures / (sizes[member] + index.motif_rows[motif])
    used: Counter[str] = Counter()
    result = []
    for each in chosen.tolist():
        fits = np.flatnonzero((motif == each) & named)
        best = None if len(fits) == 0 else known[member[fits[np.argmax(dice[fits])]]]
        identifier = hash_texts(motifs.motif_id[each : each + 1])[0]
        example = zoo.graphs_at([int(motifs.rows_of(each)[0])])[0]
        nodes = nodes_of_motif(example, identifier)
        name = _block_name(example, nodes)
        if not name.startswith(best or "block"):  # as "convnext block" does
            name = f"{best} {name}"
        used[name] += 1
        result.append(
            ZooMotif(
                motif_id=identifier,
                name=f"{name} {used[name]}" if used[name] > 1 else name,
                named_after=best,
                size=int(motifs.size[each]),
                networks=int(index.motif_rows[each]),
                families=int(spread[each]),
                count=int(motifs.count[motifs.ptr[each] : motifs.ptr[each + 1]].sum()),
                operators=block_text(induced(example, nodes)),
            )
        )
    return result


def _block_name(graph: ArchGraph, nodes: NDArray[np.int64]) -> str:
    """Name the block of a network that some of its nodes make up for the most part."""
    view = blocks_of(graph)
    block = view.blocks[int(np.bincount(view.block_of[nodes]).argmax())]
    common = max(
        len(np.intersect1d(nodes, instance)) / len(np.union1d(nodes, instance))
        for instance in block.instances
    )
    return block.name if common > _OVERLAP else "block"
