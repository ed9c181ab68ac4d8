"""Labels, their rarity, and the features made of them."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from narfast import operators
from narfast.graph import ArchGraph, GraphBatch
from narfast.structural_features import (
    LabelCounts,
    LabelIdf,
    name_hash,
    principal_axes,
    structural_labels,
)
from networks import network, tiny_zoo
from oracles import learning as oracle
from oracles import structural_features as slow_features
from random_graphs import graphs as random_graphs


def test_labels_divide_nodes_as_nested_tuples_do() -> None:
    graphs = GraphBatch.from_graphs([network("vit", 2), network("resnet", 3)])
    labels = structural_labels(graphs, hops=2)
    assert labels.shape == (6, len(graphs.op))
    for row, (attributes, hops) in enumerate((a, h) for a in (False, True) for h in range(3)):
        slow = [x for g in graphs for x in oracle.wl_partition(g, hops, attributes=attributes)]
        for a, b in combinations(range(len(slow)), 2):
            assert (labels[row, a] == labels[row, b]) == (slow[a] == slow[b])


def test_rows_share_no_label() -> None:
    labels = structural_labels(GraphBatch.from_graphs(tiny_zoo()[0]), hops=2)
    distinct = [set(row.tolist()) for row in labels]
    assert len(set.union(*distinct)) == sum(map(len, distinct))


def test_runs_of_operators_are_told_apart_and_end_with_the_network() -> None:
    graphs = GraphBatch.from_graphs([network("vit", 2), network("resnet", 3), network("vit", 2)])
    labels = structural_labels(graphs, hops=0, ngrams=3)[2:]
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
    assert seen.keys().isdisjoint(structural_labels(graphs, hops=2).reshape(-1).tolist())


@given(random_graphs())
@settings(max_examples=50, deadline=None)
def test_labels_and_projections_are_those_of_the_slow_twin(graph: ArchGraph) -> None:
    batch = GraphBatch.from_graphs([graph])
    rows = slow_features.labels(graph, 2, 3)
    assert structural_labels(batch, hops=2, ngrams=3).tolist() == rows
    idf = LabelIdf.fit(GraphBatch.from_graphs(tiny_zoo()[0]), hops=2, size=30, ngrams=3)
    known = dict(zip(idf.label.tolist(), idf.idf.tolist(), strict=True))
    for dim in (5, 64, 70, 128):
        vector, _ = idf.features(batch, dim)
        expected = slow_features.projection(rows, known, 2, dim)
        np.testing.assert_allclose(vector[0], expected, atol=1e-5)


def test_name_hashes_are_fixed() -> None:
    """Encoders on disk hold labels made of these."""
    assert name_hash("conv") == 13783593004412515012
    assert len({name_hash(info.name) for info in operators.table()}) == len(operators.table())


def exact(rarity: LabelIdf, graph: ArchGraph) -> dict[int, float]:
    """The vector that is projected: weights of the labels of a network."""
    batch = GraphBatch.from_graphs([graph])
    rows = structural_labels(batch, hops=rarity.hops, ngrams=rarity.ngrams)
    idf = dict(zip(rarity.label.tolist(), rarity.idf.tolist(), strict=True))
    weights: dict[int, float] = {}
    for number, row in enumerate(rows):
        own = {label: idf.get(label, max(idf.values())) for label in set(row.tolist()) - {0}}
        length = math.sqrt(sum(w * w for w in own.values())) or 1.0
        scale = 0.4 if number in (0, rarity.hops + 1) else 1.0
        weights |= {label: scale * w / length for label, w in own.items()}
    return weights


def test_rarity() -> None:
    graphs = [network("vgg", 1), network("vgg", 2), network("vit", 2)]
    rarity = LabelIdf.fit(GraphBatch.from_graphs(graphs), hops=0, size=1000)
    # max_pool is in two networks and listed; gelu is in one and is not.
    names = {
        int(structural_labels(GraphBatch.from_graphs([g]), hops=0)[0, v]): name
        for g in graphs
        for v, name in enumerate(g.op_names())
    }
    found = dict(zip(rarity.label.tolist(), rarity.idf.tolist(), strict=True))
    assert {names[k]: v for k, v in found.items() if k in names} == pytest.approx(
        {
            name: math.log(4 / (1 + networks)) + 1
            for name, networks in {
                "input": 3, "conv": 3, "global_avg_pool": 3, "linear": 3, "relu": 2, "max_pool": 2,
            }.items()
        }
    )  # fmt: skip


def test_vectors_keep_inner_products_of_labels_that_training_never_saw_too() -> None:
    training = GraphBatch.from_graphs([network("vgg", 1), network("vgg", 2), network("resnet", 2)])
    rarity = LabelIdf.fit(training, hops=1, size=1000, ngrams=3)
    graphs, _ = tiny_zoo()
    weights = [exact(rarity, graph) for graph in graphs]
    listed = set(rarity.label.tolist())
    assert any(w.keys() - listed for w in weights)
    products = np.array(
        [[sum(w * b.get(k, 0) for k, w in a.items()) for b in weights] for a in weights]
    )
    errors = []
    for dim in (100, 20_000):
        vectors = vectors_of(rarity, graphs, dim).astype(np.float64)
        assert vectors.shape == (len(graphs), dim)
        errors.append(np.abs(vectors @ vectors.T - products).max())
    assert errors[1] < 0.15 < errors[0] < 2


def counts_of(rarity: LabelIdf, graphs: list[ArchGraph]) -> LabelCounts:
    return rarity.features(GraphBatch.from_graphs(graphs), 0)[1]


def vectors_of(rarity: LabelIdf, graphs: list[ArchGraph], dim: int) -> np.ndarray:
    return rarity.features(GraphBatch.from_graphs(graphs), dim)[0]


def dense(rarity: LabelIdf, graphs: list[ArchGraph]) -> np.ndarray:
    counts = counts_of(rarity, graphs)
    rows = np.zeros((len(graphs), len(rarity.label)))
    rows[np.repeat(np.arange(len(graphs)), np.diff(counts.ptr)), counts.row] = counts.weight
    return rows


def test_counts_are_of_listed_labels_alone() -> None:
    graphs, _ = tiny_zoo()
    everything = LabelIdf.fit(GraphBatch.from_graphs(graphs), hops=1, size=1000, ngrams=3)
    few = LabelIdf.fit(GraphBatch.from_graphs(graphs), hops=1, size=40, ngrams=3)
    for rarity in (everything, few):
        rows = dense(rarity, graphs)
        idf = dict(zip(rarity.label.tolist(), rarity.idf.tolist(), strict=True))
        for graph, row in zip(graphs, rows, strict=True):
            batch = GraphBatch.from_graphs([graph])
            for number, labels in enumerate(structural_labels(batch, hops=1, ngrams=3)):
                own = set(labels.tolist()) & idf.keys()
                length = math.sqrt(sum(idf[x] ** 2 for x in own)) or 1.0
                scale = 0.4 if number in (0, 2) else 1.0
                expected = {x: scale * idf[x] / length for x in own}
                here = rarity.block == number
                found = zip(rarity.label[here].tolist(), row[here].tolist(), strict=True)
                assert {k: v for k, v in found if v} == pytest.approx(expected, rel=1e-5)
    assert len(counts_of(few, []).ptr) == 1


def test_principal_axes_keep_inner_products_of_training_networks() -> None:
    graphs, labels = tiny_zoo()
    rarity = LabelIdf.fit(GraphBatch.from_graphs(graphs), hops=1, size=1000)
    counts, rows = counts_of(rarity, graphs), dense(rarity, graphs)
    size, every = len(rarity.label), len(graphs)
    projected = rows @ principal_axes(counts, size, every)
    np.testing.assert_allclose(projected @ projected.T, rows @ rows.T, atol=1e-5)
    few = principal_axes(counts, size, 5, classes=labels)
    np.testing.assert_allclose(few.T @ few, np.eye(5), atol=1e-5)
    more = principal_axes(counts, size, every + 7)
    assert more.shape == (size, every + 7)
    assert not more[:, every:].any()


def test_a_vector_depends_on_its_network_alone() -> None:
    graphs, _ = tiny_zoo()
    rarity = LabelIdf.fit(GraphBatch.from_graphs(graphs[::2]), hops=2, size=50, ngrams=3)
    together = vectors_of(rarity, graphs, 70)
    for i, graph in enumerate(graphs):
        np.testing.assert_array_equal(vectors_of(rarity, [graph], 70)[0], together[i])
    assert vectors_of(rarity, [], 70).shape == (0, 70)


def test_where_nothing_is_listed_every_label_counts_the_same() -> None:
    graphs = [network("vgg", 2), network("vit", 2)]
    rarity = LabelIdf.fit(GraphBatch.from_graphs(graphs), hops=1, size=0)
    assert len(rarity.label) == 0
    assert np.isfinite(vectors_of(rarity, graphs, 16)).all()


def test_the_most_widespread_are_listed() -> None:
    graphs = GraphBatch.from_graphs(tiny_zoo()[0])
    everything = LabelIdf.fit(graphs, hops=1, size=1000)
    few = LabelIdf.fit(graphs, hops=1, size=7)
    assert len(few.label) == 7
    assert set(few.label.tolist()) < set(everything.label.tolist())
    assert few.idf.max() <= np.sort(everything.idf)[6]
    assert (np.diff(few.label.astype(object)) > 0).all()
