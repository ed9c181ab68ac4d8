"""Why two networks are alike, and what one consists of: operators and motifs in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from narfast import operators
from narfast.graph import ArchGraph, GraphBatch
from narfast.motifs import coarsen, mine

__all__ = [
    "MotifCount",
    "NetworkSummary",
    "SharedMotif",
    "operator_label",
    "shared_motifs",
    "summarize",
]

_KERNELS = {1: "1", 2: "2", 3: "3", 4: "5", 5: "7", 6: "9+", 7: "16+"}
_EQUAL_WIDTH = 8  # as many output channels as input channels
_CHAIN_LENGTH = 12


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
    """A motif of both a query (``query_count`` times) and a hit (``count`` times)."""

    motif_id: str
    size: int
    count: int
    query_count: int
    operators: str

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
    """Name an operator with what people care for, such as ``conv3x3/2 ×4``."""
    label = operators.by_id(op).name
    kernel = _KERNELS.get(attr & 7)
    rank = attr >> 14 & 3
    if kernel and rank:
        square = not attr >> 16 & 1 and len(kernel) == 1
        label += "x".join([kernel] * rank) if square else f"({kernel})"
    if attr >> 3 & 1:
        label += "/2"
    ratio = attr >> 7 & 15
    if ratio not in (0, _EQUAL_WIDTH):
        label += f" ×{2 ** (ratio - 8)}" if ratio > _EQUAL_WIDTH else f" ÷{2 ** (8 - ratio)}"
    groups = attr >> 4 & 3
    if groups > 1:
        label += " grouped" if groups == 2 else " depthwise"
    return label


def motifs_of(batch: GraphBatch) -> list[dict[str, MotifCount]]:
    """Mine every graph of a batch; return its motifs by id, largest ``size * count`` first."""
    macro = coarsen(batch, mine(batch))
    result = []
    for graph in range(len(batch)):
        begin, end = int(macro.instance_ptr[graph]), int(macro.instance_ptr[graph + 1])
        identifiers = [
            f"{int(high):016x}{int(low):016x}" for high, low in macro.motif_id[begin:end]
        ]
        counts = Counter(identifiers)
        first: dict[str, int] = {}
        for place, identifier in enumerate(identifiers, begin):
            first.setdefault(identifier, place)
        found = []
        for identifier, count in counts.items():
            place = first[identifier]
            members = macro.member[macro.member_ptr[place] : macro.member_ptr[place + 1]]
            nodes = members.astype(np.int64) + int(batch.node_ptr[graph])
            labels = [
                operator_label(op, attr)
                for op, attr in zip(
                    batch.op[nodes].tolist(), batch.attr[nodes].tolist(), strict=True
                )
            ]
            found.append(MotifCount(identifier, len(members), count, _chain(labels)))
        found.sort(key=lambda motif: (-motif.size * motif.count, -motif.size, motif.motif_id))
        result.append({motif.motif_id: motif for motif in found})
    return result


def summarize(graph: ArchGraph) -> NetworkSummary:
    """Describe one canonical graph: its operators, its motifs, the size of its macro graph."""
    batch = GraphBatch.from_graphs([graph])
    macro = coarsen(batch, mine(batch))
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
        motifs=tuple(motifs_of(batch)[0].values()),
        macro_nodes=int(macro.instance_ptr[-1]),
        macro_edges=len(macro.in_src),
    )


def shared_motifs(query: ArchGraph, hits: Sequence[ArchGraph]) -> list[list[SharedMotif]]:
    """Return, for each hit, the motifs that it has in common with the query, weightiest first."""
    own, *others = motifs_of(GraphBatch.from_graphs([query, *hits]))
    result = []
    for other in others:
        shared = [
            SharedMotif(key, motif.size, motif.count, own[key].count, motif.operators)
            for key, motif in other.items()
            if key in own
        ]
        shared.sort(
            key=lambda motif: (
                -motif.size * min(motif.count, motif.query_count),
                -motif.size,
                motif.motif_id,
            )
        )
        result.append(shared)
    return result


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
