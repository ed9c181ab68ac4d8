"""Zoo folders: building, resuming, adding, searching, and every kind of damage."""

from __future__ import annotations

import csv
import json
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from narfast.errors import CorruptFileError, NarfastError
from narfast.graph import GraphBatch
from narfast.storage import format as folder
from narfast.storage import index_cache, tables, writing
from narfast.storage.records import by_structure
from narfast.storage.tables import graphs_from_bytes, graphs_to_bytes
from narfast.zoo import NetworkRecord, Zoo, export
from narfast.zoo.builder import build_zoo
from narfast.zoo.store import ZooContents, write_zoo
from narfast.zoo.zoo import add_networks
from zoo_fakes import BLOCKS, NAMES, FakeEncoder, contents, load, network

FILES = [folder.ARCHITECTURES, folder.GRAPHS, folder.EMBEDDINGS, folder.MANIFEST]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("zoos") / "zoo"
    write_zoo(path, contents().embedded(FakeEncoder(), source="fake"))
    return path


@pytest.fixture
def zoo_path(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "zoo"))


def open_zoo(path):
    return Zoo.open(path, encoder=FakeEncoder())


def use_everything(zoo):
    """Touch every file of a zoo."""
    for entry in zoo:
        assert entry.graph.num_nodes
        assert entry.embedding.any()
    zoo.search(zoo.embeddings[0])


# ---- reading


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
    monkeypatch.setattr("narfast.zoo.zoo._FEW", 2)
    zoo = open_zoo(original)
    for number, entry in enumerate(zoo):
        assert zoo.load(entry.id).structural_hash == entry.structural_hash
        assert ("graphs" in zoo.__dict__) == (number >= 2)


@pytest.mark.parametrize("few", [0, 3, 100])
def test_records_are_the_same_however_they_are_made(original, monkeypatch, few):
    expected = list(by_structure(open_zoo(original).records).values())
    monkeypatch.setattr(tables, "_FEW", few)
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


# ---- writing


