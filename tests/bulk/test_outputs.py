"""Bulk runs: what is never destroyed, and what killed runs leave."""

from __future__ import annotations

import csv
import multiprocessing
import random
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import bulk_child
import narfast
from bulk_runs import CELLS, engine, interrupt, sources_of
from narfast.bulk import Inputs, LocalEngine, encode_to_parquet, tables
from narfast.bulk.sources import read_list
from narfast.cli import app as cli
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.errors import CorruptFileError, NarfastError
from narfast.zoo.store import write_zoo
from paths import TESTS
from zoo_fakes import FakeEncoder, contents


@pytest.fixture
def command(monkeypatch):
    """Run ``narfast encode`` in this process with a made-up encoder."""
    monkeypatch.setattr(ArchitectureEncoder, "from_pretrained", lambda source: FakeEncoder())

    def invoke(*arguments, **options):
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(cli.app, ["encode", *words], **options)

    return invoke


def refused(result, *parts):
    """The one line that a refused command says."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert all(part in line for part in parts), line
    return line


@pytest.mark.slow
def test_a_run_without_rows_keeps_the_old_table(tmp_path, command):
    output, errors = tmp_path / "out.parquet", tmp_path / "out.parquet.errors.csv"
    assert command(*CELLS[:3], "missing.onnx", "-o", output).exit_code == 0
    before = output.read_bytes(), errors.read_bytes()
    (tmp_path / "empty.txt").touch()
    refused(command("--from", errors, "-o", output), "another file with -o")
    refused(command("--from", errors, "-o", output, "--resume"), "another file with -o")
    refused(command("--from", tmp_path / "empty.txt", "-o", output), "no sources")
    result = command("gone.onnx", "-o", output)
    assert result.exit_code == 2
    assert f"{output} stays as it was" in " ".join(result.stderr.split("\n"))
    assert (output.read_bytes(), errors.read_bytes()) == before
    assert command("--from", errors, "-o", tmp_path / "again.parquet").exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "again.parquet",
        "again.parquet.errors.csv",
        "again.parquet.resume",
        "empty.txt",
        "out.parquet",
        "out.parquet.errors.csv",
        "out.parquet.resume",
    ]
    assert command(*CELLS[:3], "missing.onnx", "-o", output, "--resume").exit_code == 0
    assert (output.read_bytes(), errors.read_bytes()) == before


def test_a_mistake_leaves_the_parts_of_a_killed_run(tmp_path, small_parts, command):
    output = tmp_path / "out.parquet"
    interrupt(output)
    left = {path: path.read_bytes() for path in Path(f"{output}.parts").iterdir()}
    assert left
    typo, bad = tmp_path / "typo.txt", tmp_path / "bad.csv"
    bad.write_text("name\na\n")
    refused(command("--from", typo, "-o", output), "no such list")
    refused(command(*CELLS[:60], "--from", typo, "-o", output), "no such list")
    refused(command(*CELLS[:60], "--from", bad, "-o", output), "no column 'source'")
    refused(command(*CELLS[:60], "--from", tmp_path, "-o", output), "is a directory")
    refused(command("zoo:all", "--zoo", typo, "-o", output), "no zoo here")
    assert {path: path.read_bytes() for path in Path(f"{output}.parts").iterdir()} == left


@pytest.mark.slow
def test_only_tables_of_narfast_are_replaced(tmp_path, zoo_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {path.name: path.read_bytes() for path in Path(zoo_path).iterdir()}
    for place in ("graphs.parquet", "architectures.parquet", "new.parquet"):
        for zoo in ("zoo:all", CELLS[0]):
            result = command(zoo, "--zoo", "zoo", "-o", f"zoo/{place}")
            refused(result, f"zoo/{place}: is inside a zoo")
        result = CliRunner().invoke(cli.app, ["zoo", "export", "zoo", "-o", f"zoo/{place}"])
        refused(result, "is inside a zoo; choose a place outside")
    assert {path.name: path.read_bytes() for path in Path(zoo_path).iterdir()} == before

    foreign = tmp_path / "s.parquet"
    pq.write_table(pa.table({"source": CELLS[:2]}), foreign)
    for options in ((), ("--resume",)):
        refused(command(CELLS[0], "-o", "s.parquet", *options), "not written by narfast")
        refused(command("--from", foreign, "-o", "s.parquet", *options), "read by this run too")
    assert pq.read_table(foreign).num_rows == 2
    assert command(CELLS[0], "-o", "out.parquet").exit_code == 0
    refused(command("--from", "out.parquet", "-o", f"{tmp_path}/out.parquet"), "read by this run")

    export = ["zoo", "export", "zoo", "-o", "e.parquet"]
    for _ in range(2):  # its own tables may be written anew
        assert CliRunner().invoke(cli.app, export).exit_code == 0
    refused(command(CELLS[0], "-o", "e.parquet", "--resume"), "not a table of 'narfast encode'")
    assert command(CELLS[0], "-o", "e.parquet").exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--memory", "nan"], None),
        (["--timeout", "nan"], None),
        (["--motif-cache", ""], "--motif-cache: the name is empty"),
        (["--ray-address", "auto"], "--ray-address auto: not used by --engine local"),
        (["--memory", "inf"], None),
        (["--memory", "1e300"], None),
    ],
)
def test_options_that_cannot_be(tmp_path, command, options, message):
    result = command(CELLS[0], "-o", tmp_path / "out.parquet", *options)
    if message:
        refused(result, message)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert not any(tmp_path.iterdir())


def test_an_address_of_ray_in_the_environment_is_no_mistake(tmp_path, command, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert command(CELLS[0], "-o", tmp_path / "out.parquet").exit_code == 0


def test_lists_with_odd_bytes(tmp_path, command):
    output = tmp_path / "out.parquet"
    result = command("--from", "-", "-o", output, input=b"\xef\xbb\xbf" + CELLS[0].encode())
    assert result.exit_code == 0, result.output
    result = command("--from", "-", "-o", output, input=b"\xff.onnx\n" + CELLS[1].encode())
    assert result.exit_code == 0, result.output
    assert sources_of(output) == CELLS[1:2]
    text, comma = tmp_path / "a.txt", tmp_path / "a.csv"
    text.write_text(CELLS[0], encoding="utf-8-sig")
    with comma.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([["source"], [CELLS[1]]])
    assert [*read_list(str(text)), *read_list(str(comma))] == CELLS[:2]


def test_what_else_has_the_name_of_the_parts(tmp_path, command):
    output, parts = tmp_path / "out.parquet", tmp_path / "out.parquet.parts"
    refused(command("zoo:all", "--zoo", tmp_path / "no", "-o", output), "no zoo here")
    refused(command(CELLS[0], "nasbench201:all", "--from", tmp_path / "no.txt", "-o", output))
    assert not any(tmp_path.iterdir())
    parts.touch()
    refused(command(CELLS[0], "-o", output), f"{parts}: is a file", "choose another output")
    parts.unlink()
    parts.mkdir()
    for name in ("foo.parquet", "²", "note.txt"):
        (parts / name).touch()
    for options in ((), ("--resume",)):
        assert command(*CELLS[:2], "-o", output, *options).exit_code == 0
        assert sources_of(output) == CELLS[:2]
        assert sorted(path.name for path in parts.iterdir()) == ["foo.parquet", "note.txt", "²"]
    pq.write_table(pa.table({"source": CELLS[:2]}), parts / "000000.parquet")
    refused(command(*CELLS[:2], "-o", output, "--resume"), "not a table of 'narfast encode'")


def test_a_run_that_fails_leaves_no_folder_and_no_lock(tmp_path):
    class Failing(LocalEngine):
        def tables(self, blocks):
            raise NarfastError("no")

    output = tmp_path / "out.parquet"
    for _ in range(2):
        with pytest.raises(NarfastError, match=r"^no$"):
            encode_to_parquet(Inputs(CELLS[:3]), output, Failing(FakeEncoder()))
        assert not any(tmp_path.iterdir())
    encode_to_parquet(Inputs(CELLS[:3]), output, engine())
    with pytest.raises(NarfastError, match=r"^no$"):
        encode_to_parquet(Inputs(CELLS[:3]), output, Failing(FakeEncoder()))
    assert sorted(tmp_path.iterdir()) == [output, tables.record_path(output)]


def run_child(folder):
    """Begin a run in a process that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bulk_child"])
    ours, theirs = context.Pipe()
    child = context.Process(target=bulk_child.main, args=(folder, theirs))
    child.start()
    theirs.close()
    assert ours.recv() == "begun"
    return child, ours


