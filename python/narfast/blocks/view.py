"""Blocks and the list of them that is a network; and the categories in which both are coloured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast.graph import ArchGraph

__all__ = ["KINDS", "Block", "BlockView", "Kind", "kind_of_operator"]

Kind = Literal[
    "convolution",
    "linear",
    "attention",
    "normalization",
    "activation",
    "pooling",
    "arithmetic",
    "layout",
    "recurrent",
    "other",
]

KINDS: tuple[Kind, ...] = (
    "convolution",
    "linear",
    "attention",
    "normalization",
    "activation",
    "pooling",
    "arithmetic",
    "layout",
    "recurrent",
    "other",
)
"""The categories that are told apart by colour; every operator and every block has one."""

_KIND_OF_CATEGORY: dict[str, Kind] = {
    "elementwise": "arithmetic",
    "reduction": "arithmetic",
    "indexing": "layout",
    "spatial": "pooling",  # resampling
    "source": "other",
}


@dataclass(frozen=True, eq=False)
class Block:
    """One place in the reading order of a network.

    Attributes:
        motif_id: structural hash of one instance (the last), 32 hexadecimal digits; equal to the
            identifiers of motifs.
        name: what a person calls it.
        kind: the category of the operators that do most of its work.
        instances: the nodes of each repetition, in order; int32 arrays, ascending.
        inputs: numbers of the blocks that it reads, ascending, without itself.
        variants: the numbers of the instances that differ from the last: a stage may open with a
            strided or projecting one, and neighbours may differ in operators that only move data.
        period: how many unlike blocks one instance holds; above 1, `name` lists them.
    """

    motif_id: str
    name: str
    kind: Kind
    instances: tuple[NDArray[np.int32], ...]
    inputs: tuple[int, ...]
    variants: tuple[int, ...] = ()
    period: int = 1

    @property
    def count(self) -> int:
        """How often the block stands here in a row."""
        return len(self.instances)

    @property
    def nodes(self) -> NDArray[np.int32]:
        """int32[n], all nodes of all instances, ascending."""
        return np.sort(np.concatenate(self.instances))


@dataclass(frozen=True, eq=False)
class BlockView:
    """A network as a short list of blocks.

    Attributes:
        graph: the network.
        blocks: in reading order, which is topological.
        block_of: int32[N], the block of each node.
    """

    graph: ArchGraph
    blocks: tuple[Block, ...]
    block_of: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.blocks)


@cache
def kind_of_operator(op: int) -> Kind:
    """Return the category in which an operator is coloured."""
    category = operators.by_id(op).category
    return _KIND_OF_CATEGORY.get(category, category)  # type: ignore[arg-type]
