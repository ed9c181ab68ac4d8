"""Zoos: read and searched."""

from __future__ import annotations

import json

import numpy as np
import pytest

from narfast.errors import NarfastError
from narfast.storage import format as folder
from narfast.storage import tables
from narfast.storage.records import by_structure
from narfast.zoo import Zoo
from narfast.zoo.store import write_zoo
from zoo_fakes import BLOCKS, NAMES, FakeEncoder, contents, load, network
from zoo_folders import open_zoo


def test_only_distinct_structures_are_stored(original):
    zoo = open_zoo(original)
    assert len(zoo) == 16
    assert len(zoo.records) == len(NAMES) == 18
    entry = zoo["fake:plain_2_copy"]
    assert entry.id == "fake:plain_2"
    assert entry.names == ("plain_2", "plain_2_copy")
    assert entry.sources == {"fake", "other"}
    assert {record.id for record in entry.records} == {
        "fake:plain_2",
        "fake:plain_2_copy",
        "other:plain_2",
    }
    hashes = [e.structural_hash for e in zoo]
    assert len(set(hashes)) == len(hashes)


def test_a_few_graphs_are_read_without_the_others(original, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_ROW_GROUP", 5)
    monkeypatch.setattr(tables, "_STREAMED", 2)
    path = tmp_path / "groups"
    write_zoo(path, contents())
    every = Zoo.open(path).graphs
    for rows in ([3], [15, 0, 7, 7], [4, 5], list(range(16))):
        zoo = Zoo.open(path)
        picked = zoo.graphs_at(rows)
        assert [graph.meta for graph in picked] == [every[row].meta for row in rows]
        assert all(g.same_structure(every[row]) for g, row in zip(picked, rows, strict=True))
        assert "graphs" not in zoo.__dict__
        assert zoo.load(zoo[rows[0]].id).same_structure(every[rows[0]])
        assert "graphs" not in zoo.__dict__
    assert len(zoo.graphs_at([])) == 0
    with pytest.raises(IndexError):
        zoo.graphs_at([16])
    zoo.graphs  # from here on they are in memory  # noqa: B018
    (path / folder.GRAPHS).unlink()
    assert zoo.graphs_at([2])[0].same_structure(every[2])


def test_many_graphs_are_loaded_at_once(original, monkeypatch):
    monkeypatch.setattr("narfast.zoo.zoo._SINGLE_LOADS", 2)
    zoo = open_zoo(original)
    for number, entry in enumerate(zoo):
        assert zoo.load(entry.id).structural_hash == entry.structural_hash
        assert (zoo._stored._graphs is not None) == (number >= 2)


@pytest.mark.parametrize("few", [0, 3, 100])
def test_records_are_the_same_however_they_are_made(original, monkeypatch, few):
    expected = list(by_structure(open_zoo(original).records).values())
    monkeypatch.setattr(tables, "_FEW_RECORDS", few)
    zoo = open_zoo(original)
    one_by_one = [zoo[row].records for row in reversed(range(len(zoo)))]
    assert one_by_one[::-1] == expected
    assert [entry.records for entry in zoo] == expected
    assert open_zoo(original)[-1].records == expected[-1]


def test_entries_are_what_was_written(original):
    zoo = open_zoo(original)
    for name in NAMES:
        expected = load(name)
        entry = zoo[name]
        assert entry.graph.same_structure(expected)
        assert entry.structural_hash == expected.structural_hash
        assert (entry.family, entry.task, entry.nodes) == (
            expected.meta.family,
            "testing",
            expected.num_nodes,
        )
        record = next(record for record in entry.records if record.id == name)
        assert record.graph_meta() == expected.meta
    entry = zoo[0]
    assert entry.graph.meta.name == entry.name
    np.testing.assert_allclose(entry.embedding, FakeEncoder().encode([entry.graph])[0], atol=1e-6)
    assert zoo[-1].row == len(zoo) - 1
    with pytest.raises(IndexError):
        zoo[len(zoo)]
    with pytest.raises(KeyError, match="not in the zoo"):
        zoo["fake:nothing"]
    with pytest.raises(AttributeError, match="no attribute"):
        _ = entry.colour


def test_embeddings_cannot_be_changed(original):
    with pytest.raises(ValueError, match="read-only"):
        open_zoo(original).embeddings[0, 0] = 1


def test_search_by_name_graph_and_vector(original):
    zoo = open_zoo(original)
    graph = load("fake:mixer_3")
    by_name = zoo.search("fake:mixer_3", 5)
    assert by_name[0].id == "fake:mixer_3"
    assert by_name[0].score == pytest.approx(1.0, abs=1e-6)
    assert [h.id for h in zoo.search(graph, 5)] == [h.id for h in by_name]
    assert [h.id for h in zoo.search(zoo["fake:mixer_3"].embedding, 5)] == [h.id for h in by_name]
    assert [h.id for h in zoo.search("zoo:fake:mixer_3", 5)] == [h.id for h in by_name]
    scores = [hit.score for hit in zoo.search(graph, 100)]
    assert len(scores) == len(zoo)
    assert scores == sorted(scores, reverse=True)
    assert max(scores) <= 1.0
    new = network("mixer", 9)
    assert {hit.family for hit in zoo.search(new, 4)} == {"mixer"}


def test_search_of_a_known_structure_needs_no_encoder(original):
    zoo = Zoo.open(original)  # its encoder, "fake", cannot be loaded
    assert zoo.search(load("fake:plain_1"), 1)[0].id == "fake:plain_1"


def test_a_structure_is_its_own_first_hit_among_equal_vectors(zoo_path):
    class Constant(FakeEncoder):
        def encode(self, sources, **options):
            return np.full((len(sources), self.dim), self.dim**-0.5, dtype=np.float32)

    zoo = open_zoo(zoo_path)
    zoo.embed(Constant(), source="constant")
    for name in ("fake:plain_1", "fake:mixer_4"):
        assert [hit.id for hit in zoo.search(name, 1)] == [name]
        assert len({hit.id for hit in zoo.search(load(name), 100)}) == len(zoo)
        others = zoo.search(name, 3, where=lambda record: record.family == "norms")
        assert {hit.family for hit in others} == {"norms"}


def test_search_filters_look_at_every_name(original):
    zoo = open_zoo(original)
    hits = zoo.search("fake:plain_1", 10, where=lambda record: record.source == "other")
    assert [hit.id for hit in hits] == ["other:plain_2"]
    assert hits[0].names == ("plain_2", "plain_2_copy")
    assert hits[0].ids == ("other:plain_2", "fake:plain_2", "fake:plain_2_copy")
    small = zoo.search("fake:plain_1", 50, where=lambda record: record.params <= 1000)
    assert {hit.params for hit in small} == {1000}
    assert zoo.search("fake:plain_1", 5, where=lambda record: False) == []


@pytest.mark.parametrize(
    ("query", "k", "message"),
    [
        ("fake:plain_1", 0, "k must be at least 1"),
        (np.ones(3), 1, "shape"),
        (np.full(8, np.nan), 1, "finite"),
        (np.array(["a"] * 8), 1, "shape"),
        ("zoo:nothing", 1, "not in the zoo"),
    ],
)
def test_bad_queries(original, query, k, message):
    with pytest.raises(NarfastError, match=message):
        open_zoo(original).search(query, k)


def test_info(original):
    info = open_zoo(original).info()
    assert info["distinct"] == 16
    assert info["names"] == 18
    assert info["by_source"] == {"fake": 17, "other": 1}
    assert info["by_family"] == dict.fromkeys(sorted(BLOCKS), 4)
    assert info["format_version"] == 2
    assert info["encoder"] == {
        "fingerprint": FakeEncoder().fingerprint,
        "dim": 8,
        "source": "fake",
    }
    json.dumps(info)


def test_another_encoder_is_refused(original):
    zoo = Zoo.open(original, encoder=FakeEncoder(seed=1))
    with pytest.raises(NarfastError, match="zoo embed"):
        zoo.search(network("plain", 9))
