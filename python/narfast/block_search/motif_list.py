"""`widespread_motifs`: the blocks that most families of a zoo have in common."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from narfast.block_search.block import motif_of
from narfast.block_search.index import BlockIndex
from narfast.errors import NarfastError
from narfast.explain import block_text
from narfast.graph import hash_texts
from narfast.zoo.zoo import Zoo

__all__ = ["ZooMotif", "widespread_motifs"]


@dataclass(frozen=True, kw_only=True)
class ZooMotif:
    """A motif of the networks of a zoo.

    Attributes:
        motif_id: structural hash, 32 hexadecimal digits.
        name: after the family that it fits best, such as ``resnet block``.
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
    first. Motifs that fit one family best are numbered in the order of this list.

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
        used[best or ""] += 1
        again = f" {used[best or '']}" if used[best or ""] > 1 else ""
        identifier = hash_texts(motifs.motif_id[each : each + 1])[0]
        example = zoo.graphs_at([int(motifs.rows_of(each)[0])])[0]
        result.append(
            ZooMotif(
                motif_id=identifier,
                name=f"{best or 'nameless'} block{again}",
                named_after=best,
                size=int(motifs.size[each]),
                networks=int(index.motif_rows[each]),
                families=int(spread[each]),
                count=int(motifs.count[motifs.ptr[each] : motifs.ptr[each + 1]].sum()),
                operators=block_text(motif_of(example, identifier)),
            )
        )
    return result