def test_the_same_networks_give_the_same_bytes(original, tmp_path):
    shuffled = [(NetworkRecord.of(name, load(name)), load(name)) for name in reversed(NAMES)]
    again = ZooContents.from_networks(shuffled).embedded(FakeEncoder(), source="fake")
    write_zoo(tmp_path / "again", again)
    for path in original.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_failed_write_leaves_the_old_zoo_whole(zoo_path, monkeypatch):
    before = {path.name: path.read_bytes() for path in zoo_path.iterdir()}
    written = []

    def full_disk(path, data):
        if written:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        path.write_bytes(data)

    monkeypatch.setattr(writing, "write_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        open_zoo(zoo_path).add([network("plain", 7)])
    assert {path.name: path.read_bytes() for path in zoo_path.iterdir()} == before
    assert [path.name for path in zoo_path.parent.iterdir()] == ["zoo"]
    assert open_zoo(zoo_path).verify() == []


def test_replacing_works_where_paths_cannot_be_exchanged(zoo_path, monkeypatch):
    monkeypatch.setattr(writing, "_exchange", lambda first, second: False)
    zoo = open_zoo(zoo_path)
    zoo.add([network("plain", 7)])
    assert len(open_zoo(zoo_path)) == 17
    assert [path.name for path in zoo_path.parent.iterdir()] == ["zoo"]


def test_a_crash_between_two_renames_is_mended(zoo_path):
    zoo_path.rename(zoo_path.with_name(".zoo.replaced-by-narfast"))
    assert len(open_zoo(zoo_path)) == 16
    assert zoo_path.is_dir()
    assert [path.name for path in zoo_path.parent.iterdir()] == ["zoo"]


def test_a_folder_that_is_no_zoo_is_never_replaced(tmp_path):
    (tmp_path / "precious.txt").write_text("data")
    with pytest.raises(NarfastError, match="not a zoo"):
        write_zoo(tmp_path, contents())
    with pytest.raises(NarfastError, match="not a zoo"):
        build_zoo(tmp_path, NAMES, encoder=None, loader="zoo_fakes:load_raw")
    assert (tmp_path / "precious.txt").read_text() == "data"


def test_add(zoo_path):
    zoo = open_zoo(zoo_path)
    encoder = zoo._encoder
    before = {entry.id: entry.embedding.copy() for entry in zoo}
    alias = network("smooth", 2, name="alias", source="mine")
    report = zoo.add([network("plain", 7, source="mine"), alias, "zoo:nothing"])
    assert report.added == ("mine:plain_7", "mine:alias")
    assert report.new_structures == 1
    assert [source for source, _ in report.errors] == ["zoo:nothing"]
    assert encoder.calls == 1  # old structures keep their vectors
    for opened in (zoo, open_zoo(zoo_path)):
        assert len(opened) == 17
        assert opened["mine:alias"].structural_hash == opened["fake:smooth_2"].structural_hash
        assert opened.verify() == []
        for identifier, vector in before.items():
            np.testing.assert_array_equal(opened[identifier].embedding, vector)
        assert opened.search(network("plain", 7), 1)[0].id == "mine:plain_7"


def test_add_keeps_two_networks_of_one_name(zoo_path):
    zoo = open_zoo(zoo_path)
    first = network("plain", 7, name="model", source="onnx")
    second = network("plain", 8, name="model", source="onnx")
    report = zoo.add([first, second, first])
    assert report.added[0] == report.added[2] == "onnx:model"
    assert report.added[1].startswith("onnx:model@")
    assert len(zoo) == 18


@pytest.mark.parametrize("used", [False, True])
def test_what_others_added_meanwhile_stays(zoo_path, used):
    slow = open_zoo(zoo_path)
    if used:
        use_everything(slow)
    open_zoo(zoo_path).add([network("plain", 7)])
    slow.add([network("plain", 8)])
    assert len(slow) == len(open_zoo(zoo_path)) == 18
    assert slow.verify() == []
    late = Zoo.open(zoo_path)
    late.embed(FakeEncoder(dim=5, seed=9), source="other")
    with pytest.raises(NarfastError, match="embeddings are by encoder"):
        slow.add([network("plain", 9)])
    assert len(open_zoo(zoo_path)) == 18


def test_writers_take_turns(zoo_path, caplog):
    """Four writers at once: each waits, says so, and none is lost."""
    begin = threading.Barrier(4)

    def add(depth):
        zoo = open_zoo(zoo_path)
        begin.wait()
        zoo.add([network("plain", depth)])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(11, 15)))
    assert len(open_zoo(zoo_path)) == 16 + 4
    assert open_zoo(zoo_path).verify() == []
    assert f"{zoo_path}: another process is writing it; waiting" in caplog.text
    assert [path.name for path in zoo_path.parent.iterdir()] == ["zoo"]


def test_embedding_and_building_wait_too(zoo_path):
    elsewhere = zoo_path.with_name("link")
    elsewhere.symlink_to(zoo_path)
    done = []

    def embed():
        open_zoo(elsewhere).embed(FakeEncoder(seed=1), source="other")
        done.append("embed")

    def build():
        build_zoo(zoo_path, NAMES[:3], encoder=None, loader="zoo_fakes:load_raw", workers=1)
        done.append("build")

    for write in (embed, build):
        with writing.writing(zoo_path):
            thread = threading.Thread(target=write)
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
            done.append("first")
        thread.join(30)
    assert done == ["first", "embed", "first", "build"]
    assert len(open_zoo(zoo_path)) == 3
    assert {path.name for path in zoo_path.parent.iterdir()} == {"zoo", "link"}


def test_a_lock_that_is_removed_while_others_wait(tmp_path):
    """Who waited for a file that is gone takes the new one: never two at once."""
    inside, most = [], []

    def write(_):
        with writing.writing(tmp_path / "zoo"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(60)))
    assert (len(most), max(most)) == (60, 1)
    assert not any(tmp_path.iterdir())


def test_the_next_writer_removes_what_killed_ones_left(zoo_path):
    for name in (".zoo.new-abcd_123", ".zoo.replaced-by-narfast"):
        shutil.copytree(zoo_path, zoo_path.with_name(name))
    kept = (".zoo.new-mine", ".other.new-abcd_123", ".zoo.newer")
    for name in kept:
        zoo_path.with_name(name).mkdir()
    zoo_path.with_name(".zoo.lock").touch()
    open_zoo(zoo_path).add([network("plain", 7)])
    assert {path.name for path in zoo_path.parent.iterdir()} == {"zoo", *kept}


