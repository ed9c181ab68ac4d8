"""The blocks of one network as people name them: stem, bottleneck, transformer layer, head.

Strips, drawings, fact sheets and sentences read a network through `blocks_of`. Motifs
(`narfast.motifs`) are what repeats exactly; blocks are what a person would point at, so one block
may be a near copy of another. How a block is drawn or said does not live here.
"""

from __future__ import annotations

import numpy as np

from narfast.blocks.joining import joined
from narfast.blocks.pieces import UnitFinder
from narfast.blocks.view import KINDS, Block, BlockView, Kind, kind_of_operator
from narfast.graph import ArchGraph, GraphBatch

__all__ = ["KINDS", "Block", "BlockView", "Kind", "blocks_of", "kind_of_operator"]

_TANGLED = 32  # blocks; a longer list may be one of cells


def blocks_of(graph: ArchGraph) -> BlockView:
    """Divide a canonical graph into the blocks that people name.

    Residual branches (an `add`, or a concatenation, that reads both a value and what was computed
    from it) give most blocks; attention and what follows it are one layer; the runs between them
    are cut where resolution changes and around known shapes. Neighbours in a chain that are equal,
    or equal but for a strided opening or for operators that only move data, are one `Block`.
    Deterministic; near-linear in nodes and edges.

    Args:
        graph: A canonical graph.

    Raises:
        InvalidGraphError: If the graph is not well formed.
    """
    GraphBatch.from_graphs([graph]).validate()
    if not graph.num_nodes:
        return BlockView(graph, (), np.empty(0, np.int32))
    reader = UnitFinder(graph)
    view = joined(graph, reader.units(), reader.letters)
    if len(view.blocks) > _TANGLED and (cells := reader.cells()):
        found = joined(graph, cells, reader.letters)
        if 2 * len(found.blocks) < len(view.blocks):
            return found
    return view
