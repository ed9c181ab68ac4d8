"""Zoos: every kind of damage is an error that names the file."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from narfast.errors import CorruptFileError, NarfastError
from narfast.graph import GraphBatch
from narfast.storage import format as folder
from narfast.storage.tables import graphs_to_bytes
from narfast.zoo import Zoo
from zoo_fakes import network
from zoo_folders import FILES, edited_manifest, open_zoo, put, use_everything


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
        ({"unknown_ops": "[" * 200_000}, "column unknown_ops.*nested too deeply"),
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
    with pytest.raises(CorruptFileError, match="its rows differ from those"):
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