def test_an_encoder_found_by_the_manifest_changes_with_it(zoo_path, monkeypatch):
    from narfast.encoder.encoder import ArchitectureEncoder

    found = {"fake": FakeEncoder(), "other": FakeEncoder(dim=5, seed=9)}
    monkeypatch.setattr(ArchitectureEncoder, "from_pretrained", found.__getitem__)
    slow = Zoo.open(zoo_path)
    slow.search(network("plain", 9), 1)
    Zoo.open(zoo_path).embed(found["other"], source="other")
    slow.add([network("plain", 7)])
    assert slow.embeddings.shape == (17, 5)
    assert slow.encoder is found["other"]


def test_adding_to_no_zoo_makes_one(tmp_path, monkeypatch):
    from narfast.encoder.encoder import ArchitectureEncoder

    monkeypatch.setattr(ArchitectureEncoder, "from_pretrained", lambda source: FakeEncoder())
    new = tmp_path / "new"
    zoo, report = add_networks(new, ["zoo:nothing"])
    assert (zoo, report.added, len(report.errors)) == (None, (), 1)
    assert not any(tmp_path.iterdir())
    zoo, report = add_networks(new, [network("plain", 7), "zoo:nothing", network("plain", 8)])
    assert (len(zoo), report.added) == (2, ("fake:plain_7", "fake:plain_8"))
    assert Zoo.open(new).verify() == []
    zoo, report = add_networks(new, [network("plain", 9)])
    assert (len(zoo), report.new_structures) == (3, 1)
    (tmp_path / "precious.txt").write_text("data")
    with pytest.raises(NarfastError, match="exists and is not a zoo"):
        add_networks(tmp_path, [network("plain", 9)])


def test_embed_changes_vectors_only(zoo_path):
    zoo = open_zoo(zoo_path)
    graphs = (zoo_path / folder.GRAPHS).read_bytes()
    zoo.embed(FakeEncoder(dim=5, seed=9), source="other")
    assert (zoo_path / folder.GRAPHS).read_bytes() == graphs
    again = Zoo.open(zoo_path, encoder=FakeEncoder(dim=5, seed=9))
    assert again.embeddings.shape == (16, 5)
    assert again.manifest.encoder["source"] == "other"
    use_everything(again)


def test_a_zoo_without_embeddings(tmp_path):
    write_zoo(tmp_path / "zoo", contents())
    zoo = open_zoo(tmp_path / "zoo")
    assert zoo.info()["encoder"] is None
    assert zoo.verify() == []
    with pytest.raises(NarfastError, match="zoo embed"):
        zoo.search("fake:plain_1")
    zoo.add([network("plain", 7)])
    zoo.embed(FakeEncoder())
    assert zoo.search("fake:plain_1", 1)[0].id == "fake:plain_1"


def test_operator_ids_may_change_between_versions(zoo_path, monkeypatch):
    from narfast import operators
    from narfast.zoo import store

    table = operators.table()
    last = len(table) - 1
    swapped = [operators.OpInfo(last - info.id, *list(vars(info).values())[1:]) for info in table]
    monkeypatch.setattr(store.operators, "table", lambda: tuple(swapped))
    graph = open_zoo(zoo_path)["fake:plain_1"].graph
    assert (last - graph.op).tolist() == load("fake:plain_1").op.tolist()
    monkeypatch.setattr(store.operators, "table", lambda: table[:3])
    with pytest.raises(CorruptFileError, match="upgrade narfast"):
        _ = open_zoo(zoo_path)["fake:plain_1"].graph


def test_graph_table_round_trip_of_odd_graphs():
    tiny = network("plain", 1)
    batch = GraphBatch.from_graphs([tiny, network("mixer", 40)])
    hashes, again = graphs_from_bytes(graphs_to_bytes(["a", "b"], batch), Path("x"))
    assert hashes == ["a", "b"]
    for name in ("op", "attr", "node_ptr", "in_ptr", "in_src"):
        np.testing.assert_array_equal(getattr(again, name), getattr(batch, name))
        assert getattr(again, name).dtype == getattr(batch, name).dtype
    empty = GraphBatch.from_graphs([])
    assert len(graphs_from_bytes(graphs_to_bytes([], empty), Path("x"))[1]) == 0


