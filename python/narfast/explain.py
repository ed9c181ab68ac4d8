"""Explains similarity: operators, motifs, and motifs that two networks share, in words."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.blocks import blocks_of
from narfast.graph import ArchGraph, GraphBatch, hash_texts, structural_hash
from narfast.labels import counted, label, operator_label
from narfast.motifs import MacroBatch, coarsen, instance_graphs, mine

__all__ = [
    "MotifCount",
    "NetworkSummary",
    "SharedMotif",
    "block_text",
    "operator_label",
    "shared_motifs",
    "summarize",
]

_CHAIN_LENGTH = 12
_SIMILAR_SIZE = 3


@dataclass(frozen=True)
class MotifCount:
    """A motif of one network.

    Attributes:
        motif_id: structural hash, 32 hexadecimal digits.
        size: operators in one occurrence.
        count: occurrences.
        operators: the operators of one occurrence in order, in words.
    """

    motif_id: str
    size: int
    count: int
    operators: str


@dataclass(frozen=True)
class SharedMotif:
    """A motif of both a query (``query_count`` times) and a hit (``count`` times).

    If ``exact`` is false, the two motifs have the same operators and edges but other attributes,
    such as widths or kernel sizes; then ``motif_id`` is the hash without attributes.
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
    input_shapes: tuple[tuple[int, ...], ...] = ()
    blocks: tuple[tuple[str, int], ...] = ()  # names in reading order, each with its repetitions

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        value = asdict(self)
        value["motifs"] = [asdict(motif) for motif in self.motifs]
        value["blocks"] = [{"name": name, "count": count} for name, count in self.blocks]
        value["input_shape"] = None if self.input_shape is None else list(self.input_shape)
        value["input_shapes"] = list(map(list, self.input_shapes))
        return value


def _weight(motif: MotifCount | SharedMotif) -> tuple[int, int, str]:
    """Sort key: largest ``size * count`` first; for shared motifs, ``count`` is the lower one."""
    count = motif.count
    if isinstance(motif, SharedMotif):
        count = min(count, motif.query_count)
    return -motif.size * count, -motif.size, motif.motif_id


