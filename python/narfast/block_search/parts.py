"""Parts of a graph as graphs: what some nodes induce, and what a module of the network holds."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from narfast import _core
from narfast.errors import NarfastError
from narfast.graph import ArchGraph, GraphBatch

__all__ = ["induced", "induced_each", "nodes_of_module"]


def induced(graph: ArchGraph, nodes: NDArray[np.integer]) -> ArchGraph:
    """Return the subgraph that some nodes induce; nodes and arguments keep their order.

    Args:
        graph: any graph.
        nodes: node numbers, in any order.
    """
    owner = np.full(graph.num_nodes, -1, dtype=np.int64)
    owner[nodes] = 0
    part = induced_each(GraphBatch.from_graphs([graph]), owner, 1)[0]
    return replace(part, meta=graph.meta)


def induced_each(batch: GraphBatch, owner: NDArray[np.int64], count: int) -> GraphBatch:
    """Return ``count`` induced subgraphs; their nodes keep the order of the batch.

    Args:
        batch: any graphs.
        owner: int64[N], the subgraph of each node of the batch, or -1.
        count: number of subgraphs.
    """
    nodes = np.flatnonzero(owner >= 0)
    nodes = nodes[np.argsort(owner[nodes], kind="stable")]
    node_ptr = _offsets(np.bincount(owner[nodes], minlength=count))
    place = np.zeros(len(owner), dtype=np.int32)  # of a node in its subgraph
    place[nodes] = np.arange(len(nodes)) - node_ptr[owner[nodes]]
    degrees = np.diff(batch.in_ptr)[nodes]
    target = np.repeat(np.arange(len(nodes)), degrees)
    first = np.repeat(batch.in_ptr[nodes] - _offsets(degrees)[:-1], degrees)
    edges = first + np.arange(len(first))
    graph = np.searchsorted(batch.node_ptr, nodes, side="right") - 1
    source = batch.in_src[edges] + batch.node_ptr[graph][target]
    within = owner[source] == owner[nodes[target]]
    return GraphBatch(
        op=batch.op[nodes],
        attr=batch.attr[nodes],
        node_ptr=node_ptr,
        in_ptr=_offsets(np.bincount(target[within], minlength=len(nodes))),
        in_src=place[source[within]],
    )


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def nodes_of_module(
    graph: ArchGraph, paths: Sequence[str | None], module: str
) -> NDArray[np.int64]:
    """Return the nodes of a module and of its children, and those on paths between them.

    Nodes on paths between them have no module of their own where canonicalization put several
    operators together, or belong to functions that a module calls.

    Args:
        graph: a canonical graph.
        paths: the module path of each node, such as ``stages.1.blocks.0.conv``, or None.
        module: the path of a module, such as ``stages.1.blocks.0``.

    Raises:
        NarfastError: no node belongs to the module; the message has close matches.
    """
    below = f"{module}."
    marked = np.fromiter(
        (path is not None and (path == module or path.startswith(below)) for path in paths),
        np.uint8,
        count=len(paths),
    )
    if not marked.any():
        known = {
            path[:end]
            for path in paths
            if path
            for end in (*(i for i, c in enumerate(path) if c == "."), len(path))
        }
        close = difflib.get_close_matches(module, sorted(known), n=3)
        hint = ", ".join(close or sorted({name.partition(".")[0] for name in known})[:8])
        raise NarfastError(
            f"{module}: no module of {graph.meta.name or 'the network'} has this path; "
            + (f"did you mean {hint}?" if close else f"its modules are {hint or 'not known'}")
        )
    chosen = _core.between(graph.op, graph.attr, graph.in_ptr, graph.in_src, marked)
    return np.flatnonzero(chosen)
