"""The search of the core for blocks, and its n-grams, agree with slow twins on small networks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfast import _core, operators
from narfast.block_search.index import LEVELS
from narfast.block_search.parts import induced
from narfast.errors import CorruptFileError, InvalidGraphError
from narfast.graph import ArchGraph, GraphBatch, build_graph
from oracles.occurrences import Plain, is_occurrence, ngrams, occurrences
from random_graphs import graphs

levels = st.sampled_from(LEVELS)


def arrays(graph):
    return graph.op, graph.attr, graph.in_ptr, graph.in_src


def prepared(*networks, num_threads=1):
    batch = GraphBatch.from_graphs(networks)
    return _core.SearchableGraphs(*batch.arrays, num_threads=num_threads)


def find(networks, pattern, level="exact", num_threads=1):
    rows = np.arange(len(networks), dtype=np.int32)
    ptr, nodes, complete = prepared(*networks).find(
        rows, *arrays(pattern), level=level, num_threads=num_threads
    )
    assert complete.all()
    images = nodes.reshape(-1, pattern.num_nodes)
    return [images[a:b].tolist() for a, b in itertools.pairwise(ptr.tolist())]


@st.composite
def networks_and_blocks(draw):
    """A small network, and a part of it or of another one."""
    network = draw(graphs(max_nodes=14))
    origin = draw(st.sampled_from([network, draw(graphs(max_nodes=14))]))
    nodes = draw(st.sets(st.integers(0, origin.num_nodes - 1), min_size=1, max_size=5))
    return network, induced(origin, np.array(sorted(nodes)))


@given(networks_and_blocks(), levels)
@settings(max_examples=400)
def test_places_are_occurrences_apart_and_none_is_left(drawn, level):
    network, block = drawn
    (found,) = find([network], block, level)
    plain_block, plain = Plain(block, level), Plain(network, level)
    assert all(is_occurrence(plain_block, plain, image) for image in found)
    taken = [node for image in found for node in image]
    assert len(set(taken)) == len(taken)
    everywhere = occurrences(plain_block, plain)
    assert bool(everywhere) == bool(found)
    assert all(set(image) & set(taken) for image in everywhere)


@given(networks_and_blocks(), levels)
def test_the_twin_finds_what_the_definition_says(drawn, level):
    """Every injective map of up to three nodes is tried."""
    network, block = drawn
    block = induced(block, np.arange(min(block.num_nodes, 3)))
    plain_block, plain = Plain(block, level), Plain(network, level)
    nodes = range(network.num_nodes)
    maps = [[]]
    for _ in range(block.num_nodes):
        maps = [[*known, node] for known in maps for node in nodes if node not in known]
    by_definition = sorted(image for image in maps if is_occurrence(plain_block, plain, image))
    assert sorted(occurrences(plain_block, plain)) == by_definition


@given(graphs(), levels)
def test_ngrams_are_counted_as_by_hand(network, level):
    labels, counts, partial = _core.count_ngrams(*arrays(network), level=level)
    assert not partial
    by_hand = ngrams(network, level)
    found = {
        tuple((n >> 32, n & 0xFFFFFFFF) for n in ngram if n != _core.NO_LABEL): count
        for ngram, count in zip(labels.tolist(), counts.tolist(), strict=True)
    }
    assert found == by_hand


@given(st.lists(graphs(max_nodes=10), min_size=1, max_size=4), networks_and_blocks(), levels)
def test_no_row_with_an_occurrence_is_screened_out(others, drawn, level):
    network, block = drawn
    rows = [network, *others]
    index = _core.NgramIndex.build(*GraphBatch.from_graphs(rows).arrays, num_threads=1)
    candidates = set(index.candidate_rows(*arrays(block), level=level).tolist())
    has = {row for row, found in enumerate(find(rows, block, level)) if found}
    assert has <= candidates
    needed = ngrams(block, level)
    by_hand = {row for row, graph in enumerate(rows) if needed <= ngrams(graph, level)}
    assert candidates == by_hand


@given(networks_and_blocks(), levels)
def test_threads_change_nothing(drawn, level):
    network, block = drawn
    rows = [network] * 3
    assert find(rows, block, level) == find(rows, block, level, num_threads=3)


def chain(length, op="relu"):
    inputs = [[], *([i] for i in range(length - 1))]
    return build_graph([operators.by_name(op).id] * length, [0] * length, inputs, [length - 1])


def test_a_chain_of_two_million_nodes():
    long = chain(2_000_000)
    graphs_ = prepared(long)
    for size in (1, 2, 200):
        rows = np.zeros(1, np.int32)
        ptr, _, complete = graphs_.find(rows, *arrays(chain(size)), level="exact", num_threads=1)
        assert ptr[-1] == 2_000_000 // size
        assert complete.all()
    labels, counts, partial = _core.count_ngrams(*arrays(long), level="exact")
    assert (len(labels), partial) == (3, False)
    assert sorted(counts.tolist()) == [1_999_998, 1_999_999, 2_000_000]


def test_a_search_that_gives_up_says_so():
    """Many paths lead to each dead end: a grid of additions, each read twice."""
    add = operators.by_name("add").id

    def grid(depth, last):
        inputs = [[], []]
        for i in range(depth):
            inputs += [[2 * i, 2 * i + 1], [2 * i, 2 * i + 1]]
        inputs.append(last(len(inputs)))
        return build_graph([add] * len(inputs), [0] * len(inputs), inputs, list(range(len(inputs))))

    large, block = grid(400, lambda n: [n - 1]), grid(30, lambda n: [n - 1, n - 3])
    ptr, _, complete = prepared(large).find(
        np.zeros(1, np.int32), *arrays(block), level="exact", num_threads=1
    )
    assert ptr.tolist() == [0, 0]
    assert complete.tolist() in ([0], [1])  # either proven or given up, in bounded time


def test_bad_arguments():
    empty = ArchGraph(
        *(a[:0] for a in arrays(chain(1))[:2]), np.zeros(1, np.int64), chain(1).in_src
    )
    rows = np.zeros(1, np.int32)
    graphs_ = prepared(chain(3))
    with pytest.raises(InvalidGraphError, match="empty"):
        graphs_.find(rows, *arrays(empty), level="exact", num_threads=1)
    with pytest.raises(InvalidGraphError, match="at most 10000"):
        graphs_.find(rows, *arrays(chain(10_001)), level="exact", num_threads=1)
    with pytest.raises(ValueError, match="exact, shapes, operators"):
        graphs_.find(rows, *arrays(chain(1)), level="rough", num_threads=1)
    with pytest.raises(IndexError):
        graphs_.find(rows + 1, *arrays(chain(1)), level="exact", num_threads=1)
    with pytest.raises(TypeError):
        graphs_.find(rows.astype(np.int64), *arrays(chain(1)), level="exact", num_threads=1)
    bad = ArchGraph(chain(2).op, chain(2).attr, chain(2).in_ptr, np.ones(1, np.int32))
    with pytest.raises(InvalidGraphError):
        graphs_.find(rows, *arrays(bad), level="exact", num_threads=1)
    index = _core.NgramIndex.build(*GraphBatch.from_graphs([chain(3)]).arrays, num_threads=1)
    whole = index.arrays()
    with pytest.raises(CorruptFileError):
        _core.NgramIndex(0, *whole)
    assert len(_core.NgramIndex(1, *whole).arrays()[0]) == 1


def test_arrays_outlive_their_python_names():
    graphs_ = prepared(chain(1000), chain(10))
    ptr, nodes, _ = graphs_.find(
        np.array([1], np.int32), *arrays(chain(10)), level="exact", num_threads=1
    )
    assert ptr.tolist() == [0, 1]
    assert nodes.tolist() == list(range(10))
