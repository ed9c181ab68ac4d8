"""Search by block: the networks of a zoo that have a block, and how common blocks are."""

from __future__ import annotations

from narfast.block_search.frequency import (
    DocumentFrequencies,
    PieceFrequency,
    document_frequency,
)
from narfast.block_search.index import BlockIndex, Level
from narfast.block_search.motif_list import ZooMotif, widespread_motifs
from narfast.block_search.search import BlockHit, BlockSearchResult, find_blocks

__all__ = [
    "BlockHit",
    "BlockIndex",
    "BlockSearchResult",
    "DocumentFrequencies",
    "Level",
    "PieceFrequency",
    "ZooMotif",
    "document_frequency",
    "find_blocks",
    "widespread_motifs",
]