# ---- damage


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 0.99])
def test_a_flipped_bit_is_an_error_that_names_the_file(zoo_path, name, place):
    path = zoo_path / name
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 4
    path.write_bytes(data)
    with pytest.raises(CorruptFileError, match=name):
        use_everything(open_zoo(zoo_path))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_truncated_file_is_an_error_that_names_the_file(zoo_path, name, size):
    path = zoo_path / name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptFileError, match=f"{name}.*narfast zoo"):
        use_everything(open_zoo(zoo_path))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_an_error_that_names_the_file(zoo_path, name):
    (zoo_path / name).unlink()
    with pytest.raises(CorruptFileError, match=f"{name}: missing.*narfast zoo"):
        use_everything(open_zoo(zoo_path))


def test_verify_lists_every_damaged_file(zoo_path):
    zoo = open_zoo(zoo_path)
    (zoo_path / folder.GRAPHS).write_bytes(b"")
    (zoo_path / folder.EMBEDDINGS).unlink()
    problems = zoo.verify()
    assert len(problems) == 2
    assert folder.EMBEDDINGS in problems[0]
    assert folder.GRAPHS in problems[1]


def edited_manifest(zoo_path, **changes):
    """Change a manifest and give it a fresh, valid checksum."""
    path = zoo_path / folder.MANIFEST
    manifest = folder.Manifest.from_bytes(path.read_bytes(), path)
    path.write_bytes(folder.dataclasses.replace(manifest, **changes).to_bytes())


def put(zoo_path, name, data):
    """Put other bytes into a zoo and tell the manifest: only the content is wrong then."""
    (zoo_path / name).write_bytes(data)
    path = zoo_path / folder.MANIFEST
    files = dict(folder.Manifest.from_bytes(path.read_bytes(), path).files)
    files[name] = {"bytes": len(data), "sha256": folder._sha256(data)}
    edited_manifest(zoo_path, files=files)


def test_a_pipe_as_manifest_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(CorruptFileError, match="not a zoo manifest"):
        open_zoo(tmp_path)


def test_a_newer_format_asks_for_an_upgrade(zoo_path):
    edited_manifest(zoo_path, format_version=3)
    with pytest.raises(CorruptFileError, match="upgrade narfast"):
        open_zoo(zoo_path)


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"format": "narfast-zoo"}',
        b'{"format": "narfast-zoo", "format_version": 1, "counts": 3}',
        b'{"format": "narfast-zoo", "format_version": 1, "counts": {"names": Infinity}}',
        b"[" * 100_000,
        b'{"format": "narfast-zoo", "format_version": [2]}',
        b'{"format": ["narfast-zoo"]}',
    ],
)
def test_other_manifests_are_refused(zoo_path, data):
    (zoo_path / folder.MANIFEST).write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"manifest\.json"):
        open_zoo(zoo_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": {"names": 18}}, "counts.distinct must be there"),
        ({"counts": {"distinct": -1, "names": 18}}, "counts.distinct must be a whole number"),
        ({"counts": {"distinct": 10**30, "names": 18}}, "counts.distinct must be a whole number"),
        ({"counts": {"distinct": 16.5, "names": 18}}, "counts.distinct must be a whole number"),
        ({"format_version": -5}, "format_version must be a whole number from 1"),
        ({"encoder": {"dim": 8}}, "encoder.fingerprint must be there"),
        ({"encoder": {"dim": "8", "fingerprint": "", "source": ""}}, "encoder.dim must be"),
        ({"index": {"dtype": "f16"}}, "index.connectivity must be there"),
        ({"files": {"a": {"bytes": 1, "sha256": "0"}}}, "files.a.sha256 must be"),
        ({"files": {"a": {"bytes": -1, "sha256": "0" * 64}}}, "files.a.bytes must be"),
        ({"files": {"a\0": {"bytes": 1, "sha256": "0" * 64}}}, "a file outside the zoo"),
        ({"operators": [1]}, r"operators\[0\] must be a text"),
    ],
)
def test_a_signed_manifest_with_a_wrong_field(zoo_path, changes, message):
    edited_manifest(zoo_path, **changes)
    with pytest.raises(CorruptFileError, match=message):
        open_zoo(zoo_path)


