"""Hypothesis strategies for small networks, and large ones made by arithmetic."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from narfast import operators
from narfast.graph import ArchGraph, GraphBatch, build_graph

NAMES = ("conv", "relu", "linear", "add", "sub", "concat", "mul", "sigmoid", "split", "batch_norm")


@st.composite
def graphs(draw: st.DrawFn, max_nodes: int = 24) -> ArchGraph:
    """Connected-looking networks in which blocks can repeat: few operators, near in-neighbours."""
    count = draw(st.integers(1, max_nodes))
    ops, attrs, inputs = [operators.by_name("input").id], [0], [[]]
    for node in range(1, count):
        near = st.integers(max(0, node - 4), node - 1)
        ops.append(operators.by_name(draw(st.sampled_from(NAMES))).id)
        attrs.append(draw(st.sampled_from((0, 0, 1, 1 << 17))))
        inputs.append(draw(st.lists(near, min_size=1, max_size=3)))
    return build_graph(ops, attrs, inputs, list(range(count)))


def edges_of(graph: ArchGraph) -> list[tuple[int, int]]:
    """(source, target), by target, in argument order."""
    target = np.repeat(np.arange(graph.num_nodes), np.diff(graph.in_ptr))
    return list(zip(graph.in_src.tolist(), target.tolist(), strict=True))


def renumbered(graph: ArchGraph, place: NDArray[np.int64]) -> ArchGraph:
    """The same network with node i at `place[i]`; the order need not be topological."""
    order = np.argsort(place)
    inputs = [place[graph.inputs(int(old))] for old in order]
    in_ptr = np.cumsum([0, *map(len, inputs)], dtype=np.int64)
    in_src = np.concatenate([np.empty(0, np.int32), *inputs]).astype(np.int32)
    return ArchGraph(graph.op[order], graph.attr[order], in_ptr, in_src)


def topological_places(graph: ArchGraph, seed: int) -> NDArray[np.int64]:
    """A random topological numbering: repeatedly takes any node whose inputs are placed."""
    rng = np.random.default_rng(seed)
    place = np.full(graph.num_nodes, -1, np.int64)
    for number in range(graph.num_nodes):
        ready = [
            node
            for node in range(graph.num_nodes)
            if place[node] < 0 and (place[graph.inputs(node)] >= 0).all()
        ]
        place[rng.choice(ready)] = number
    return place


def _graph(ops: NDArray[np.uint16], in_ptr: NDArray[np.int64], src: NDArray[np.int32]) -> ArchGraph:
    return ArchGraph(ops, np.zeros(len(ops), np.uint32), in_ptr, src)


def _cycle_of(names: tuple[str, ...], nodes: int) -> NDArray[np.uint16]:
    ids = np.array([operators.by_name(name).id for name in names], np.uint16)
    ops = np.resize(ids, nodes)
    ops[0] = operators.by_name("input").id
    return ops


def chain(nodes: int) -> ArchGraph:
    """One node after the other, a layer of five operators over and over."""
    ops = _cycle_of(("layer_norm", "linear", "gelu", "linear", "tanh"), nodes)
    in_ptr = np.maximum(np.arange(nodes + 1, dtype=np.int64) - 1, 0)
    return _graph(ops, in_ptr, np.arange(nodes - 1, dtype=np.int32))


def comb(nodes: int) -> ArchGraph:
    """A backbone whose every node feeds a tooth of its own: half of the nodes are outputs."""
    ops = _cycle_of(("conv", "relu"), nodes)
    in_ptr = np.maximum(np.arange(nodes + 1, dtype=np.int64) - 1, 0)
    node = np.arange(1, nodes, dtype=np.int32)
    return _graph(ops, in_ptr, np.where(node % 2 == 1, node - 1, np.maximum(node - 2, 0)))


def dense(nodes: int, degree: int = 8) -> ArchGraph:
    """Every node reads the `degree` nodes before it."""
    ops = _cycle_of(("add", "concat", "linear"), nodes)
    degrees = np.minimum(np.arange(nodes, dtype=np.int64), degree)
    in_ptr = np.concatenate([[0], np.cumsum(degrees)])
    target = np.repeat(np.arange(nodes, dtype=np.int64), degrees)
    offset = np.arange(in_ptr[-1]) - in_ptr[target]
    return _graph(ops, in_ptr, (target - degrees[target] + offset).astype(np.int32))


def alternating(nodes: int) -> ArchGraph:
    """A chain whose labels spell the Thue-Morse sequence: repeats at every scale, no cubes."""
    parity = np.zeros(nodes, np.int64)
    number = np.arange(nodes)
    while number.any():
        parity ^= number & 1
        number >>= 1
    pair = np.array([operators.by_name(name).id for name in ("relu", "tanh")], np.uint16)
    graph = chain(nodes)
    return ArchGraph(pair[parity], graph.attr, graph.in_ptr, graph.in_src)


def batch_of(*items: ArchGraph) -> GraphBatch:
    return GraphBatch.from_graphs(list(items))
