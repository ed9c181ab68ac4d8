"""Zoos: written, extended and embedded, by one writer at a time."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from narfast.errors import CorruptFileError, NarfastError
from narfast.graph import GraphBatch
from narfast.storage import format as folder
from narfast.storage import writing
from narfast.storage.tables import graphs_from_bytes, graphs_to_bytes
from narfast.zoo import NetworkRecord, Zoo
from narfast.zoo.builder import build_zoo
from narfast.zoo.store import ZooContents, write_zoo
from narfast.zoo.zoo import add_networks
from zoo_fakes import NAMES, FakeEncoder, contents, load, network
from zoo_folders import open_zoo, use_everything


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
