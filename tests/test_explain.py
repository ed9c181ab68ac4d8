"""What networks have in common, against a slow twin, and how long it takes for many hits."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from narfast.explain import shared_motifs
from narfast.graph import ArchGraph
from narfast.operators import by_name, pack_attributes
from oracles.shared_motifs import shared_motifs as slow_shared_motifs
from zoo_fakes import load


def widened(graph: ArchGraph) -> ArchGraph:
    """The same operators and edges with other attributes."""
    attr = np.where(graph.op == by_name("conv").id, pack_attributes(kernel=7), graph.attr)
    return replace(graph, attr=attr.astype(np.uint32))


def test_shared_motifs_equal_the_slow_oracle() -> None:
    names = [f"fake:{kind}_{size}" for kind in ("plain", "mixer") for size in range(2, 7)]
    graphs = [load(name) for name in names]
    graphs += [widened(graph) for graph in graphs]
    for query in graphs[::3]:
        fast, slow = (found(query, graphs) for found in (shared_motifs, slow_shared_motifs))
        assert [[replace(m, operators="") for m in motifs] for motifs in fast] == [
            [replace(m, operators="") for m in motifs] for motifs in slow
        ]
    assert shared_motifs(graphs[0], []) == []


@pytest.mark.slow
def test_shared_motifs_of_many_hits_take_a_moment() -> None:
    """A graph and a motif at a time it was four milliseconds for each hit."""
    query, hits = load("fake:plain_4"), [load(f"fake:mixer_{2 + i % 5}") for i in range(2000)]
    start = time.process_time()
    assert len(shared_motifs(query, hits)) == 2000
    assert time.process_time() - start < 0.4
