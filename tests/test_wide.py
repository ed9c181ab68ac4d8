"""Weisfeiler-Lehman labels, vocabulary, weights and projection."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest

from narfast import operators
from narfast.graph import ArchGraph, GraphBatch
from narfast.wide import (
    WideCounts,
    WideVocabulary,
    fit_projection,
    gram_labels,
    name_hash,
    wl_labels,
)
from networks import network, tiny_zoo
from oracles import learning as oracle


def test_labels_divide_nodes_as_nested_tuples_do() -> None:
    graphs = GraphBatch.from_graphs([network("vit", 2), network("resnet", 3)])
    labels = wl_labels(graphs, 2)
    assert labels.shape == (6, len(graphs.op))
    for row, (attributes, hops) in enumerate((a, h) for a in (False, True) for h in range(3)):
        slow = [x for g in graphs for x in oracle.wl_partition(g, hops, attributes=attributes)]
        for a, b in combinations(range(len(slow)), 2):
            assert (labels[row, a] == labels[row, b]) == (slow[a] == slow[b])


def test_rows_share_no_label() -> None:
    labels = wl_labels(GraphBatch.from_graphs(tiny_zoo()[0]), 2)
    distinct = [set(row.tolist()) for row in labels]
    assert len(set.union(*distinct)) == sum(map(len, distinct))


def test_runs_of_operators_are_told_apart_and_end_with_the_network() -> None:
    graphs = GraphBatch.from_graphs([network("vit", 2), network("resnet", 3), network("vit", 2)])
    labels = gram_labels(graphs, 3)
    seen: dict[int, tuple[str, ...]] = {}
    names = [operators.by_id(int(op)).name for op in graphs.op]
    for length, row in enumerate(labels, 2):
        for first, stop in pairwise(graphs.node_ptr.tolist()):
            for v in range(first, stop):
                run = tuple(names[v : v + length])
                if v + length > stop:
                    assert row[v] == 0
                else:
                    assert seen.setdefault(int(row[v]), run) == run
    assert len(set(seen.values())) == len(seen)
    assert seen.keys().isdisjoint(wl_labels(graphs, 2).reshape(-1).tolist())


def test_runs_count_beside_neighbourhoods() -> None:
    graphs = GraphBatch.from_graphs(tiny_zoo()[0])
    vocabulary = WideVocabulary.fit(graphs, hops=1, size=1000, grams=3)
    assert set(vocabulary.block.tolist()) == set(range(6))
    assert 0 not in vocabulary.label
    count = vocabulary.count(graphs)
    squares = np.zeros((len(graphs), 6))
    network_of = np.repeat(np.arange(len(graphs)), np.diff(count.ptr))
    np.add.at(squares, (network_of, vocabulary.block[count.row]), count.weight.astype(float) ** 2)
    np.testing.assert_allclose(squares, np.tile([0.16, 1, 0.16, 1, 1, 1], (len(graphs), 1)))


def test_name_hashes_are_fixed() -> None:
    """Encoders on disk hold labels made of these."""
    assert name_hash("conv") == 13783593004412515012
    assert len({name_hash(info.name) for info in operators.table()}) == len(operators.table())


def test_weights() -> None:
    graphs = [network("vgg", 1), network("vgg", 2), network("vit", 2)]
    vocabulary = WideVocabulary.fit(GraphBatch.from_graphs(graphs), hops=0, size=1000)
    # max_pool is in two networks and kept; gelu is in one and dropped.
    count = vocabulary.count(GraphBatch.from_graphs(graphs))
    names = {
        int(wl_labels(GraphBatch.from_graphs([g]), 0)[0, v]): name
        for g in graphs
        for v, name in enumerate(g.op_names())
    }
    kept = {names[int(x)] for x in vocabulary.label if int(x) in names}
    assert kept == {"input", "conv", "relu", "max_pool", "global_avg_pool", "linear"}

    weights = {}
    for k in range(count.ptr[1], count.ptr[2]):
        label = int(vocabulary.label[count.row[k]])
        if label in names:
            weights[names[label]] = float(count.weight[k])
    idf = {
        n: math.log(4 / (1 + (3 if n in ("input", "conv", "global_avg_pool", "linear") else 2))) + 1
        for n in kept
    }
    length = math.sqrt(sum(w * w for w in idf.values()))
    assert weights == pytest.approx({n: 0.4 * w / length for n, w in idf.items()}, rel=1e-5)


def test_unknown_labels_do_not_count() -> None:
    vocabulary = WideVocabulary.fit(
        GraphBatch.from_graphs([network("vgg", 1), network("vgg", 2)]), hops=1, size=1000
    )
    count = vocabulary.count(GraphBatch.from_graphs([network("mixer", 2, stem="lstm")]))
    known = {int(x) for x in vocabulary.label}
    assert {int(vocabulary.label[r]) for r in count.row} < known
    assert len(vocabulary.count(GraphBatch.from_graphs([])).ptr) == 1


def test_projection_keeps_inner_products() -> None:
    graphs = GraphBatch.from_graphs(tiny_zoo()[0])
    vocabulary = WideVocabulary.fit(graphs, hops=1, size=1000)
    count = vocabulary.count(graphs)
    dense = np.zeros((len(graphs), len(vocabulary.label)))
    for g in range(len(graphs)):
        part = slice(count.ptr[g], count.ptr[g + 1])
        dense[g, count.row[part]] = count.weight[part]
    size, every = len(vocabulary.label), len(graphs)
    projected = dense @ fit_projection(count, size, every, axes=every, seed=0)
    np.testing.assert_allclose(projected @ projected.T, dense @ dense.T, atol=1e-5)
    fewer = dense @ fit_projection(count, size, 5, axes=5, seed=0)
    assert np.abs(fewer @ fewer.T - dense @ dense.T).max() < 0.5


def test_random_columns_serve_networks_unlike_the_training_ones() -> None:
    graphs, labels = tiny_zoo((2, 3, 4, 5, 6))
    vocabulary = WideVocabulary.fit(GraphBatch.from_graphs(graphs), hops=1, size=1000)
    size = len(vocabulary.label)

    def count(chosen: list[ArchGraph]) -> tuple[WideCounts, np.ndarray]:
        sparse = vocabulary.count(GraphBatch.from_graphs(chosen))
        dense = np.zeros((len(chosen), size))
        row = np.repeat(np.arange(len(chosen)), np.diff(sparse.ptr))
        dense[row, sparse.row] = sparse.weight
        return sparse, dense

    seen, _ = count([g for g, label in zip(graphs, labels, strict=True) if label != "mixer"])
    _, new = count([g for g, label in zip(graphs, labels, strict=True) if label == "mixer"])
    lengths = []
    for dim in (8, 2000):
        projected = new @ fit_projection(seen, size, dim, axes=8, seed=0)
        lengths.append((projected**2).sum() / (new**2).sum())
    assert lengths[0] < 0.8  # principal axes of other families miss what is new
    assert lengths[1] == pytest.approx(1, abs=0.1)


def test_vocabulary_keeps_the_most_widespread() -> None:
    graphs = GraphBatch.from_graphs(tiny_zoo()[0])
    everything = WideVocabulary.fit(graphs, hops=1, size=1000)
    few = WideVocabulary.fit(graphs, hops=1, size=7)
    assert len(few.label) == 7
    assert set(few.label.tolist()) < set(everything.label.tolist())
    assert few.idf.max() <= np.sort(everything.idf)[6]
    assert (np.diff(few.label.astype(object)) > 0).all()
