"""``narfast encode``: what it takes and what it never replaces."""

from __future__ import annotations

import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from encoders import make_encoder
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.zoo import Zoo
from zoo_fakes import NAMES, FakeEncoder, load


def test_encode(run, tmp_path):
    output = tmp_path / "out.parquet"
    result = run("encode", *NAMES, "fake:bad_1", NAMES[0], "-o", output)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "fake:bad_1" in result.stderr
    table = pq.read_table(output)
    assert table.column_names == [
        "source",
        "name",
        "structural_hash",
        "params",
        "nodes",
        "embedding",
    ]
    assert table.column("source").to_pylist() == NAMES
    expected = FakeEncoder().encode([load(name) for name in NAMES])
    np.testing.assert_allclose(np.array(table.column("embedding").to_pylist()), expected, atol=1e-6)
    errors = (tmp_path / "out.parquet.errors.csv").read_text().splitlines()
    assert errors[0] == "source,reason"
    assert errors[1].startswith("fake:bad_1,")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.parquet",
        "out.parquet.errors.csv",
        "out.parquet.resume",
    ]


@pytest.mark.parametrize("place", [".", "/", "..", "folder", "pipe"])
def test_encode_never_replaces_a_folder_or_a_device(run, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    result = run("encode", "fake:plain_1", "-o", place)
    assert result.exit_code == 2
    assert "name the parquet file" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.slow
def test_encode_of_nothing_but_errors(run, tmp_path):
    result = run("encode", "fake:bad_1", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 2
    assert "none of the sources" in result.stderr


@pytest.mark.slow
def test_encode_reads_lists_and_collections(run, zoo_path, tmp_path):
    output, sources = tmp_path / "out.parquet", tmp_path / "sources.txt"
    sources.write_text(f"{NAMES[3]}\nzoo:\n\nfake:bad_1\n{NAMES[3]}\n")
    arguments = (NAMES[0], "--from", sources, "-o", output, "--zoo", zoo_path, "--workers", 2)
    result = run("encode", *arguments)
    assert result.exit_code == 0, result.output
    stored = [f"zoo:{entry.id}" for entry in Zoo.open(zoo_path)]
    table = pq.read_table(output)
    assert table.column("source").to_pylist() == [NAMES[0], NAMES[3], *stored, NAMES[3]]
    assert "1 could not be read" in result.stderr
    again = run("encode", *arguments, "--resume")
    assert f"({len(stored) + 4} sources done by an earlier run)" in again.stderr
    assert pq.read_table(output).equals(table)


def test_encode_of_no_sources(run, tmp_path):
    result = run("encode", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 2
    assert "--from" in result.stderr
    result = run("encode", "--from", tmp_path / "no.txt", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 2
    assert "no such list of sources" in result.stderr


def test_encode_keeps_motifs(run, tmp_path, monkeypatch):

    monkeypatch.setattr(ArchitectureEncoder, "from_pretrained", lambda source: make_encoder())
    tables = []
    for _ in range(2):
        result = run(
            "encode", *NAMES, "-o", tmp_path / "out.parquet", "--motif-cache", tmp_path / "motifs"
        )
        assert result.exit_code == 0, result.output
        tables.append(pq.read_table(tmp_path / "out.parquet"))
        assert len(list((tmp_path / "motifs").glob("*/*.safetensors"))) == 1
    assert tables[0].equals(tables[1])