def _distinct(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number hashes uint64[n, 2]; return the number of each, and the first position of each."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))  # stable: equal hashes keep their order
    ranked = hashes[order]
    begins = np.ones(len(hashes), dtype=bool)
    begins[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    number = np.empty(len(hashes), dtype=np.int64)
    number[order] = np.cumsum(begins) - 1
    return number, order[begins]


def block_text(block: ArchGraph) -> str:
    """Return the operators of a block in order, in words."""
    return _chain(_labels(block))


def _labels(block: ArchGraph) -> list[str]:
    return list(map(operator_label, block.op.tolist(), block.attr.tolist()))


def _motifs_of(graph: ArchGraph) -> tuple[list[MotifCount], MacroBatch]:
    """Return the motifs of a graph, and its macro graph."""
    batch = GraphBatch.from_graphs([graph])
    macro = coarsen(batch, mine(batch))
    number, first = _distinct(macro.motif_id)
    counts = np.bincount(number, minlength=len(first)).tolist()
    identifiers = hash_texts(macro.motif_id[first])
    blocks = instance_graphs(batch, macro, first)
    if graph.hyperparameters is None:
        labels = [_labels(block) for block in blocks]
    else:
        members = [macro.member[a:b] for a, b in itertools.pairwise(macro.member_ptr.tolist())]
        instances: list[list[NDArray[np.int32]]] = [[] for _ in first]
        for motif, nodes in zip(number.tolist(), members, strict=True):
            instances[motif].append(nodes)
        labels = [_common_labels(graph, places) for places in instances]
    return [
        MotifCount(identifier, block.num_nodes, count, _chain(words))
        for identifier, count, block, words in zip(identifiers, counts, blocks, labels, strict=True)
    ], macro


def _common_labels(graph: ArchGraph, instances: Sequence[NDArray[np.int32]]) -> list[str]:
    """Label the operators of a motif as exactly as all its instances allow."""
    labels = []
    for nodes in zip(*(own.tolist() for own in instances), strict=True):
        for widths, exact in ((True, True), (False, True), (False, False)):
            found = {label(graph, node, widths=widths, exact=exact) for node in nodes}
            if len(found) == 1:
                break
        labels.append(min(found))
    return labels


def summarize(graph: ArchGraph) -> NetworkSummary:
    """Describe a canonical graph: its operators, its motifs, the size of its macro graph."""
    motifs, macro = _motifs_of(graph)
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
        input_shapes=meta.input_shapes or (() if meta.input_shape is None else (meta.input_shape,)),
        blocks=tuple((block.name, block.count) for block in blocks_of(graph).blocks),
    )


def shared_motifs(query: ArchGraph, hits: Sequence[ArchGraph]) -> list[list[SharedMotif]]:
    """Return, for each hit, the motifs that it shares with the query.

    Exact matches come first, then motifs that differ only in attributes; within each kind, the
    largest weight comes first. Blocks of a few operators must match exactly: without attributes
    they say too little. The cost is that of mining all graphs, on all processors.
    """
    batch = GraphBatch.from_graphs([query, *hits])
    macro = coarsen(batch, mine(batch, num_threads=0), num_threads=0)
    # From here on, a motif is a number; `first` is an instance of it, in the query if possible.
    number, first = _distinct(macro.motif_id)
    graph = np.repeat(np.arange(len(batch)), np.diff(macro.instance_ptr))
    pairs, counts = np.unique(graph * len(first) + number, return_counts=True)
    graph, number = np.divmod(pairs, max(len(first), 1))
    own = _QueryMotifs(batch, macro, first, number[graph == 0], counts[graph == 0])
    chosen = own.matches(number)
    bounds = np.searchsorted(graph[chosen], np.arange(1, len(batch) + 1)).tolist()
    found = list(zip(number[chosen].tolist(), counts[chosen].tolist(), strict=True))
    return [own.shared(found[begin:end]) for begin, end in itertools.pairwise(bounds)]


class _QueryMotifs:
    """The motifs of a query by number, for matching with those of hits."""

    def __init__(
        self,
        batch: GraphBatch,
        macro: MacroBatch,
        first: NDArray[np.int64],
        numbers: NDArray[np.int64],
        counts: NDArray[np.int64],
    ) -> None:
        sizes = macro.sizes[first]
        large = numbers[sizes[numbers] >= _SIMILAR_SIZE]
        # Blocks match without attributes if their hashes with cleared attributes are equal.
        candidates = np.flatnonzero(np.isin(sizes, sizes[large]))
        blocks = instance_graphs(batch, macro, first[candidates])
        bare = replace(blocks, attr=np.zeros_like(blocks.attr))
        hashes = structural_hash(bare)
        self._bare = np.full(len(first), -1)
        self._bare[candidates], example = _distinct(hashes)
        self._known = np.zeros(len(first), dtype=bool)
        self._known[numbers] = True
        self._alike = np.zeros(len(example) + 1, dtype=bool)  # the last one: no bare block
        self._alike[self._bare[large]] = True
        self._large = large.tolist()
        self._count = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        identifiers = hash_texts(macro.motif_id[first[numbers]])
        texts = [_chain(_labels(block)) for block in instance_graphs(batch, macro, first[numbers])]
        own_sizes = sizes[numbers].tolist()
        self._motif = dict(
            zip(self._count, zip(identifiers, own_sizes, texts, strict=True), strict=True)
        )
        self._example = {
            key: (hash_texts(hashes[i : i + 1])[0], bare[i].num_nodes, _chain(bare[i].op_names()))
            for key, i in enumerate(example.tolist())
            if self._alike[key]
        }

    def matches(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the query has each motif, exactly or with other attributes."""
        found: NDArray[np.bool_] = self._known[numbers] | self._alike[self._bare[numbers]]
        return found

    def shared(self, motifs: Sequence[tuple[int, int]]) -> list[SharedMotif]:
        """Describe the motifs shared with a hit; ``motifs`` are all its matches with counts.

        Motifs already matched exactly do not count again without attributes.
        """
        exact = {number: count for number, count in motifs if number in self._count}
        theirs, ours = Counter[int](), Counter[int]()
        for number, count in motifs:
            if number not in exact:
                theirs[int(self._bare[number])] += count
        for number in self._large if theirs else ():
            if number not in exact:
                ours[int(self._bare[number])] += self._count[number]
        same = [
            SharedMotif(identifier, size, count, self._count[number], text)
            for number, count in exact.items()
            for identifier, size, text in [self._motif[number]]
        ]
        alike = [
            SharedMotif(identifier, size, count, ours[key], text, exact=False)
            for key, count in theirs.items()
            if key in ours
            for identifier, size, text in [self._example[key]]
        ]
        return sorted(same, key=_weight) + sorted(alike, key=_weight)


def _chain(labels: Sequence[str]) -> str:
    """Join labels in order; count runs of equal labels, and cut long chains."""
    words = counted(labels)
    if len(words) > _CHAIN_LENGTH:
        words = [*words[:_CHAIN_LENGTH], f"… ({len(words) - _CHAIN_LENGTH} more)"]
    return " → ".join(words)
