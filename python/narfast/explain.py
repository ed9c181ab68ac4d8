"""Why two networks are alike, and what one consists of: operators and motifs in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast.graph import ArchGraph, GraphBatch, hash_texts
from narfast.motifs import MacroBatch, coarsen, mine

__all__ = [
    "MotifCount",
    "NetworkSummary",
    "SharedMotif",
    "operator_label",
    "shared_motifs",
    "summarize",
]

# The bins of cpp/narfast/attributes.cpp: the first three hold one value each, the others a range.
_KERNELS = {1: "1", 2: "2", 3: "3", 4: "4-5", 5: "6-7", 6: "8-15", 7: "16+"}
_EQUAL_WIDTH = 8  # as many output channels as input channels, to the nearest power of two
_OUTERMOST = 7  # powers of two; larger ratios are in the same bin
_CHAIN_LENGTH = 12
_SIMILAR_SIZE = 3


@dataclass(frozen=True)
class MotifCount:
    """A motif of one network.

    Attributes:
        motif_id: structural hash, 32 hexadecimal digits.
        size: operators in one occurrence.
        count: occurrences.
        operators: the operators of one occurrence in order, as people read them.
    """

    motif_id: str
    size: int
    count: int
    operators: str


@dataclass(frozen=True)
class SharedMotif:
    """A motif of both a query (``query_count`` times) and a hit (``count`` times).

    Where ``exact`` is false the two motifs have the same operators and edges but other attributes,
    such as widths or kernel sizes; ``motif_id`` is then the hash without attributes.
    """

    motif_id: str
    size: int
    count: int
    query_count: int
    operators: str
    exact: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class NetworkSummary:
    """What ``narfast inspect`` shows."""

    name: str
    source: str
    family: str | None
    task: str | None
    trace_kind: str
    params: int | None
    flops: int | None
    input_shape: tuple[int, ...] | None
    nodes: int
    edges: int
    structural_hash: str
    unknown_ops: dict[str, int]
    untraced: int
    operators: dict[str, int]
    motifs: tuple[MotifCount, ...]
    macro_nodes: int
    macro_edges: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        value = asdict(self)
        value["motifs"] = [asdict(motif) for motif in self.motifs]
        value["input_shape"] = None if self.input_shape is None else list(self.input_shape)
        return value


def operator_label(op: int, attr: int) -> str:
    """Name an operator with what people care for, such as ``conv3x3 /2+ ~×4``.

    Attributes are stored in bins, so a label gives the range: ``conv 4-5`` has a window of 4 or 5
    elements to a side, ``/2+`` is a stride of 2 or more, ``~×4`` is the ratio of output to input
    channels to the nearest power of two (2.8 to 5.7). For a window that is not square the number
    is its largest side.
    """
    words = [operators.by_id(op).name]
    kernel = _KERNELS.get(attr & 7)
    rank = attr >> 14 & 3
    if kernel and rank:
        square = not attr >> 16 & 1
        if square and len(kernel) == 1:
            words[0] += "x".join([kernel] * rank)
        else:
            words += [kernel] if square else [kernel, "non-square"]
            words += [] if rank == 2 else [f"{rank}d"]
    if attr >> 3 & 1:
        words.append("/2+")
    ratio = (attr >> 7 & 15) - _EQUAL_WIDTH
    if ratio not in (-_EQUAL_WIDTH, 0):
        more = "+" if abs(ratio) == _OUTERMOST else ""
        words.append(f"~{'×' if ratio > 0 else '÷'}{2 ** abs(ratio)}{more}")
    groups = attr >> 4 & 3
    if groups > 1:
        words.append("grouped" if groups == 2 else "depthwise")
    return " ".join(words)


def _weight(motif: MotifCount | SharedMotif) -> tuple[int, int, str]:
    """Sort key: largest ``size * count`` first, of shared motifs with the lower count."""
    count = motif.count
    if isinstance(motif, SharedMotif):
        count = min(count, motif.query_count)
    return -motif.size * count, -motif.size, motif.motif_id


def _motifs_in(batch: GraphBatch, macro: MacroBatch) -> list[list[tuple[MotifCount, ArchGraph]]]:
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


def _induced(graph: ArchGraph, members: NDArray[np.int32]) -> ArchGraph:
    """Return the subgraph of some nodes, ascending, with the edges among them."""
    local = {node: place for place, node in enumerate(members.tolist())}
    inputs = [[local[s] for s in graph.inputs(node).tolist() if s in local] for node in local]
    in_ptr = np.zeros(len(members) + 1, dtype=np.int64)
    np.cumsum([len(sources) for sources in inputs], out=in_ptr[1:])
    in_src = np.array([source for sources in inputs for source in sources], dtype=np.int32)
    return ArchGraph(graph.op[members], graph.attr[members], in_ptr, in_src)


def summarize(graph: ArchGraph) -> NetworkSummary:
    """Describe one canonical graph: its operators, its motifs, the size of its macro graph."""
    batch = GraphBatch.from_graphs([graph])
    macro = coarsen(batch, mine(batch))
    motifs = [motif for motif, _ in _motifs_in(batch, macro)[0]]
    names = Counter(graph.op_names())
    meta = graph.meta
    return NetworkSummary(
        name=meta.name,
        source=meta.source,
        family=meta.family,
        task=meta.task,
        trace_kind=meta.trace_kind,
        params=meta.params,
        flops=meta.flops,
        input_shape=meta.input_shape,
        nodes=graph.num_nodes,
        edges=graph.num_edges,
        structural_hash=graph.structural_hash,
        unknown_ops=dict(meta.unknown_ops),
        untraced=meta.untraced,
        operators=dict(sorted(names.items(), key=lambda item: (-item[1], item[0]))),
        motifs=tuple(sorted(motifs, key=_weight)),
        macro_nodes=int(macro.instance_ptr[-1]),
        macro_edges=len(macro.in_src),
    )


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


def _chain(labels: Sequence[str]) -> str:
    """Join labels in order, runs of equal ones counted, long chains cut."""
    runs: list[tuple[str, int]] = []
    for label in labels:
        if runs and runs[-1][0] == label:
            runs[-1] = (label, runs[-1][1] + 1)
        else:
            runs.append((label, 1))
    words = [label if count == 1 else f"{count}×{label}" for label, count in runs]
    if len(words) > _CHAIN_LENGTH:
        words = [*words[:_CHAIN_LENGTH], f"… ({len(words) - _CHAIN_LENGTH} more)"]
    return " → ".join(words)
