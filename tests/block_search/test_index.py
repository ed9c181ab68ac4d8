"""The index of blocks: kept for later, never trusted, the same however it is made."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from narfast.block_search import index as module
from narfast.block_search.index import LEVELS, BlockIndex, MotifTable, at_level
from narfast.errors import CorruptFileError
from narfast.graph import GraphBatch, hash_texts, structural_hash
from narfast.motifs import mine
from zoo_fakes import network
from zoo_folders import open_zoo


@pytest.fixture(autouse=True)
def _kept(monkeypatch):
    monkeypatch.setattr(module, "_STORED_FROM", 1)


def same(one, other):
    return one.to_bytes() == other.to_bytes()


def test_motifs_and_their_networks(zoo):
    table = BlockIndex.of(zoo).motifs
    expected = {}
    for row, graph in enumerate(zoo.graphs):
        for text in hash_texts(mine(graph).motif_id):
            counts = expected.setdefault(text, {})
            counts[row] = counts.get(row, 0) + 1
    ids = hash_texts(table.motif_id)
    assert ids == sorted(expected)
    for number, text in enumerate(ids):
        rows = table.rows_of(number).tolist()
        counts = table.count[table.ptr[number] : table.ptr[number + 1]].tolist()
        assert dict(zip(rows, counts, strict=True)) == expected[text]


def test_motifs_have_a_hash_at_every_level(zoo):
    table = BlockIndex.of(zoo).motifs
    graph = zoo.graphs[0]
    for level in LEVELS:
        bare = at_level(GraphBatch.from_graphs([graph]), level)
        if len(mine(graph).motif_id) == 1:
            assert hash_texts(structural_hash(bare))[0] in hash_texts(table.ids_at(level))
    assert table.ids_at("exact") is table.motif_id


@pytest.mark.parametrize("digits", [8, 16, 17, 32])
def test_motifs_are_found_by_their_first_digits(zoo, digits):
    table = BlockIndex.of(zoo).motifs
    ids = hash_texts(table.motif_id)
    for number, text in enumerate(ids):
        assert table.find(text[:digits]).tolist() == [number]
    assert table.find("0" * digits).tolist() == []
    assert table.find("f" * digits).tolist() == []


def test_ids_that_differ_in_their_last_digits_are_told_apart():
    ids = np.array([[1, 5], [1, 6], [2, 0]], dtype=np.uint64)
    empty = np.zeros(0, np.int32)
    table = MotifTable(ids, np.zeros((3, 2, 2), np.uint64), empty, np.zeros(4), empty, empty)
    assert table.find(f"{1:016x}").tolist() == [0, 1]
    assert table.find(f"{1:016x}{5:016x}").tolist() == [0]
    assert table.find(f"{1:016x}{7:016x}").tolist() == []
    assert table.find(f"{2:016x}0").tolist() == [2]


def test_the_index_is_kept_and_read_again(zoo, zoo_path, cache):
    first = BlockIndex.of(zoo)
    assert BlockIndex.of(zoo) is first
    (path,) = cache.iterdir()
    assert path.suffix == ".blocks"
    assert path.stat().st_mode & 0o777 == 0o600
    again = BlockIndex.of(open_zoo(zoo_path))
    assert again is not first
    assert same(again, first)
    assert same(BlockIndex.build(zoo.graphs, num_threads=3), first)


def test_small_zoos_keep_none(zoo, cache, monkeypatch):
    monkeypatch.setattr(module, "_STORED_FROM", 1000)
    BlockIndex.of(zoo)
    assert not cache.exists()


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "writable", "forged"])
def test_a_damaged_index_is_made_again(zoo, zoo_path, cache, damage, caplog):
    first = BlockIndex.of(zoo)
    (path,) = cache.iterdir()
    data = path.read_bytes()
    match damage:
        case "flipped":
            path.write_bytes(bytes([*data[:500], data[500] ^ 1, *data[501:]]))
        case "truncated":
            path.write_bytes(data[:100])
        case "empty":
            path.write_bytes(b"")
        case "writable":
            path.chmod(0o666)
        case "forged":  # with a right checksum
            module.store_index(path.stem, b"not safetensors", "blocks")
    assert same(BlockIndex.of(open_zoo(zoo_path)), first)
    if damage in ("flipped", "truncated", "empty", "forged"):
        assert "again" in caplog.text
    assert path.read_bytes() == data


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_no_error(zoo, cache):
    cache.parent.parent.mkdir()
    cache.parent.parent.chmod(0o500)
    assert len(BlockIndex.of(zoo).motifs)


def test_a_cache_folder_that_is_a_file_is_no_error(zoo, cache, caplog):
    cache.parent.parent.write_text("")
    assert len(BlockIndex.of(zoo).motifs)
    assert "cannot be kept" in caplog.text


def test_an_index_of_other_networks_is_refused(zoo):
    index = BlockIndex.of(zoo)
    data = index.to_bytes()
    assert same(BlockIndex.from_bytes(data, len(zoo)), index)
    for rows in (0, len(zoo) - 1, len(zoo) + 1):
        with pytest.raises(CorruptFileError):
            BlockIndex.from_bytes(data, rows)


CHANGES = {
    "motif_id": lambda t: t.motif_id[::-1].copy(),
    "coarse_id": lambda t: t.coarse_id[:, :1].copy(),
    "size": lambda t: t.size * 0,
    "ptr": lambda t: t.ptr + 1,
    "row": lambda t: t.row + 1,
    "count": lambda t: -t.count,
}


@pytest.mark.parametrize("name", CHANGES)
def test_motifs_that_do_not_fit_together_are_refused(zoo, name):
    index = BlockIndex.of(zoo)
    index.motifs.check(len(zoo))
    bad = replace(index.motifs, **{name: CHANGES[name](index.motifs)})
    with pytest.raises(CorruptFileError):
        bad.check(len(zoo))
    forged = BlockIndex(index.ngrams, bad, index.nodes, "")
    with pytest.raises(CorruptFileError):
        BlockIndex.from_bytes(forged.to_bytes(), len(zoo))


def test_a_zoo_that_changes_gets_another_index(zoo_path, tmp_path, cache):
    import shutil

    own = open_zoo(shutil.copytree(zoo_path, tmp_path / "own"))
    before = BlockIndex.of(own)
    own.add([network("mixer", 7, name="deep")])
    after = BlockIndex.of(own)
    assert after is not before
    assert len(after.nodes) == len(own)
    assert after.nodes.tolist() == [entry.nodes for entry in own]
    assert len(list(cache.iterdir())) == 2


def test_an_empty_zoo():
    index = BlockIndex.build(GraphBatch.from_graphs([]))
    assert len(index.motifs) == 0
    assert same(BlockIndex.from_bytes(index.to_bytes(), 0), index)
