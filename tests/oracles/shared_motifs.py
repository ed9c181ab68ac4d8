"""Shared motifs, one graph and one motif at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from narfast.explain import MotifCount, SharedMotif, _chain, _weight, operator_label
from narfast.graph import ArchGraph, GraphBatch, hash_texts
from narfast.motifs import coarsen, mine

_SIMILAR_SIZE = 3


def _motifs_in(batch: GraphBatch, macro: Any) -> list[list[tuple[MotifCount, ArchGraph]]]:
    """Return, for every graph, its motifs with the subgraph of one occurrence of each."""
    identifiers = hash_texts(macro.motif_id)
    sizes = macro.sizes
    result = []
    for number, graph in enumerate(batch):
        begin, end = int(macro.instance_ptr[number]), int(macro.instance_ptr[number + 1])
        counts: Counter[str] = Counter()
        first: dict[str, int] = {}
        for place in range(begin, end):
            counts[identifiers[place]] += 1
            first.setdefault(identifiers[place], place)
        found = []
        for identifier, count in counts.items():
            place = first[identifier]
            block = _induced(graph, macro.member[macro.member_ptr[place] :][: sizes[place]])
            labels = map(operator_label, block.op.tolist(), block.attr.tolist())
            found.append(
                (MotifCount(identifier, block.num_nodes, count, _chain(list(labels))), block)
            )
        result.append(found)
    return result


def _induced(graph: ArchGraph, members: Any) -> ArchGraph:
    """Return the subgraph of some nodes, ascending, with the edges among them."""
    local = {node: place for place, node in enumerate(members.tolist())}
    inputs = [[local[s] for s in graph.inputs(node).tolist() if s in local] for node in local]
    in_ptr = np.zeros(len(members) + 1, dtype=np.int64)
    np.cumsum([len(sources) for sources in inputs], out=in_ptr[1:])
    in_src = np.array([source for sources in inputs for source in sources], dtype=np.int32)
    return ArchGraph(graph.op[members], graph.attr[members], in_ptr, in_src)


def shared_motifs(query: ArchGraph, hits: Sequence[ArchGraph]) -> list[list[SharedMotif]]:
    """Return, for each hit, the motifs that it has in common with the query.

    Exact ones come first, then those that differ in attributes only; within each kind the
    weightiest first.
    """
    batch = GraphBatch.from_graphs([query, *hits])
    own, *others = _motifs_in(batch, coarsen(batch, mine(batch)))
    own_ids = {motif.motif_id: motif for motif, _ in own}
    result = []
    for other in others:
        other_ids = {motif.motif_id for motif, _ in other}
        exact = [
            SharedMotif(
                motif.motif_id,
                motif.size,
                motif.count,
                own_ids[motif.motif_id].count,
                motif.operators,
            )
            for motif, _ in other
            if motif.motif_id in own_ids
        ]
        similar = _similar(
            [pair for pair in own if pair[0].motif_id not in other_ids],
            [pair for pair in other if pair[0].motif_id not in own_ids],
        )
        result.append(sorted(exact, key=_weight) + sorted(similar, key=_weight))
    return result


def _similar(
    own: Sequence[tuple[MotifCount, ArchGraph]], other: Sequence[tuple[MotifCount, ArchGraph]]
) -> list[SharedMotif]:
    """Match motifs with their attributes left out; blocks of a few operators say too little."""
    groups: list[dict[str, tuple[int, ArchGraph]]] = []
    for pairs in (own, other):
        large = [(motif, block) for motif, block in pairs if motif.size >= _SIMILAR_SIZE]
        bare = [replace(block, attr=np.zeros_like(block.attr)) for _, block in large]
        counts: dict[str, tuple[int, ArchGraph]] = {}
        for (motif, _), block in zip(large, bare, strict=True):
            key = block.structural_hash
            counts[key] = (counts.get(key, (0, block))[0] + motif.count, block)
        groups.append(counts)
    return [
        SharedMotif(
            key, block.num_nodes, count, groups[0][key][0], _chain(block.op_names()), exact=False
        )
        for key, (count, block) in groups[1].items()
        if key in groups[0]
    ]
