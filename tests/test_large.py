"""Graphs of a million nodes through every function: no recursion, near-linear time, exact limits.

Times are compared with those of a tenth of the size, in the same process; the bound leaves room for
caches that no longer hold everything and for a busy machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from narfast import _core, operators
from narfast.errors import InvalidGraphError
from narfast.graph import ArchGraph, GraphBatch, canonicalize, structural_hash
from narfast.motifs import MiningMethod, coarsen, mine
from random_graphs import alternating, batch_of, chain, comb, dense

LARGE, SMALL = 1_000_000, 100_000
SHAPES: dict[str, Callable[[int], ArchGraph]] = {
    "chain": chain,
    "comb": comb,
    "dense": dense,
    "alternating": alternating,
}
MAX_RATIO = 30
# Below this many seconds a measurement is mostly noise.
FLOOR = 0.02


def _order(graph: ArchGraph) -> object:
    read = np.zeros(graph.num_nodes, bool)
    read[graph.in_src] = True
    outputs = np.flatnonzero(~read).astype(np.int32)
    return _core.order_nodes(graph.op, graph.attr, graph.in_ptr, graph.in_src, outputs)


def _coarsen(graph: ArchGraph) -> object:
    batch = batch_of(graph)
    return coarsen(batch, mine(batch, method="fixed_size"))


def _miner(method: MiningMethod) -> Callable[[ArchGraph], object]:
    return lambda graph: mine(batch_of(graph), method=method)


FUNCTIONS: dict[str, Callable[[ArchGraph], object]] = {
    "validate": lambda graph: batch_of(graph).validate(),
    "order_nodes": _order,
    "canonicalize": canonicalize,
    "structural_hash": lambda graph: structural_hash(batch_of(graph)),
    "coarsen": _coarsen,
    **{method: _miner(method) for method in get_args(MiningMethod)},
}


@pytest.fixture(scope="module", params=SHAPES)
def pair(request: pytest.FixtureRequest) -> tuple[ArchGraph, ArchGraph]:
    make = SHAPES[request.param]
    return make(SMALL), make(LARGE)


def _seconds(function: Callable[[ArchGraph], object], graph: ArchGraph, repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        function(graph)
        best = min(best, time.perf_counter() - begin)
    return best


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_ten_times_the_nodes_take_about_ten_times_as_long(
    name: str, pair: tuple[ArchGraph, ArchGraph]
) -> None:
    small = max(_seconds(FUNCTIONS[name], pair[0], 3), FLOOR)
    large = _seconds(FUNCTIONS[name], pair[1], 1)
    assert large / small <= MAX_RATIO, f"{small:.3f} s, then {large:.3f} s"


@pytest.mark.slow
def test_order_nodes_gives_a_valid_graph_of_the_same_size(
    pair: tuple[ArchGraph, ArchGraph],
) -> None:
    ordered = ArchGraph(*_order(pair[1])[:4])  # type: ignore[index]
    batch_of(ordered).validate()
    assert (ordered.num_nodes, ordered.num_edges) == (pair[1].num_nodes, pair[1].num_edges)


@pytest.mark.slow
def test_results_do_not_depend_on_threads() -> None:
    batch = batch_of(chain(SMALL), dense(LARGE), comb(SMALL))
    one, two = canonicalize(batch), canonicalize(batch, num_threads=2)
    assert all(np.array_equal(a, b) for a, b in zip(one.arrays, two.arrays, strict=True))
    assert np.array_equal(structural_hash(batch), structural_hash(batch, num_threads=2))
    first, second = mine(batch), mine(batch, num_threads=2)
    assert np.array_equal(first.node_instance, second.node_instance)
    assert np.array_equal(first.motif_id, second.motif_id)


@pytest.mark.slow
def test_every_layer_of_a_long_chain_is_found() -> None:
    motifs = mine(batch_of(chain(LARGE)))
    _, counts = np.unique(motifs.motif_id, axis=0, return_counts=True)
    assert counts.max() >= LARGE // 5 - 2


def test_the_limit_is_exact() -> None:
    at_the_limit = batch_of(chain(_core.MAX_NODES))
    at_the_limit.validate()
    beyond = batch_of(chain(_core.MAX_NODES + 1))
    refusals: list[Callable[[GraphBatch], object]] = [
        lambda batch: batch.validate(),
        canonicalize,
        structural_hash,
        mine,
        lambda batch: _order(batch[0]),
    ]
    for refuse in refusals:
        with pytest.raises(InvalidGraphError, match="has 2000001 nodes; at most 2000000 are"):
            refuse(beyond)


def _labelled(nodes: int, name: str, attr: int) -> ArchGraph:
    graph = chain(nodes)
    op = np.full(nodes, operators.by_name(name).id, np.uint16)
    op[0] = operators.by_name("input").id
    return ArchGraph(op, np.full(nodes, attr, np.uint32), graph.in_ptr, graph.in_src)


def _attended(nodes: int) -> ArchGraph:
    """A long row of splits, and many attentions that all read its end."""
    half = nodes // 2
    split, attention = (operators.by_name(name).id for name in ("split", "attention"))
    op = np.concatenate([[0], np.full(half, split), np.full(half, attention)]).astype(np.uint16)
    degrees = np.concatenate([[0], np.full(half, 1), np.full(half, 3)])
    in_src = np.concatenate([np.arange(half), np.full(3 * half, half)]).astype(np.int32)
    in_ptr = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
    return ArchGraph(op, np.zeros(len(op), np.uint32), in_ptr, in_src)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda nodes: _labelled(nodes, "mul", operators.pack_attributes(scalar_operand=True)),
        lambda nodes: _labelled(nodes, "permute", 0),
        lambda nodes: _labelled(nodes, "roll", 0),
        lambda nodes: _labelled(nodes, "identity", 0),
        _attended,
    ],
    ids=["scales", "permutes", "rolls", "identities", "splits under attention"],
)
def test_passes_that_look_back_do_not_look_back_far(make: Callable[[int], ArchGraph]) -> None:
    small = max(_seconds(canonicalize, make(20_000), 3), FLOOR)
    assert _seconds(canonicalize, make(200_000), 1) / small <= MAX_RATIO