def edited_rows(zoo_path, **changes):
    """Change the first row of the table of networks, with a valid checksum."""
    path = zoo_path / folder.ARCHITECTURES
    table = pq.read_table(path)
    for name, value in changes.items():
        column = table.column(name)
        values = [value, *column.to_pylist()[1:]]
        table = table.set_column(
            table.schema.get_field_index(name), name, pa.array(values, type=column.type)
        )
    pq.write_table(table, path)
    put(zoo_path, folder.ARCHITECTURES, path.read_bytes())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unknown_ops": "[" * 9999}, "column unknown_ops.*nested too deeply"),
        ({"unknown_ops": "[1]"}, "column unknown_ops.*must be an object"),
        ({"unknown_ops": '{"a": "b"}'}, "field a must be a whole number"),
        ({"nodes": -1}, "nodes = -1"),
        ({"params": -(2**63)}, "params = -9223372036854775808"),
        ({"structural_hash": "\x1b[2J"}, "structural_hash"),
        ({"input_shape": [1, None]}, "an input shape has a gap"),
        ({"id": None}, "column id has empty cells"),
    ],
)
def test_rows_that_are_no_networks(zoo_path, changes, message):
    edited_rows(zoo_path, **changes)
    with pytest.raises(CorruptFileError, match=message):
        open_zoo(zoo_path).info()


def test_more_rows_than_bytes(zoo_path):
    """A table that would fill the memory is refused before it is read."""
    rows = 2_000_000
    table = pa.table({"id": ["a"] * rows, "reason": [""] * rows})
    pq.write_table(table, zoo_path / folder.ERRORS, compression="zstd")
    put(zoo_path, folder.ERRORS, (zoo_path / folder.ERRORS).read_bytes())
    with pytest.raises(CorruptFileError, match="2000000 rows in"):
        _ = open_zoo(zoo_path).errors


def test_gaps_in_a_graph(zoo_path):
    path = zoo_path / folder.GRAPHS
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["op"][1] = None
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    put(zoo_path, folder.GRAPHS, path.read_bytes())
    with pytest.raises(CorruptFileError, match=folder.GRAPHS):
        use_everything(open_zoo(zoo_path))


def test_a_pipe_in_a_zoo_is_not_waited_for(zoo_path):
    put(zoo_path, folder.ERRORS, b"")
    (zoo_path / folder.ERRORS).unlink()
    os.mkfifo(zoo_path / folder.ERRORS)
    with pytest.raises(CorruptFileError, match="not a regular file"):
        _ = open_zoo(zoo_path).errors


def test_embeddings_of_another_width_than_promised(zoo_path):
    stamp = open_zoo(zoo_path).manifest.encoder
    edited_manifest(zoo_path, encoder={**stamp, "dim": 9})
    with pytest.raises(CorruptFileError, match=r"vectors of 8 numbers.*promises 9"):
        use_everything(open_zoo(zoo_path))


def test_a_manifest_that_promises_other_counts(zoo_path):
    edited_manifest(zoo_path, counts={"distinct": 15, "names": 18})
    with pytest.raises(CorruptFileError, match="promises 15"):
        use_everything(open_zoo(zoo_path))


def test_a_manifest_that_points_outside(zoo_path):
    edited_manifest(zoo_path, files={"../secret": {"bytes": 1, "sha256": "0" * 64}})
    with pytest.raises(CorruptFileError, match="outside"):
        open_zoo(zoo_path)


@pytest.mark.parametrize("name", [folder.ARCHITECTURES, folder.GRAPHS, folder.EMBEDDINGS])
@pytest.mark.parametrize("other", ["random", "another zoo file", "huge header"])
def test_files_with_the_right_checksum_and_wrong_content(zoo_path, name, other):
    swap = folder.GRAPHS if name == folder.ARCHITECTURES else folder.ARCHITECTURES
    data = {
        "random": np.random.default_rng(0).bytes(500),
        "another zoo file": (zoo_path / swap).read_bytes(),
        "huge header": (2**60).to_bytes(8, "little") + b"{}" * 40,
    }[other]
    put(zoo_path, name, data)
    with pytest.raises(CorruptFileError, match=name):
        use_everything(open_zoo(zoo_path))


