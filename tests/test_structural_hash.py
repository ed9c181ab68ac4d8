"""The structural hash, against renumbering and brute-force isomorphism."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from narfast import operators
from narfast.errors import InvalidGraphError
from narfast.graph import ArchGraph, GraphBatch, structural_hash
from networks import tiny_zoo
from oracles import nasbench101
from random_graphs import batch_of, graphs, renumbered, topological_places

# Operators of cells: all commutative, because a cell sums what enters a vertex.
OPS = {-1: "input", -2: "concat", 0: "add", 1: "mul", 2: "maximum"}


def hash_of(graph: ArchGraph) -> tuple[int, int]:
    high, low = structural_hash(batch_of(graph))[0].tolist()
    return high, low


@given(graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_the_hash_does_not_depend_on_node_order(graph: ArchGraph, seed: int) -> None:
    other = renumbered(graph, topological_places(graph, seed))
    batch_of(other).validate()
    assert hash_of(other) == hash_of(graph)


@pytest.mark.slow
@given(graphs(), st.data())
@settings(max_examples=200, deadline=None)
def test_every_attribute_bit_and_operator_counts(graph: ArchGraph, data: st.DataObject) -> None:
    node = data.draw(st.integers(0, graph.num_nodes - 1))
    attr = graph.attr.copy()
    attr[node] ^= np.uint32(1 << data.draw(st.integers(0, 31)))
    assert hash_of(ArchGraph(graph.op, attr, graph.in_ptr, graph.in_src)) != hash_of(graph)
    op = graph.op.copy()
    op[node] = data.draw(st.sampled_from([o.id for o in operators.table() if o.id != op[node]]))
    assert hash_of(ArchGraph(op, graph.attr, graph.in_ptr, graph.in_src)) != hash_of(graph)


@pytest.mark.slow
@given(graphs(), st.data())
@settings(max_examples=200, deadline=None)
def test_argument_order_counts_where_it_means_something(
    graph: ArchGraph, data: st.DataObject
) -> None:
    """Swapping two arguments changes the hash exactly if the operator is not commutative and the
    arguments are not twins (same label, same in- and out-neighbours)."""
    joined = [n for n in range(graph.num_nodes) if len(set(graph.inputs(n).tolist())) > 1]
    assume(joined)
    node = data.draw(st.sampled_from(joined))
    begin, end = int(graph.in_ptr[node]), int(graph.in_ptr[node + 1])
    in_src = graph.in_src.copy()
    in_src[begin:end] = in_src[begin:end][::-1]
    same = hash_of(ArchGraph(graph.op, graph.attr, graph.in_ptr, in_src)) == hash_of(graph)
    commutative = "commutative" in operators.by_id(int(graph.op[node])).traits
    if commutative:
        assert same
    elif len({(int(graph.op[s]), int(graph.attr[s])) for s in in_src[[begin, end - 1]]}) > 1:
        assert not same


def as_batch(cells: list[nasbench101.Cell]) -> GraphBatch:
    """All cells at once; vertices are numbered topologically already."""
    sizes = np.array([len(ops) for _, ops in cells])
    matrices = [nasbench101.adjacency(cell) for cell in cells]
    degrees = np.concatenate([matrix.sum(1) for matrix in matrices])
    ids = {key: operators.by_name(name).id for key, name in OPS.items()}
    return GraphBatch(
        op=np.array([ids[op] for _, ops in cells for op in ops], np.uint16),
        attr=np.zeros(int(sizes.sum()), np.uint32),
        node_ptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        in_ptr=np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64),
        in_src=np.concatenate([np.nonzero(matrix)[1] for matrix in matrices]).astype(np.int32),
    )


@pytest.mark.parametrize(("vertices", "distinct"), [(2, 1), (3, 6), (4, 84), (5, 2441)])
def test_cells_of_nasbench101_against_brute_force_isomorphism(vertices: int, distinct: int) -> None:
    """Both count the published number of cells of this size, and put the same cells together."""
    cells = list(nasbench101.labelled_cells(vertices))
    by_hash, by_form = defaultdict(set), defaultdict(set)
    for number, ident in enumerate(structural_hash(as_batch(cells)).tolist()):
        by_hash[tuple(ident)].add(number)
        by_form[nasbench101.canonical_form(cells[number])].add(number)
    assert len(by_hash) == distinct
    assert sorted(map(sorted, by_hash.values())) == sorted(map(sorted, by_form.values()))


def test_the_hash_does_not_depend_on_threads_or_company() -> None:
    items, _ = tiny_zoo()
    batch = batch_of(*items)
    together = structural_hash(batch)
    assert together.shape == (len(items), 2)
    assert together.dtype == np.uint64
    assert np.array_equal(together, structural_hash(batch, num_threads=2))
    assert together.tolist() == [list(hash_of(graph)) for graph in items]


def test_an_empty_batch_and_an_order_that_is_not_topological() -> None:
    assert structural_hash(batch_of()).shape == (0, 2)
    items, _ = tiny_zoo((2,))
    backwards = renumbered(items[0], np.arange(items[0].num_nodes)[::-1].copy())
    with pytest.raises(InvalidGraphError, match="topological"):
        structural_hash(batch_of(backwards))
