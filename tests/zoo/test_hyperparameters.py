"""Hyperparameters in zoos: written, read, missing in old zoos, and damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from narfast.errors import CorruptFileError
from narfast.graph import ArchGraph, GraphBatch
from narfast.hyperparameters import NAMES, Hyperparameters
from narfast.storage import format as folder
from narfast.storage.tables import graphs_from_bytes, graphs_to_bytes
from narfast.zoo import NetworkRecord, Zoo
from narfast.zoo.store import ZooContents, write_zoo
from zoo_fakes import FakeEncoder, network
from zoo_folders import open_zoo, put

COLUMNS = ["exact_network", "exact_count", "exact_key", "exact_value", "exact_texts"]


def known(graph: ArchGraph, width: int) -> ArchGraph:
    """The graph with made-up values at every other node."""
    rows: list[dict[str, Any]] = [
        {"out_channels": width + node, "fused": (0,), "path": f"layers.{node}"} if node % 2 else {}
        for node in range(graph.num_nodes)
    ]
    return replace(graph, hyperparameters=Hyperparameters.from_rows(rows))


def rows_of(graph: ArchGraph) -> list[dict[str, Any]] | None:
    exact = graph.hyperparameters
    return None if exact is None else [exact.of(node) for node in range(graph.num_nodes)]


@pytest.fixture
def networks() -> dict[str, ArchGraph]:
    return {
        "fake:plain_1": known(network("plain", 1), 10),
        "fake:plain_1_wide": known(network("plain", 1), 90),  # of the same structure
        "fake:plain_2": network("plain", 2),  # where nothing is known
        "fake:mixer_2": known(network("mixer", 2), 20),
    }


@pytest.fixture
def path(networks: dict[str, ArchGraph], tmp_path: Path) -> Path:
    pairs = [(NetworkRecord.of(name, graph), graph) for name, graph in networks.items()]
    write_zoo(tmp_path / "zoo", ZooContents.from_networks(pairs).embedded(FakeEncoder(), source=""))
    return tmp_path / "zoo"


def test_they_come_back_with_the_network_that_they_belong_to(path, networks):
    zoo = open_zoo(path)
    for name in ("fake:plain_1", "fake:mixer_2"):
        graph = zoo.graph_of(name)
        assert rows_of(graph) == rows_of(networks[name])
        assert graph.hyperparameters.network == name
    assert zoo.graph_of("fake:plain_2").hyperparameters is None
    assert zoo.verify() == []


def test_another_name_of_the_structure_has_none(path):
    zoo = open_zoo(path)
    assert zoo.graph_of("fake:plain_1").structural_hash == (
        zoo.graph_of("fake:plain_1_wide").structural_hash
    )
    assert zoo.graph_of("fake:plain_1_wide").hyperparameters is None


def test_adding_networks_keeps_those_that_are_there(path, networks):
    added = known(network("norms", 2), 5)
    open_zoo(path).add([added])
    zoo = open_zoo(path)
    assert rows_of(zoo.graph_of("fake:plain_1")) == rows_of(networks["fake:plain_1"])
    assert rows_of(zoo.graph_of("fake:norms_2")) == rows_of(added)


def test_a_zoo_where_nothing_is_known_has_the_old_columns(original):
    assert not set(COLUMNS) & set(pq.read_schema(original / folder.GRAPHS).names)
    zoo = open_zoo(original)
    assert all(own is None for own in zoo.graphs.hyperparameters)


def test_vectors_and_hashes_do_not_depend_on_them(path, networks, tmp_path):
    bare = {name: replace(graph, hyperparameters=None) for name, graph in networks.items()}
    pairs = [(NetworkRecord.of(name, graph), graph) for name, graph in bare.items()]
    write_zoo(
        tmp_path / "bare", ZooContents.from_networks(pairs).embedded(FakeEncoder(), source="")
    )
    one, other = open_zoo(path), Zoo.open(tmp_path / "bare")
    assert [r.structural_hash for r in one.records] == [r.structural_hash for r in other.records]
    assert np.array_equal(one.embeddings, other.embeddings)


def damaged(data: bytes, name: str, change: Any) -> bytes:
    """The file with the first cell of a column that holds anything changed."""
    table = pq.read_table(pa.BufferReader(data))
    column = table.column(name)
    cells = column.to_pylist()
    place = next(row for row, cell in enumerate(cells) if cell)
    cells[place] = change(cells[place])
    changed = pa.array(cells, type=column.type)
    table = table.set_column(table.schema.get_field_index(name), name, changed)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


DAMAGE = [
    ("exact_count", lambda cell: cell[1:]),
    ("exact_count", lambda cell: [cell[0] + 1, *cell[1:]]),
    ("exact_count", lambda cell: None),
    ("exact_key", lambda cell: cell[1:]),
    ("exact_key", lambda cell: [len(NAMES), *cell[1:]]),
    ("exact_key", lambda cell: cell[::-1]),
    ("exact_key", lambda cell: [None, *cell[1:]]),
    ("exact_value", lambda cell: cell[:-1]),
    ("exact_value", lambda cell: [*cell[:-1], 10**6]),
    ("exact_value", lambda cell: [*cell[:-1], -1]),
    ("exact_value", lambda cell: None),
    ("exact_texts", lambda cell: cell[:-1]),
    ("exact_texts", lambda cell: [None, *cell[1:]]),
    ("exact_texts", lambda cell: None),
]


@pytest.mark.parametrize(("name", "change"), DAMAGE)
def test_a_damaged_column_is_an_error_that_names_the_file(path, name, change):
    data = damaged((path / folder.GRAPHS).read_bytes(), name, change)
    put(path, folder.GRAPHS, data)
    with pytest.raises(CorruptFileError, match=folder.GRAPHS):
        _ = open_zoo(path).graphs


def test_an_operator_that_nobody_named(path):
    place = NAMES.index("fused")

    def change(cell: list[int]) -> list[int]:
        keys = pq.read_table(path / folder.GRAPHS).column("exact_key").to_pylist()
        own = next(row for row in keys if row)
        return [60_000 if key == place else value for key, value in zip(own, cell, strict=True)]

    put(path, folder.GRAPHS, damaged((path / folder.GRAPHS).read_bytes(), "exact_value", change))
    with pytest.raises(CorruptFileError, match="operator that the manifest does not name"):
        _ = open_zoo(path).graphs


def without(path: Path, column: str) -> Zoo:
    table = pq.read_table(path / folder.GRAPHS).drop_columns([column])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    put(path, folder.GRAPHS, bytes(sink.getvalue()))
    return open_zoo(path)


@pytest.mark.parametrize("column", COLUMNS)
def test_one_column_is_missing(path, column):
    with pytest.raises(CorruptFileError, match=folder.GRAPHS):
        _ = without(path, column).graphs


def test_the_table_alone(networks):
    graphs = GraphBatch.from_graphs(list(networks.values()))
    hashes = [graph.structural_hash for graph in networks.values()]
    _, again = graphs_from_bytes(graphs_to_bytes(hashes, graphs), Path("graphs.parquet"))
    assert [rows_of(graph) for graph in again] == [rows_of(graph) for graph in graphs]