def test_embeddings_of_another_shape(zoo_path):
    from narfast.storage.tables import embeddings_to_bytes

    put(zoo_path, folder.EMBEDDINGS, embeddings_to_bytes(np.ones((3, 8), dtype=np.float32)))
    with pytest.raises(CorruptFileError, match=r"expected float32 \[16, dim\]"):
        use_everything(open_zoo(zoo_path))
    put(zoo_path, folder.EMBEDDINGS, embeddings_to_bytes(np.full((16, 8), np.nan)))
    with pytest.raises(CorruptFileError, match="not finite"):
        use_everything(open_zoo(zoo_path))


def test_rows_of_another_zoo(zoo_path):
    batch = GraphBatch.from_graphs([network("plain", 1)])
    put(zoo_path, folder.GRAPHS, graphs_to_bytes(["0" * 32], batch))
    with pytest.raises(CorruptFileError, match="its rows are not those"):
        use_everything(open_zoo(zoo_path))


def test_graphs_that_do_not_match_their_hash_fail_verification(zoo_path):
    zoo = open_zoo(zoo_path)
    graphs = [entry.graph for entry in zoo]
    graphs[0], graphs[1] = graphs[1], graphs[0]
    hashes = [entry.structural_hash for entry in zoo]
    put(zoo_path, folder.GRAPHS, graphs_to_bytes(hashes, GraphBatch.from_graphs(graphs)))
    assert len(open_zoo(zoo_path).verify()) == 2


def test_no_zoo_here(tmp_path):
    with pytest.raises(NarfastError, match="no zoo here"):
        Zoo.open(tmp_path)
    with pytest.raises(NarfastError, match="no zoo here"):
        Zoo.open(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(NarfastError, match="no zoo here"):
        Zoo.open(tmp_path / "file")


# ---- the HNSW index of large zoos


@pytest.fixture
def large(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_zoo(tmp_path / "large", contents().embedded(FakeEncoder(), source="fake"), exact_limit=8)
    return tmp_path / "large"


def kept_index(large):
    """The file in which the index of a large zoo is kept."""
    (path,) = (large.parent / "cache/narfast/indexes").iterdir()
    return path


def find(large):
    """Search a large zoo by its index."""
    zoo = open_zoo(large)
    assert not zoo.index.exact
    assert zoo.search("fake:plain_3", 1)[0].id == "fake:plain_3"
    return zoo


def test_large_zoos_have_an_index(large, caplog):
    assert find(large).manifest.index["dtype"] == "f16"
    assert {path.name for path in large.iterdir()} == set(FILES)
    assert kept_index(large).stat().st_mode & 0o777 == 0o600
    assert caplog.text == ""  # it was built when the zoo was written


def test_several_threads_may_build_the_index(tmp_path, large):
    made = contents().embedded(FakeEncoder(), source="fake")
    write_zoo(large, made, exact_limit=8, index_threads=2)
    assert find(large).verify() == []


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "missing", "writable", "link"])
def test_an_index_that_cannot_be_trusted_is_built_again(large, damage, caplog, monkeypatch):
    path = kept_index(large)
    data = path.read_bytes()
    match damage:
        case "flipped":
            path.write_bytes(bytes([*data[:50], data[50] ^ 1, *data[51:]]))
        case "truncated":
            path.write_bytes(data[:40])
        case "empty":
            path.write_bytes(b"")
        case "missing":
            path.unlink()
        case "writable":
            path.parent.chmod(0o777)
        case "link":
            path.rename(large.parent / "elsewhere")
            path.symlink_to(large.parent / "elsewhere")
    find(large)
    assert f"{large}: building the index of its 16 structures" in caplog.text
    if damage == "writable":  # not kept there either
        assert "others can write there" in caplog.text
        path.parent.chmod(0o700)
    assert kept_index(large).read_bytes() == data
    assert not path.is_symlink()
    caplog.clear()
    find(large)
    assert caplog.text == ""


def test_an_index_inside_a_zoo_is_never_loaded(large, monkeypatch):
    """A stranger's zoo with an index of an older format: its bytes reach no one."""
    put(large, "index.usearch", b"crafted" * 1000)
    edited_manifest(large, index={**open_zoo(large).manifest.index, "expansion_search": 64})
    restored = []
    monkeypatch.setattr(
        "narfast.index.VectorIndex._restore", lambda index, data: restored.append(data)
    )
    assert find(large).verify() == []
    assert restored == []


