"""Miners and macro graphs, against the released results and slow twins."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections import defaultdict
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from narfast import _core
from narfast.errors import InvalidGraphError
from narfast.graph import ArchGraph, GraphBatch, build_graph, structural_hash
from narfast.motifs import MiningMethod, Motifs, coarsen, mine
from networks import network, tiny_zoo
from oracles import neighbor_sequence as oracle
from paths import DATA
from random_graphs import batch_of, chain, edges_of, graphs, renumbered

METHODS: tuple[MiningMethod, ...] = get_args(MiningMethod)
GOLDEN = DATA / "nnretrieval_motifs.jsonl.gz"
RECORDS = {
    record["name"]: record
    for record in map(json.loads, gzip.decompress(GOLDEN.read_bytes()).splitlines())
}


def loose_graph(num_nodes: int, edges: list[tuple[int, int]]) -> ArchGraph:
    """A graph of equal operators whose node order need not be topological."""
    edges = sorted(edges, key=lambda edge: edge[1])
    degree = np.bincount([target for _, target in edges], minlength=num_nodes)
    return ArchGraph(
        op=np.full(num_nodes, 2, np.uint16),
        attr=np.zeros(num_nodes, np.uint32),
        in_ptr=np.concatenate([[0], np.cumsum(degree)]).astype(np.int64),
        in_src=np.array([source for source, _ in edges], np.int32),
    )


def codes_of(graph: ArchGraph) -> list[int]:
    return _core.neighbor_codes(graph.op, graph.attr, graph.in_ptr, graph.in_src).tolist()


@pytest.mark.parametrize("seed", range(4))
def test_neighbor_sequence_with_far_neighbours_and_many_codes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_nodes = int(rng.integers(200, 500))
    edges = {
        (max(0, target - int(rng.integers(1, 100))), target)
        for target in range(1, num_nodes)
        for _ in range(rng.integers(1, 4))
    }
    edges |= {(target - 64, target) for target in range(64, num_nodes, 7)}  # one beyond the table
    graph = loose_graph(num_nodes, sorted(edges))
    assert len(set(codes_of(graph))) > 64
    motifs = mine(GraphBatch.from_graphs([graph]), method="neighbor_sequence")
    assert motifs.node_instance.tolist() == oracle.segments(num_nodes, edges_of(graph))


@pytest.mark.parametrize("name", RECORDS)
def test_neighbor_sequence_equals_the_released_script(name: str) -> None:
    record: dict[str, Any] = RECORDS[name]
    edges = [(a, b) for a, b in record["clean_edges"]]
    graph = loose_graph(len(record["clean_nodes"]), edges)
    assert codes_of(graph) == record["node_types"]

    batch = batch_of(graph)
    motifs = mine(batch, method="neighbor_sequence")
    instance = motifs.node_instance.tolist()
    assert np.bincount(instance).tolist() == record["segment_lengths"]
    assert np.all(np.diff(instance) >= 0)

    touching = [{instance[a], instance[b]} for a, b in edges]
    counts = [sum(number in ends for ends in touching) for number in range(max(instance) + 1)]
    assert counts == record["motif_edge_counts"]

    macro = coarsen(batch, motifs)
    target = np.repeat(np.arange(len(macro.sizes)), np.diff(macro.in_ptr)).tolist()
    joined = {(min(p), max(p)) for p in zip(macro.in_src.tolist(), target, strict=True)}
    assert sorted(map(list, joined)) == record["macro_edges"]


@given(graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_neighbor_sequence_equals_the_slow_oracle(graph: ArchGraph, seed: int) -> None:
    place = np.random.default_rng(seed).permutation(graph.num_nodes)
    for numbered in (graph, renumbered(graph, place)):
        edges = edges_of(numbered)
        assert codes_of(numbered) == oracle.node_codes(numbered.num_nodes, edges)
        motifs = mine(batch_of(numbered), method="neighbor_sequence")
        assert motifs.node_instance.tolist() == oracle.segments(numbered.num_nodes, edges)


def induced(graph: ArchGraph, nodes: NDArray[np.intp]) -> ArchGraph:
    """The subgraph of some nodes, in the same order, edges from outside dropped."""
    position = {node: i for i, node in enumerate(nodes.tolist())}
    inputs = [[position[s] for s in graph.inputs(n).tolist() if s in position] for n in position]
    in_ptr = np.array([0, *np.cumsum([len(i) for i in inputs])], np.int64)
    in_src = np.array([s for i in inputs for s in i], np.int32)
    return ArchGraph(graph.op[nodes], graph.attr[nodes], in_ptr, in_src)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@given(st.lists(graphs(), max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_node_is_in_one_instance_named_by_its_subgraph(
    method: MiningMethod, items: list[ArchGraph]
) -> None:
    batch = batch_of(*items)
    motifs = mine(batch, method=method, size=3, count=3, max_size=4)
    assert len(motifs.node_instance) == len(batch.op)
    for g, graph in enumerate(items):
        instance = motifs.node_instance[batch.node_ptr[g] : batch.node_ptr[g + 1]]
        ids = motifs.motif_id[motifs.instance_ptr[g] : motifs.instance_ptr[g + 1]]
        firsts = [int(np.flatnonzero(instance == i)[0]) for i in range(len(ids))]
        assert firsts == sorted(firsts)
        assert set(instance.tolist()) == set(range(len(ids)))
        parts = [induced(graph, np.flatnonzero(instance == i)) for i in range(len(ids))]
        assert np.array_equal(ids, structural_hash(batch_of(*parts)))


@pytest.mark.slow
@given(st.lists(graphs(), max_size=3))
@settings(max_examples=100, deadline=None)
def test_equal_motif_ids_mean_equal_subgraphs(items: list[ArchGraph]) -> None:
    """Equal operators, attributes and edges in the miner's node order imply an equal id; an equal
    id implies an equal multiset of nodes with their in- and out-neighbours."""
    batch = batch_of(*items)
    motifs = mine(batch)
    by_id = defaultdict(set)
    by_arrays = defaultdict(set)
    for g, graph in enumerate(items):
        instance = motifs.node_instance[batch.node_ptr[g] : batch.node_ptr[g + 1]]
        for i, ident in enumerate(motifs.motif_id[slice(*motifs.instance_ptr[g : g + 2])].tolist()):
            part = induced(graph, np.flatnonzero(instance == i))
            labels = list(zip(part.op.tolist(), part.attr.tolist(), strict=True))
            joins = sorted((labels[a], labels[b]) for a, b in edges_of(part))
            by_id[tuple(ident)].add((tuple(sorted(labels)), tuple(joins)))
            arrays = (part.op, part.attr, part.in_ptr, part.in_src)
            by_arrays[tuple(array.tobytes() for array in arrays)].add(tuple(ident))
    assert all(len(different) == 1 for different in by_id.values())
    assert all(len(different) == 1 for different in by_arrays.values())


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@given(st.lists(graphs(), max_size=4))
@settings(max_examples=60, deadline=None)
def test_coarsen_equals_the_slow_oracle(method: MiningMethod, items: list[ArchGraph]) -> None:
    batch = batch_of(*items)
    motifs = mine(batch, method=method, size=2, count=4)
    macro = coarsen(batch, motifs)
    assert len(macro) == len(items)
    assert np.array_equal(macro.instance_ptr, motifs.instance_ptr)
    for g, graph in enumerate(items):
        instance = motifs.node_instance[batch.node_ptr[g] : batch.node_ptr[g + 1]].tolist()
        expected = oracle.macro_edges(instance, edges_of(graph))
        found = {}
        for local, i in enumerate(range(*motifs.instance_ptr[g : g + 2].tolist())):
            sources = macro.in_src[macro.in_ptr[i] : macro.in_ptr[i + 1]].tolist()
            assert sources == sorted(set(sources))
            counts = macro.in_count[macro.in_ptr[i] : macro.in_ptr[i + 1]].tolist()
            found.update({(s, local): c for s, c in zip(sources, counts, strict=True)})
            members = macro.member[macro.member_ptr[i] : macro.member_ptr[i + 1]].tolist()
            assert members == [n for n, number in enumerate(instance) if number == local]
        assert found == dict(expected)


@pytest.mark.parametrize("method", METHODS)
def test_results_do_not_depend_on_threads(method: MiningMethod) -> None:
    items, _ = tiny_zoo()
    batch = batch_of(*items)
    one, two = mine(batch, method=method), mine(batch, method=method, num_threads=2)
    for name in ("node_instance", "instance_ptr", "motif_id"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    macro_one, macro_two = coarsen(batch, one), coarsen(batch, two, num_threads=2)
    for name in ("in_ptr", "in_src", "in_count", "member_ptr", "member"):
        assert np.array_equal(getattr(macro_one, name), getattr(macro_two, name))


def test_a_graph_is_mined_alike_alone_and_in_a_batch() -> None:
    items, _ = tiny_zoo()
    motifs = mine(batch_of(*items))
    for g, graph in enumerate(items):
        alone = mine(batch_of(graph))
        ids = motifs.motif_id[motifs.instance_ptr[g] : motifs.instance_ptr[g + 1]]
        assert np.array_equal(alone.motif_id, ids)


def test_one_graph_is_a_batch_of_its_own() -> None:
    graph = network("vit", 3)
    motifs, same = mine(graph), mine(batch_of(graph))
    assert np.array_equal(motifs.node_instance, same.node_instance)
    assert np.array_equal(motifs.motif_id, same.motif_id)
    macro, again = coarsen(graph, motifs), coarsen(batch_of(graph), motifs)
    assert len(macro) == 1
    assert np.array_equal(macro.in_src, again.in_src)


def test_random_cuts_follow_the_seed() -> None:
    batch = batch_of(chain(200))
    first, again, other = (mine(batch, method="random", seed=s).node_instance for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_same_block_is_the_same_motif_across_networks() -> None:
    short, long = network("vit", 4), network("vit", 12)
    motifs = mine(batch_of(short, long))
    begin, middle, end = motifs.instance_ptr.tolist()
    in_short = set(map(tuple, motifs.motif_id[begin:middle].tolist()))
    in_long = list(map(tuple, motifs.motif_id[middle:end].tolist()))
    block = max(in_long, key=in_long.count)
    assert in_long.count(block) == 12
    assert block in in_short


def test_errors_name_the_remedy() -> None:
    batch = batch_of(network("vgg", 2))
    with pytest.raises(ValueError, match="no mining method is called 'louvain'; there are repeats"):
        mine(batch, method="louvain")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        mine(batch, method="fixed_size", size=0)
    with pytest.raises(InvalidGraphError, match="mined from another batch"):
        coarsen(batch, mine(batch_of(network("vgg", 3))))
    motifs = mine(batch)
    wrong = Motifs(motifs.node_instance + 100, motifs.instance_ptr, motifs.motif_id)
    with pytest.raises(InvalidGraphError, match="instance number"):
        coarsen(batch, wrong)
    with pytest.raises(TypeError, match="node_instance must be a C-contiguous int32"):
        coarsen(
            batch,
            Motifs(motifs.node_instance.astype(np.int64), motifs.instance_ptr, wrong.motif_id),
        )


def test_a_cyclic_motif_is_refused() -> None:
    cycle = loose_graph(3, [(0, 1), (1, 2), (2, 0)])
    with pytest.raises(InvalidGraphError, match="acyclic"):
        mine(batch_of(cycle), method="fixed_count", count=1)


def test_mining_releases_the_gil() -> None:
    """A second thread goes on ticking while the core works: no pause nearly as long as the work."""
    batch = batch_of(*[chain(300_000)] * 3)
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    begin = time.perf_counter()
    motifs = mine(batch)
    coarsen(batch, motifs)
    end = time.perf_counter()
    stop.set()
    ticker.join()
    within = [begin, *(t for t in ticks if begin < t < end), end]
    assert len(within) > 10
    assert max(b - a for a, b in pairwise(within)) < (end - begin) / 2


def test_results_outlive_their_inputs() -> None:
    batch = batch_of(network("resnet", 6))
    motifs = mine(batch)
    expected = motifs.node_instance.tolist()
    macro = coarsen(batch, motifs)
    members = macro.member.tolist()
    del batch, motifs
    np.empty(10_000_000, np.uint8).fill(255)  # overwrite what may have been freed
    assert macro.node_instance.tolist() == expected
    assert macro.member.tolist() == members


def test_an_empty_batch_and_one_node() -> None:
    assert len(mine(GraphBatch.from_graphs([])).motif_id) == 0
    lone = build_graph([0], [0], [[]], [0])
    motifs = mine(batch_of(lone))
    assert motifs.node_instance.tolist() == [0]
    assert coarsen(batch_of(lone), motifs).sizes.tolist() == [1]