def is_done(child, pipe):
    """Wait for the end; whether the run got there, or was killed."""
    try:
        done = pipe.recv() == "done"
    except EOFError:
        done = False
    pipe.close()
    child.join()
    return done


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path, monkeypatch):
    folders = tmp_path / "whole", tmp_path / "killed"
    listed = "".join(
        f"{cell}\nfake:bad_{i}\n" if i % 300 == 0 else f"{cell}\n" for i, cell in enumerate(CELLS)
    )
    for folder in folders:
        folder.mkdir()
        write_zoo(folder / "zoo", contents())
        (folder / "list.txt").write_text(listed)
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}:{Path(narfast.__file__).parents[1]}")
    child = run_child(folders[0])
    begin = time.monotonic()
    assert is_done(*child)
    seconds = time.monotonic() - begin

    draw = random.Random(0)
    kills = 0
    while kills < 10:
        child, pipe = run_child(folders[1])
        timer = threading.Timer(draw.uniform(0, seconds / 4), child.kill)
        timer.start()
        if is_done(child, pipe):  # it was faster; the next one starts from nothing
            assert_same(folders)
            (folders[1] / "out.parquet").unlink()
        else:
            kills += 1
        timer.cancel()
    assert is_done(*run_child(folders[1]))
    assert_same(folders)


def test_only_paths_of_onnx_files_are_read_in_threads():
    """A model of a library needs a process that can be ended, whatever it is called."""
    engine = LocalEngine(FakeEncoder())
    in_threads = ("a.onnx", "nasbench201:x", "zoo:timm:resnet50")
    assert all(map(engine._in_threads, in_threads))
    assert not any(map(engine._in_threads, ("hf:a.onnx", "timm:x.onnx", "a.py:build", "a.pt2")))


def test_a_table_of_sources_that_are_no_text(tmp_path):
    path = tmp_path / "sources.parquet"
    texts = pa.array([b"a.onnx", b"\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"source": texts}), path)
    with pytest.raises(CorruptFileError, match="not a table of sources"):
        list(Inputs(lists=[str(path)]).blocks())


def test_a_closed_standard_input_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(NarfastError, match="standard input is closed"):
        list(Inputs(lists=["-"]).blocks())


def assert_same(folders):
    whole, other = folders
    for name in ("out.parquet", "out.parquet.errors.csv", "out.parquet.resume"):
        assert (whole / name).read_bytes() == (other / name).read_bytes()
    names = {path.name for path in other.iterdir()}
    assert names == {
        "list.txt",
        "zoo",
        "out.parquet",
        "out.parquet.errors.csv",
        "out.parquet.resume",
    }