def test_only_some_indexes_are_kept(large, monkeypatch):
    monkeypatch.setattr(index_cache, "_KEPT", 2)
    kept_index(large).unlink()
    for number in range(5):
        index_cache.store_index(f"{number}", b"bytes")
        os.utime(index_cache._path(f"{number}"), times=(number, number))
    assert [index_cache.load_index(f"{number}") for number in (2, 3, 4)] == [
        None,
        b"bytes",
        b"bytes",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"connectivity": 10**9}, "index.connectivity must be a whole number from 2 to 256"),
        ({"dtype": "b1"}, "index.dtype must be one of f16, f32"),
        ({"threads": 4}, "index.threads must be absent"),
        ({"oversample": -1}, "index.oversample must be"),
    ],
)
def test_settings_of_an_index_from_a_stranger(large, change, message):
    edited_manifest(large, index={**open_zoo(large).manifest.index, **change})
    with pytest.raises(CorruptFileError, match=message):
        open_zoo(large)


# ---- exporting


def test_export_to_parquet(original, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_ROWS", 5)  # several row groups
    zoo = open_zoo(original)
    assert export.export_zoo(zoo, tmp_path / "zoo.parquet", "parquet") == len(NAMES)
    rows = pq.read_table(tmp_path / "zoo.parquet").to_pylist()
    assert [row["id"] for row in rows] == [record.id for record in zoo.records]
    row = next(row for row in rows if row["id"] == "fake:plain_2_copy")
    graph = zoo["fake:plain_2"].graph
    for name in ("op", "attr", "in_ptr", "in_src"):
        assert row[name] == getattr(graph, name).tolist()
    assert row["op_names"] == graph.op_names()
    assert row["embedding"] == zoo["fake:plain_2"].embedding.tolist()
    assert (row["coarse_class"], row["family"]) == ("convolutional", "plain")


def test_export_to_csv(original, tmp_path):
    zoo = open_zoo(original)
    export.export_zoo(zoo, tmp_path / "zoo.csv", "csv")
    with (tmp_path / "zoo.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == [record.id for record in zoo.records]
    assert rows[0]["input_shape"] == "1x3x8x8"


def test_export_refuses(original, tmp_path):
    zoo = open_zoo(original)
    with pytest.raises(NarfastError, match="parquet, csv"):
        export.export_zoo(zoo, tmp_path / "zoo.xml", "xml")
    with pytest.raises(NarfastError, match="is a folder"):
        export.export_zoo(zoo, tmp_path, "csv")
    assert list(tmp_path.iterdir()) == []


def test_export_replaces_only_what_it_wrote(original, tmp_path):
    zoo = open_zoo(original)
    with pytest.raises(NarfastError, match="inside a zoo"):
        export.export_zoo(zoo, original / "zoo.csv", "csv")
    for format in ("csv", "parquet"):
        mine = tmp_path / f"mine.{format}"
        mine.write_text("my notes\n")
        with pytest.raises(NarfastError, match="choose another name"):
            export.export_zoo(zoo, mine, format)
        assert mine.read_text() == "my notes\n"
        export.export_zoo(zoo, tmp_path / f"again.{format}", format)
        export.export_zoo(zoo, tmp_path / f"again.{format}", format)


def test_default_is_the_shipped_zoo_whatever_folders_there_are(zoo_path, monkeypatch):
    zoo_path.rename(zoo_path.with_name("default"))
    monkeypatch.chdir(zoo_path.parent)
    assert Zoo.open("default").directory == Zoo.open().directory
    assert len(Zoo.open("./default")) == len(BLOCKS) * 4
    with pytest.raises(NarfastError, match=r"means the shipped zoo; call a folder .* \./default"):
        add_networks(Path("default"), [network("plain", 7)])


def test_threads_share_the_records_of_a_small_zoo(zoo_path, monkeypatch):
    monkeypatch.setattr(tables, "_FEW", 3)
    for _ in range(20):
        groups = open_zoo(zoo_path)._groups
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(groups.__getitem__, [*range(len(groups))] * 4))
        assert [group[0].id for group in found] == [group[0].id for group in groups] * 4
