"""Graphs and batches as arrays: order, lifetime, validation."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfast import _core, operators
from narfast.errors import InvalidGraphError, NarfastError
from narfast.graph import ArchGraph, GraphBatch, GraphMeta, build_graph
from networks import network
from random_graphs import batch_of, graphs

INPUT, CONV, RELU, ADD = (operators.by_name(n).id for n in ("input", "conv", "relu", "add"))


def residual() -> ArchGraph:
    return build_graph([INPUT, CONV, RELU, ADD], [0, 3, 0, 0], [[], [0], [1], [2, 0]], [3])


def test_one_graph() -> None:
    graph = residual()
    assert (graph.num_nodes, graph.num_edges) == (4, 4)
    assert graph.op_names() == ["input", "conv", "relu", "add"]
    assert graph.inputs(3).tolist() == [2, 0]
    assert (graph.op.dtype, graph.attr.dtype) == (np.uint16, np.uint32)
    assert (graph.in_ptr.dtype, graph.in_src.dtype) == (np.int64, np.int32)
    assert repr(graph) == "ArchGraph(nodes=4, edges=4)"


def test_to_dot_has_every_node_and_edge() -> None:
    dot = residual().to_dot()
    assert dot.startswith("digraph {")
    assert 'n1 [label="conv\\n0x3"];' in dot
    assert dot.count("->") == 4
    assert "n2 -> n3;" in dot


def test_structural_hash_is_32_hexadecimal_digits() -> None:
    text = residual().structural_hash
    assert len(text) == 32
    assert int(text, 16) >= 0
    assert text == residual().with_meta(name="another").structural_hash


@given(st.lists(graphs(), max_size=5))
@settings(max_examples=100, deadline=None)
def test_a_batch_gives_back_its_graphs(items: list[ArchGraph]) -> None:
    batch = batch_of(*items)
    batch.validate()
    assert len(batch) == len(items)
    assert all(a.same_structure(b) for a, b in zip(items, batch, strict=True))


def test_a_batch_keeps_metadata_and_takes_negative_indices() -> None:
    batch = batch_of(network("vgg", 2), network("vit", 3))
    assert batch[-1].meta.name == "vit3"
    assert batch[-1].same_structure(batch[1])
    for index in (2, -3):
        with pytest.raises(IndexError, match="of a batch of 2"):
            batch[index]


def test_a_batch_is_shown_in_one_line() -> None:
    batch = batch_of(residual(), residual())
    assert repr(batch) == "GraphBatch(graphs=2, nodes=8, edges=8)"
    assert repr(GraphBatch.from_graphs([])) == "GraphBatch(graphs=0, nodes=0, edges=0)"


def test_graphs_of_a_batch_share_its_memory() -> None:
    batch = batch_of(network("vgg", 2), network("vit", 3))
    graph = batch[1]
    for name in ("op", "attr", "in_src"):
        assert np.shares_memory(getattr(graph, name), getattr(batch, name))


def test_views_keep_the_memory_alive() -> None:
    batch = batch_of(network("vgg", 2), network("vit", 3))
    graph, expected = batch[1], network("vit", 3)
    del batch
    gc.collect()
    np.empty(10_000_000, np.uint8).fill(255)  # overwrite what may have been freed
    assert graph.same_structure(expected)


def test_results_of_the_core_own_their_memory() -> None:
    arrays = _core.order_nodes(*_one(), np.array([1], np.int32))
    assert all(array.flags.c_contiguous and array.base is not None for array in arrays)
    kept = arrays[0]
    del arrays
    gc.collect()
    np.empty(10_000_000, np.uint8).fill(255)
    assert kept.tolist() == [INPUT, RELU]


def _one() -> tuple[np.ndarray, ...]:
    return (
        np.array([INPUT, RELU], np.uint16),
        np.zeros(2, np.uint32),
        np.array([0, 0, 1], np.int64),
        np.zeros(1, np.int32),
    )


@pytest.mark.slow
@given(graphs(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_node_order_does_not_depend_on_the_numbering(graph: ArchGraph, random: object) -> None:
    """Any numbering of the same nodes, outputs given in the same order, gives the same arrays."""
    count = graph.num_nodes
    place = list(range(count))
    random.shuffle(place)  # type: ignore[attr-defined]
    order = sorted(range(count), key=place.__getitem__)
    inputs = [[place[s] for s in graph.inputs(old).tolist()] for old in order]
    read = set(graph.in_src.tolist())
    outputs = [place[node] for node in range(count) if node not in read]
    built = build_graph(graph.op[order].tolist(), graph.attr[order].tolist(), inputs, outputs)
    again = build_graph(
        graph.op.tolist(),
        graph.attr.tolist(),
        [graph.inputs(n).tolist() for n in range(count)],
        [node for node in range(count) if node not in read],
    )
    assert built.same_structure(again)


def test_what_no_output_needs_is_left_out() -> None:
    graph = build_graph([INPUT, CONV, RELU], [0, 0, 0], [[], [0], [0]], [2])
    assert graph.op_names() == ["input", "relu"]


def test_build_graph_keeps_metadata() -> None:
    meta = GraphMeta(name="tiny", params=7)
    assert build_graph([INPUT], [0], [[]], [0], meta).meta == meta


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([INPUT, RELU], [0], [[], [0]], [1]), "one entry per node, got 2, 1 and 2"),
        (([RELU, RELU], [0, 0], [[1], [0]], [1]), "must be acyclic"),
        (([RELU], [0], [[0]], [0]), "node 0 depends on itself"),
        (([INPUT, RELU], [0, 0], [[], [5]], [1]), "in-neighbour 5 is not a node of the graph"),
        (([INPUT, RELU], [0, 0], [[], [-1]], [1]), "in-neighbour -1"),
        (([INPUT], [0], [[]], [1]), "output 1 is not a node of the graph"),
        (([60_000], [0], [[]], [0]), "operator id 60000 is not in the table"),
        (([70_000], [0], [[]], [0]), "must be in range"),
        (([-1], [0], [[]], [0]), "must be in range"),
        (([INPUT, RELU], [0, 0], [[], [2**40]], [1]), "must be in range"),
    ],
)
def test_build_graph_refuses(arguments: tuple[list[int], ...], message: str) -> None:
    with pytest.raises(InvalidGraphError, match=message) as caught:
        build_graph(*arguments)  # type: ignore[arg-type]
    assert isinstance(caught.value, NarfastError)
    assert "\n" not in str(caught.value)


def _damaged(name: str, values: list[int]) -> GraphBatch:
    batch = batch_of(residual(), residual())
    fields = dict(zip(("op", "attr", "node_ptr", "in_ptr", "in_src"), batch.arrays, strict=True))
    fields[name] = np.array(values, fields[name].dtype)
    return GraphBatch(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("attr", [0], "attr has 1 entries, op has 8"),
        ("node_ptr", [], "need at least one entry"),
        ("node_ptr", [0, 4, 7], "node_ptr must run from 0"),
        ("node_ptr", [0, 2**60, 8], "node_ptr falls at graph 1"),
        ("in_ptr", [0] * 8, "one entry more than there are nodes"),
        ("in_ptr", [0, 0, 1, 2, 4, 4, 5, 6, 2**60], "in_ptr must run from 0"),
        ("in_ptr", [0, 0, 2**60, 2, 4, 4, 5, 6, 8], "in_ptr falls at node 2"),
        ("in_src", [0, 1, 2, 0, 0, 1, 3, 0], "graph 1, node 3: in-neighbour 3"),
        ("in_src", [0, 1, 2, -5, 0, 1, 2, 0], "graph 0, node 3: in-neighbour -5"),
    ],
)
def test_damaged_batches_are_refused_by_every_function(
    name: str, values: list[int], message: str
) -> None:
    batch = _damaged(name, values)
    with pytest.raises(InvalidGraphError, match=message):
        batch.validate()
    with pytest.raises(InvalidGraphError, match=message):
        _core.structural_hash(*batch.arrays, num_threads=1)
    with pytest.raises(InvalidGraphError, match=message):
        _core.canonicalize(*batch.arrays, passes=[], num_threads=1)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(2, np.int64),
        np.zeros((2, 1), np.uint16),
        np.zeros(4, np.uint16)[::2],
        np.zeros(2, np.dtype(np.uint16).newbyteorder()),
    ],
)
def test_wrong_arrays_are_refused_by_name(wrong: np.ndarray) -> None:
    arrays = _one()
    with pytest.raises(TypeError, match="op must be a C-contiguous uint16 array with 1 dim"):
        _core.order_nodes(wrong, *arrays[1:], np.array([1], np.int32))


def test_arguments_are_not_changed() -> None:
    batch = batch_of(network("resnet", 3))
    before = [array.copy() for array in batch.arrays]
    for array in batch.arrays:
        array.flags.writeable = False
    _core.canonicalize(
        *batch.arrays, passes=[n for n, _ in _core.canonicalization_passes()], num_threads=1
    )
    _core.structural_hash(*batch.arrays, num_threads=1)
    assert all(np.array_equal(a, b) for a, b in zip(before, batch.arrays, strict=True))
