"""Computational graphs as arrays: one (`ArchGraph`) or many (`GraphBatch`).

Also has the functions of the C++ core on graphs: canonicalize, structural_hash, structural_order.
Mining is in `narfast.motifs`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from narfast import _core, operators
from narfast.errors import InvalidGraphError, NarfastError
from narfast.hyperparameters import Hyperparameters

__all__ = [
    "ArchGraph",
    "GraphBatch",
    "GraphMeta",
    "build_graph",
    "canonicalization_passes",
    "canonicalize",
    "canonicalize_each",
    "hash_texts",
    "structural_hash",
    "structural_order",
]


@dataclass(frozen=True)
class GraphMeta:
    """Facts about a network beside its graph.

    Attributes:
        family: In the vocabulary that all libraries share (`narfast.taxonomy.families`).
        group: The library's own name for the model's group.
        params: Number of learned parameters, or None.
        flops: Floating-point operations of one forward pass, or None.
        unknown_ops: Spellings outside the operator table, with the number of occurrences.
        input_shape: Shape of the first input, -1 where symbolic, or None.
        untraced: Number of parameter tensors that no traced operator used.
        input_shapes: Shapes of all inputs that have one, in order. Empty if unknown, as for
            networks of a zoo, which stores only the first.
    """

    name: str = ""
    source: str = ""
    trace_kind: str = ""
    family: str | None = None
    task: str | None = None
    params: int | None = None
    flops: int | None = None
    input_shape: tuple[int, ...] | None = None
    unknown_ops: dict[str, int] = field(default_factory=dict)
    untraced: int = 0
    group: str | None = None
    input_shapes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class ArchGraph:
    """One network: operators in topological order, edges in argument order.

    Attributes:
        op: uint16[N], operator ids.
        attr: uint32[N], packed attributes.
        in_ptr: int64[N + 1], offsets into `in_src`, starting at 0.
        in_src: int32[E], in-neighbours; each is smaller than its node.
        meta: facts about the network.
        hyperparameters: exact values and module paths of the nodes; None if the source has none.
    """

    op: NDArray[np.uint16]
    attr: NDArray[np.uint32]
    in_ptr: NDArray[np.int64]
    in_src: NDArray[np.int32]
    meta: GraphMeta = field(default_factory=GraphMeta)
    hyperparameters: Hyperparameters | None = None

    @property
    def num_nodes(self) -> int:
        """Number of operators."""
        return len(self.op)

    @property
    def num_edges(self) -> int:
        """Number of data-flow edges."""
        return len(self.in_src)

    def inputs(self, node: int) -> NDArray[np.int32]:
        """In-neighbours of a node, in argument order (a view)."""
        return self.in_src[self.in_ptr[node] : self.in_ptr[node + 1]]

    def op_names(self) -> list[str]:
        """Canonical operator names, in node order."""
        table = operators.table()
        return [table[i].name for i in self.op.tolist()]

    @cached_property
    def structural_hash(self) -> str:
        """The structural hash as 32 hexadecimal digits."""
        return hash_texts(structural_hash(GraphBatch.from_graphs([self])))[0]

    def same_structure(self, other: ArchGraph) -> bool:
        """Whether the arrays of both graphs are equal; metadata are ignored."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("op", "attr", "in_ptr", "in_src")
        )

    def with_meta(self, **changes: object) -> ArchGraph:
        """Return the same graph with some metadata fields replaced."""
        return replace(self, meta=replace(self.meta, **changes))  # type: ignore[arg-type]

    def to_dot(self) -> str:
        """Return the graph in Graphviz's language."""
        lines = ["digraph {", "  node [shape=box];"]
        lines += [
            f'  n{i} [label="{name}\\n{attr:#x}"];' if attr else f'  n{i} [label="{name}"];'
            for i, (name, attr) in enumerate(zip(self.op_names(), self.attr.tolist(), strict=True))
        ]
        lines += [f"  n{s} -> n{i};" for i in range(self.num_nodes) for s in self.inputs(i)]
        return "\n".join([*lines, "}"])

    def __repr__(self) -> str:
        name = f"{self.meta.name!r}, " if self.meta.name else ""
        return f"ArchGraph({name}nodes={self.num_nodes}, edges={self.num_edges})"


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Many graphs, concatenated.

    Attributes:
        op: uint16[N], operator ids of all graphs.
        attr: uint32[N], packed attributes.
        node_ptr: int64[G + 1], first node of each graph.
        in_ptr: int64[N + 1], offsets of every node into `in_src`.
        in_src: int32[E], in-neighbours, numbered within their graph.
        metas: one per graph, or empty.
        hyperparameters: one per graph, None where unknown, or empty.
    """

    op: NDArray[np.uint16]
    attr: NDArray[np.uint32]
    node_ptr: NDArray[np.int64]
    in_ptr: NDArray[np.int64]
    in_src: NDArray[np.int32]
    metas: tuple[GraphMeta, ...] = ()
    hyperparameters: tuple[Hyperparameters | None, ...] = ()

    @classmethod
    def from_graphs(cls, graphs: Sequence[ArchGraph]) -> GraphBatch:
        """Concatenates graphs (copies). An empty sequence gives an empty batch."""
        zero = np.zeros(1, np.int64)
        edge_base = np.cumsum([0, *(g.num_edges for g in graphs)])
        return cls(
            op=np.concatenate([np.empty(0, np.uint16), *(g.op for g in graphs)]),
            attr=np.concatenate([np.empty(0, np.uint32), *(g.attr for g in graphs)]),
            node_ptr=np.cumsum([0, *(g.num_nodes for g in graphs)], dtype=np.int64),
            in_ptr=np.concatenate(
                [zero, *(g.in_ptr[1:] + base for g, base in zip(graphs, edge_base, strict=False))]
            ),
            in_src=np.concatenate([np.empty(0, np.int32), *(g.in_src for g in graphs)]),
            metas=tuple(g.meta for g in graphs),
            hyperparameters=tuple(g.hyperparameters for g in graphs),
        )

    @property
    def arrays(
        self,
    ) -> tuple[
        NDArray[np.uint16],
        NDArray[np.uint32],
        NDArray[np.int64],
        NDArray[np.int64],
        NDArray[np.int32],
    ]:
        """Return (op, attr, node_ptr, in_ptr, in_src) for the functions of the core."""
        return self.op, self.attr, self.node_ptr, self.in_ptr, self.in_src

    def validate(self) -> None:
        """Raises InvalidGraphError unless every graph is well formed; it names graph and node."""
        _core.validate(*self.arrays)

    def __len__(self) -> int:
        return len(self.node_ptr) - 1

    def __getitem__(self, graph: int) -> ArchGraph:
        """Return one graph; its arrays are views, except `in_ptr`, which is shifted to 0."""
        if not -len(self) <= graph < len(self):
            raise IndexError(f"graph {graph} of a batch of {len(self)}")
        graph %= len(self)
        begin, end = int(self.node_ptr[graph]), int(self.node_ptr[graph + 1])
        in_ptr = self.in_ptr[begin : end + 1]
        return ArchGraph(
            op=self.op[begin:end],
            attr=self.attr[begin:end],
            in_ptr=in_ptr - in_ptr[0],
            in_src=self.in_src[in_ptr[0] : in_ptr[-1]],
            meta=self.metas[graph] if self.metas else GraphMeta(),
            hyperparameters=self.hyperparameters[graph] if self.hyperparameters else None,
        )

    def part(self, start: int, stop: int) -> GraphBatch:
        """Return graphs ``start`` to ``stop`` as a batch; `op`, `attr` and `in_src` are views."""
        node_ptr = self.node_ptr[start : stop + 1]
        in_ptr = self.in_ptr[node_ptr[0] : node_ptr[-1] + 1]
        return GraphBatch(
            op=self.op[node_ptr[0] : node_ptr[-1]],
            attr=self.attr[node_ptr[0] : node_ptr[-1]],
            node_ptr=node_ptr - node_ptr[0],
            in_ptr=in_ptr - in_ptr[0],
            in_src=self.in_src[in_ptr[0] : in_ptr[-1]],
            metas=self.metas[start:stop],
            hyperparameters=self.hyperparameters[start:stop],
        )

    def __iter__(self) -> Iterator[ArchGraph]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"GraphBatch(graphs={len(self)}, nodes={len(self.op)}, edges={len(self.in_src)})"


def build_graph(
    op: Sequence[int],
    attr: Sequence[int],
    inputs: Sequence[Sequence[int]],
    outputs: Sequence[int],
    meta: GraphMeta | None = None,
    hyperparameters: Sequence[Mapping[str, Any]] | None = None,
) -> ArchGraph:
    """Builds a graph from nodes in any numbering.

    Keeps the ancestors of `outputs` and numbers them in depth-first post-order from the outputs,
    arguments in order.

    Args:
        op: Operator id of each node.
        attr: Packed attributes of each node.
        inputs: In-neighbours of each node, in argument order.
        outputs: Nodes whose values the network returns.
        meta: Metadata to attach.
        hyperparameters: Of each node, by name (`narfast.hyperparameters.NAMES`), or None.

    Raises:
        InvalidGraphError: On a cycle, a dangling edge, lengths that differ, or a graph too large.
    """
    if not len(op) == len(attr) == len(inputs):
        raise InvalidGraphError(
            f"op, attr and inputs must have one entry per node, "
            f"got {len(op)}, {len(attr)} and {len(inputs)}"
        )
    try:
        in_ptr = np.zeros(len(op) + 1, np.int64)
        np.cumsum([len(i) for i in inputs], out=in_ptr[1:])
        in_src = np.fromiter((s for i in inputs for s in i), np.int32, count=int(in_ptr[-1]))
        ops, attrs = np.asarray(op, np.uint16), np.asarray(attr, np.uint32)
        outs = np.asarray(outputs, np.int32)
    except OverflowError as error:
        raise InvalidGraphError(f"node and operator numbers must be in range: {error}") from None
    ordered_op, ordered_attr, ptr, src, old = _core.order_nodes(ops, attrs, in_ptr, in_src, outs)
    exact = None
    if hyperparameters is not None:
        exact = Hyperparameters.from_rows(hyperparameters[node] for node in old.tolist())
    graph = ArchGraph(ordered_op, ordered_attr, ptr, src, meta or GraphMeta(), exact)
    GraphBatch.from_graphs([graph]).validate()
    return graph


@cache
def canonicalization_passes() -> dict[str, str]:
    """Return the names of the canonicalization passes, in order, with their descriptions."""
    return dict(_core.canonicalization_passes())


@overload
def canonicalize(
    graphs: ArchGraph, *, passes: Sequence[str] | None = ..., num_threads: int = ...
) -> ArchGraph: ...
@overload
def canonicalize(
    graphs: GraphBatch, *, passes: Sequence[str] | None = ..., num_threads: int = ...
) -> GraphBatch: ...
def canonicalize(
    graphs: ArchGraph | GraphBatch, *, passes: Sequence[str] | None = None, num_threads: int = 1
) -> ArchGraph | GraphBatch:
    """Brings networks to a canonical form, in which all sources spell a design alike.

    Args:
        graphs: One raw graph, or a batch of them.
        passes: Names from `canonicalization_passes()`, in any order; None means all.
        num_threads: Threads across the graphs of a batch; the result does not depend on it.

    Raises:
        InvalidGraphError: If a graph is not well formed, or does not settle in 32 rounds.
        ValueError: For an unknown pass.
    """
    if isinstance(graphs, ArchGraph):
        batch = GraphBatch.from_graphs([graphs])
        return canonicalize(batch, passes=passes, num_threads=num_threads)[0]
    names = list(canonicalization_passes()) if passes is None else list(passes)
    given = graphs.hyperparameters
    rows = None
    if any(part is not None for part in given):
        rows = Hyperparameters.concatenated(given, np.diff(graphs.node_ptr).tolist())
    arrays, fused = _core.canonicalize(
        *graphs.arrays, hyperparameters=rows, passes=names, num_threads=num_threads
    )
    former = [name for name in names if name not in canonicalization_passes()]
    if former:  # the core still takes them
        message = f"{', '.join(former)}: former names of canonicalization passes"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    batch = GraphBatch(*arrays, metas=graphs.metas)
    if fused is None:
        return batch
    texts = [() if part is None else part.texts for part in given]
    parts = Hyperparameters.separated(fused, batch.node_ptr, texts)
    known = (None if old is None else new for old, new in zip(given, parts, strict=True))
    return replace(batch, hyperparameters=tuple(known))


def canonicalize_each(
    graphs: Sequence[ArchGraph], *, num_threads: int = 1
) -> list[ArchGraph | NarfastError]:
    """Canonicalizes networks, of which some may be refused.

    Args:
        graphs: Raw graphs.
        num_threads: See `canonicalize`.

    Returns:
        One graph or one error for each, in order.
    """
    if not graphs:
        return []
    try:
        return list(canonicalize(GraphBatch.from_graphs(graphs), num_threads=num_threads))
    except NarfastError as error:
        if len(graphs) == 1:
            return [error]
        return [result for graph in graphs for result in canonicalize_each([graph])]


def structural_hash(batch: GraphBatch, *, num_threads: int = 1) -> NDArray[np.uint64]:
    """128-bit structural hashes, uint64[G, 2], high word first.

    They do not depend on node order. Equal hashes mean equal operators, attributes and edges, up to
    the limits of colour refinement. See cpp/narfast/graph/structural_hash.h.

    Raises:
        InvalidGraphError: If a graph is not well formed.
    """
    return _core.structural_hash(*batch.arrays, num_threads=num_threads)


def structural_order(batch: GraphBatch, *, num_threads: int = 1) -> NDArray[np.int32]:
    """Return a canonical node order: int32[N], nodes numbered in their graph.

    It depends only on the structure. Graphs of equal structural hash, renumbered by it, differ at
    most among nodes that the hash cannot distinguish.

    Raises:
        InvalidGraphError: If a graph is not well formed.
    """
    return _core.structural_order(*batch.arrays, num_threads=num_threads)


def hash_texts(hashes: NDArray[np.uint64]) -> list[str]:
    """Return hashes uint64[n, 2] (of graphs or motifs) as 32 hexadecimal digits each."""
    return [f"{high:016x}{low:016x}" for high, low in hashes.tolist()]
