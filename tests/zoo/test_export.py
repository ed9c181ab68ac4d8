"""Zoos: exported as tables."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from narfast.errors import NarfastError
from narfast.storage import tables
from narfast.zoo import Zoo, export
from narfast.zoo.zoo import add_networks
from zoo_fakes import BLOCKS, NAMES, network
from zoo_folders import open_zoo


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
    with pytest.raises(NarfastError, match=r"name of the shipped zoo; .* write \./default"):
        add_networks(Path("default"), [network("plain", 7)])


def test_threads_share_the_records_of_a_small_zoo(zoo_path, monkeypatch):
    monkeypatch.setattr(tables, "_FEW_RECORDS", 3)
    for _ in range(20):
        groups = open_zoo(zoo_path)._stored.groups
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(groups.__getitem__, [*range(len(groups))] * 4))
        assert [group[0].id for group in found] == [group[0].id for group in groups] * 4
