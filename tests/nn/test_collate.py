"""Numba kernels against their slow twins, on small random graphs with random motifs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import narfast
from narfast.errors import InvalidGraphError
from narfast.graph import ArchGraph, GraphBatch, build_graph
from narfast.motifs import Motifs, coarsen
from narfast.nn import collate
from oracles import collate as oracle

# Numba compiles on first use, which no deadline should count.
settings.register_profile("collate", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("collate")


@st.composite
def graph_batches(draw: st.DrawFn) -> GraphBatch:
    graphs = []
    for _ in range(draw(st.integers(0, 4))):
        size = draw(st.integers(0, 9))
        sources = [
            draw(st.lists(st.integers(0, v - 1), max_size=3)) if v else [] for v in range(size)
        ]
        graphs.append(
            ArchGraph(
                op=np.array(draw(st.lists(st.integers(0, 50), min_size=size, max_size=size)), "u2"),
                attr=np.array(
                    draw(st.lists(st.integers(0, 2**32 - 1), min_size=size, max_size=size)), "u4"
                ),
                in_ptr=np.cumsum([0, *map(len, sources)], dtype=np.int64),
                in_src=np.array([s for part in sources for s in part], dtype=np.int32),
            )
        )
    return GraphBatch.from_graphs(graphs)


@st.composite
def mined_batches(draw: st.DrawFn) -> tuple[GraphBatch, Any]:
    graphs = draw(graph_batches())
    node_instance: list[int] = []
    for size in np.diff(graphs.node_ptr).tolist():
        names: dict[int, int] = {}
        drawn = draw(st.lists(st.integers(0, 4), min_size=size, max_size=size))
        node_instance += [names.setdefault(d, len(names)) for d in drawn]
    return graphs, oracle.naive_macros(graphs, node_instance)


def some_rows(draw_from: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, draw_from, rng.integers(0, 7)) if draw_from else np.empty(0, np.int64)


def as_lists(result: Any) -> list[list[Any]]:
    parts = result if isinstance(result, tuple) else astuple(result)
    return [np.asarray(p).tolist() for p in parts]


@pytest.mark.slow
@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 2**32))
def test_ragged_gather(lengths: list[int], seed: int) -> None:
    ptr = np.cumsum([0, *lengths], dtype=np.int64)
    rows = some_rows(len(lengths), seed)
    fast = collate.ragged_gather(ptr, rows)
    assert as_lists(fast) == list(oracle.ragged_gather(ptr.tolist(), rows.tolist()))


@given(graph_batches())
def test_transpose(graphs: GraphBatch) -> None:
    for graph in graphs:
        fast = collate.transpose_csr(graph.in_ptr, graph.in_src.astype(np.int64))
        slow = oracle.transpose_csr(graph.in_ptr.tolist(), graph.in_src.tolist())
        assert as_lists(fast) == list(slow)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 2**63, 2**64 - 1])), max_size=40)
)
def test_unique_motifs(ids: list[tuple[int, int]]) -> None:
    array = np.array(ids, dtype=np.uint64).reshape(-1, 2)
    fast = collate.unique_motifs(array)
    inverse, representative, count = oracle.unique_motifs(ids)
    assert fast.inverse.tolist() == inverse
    assert fast.representative.tolist() == representative
    assert fast.count.tolist() == count
    assert [tuple(i) for i in fast.motif_id.tolist()] == [ids[r] for r in representative]


@pytest.mark.slow
@given(st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=5))
def test_motif_multiplicity(motifs: list[list[int]]) -> None:
    ptr = np.cumsum([0, *map(len, motifs)], dtype=np.int64)
    inverse = [m for part in motifs for m in part]
    fast = collate.motif_multiplicity(ptr, np.array(inverse, dtype=np.int64))
    assert fast.tolist() == oracle.motif_multiplicity(ptr.tolist(), inverse)


@pytest.mark.slow
@given(mined_batches(), st.integers(0, 2**32))
def test_collate_motifs(mined: tuple[GraphBatch, Any], seed: int) -> None:
    graphs, macros = mined
    instances = some_rows(len(macros.member_ptr) - 1, seed)
    fast = collate.collate_motifs(graphs, macros, instances)
    assert as_lists(fast) == list(oracle.collate_motifs(graphs, macros, instances.tolist()))


@pytest.mark.slow
@given(mined_batches(), st.integers(0, 2**32), st.integers(1, 3))
def test_collate_contexts(mined: tuple[GraphBatch, Any], seed: int, radius: int) -> None:
    graphs, macros = mined
    instances = some_rows(len(macros.member_ptr) - 1, seed)
    fast = collate.collate_contexts(graphs, macros, instances, radius=radius)
    slow = oracle.collate_contexts(graphs, macros, instances.tolist(), radius)
    assert as_lists(fast) == list(slow)


@pytest.mark.slow
@given(mined_batches(), st.integers(0, 2**32))
def test_collate_macros(mined: tuple[GraphBatch, Any], seed: int) -> None:
    _, macros = mined
    networks = some_rows(len(macros.instance_ptr) - 1, seed)
    fast = collate.collate_macros(macros, networks)
    assert as_lists(fast) == list(oracle.collate_macros(macros, networks.tolist()))


@pytest.mark.slow
@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 2**64), st.integers(1, 3))
def test_negatives_are_other_motifs(motifs: list[int], seed: int, per_anchor: int) -> None:
    motif = np.array(motifs, dtype=np.int64)
    drawn = collate.sample_negatives(motif, seed=seed, per_anchor=per_anchor)
    assert drawn.shape == (len(motifs), per_anchor)
    for b, row in enumerate(drawn.tolist()):
        for other in row:
            if len(set(motifs)) > 1:
                assert motifs[other] != motifs[b]
            else:
                assert other == -1
    again = collate.sample_negatives(motif, seed=seed, per_anchor=per_anchor)
    assert drawn.tolist() == again.tolist()


def test_negatives_are_uniform_over_the_others() -> None:
    motif = np.array([0, 1, 0, 2, 1, 2, 2], dtype=np.int64)
    drawn = collate.sample_negatives(motif, seed=7, per_anchor=6000)
    for b in range(len(motif)):
        others = np.flatnonzero(motif != motif[b])
        share = np.bincount(drawn[b], minlength=len(motif))[others] / drawn.shape[1]
        # Six standard deviations of a binomial share.
        p = 1 / len(others)
        assert np.abs(share - p).max() < 6 * np.sqrt(p * (1 - p) / drawn.shape[1])
    assert not np.array_equal(drawn, collate.sample_negatives(motif, seed=8, per_anchor=6000))


def test_bad_rows_are_refused() -> None:
    graph = ArchGraph(
        op=np.zeros(2, np.uint16),
        attr=np.zeros(2, np.uint32),
        in_ptr=np.array([0, 0, 1], dtype=np.int64),
        in_src=np.zeros(1, np.int32),
    )
    graphs = GraphBatch.from_graphs([graph])
    macros: Any = oracle.naive_macros(graphs, [0, 1])
    for bad in ([2], [-1]):
        with pytest.raises(IndexError, match=r"\[0, 2\)"):
            collate.collate_motifs(graphs, macros, np.array(bad))
        with pytest.raises(IndexError, match=r"\[0, 2\)"):
            collate.collate_contexts(graphs, macros, np.array(bad))
    with pytest.raises(IndexError, match=r"\[0, 1\)"):
        collate.collate_macros(macros, np.array([1]))
    with pytest.raises(IndexError, match="row"):
        collate.ragged_gather(np.array([0, 1]), np.array([1]))
    with pytest.raises(ValueError, match="radius"):
        collate.collate_contexts(graphs, macros, np.array([0]), radius=0)


@pytest.mark.parametrize("ptr", [[5, 6], [-(2**63), 1], [-(2**63) + 3, 2**63 - 1]])
def test_instance_offsets_must_start_at_zero(ptr: list[int]) -> None:
    batch = GraphBatch.from_graphs([build_graph([1], [0], [[]], [0])])
    motifs = Motifs(np.zeros(1, np.int32), np.array(ptr), np.zeros((1, 2), np.uint64))
    with pytest.raises(InvalidGraphError, match="start at 0"):
        coarsen(batch, motifs)


@pytest.mark.slow
def test_more_threads_than_the_system_gives() -> None:
    program = (
        "import resource\n"
        "from narfast.graph import GraphBatch, build_graph, structural_hash\n"
        "batch = GraphBatch.from_graphs([build_graph([1], [0], [[]], [0])] * 20_000)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "assert len(structural_hash(batch, num_threads=20_000)) == 20_000\n"
    )
    python_path = str(Path(narfast.__file__).parents[1])
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env={**os.environ, "PYTHONPATH": python_path, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
