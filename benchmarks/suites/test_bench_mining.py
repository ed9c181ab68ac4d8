"""Mining beside its yardsticks, in one run.

The paper's splitter beside the plain-Python twin of its release; `repeats` beside one topological
sort and hash pass over the same arrays; and how both grow. Results are asserted.
"""

from __future__ import annotations

import numpy as np
import pytest

from narfast import _core
from narfast.graph import GraphBatch, structural_hash
from narfast.motifs import coarsen, mine
from networks import network
from oracles import neighbor_sequence as oracle
from random_graphs import alternating, chain, dense, edges_of

RELEASED_NODES = 2_000
SIZES = [1_000, 10_000, 100_000, 1_000_000]
SHAPES = {"layers": chain, "dense": dense, "thue-morse": alternating}


def batch_of(graph):
    return GraphBatch.from_graphs([graph])


@pytest.fixture(scope="module")
def released():
    """A residual network of about 2,000 nodes, and its edges as the oracle takes them."""
    graph = network("resnet", (RELEASED_NODES - 4) // 6)
    assert abs(graph.num_nodes - RELEASED_NODES) < 10
    return graph, edges_of(graph)


@pytest.mark.benchmark(group="neighbor_sequence and macro graph, 2,000 nodes")
def test_twin_of_the_release(benchmark, released):
    graph, edges = released

    def divide_and_join():
        instance = oracle.segments(graph.num_nodes, edges)
        return instance, oracle.macro_edges(instance, edges)

    # Many rounds: a shared machine has slow seconds, and both sides must meet some of them.
    benchmark.pedantic(divide_and_join, rounds=20, warmup_rounds=1)


@pytest.mark.benchmark(group="neighbor_sequence and macro graph, 2,000 nodes")
def test_narfast(benchmark, released):
    graph, edges = released
    batch = batch_of(graph)

    def divide_and_join():
        motifs = mine(batch, method="neighbor_sequence")
        return motifs, coarsen(batch, motifs)

    motifs, macro = benchmark.pedantic(divide_and_join, rounds=20_000, warmup_rounds=100)
    instance = oracle.segments(graph.num_nodes, edges)
    assert motifs.node_instance.tolist() == instance
    assert int(macro.in_count.sum()) == sum(oracle.macro_edges(instance, edges).values())


@pytest.fixture(scope="module", params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.mark.parametrize("nodes", SIZES)
@pytest.mark.benchmark(group="repeats beside one sort and hash pass")
def test_sort_and_hash(benchmark, shape, nodes):
    graph = shape(nodes)
    batch = batch_of(graph)
    read = np.zeros(nodes, bool)
    read[graph.in_src] = True
    outputs = np.flatnonzero(~read).astype(np.int32)

    def floor():
        _core.order_nodes(graph.op, graph.attr, graph.in_ptr, graph.in_src, outputs)
        return structural_hash(batch)

    benchmark.pedantic(floor, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("nodes", SIZES)
@pytest.mark.benchmark(group="repeats beside one sort and hash pass")
def test_repeats(benchmark, shape, nodes):
    batch = batch_of(shape(nodes))
    motifs = benchmark.pedantic(lambda: mine(batch), rounds=5, warmup_rounds=1)
    assert len(motifs.motif_id) < nodes
