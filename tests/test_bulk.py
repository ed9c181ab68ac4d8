"""Bulk runs: what they take, in which order, and that nothing is lost or doubled when one ends."""

from __future__ import annotations

import csv
import io
import multiprocessing
import os
import random
import resource
import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import bulk_child
import narfast
from narfast.bulk import Inputs, LocalEngine, ReadingLimits, encode_to_parquet, tables
from narfast.bulk.identity import Identities
from narfast.bulk.sources import Block, open_zoo, read_list
from narfast.cli import app as cli
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.errors import CorruptFileError, NarfastError
from narfast.search_spaces import nasbench101, nasbench201
from narfast.zoo import Zoo
from narfast.zoo.store import write_zoo
from zoo_fakes import NAMES, FakeEncoder, contents, load, network

TESTS = Path(__file__).parent
LIMITS = ReadingLimits(loader="zoo_fakes:load_raw_or_cell", timeout=20)
CELLS = [f"nasbench201:{nasbench201.text(cell)}" for cell in range(0, 15_000, 10)]


def engine(workers=1, seed=0, **limits):
    loader = ReadingLimits(**{"loader": LIMITS.loader, "timeout": LIMITS.timeout, **limits})
    return LocalEngine(FakeEncoder(seed=seed), workers, loader)


@pytest.fixture
def zoo_path(tmp_path):
    write_zoo(tmp_path / "zoo", contents())
    return str(tmp_path / "zoo")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(tables, "_PART_ROWS", 8)
    monkeypatch.setattr("narfast.bulk.sources._NAMED", 4)


def sources_of(output):
    return pq.read_table(output).column("source").to_pylist()


# ---- what goes in


def test_rows_are_what_loading_gives(tmp_path):
    output = tmp_path / "out.parquet"
    cell = CELLS[17]
    report = encode_to_parquet(Inputs([*NAMES[:3], cell]), output, engine())
    assert (report.rows, report.failed, report.resumed) == (4, 0, 0)
    graphs = [*map(load, NAMES[:3]), narfast.load(cell)]
    rows = pq.read_table(output).to_pylist()
    for row, graph, source in zip(rows, graphs, [*NAMES[:3], cell], strict=True):
        assert row["source"] == source
        assert row["name"] == graph.meta.name
        assert row["structural_hash"] == graph.structural_hash
        assert (row["params"], row["nodes"]) == (graph.meta.params, graph.num_nodes)
        np.testing.assert_array_equal(row["embedding"], FakeEncoder().encode([graph])[0])


@pytest.mark.parametrize("space", [nasbench101, nasbench201])
def test_whole_spaces(space):
    name = space.__name__.rpartition(".")[2]
    inputs = Inputs([f"{name}:all"])
    blocks = list(inputs.blocks())
    assert inputs.total() == sum(map(len, blocks)) == {"1": 423_624, "2": 15_625}[name[-3]]
    block = blocks[7]
    (table,) = engine().tables([block])
    assert table.column("source").to_pylist() == block.sources()
    assert len(block) == 1024
    row, source = 1000, block.sources()[1000]
    graph = narfast.load(source)
    assert table.column("structural_hash")[row].as_py() == graph.structural_hash
    assert table.column("name")[row].as_py() == graph.meta.name
    assert block.rest(1000).sources() == block.sources()[1000:]


def test_a_zoo_is_streamed_by_row_groups(zoo_path, tmp_path, monkeypatch):
    zoo = Zoo.open(zoo_path)
    for named in ("zoo:", "zoo:all"):
        encode_to_parquet(Inputs([named], zoo=zoo_path), tmp_path / "a.parquet", engine())
    encode_to_parquet(Inputs([zoo_path]), tmp_path / "b.parquet", engine())
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column("source").to_pylist() == [f"zoo:{entry.id}" for entry in zoo]
    hashes = [entry.structural_hash for entry in zoo]
    assert table.column("structural_hash").to_pylist() == hashes

    monkeypatch.setattr("narfast.storage.tables._ROW_GROUP", 5)
    write_zoo(Path(zoo_path), contents())
    again = Zoo.open(zoo_path)
    for start, stop in ((0, 16), (3, 12), (5, 10), (15, 16), (4, 4)):
        part = again.graph_rows(start, stop)
        assert [g.meta.name for g in part] == [zoo[i].name for i in range(start, stop)]
        assert all(
            g.same_structure(again.graphs[i]) for g, i in zip(part, range(start, stop), strict=True)
        )
    with pytest.raises(CorruptFileError, match="has 16 graphs, not 17"):
        again.graph_rows(3, 17)
    damaged = Path(zoo_path, "graphs.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-9] + b"x" * 9)
    with pytest.raises(CorruptFileError, match="damaged"):
        Zoo.open(zoo_path).graph_rows(0, 1)


def test_lists(tmp_path, monkeypatch):
    wanted = ["timm:a", "b, c.onnx", "nasbench201:all"]
    text, comma, table = (tmp_path / name for name in ("a.txt", "a.csv", "a.parquet"))
    text.write_text("timm:a\n\n  b, c.onnx\r\nnasbench201:all")
    with comma.open("w", newline="") as stream:
        csv.writer(stream).writerows([["n", "source"], *([1, source] for source in wanted)])
    pq.write_table(pa.table({"n": [1, 2, 3], "source": wanted}), table)
    for path in (text, comma, table):
        assert list(read_list(str(path))) == wanted
    monkeypatch.setattr(sys, "stdin", io.StringIO(text.read_text()))
    assert list(read_list("-")) == wanted
    blocks = list(Inputs(["x"], ["-", str(text), str(table)]).blocks())
    assert blocks[0].names == ("x", *wanted[:2])
    assert sum(map(len, blocks)) == 1 + 2 + 2 + 2 * 15_625
    assert Inputs(["x"], [str(text)]).total() is None


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("no.txt", None, NarfastError, "no such list"),
        ("no.parquet", None, NarfastError, "no such list"),
        ("bad.parquet", b"PAR1 no", CorruptFileError, "not a table"),
        ("bad.csv", b"name,path\na,b\n", NarfastError, "no column 'source', only name, path"),
        ("empty.csv", b"", NarfastError, "only nothing"),
        ("huge.csv", b"source\n" + b"x" * 200_000, CorruptFileError, "not a CSV table"),
        ("long.csv", b"source\n" + b"x" * 2_000_000, CorruptFileError, "line 2 has more than 1,"),
        ("long.txt", b"a\nb\n" + b"x" * 2_000_000, CorruptFileError, "line 3 has more than 1,"),
    ],
)
def test_bad_lists(tmp_path, name, content, error, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        list(read_list(str(tmp_path / name)))


def test_a_list_that_never_ends_is_refused_at_once():
    """Without a limit to a line it took all memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CorruptFileError, match=r"/dev/zero: line 1 has more than 1,048,576"):
        list(read_list("/dev/zero"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_list_of_bytes_is_a_list_of_bad_sources(tmp_path):
    path, output = tmp_path / "list.txt", tmp_path / "out.parquet"
    path.write_bytes(b"\xff\xfe\x00.onnx\n" + NAMES[0].encode() + b"\nmissing.onnx\n")
    odd = os.fsdecode(b"\xff.onnx")
    report = encode_to_parquet(Inputs([odd], [str(path)]), output, engine())
    assert (report.rows, report.failed) == (1, 3)
    assert sources_of(output) == [NAMES[0]]


# ---- who does the work


def test_neither_order_nor_bytes_depend_on_workers(tmp_path, small_parts, zoo_path):
    sources = [*NAMES[:9], "fake:hang_1", "zoo:", "fake:bad_1", *CELLS[:5], "fake:crash_1"]
    sources += [*NAMES[9:], "fake:foreign_1"]
    outputs = []
    for workers in (1, 3):
        output = tmp_path / f"{workers}.parquet"
        done = []
        report = encode_to_parquet(
            Inputs(sources, zoo=zoo_path),
            output,
            engine(workers, timeout=9),
            progress=lambda *state, done=done: done.append(state),
        )
        total = len(sources) - 1 + 16
        assert done[-1] == (total, total)
        assert (report.rows, report.failed) == (total - 4, 4)
        errors = tables.errors_path(output).read_bytes()
        assert b"took longer than 9 s" in errors
        assert b"exit code 7" in errors
        outputs.append((output.read_bytes(), errors))
    assert outputs[0] == outputs[1]


def test_only_the_first_errors_are_held(tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"missing_{i}.onnx\n" for i in range(150)) + NAMES[0])
    report = encode_to_parquet(Inputs([], [str(listed)]), tmp_path / "out.parquet", engine())
    assert (report.rows, report.failed, len(report.errors)) == (1, 150, 100)
    with tables.errors_path(tmp_path / "out.parquet").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 150


# ---- what a stopped run leaves


def test_an_interrupted_run_goes_on(tmp_path, small_parts):
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    inputs = Inputs([*CELLS[:50], "missing.onnx", *CELLS[50:90]])
    encode_to_parquet(inputs, whole, engine())

    def stop(done, total):
        if done > 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_to_parquet(inputs, output, engine(), progress=stop)
    assert not output.exists()
    done = []
    fresh = engine()
    report = encode_to_parquet(
        inputs, output, fresh, resume=True, progress=lambda n, total: done.append(n)
    )
    assert 56 <= report.resumed < done[0] <= 68
    assert fresh.encoder.calls == 91 - report.resumed
    assert output.read_bytes() == whole.read_bytes()
    errors = tables.errors_path(whole).read_bytes()
    assert tables.errors_path(output).read_bytes() == errors

    # A finished table is gone on from, too; what failed stays failed.
    longer = Inputs([*inputs.sources, *CELLS[90:100]])
    fresh = engine()
    report = encode_to_parquet(longer, output, fresh, resume=True)
    assert (report.rows, report.failed, report.resumed) == (100, 1, 91)
    assert fresh.encoder.calls == 10
    encode_to_parquet(longer, whole, engine())
    assert output.read_bytes() == whole.read_bytes()
    assert encode_to_parquet(longer, output, engine(), resume=True).resumed == 101
    assert output.read_bytes() == whole.read_bytes()
    assert tables.errors_path(output).read_bytes() == errors

    # Other sources are done anew from the first difference on.
    other = Inputs([*CELLS[:40], *CELLS[45:60]])
    report = encode_to_parquet(other, output, engine(), resume=True)
    assert (report.rows, report.failed, report.resumed) == (55, 0, 40)
    assert sources_of(output) == [*CELLS[:40], *CELLS[45:60]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.parquet",
        "out.parquet.resume",
        "whole.parquet",
        "whole.parquet.errors.csv",
        "whole.parquet.resume",
    ]


def interrupt(output, inputs=None, loading=None):
    """Leave the parts of a run that was stopped after thirty of sixty sources."""

    def stop(done, total):
        if done > 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_to_parquet(inputs or Inputs(CELLS[:60]), output, loading or engine(), progress=stop)


def test_parts_of_other_sources_are_done_anew(tmp_path, small_parts):
    output = tmp_path / "out.parquet"
    interrupt(output)
    changed = Inputs([*CELLS[:21], *CELLS[22:40]])
    report = encode_to_parquet(changed, output, engine(), resume=True)
    assert (report.rows, report.resumed) == (39, 21)
    assert sources_of(output) == changed.sources


def test_what_cannot_be_gone_on_from(tmp_path, monkeypatch):
    output = tmp_path / "out.parquet"
    inputs = Inputs(CELLS[:3])
    encode_to_parquet(inputs, output, engine())
    with pytest.raises(NarfastError, match="another encoder"):
        encode_to_parquet(inputs, output, engine(seed=5), resume=True)
    monkeypatch.setattr(narfast, "__version__", "99.0")
    with pytest.raises(NarfastError, match=r"made by narfast .*, this is 99.0"):
        encode_to_parquet(inputs, output, engine(), resume=True)
    encode_to_parquet(inputs, output, engine())
    assert encode_to_parquet(inputs, output, engine(), resume=True).resumed == 3
    output.write_bytes(b"PAR1 no")
    for resume in (True, False):
        with pytest.raises(NarfastError, match="damaged parquet file; choose another name"):
            encode_to_parquet(inputs, output, engine(), resume=resume)
    output.unlink()
    encode_to_parquet(inputs, output, engine())
    assert sources_of(output) == CELLS[:3]


def test_two_runs_do_not_write_one_table(tmp_path):
    output = tmp_path / "out.parquet"
    with tables.Parts(output, "x", 3), pytest.raises(NarfastError, match="another run"):
        encode_to_parquet(Inputs(CELLS[:3]), output, engine())


def test_a_run_stopped_between_any_two_steps_on_disk(tmp_path, monkeypatch, small_parts):
    inputs = Inputs([*CELLS[:11], "missing.onnx", *CELLS[11:20]])
    whole = tmp_path / "whole.parquet"
    encode_to_parquet(inputs, whole, engine())
    steps = {name: getattr(Path, name) for name in ("replace", "rename", "unlink", "mkdir")}
    left = [0]

    def stopping(name):
        def step(path, *arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return steps[name](path, *arguments, **options)

        return step

    for name in steps:
        monkeypatch.setattr(Path, name, stopping(name))
    for moment in range(1, 100):
        output = tmp_path / f"{moment}.parquet"
        left[0] = moment
        try:
            encode_to_parquet(inputs, output, engine())
        except KeyboardInterrupt:
            left[0] = 0
            encode_to_parquet(inputs, output, engine(), resume=True)
            stopped = True
        else:
            stopped = left[0] <= 0
        assert output.read_bytes() == whole.read_bytes()
        errors = tables.errors_path(whole).read_bytes()
        assert tables.errors_path(output).read_bytes() == errors
        if not stopped:
            break
    assert moment > 8


def flip(path, place=0.5):
    """Flip a bit of a file, keeping its time of modification."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[round(place * (len(data) - 1))] ^= 0x40
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("damaged", ["", ".errors.csv", ".resume"])
def test_a_flipped_bit_in_what_is_finished(tmp_path, caplog, damaged):
    output = tmp_path / "out.parquet"
    inputs = Inputs([*CELLS[:20], "missing.onnx", *CELLS[20:40]])
    encode_to_parquet(inputs, output, engine())
    files = (output, tables.errors_path(output), tables.record_path(output))
    whole = [file.read_bytes() for file in files]
    vectors = pq.read_table(output).column("embedding").combine_chunks().flatten().to_numpy()
    path = output.with_name(output.name + damaged)
    places = [0.1, 0.5, 0.99]
    if not damaged:  # in a number of a vector, which the file format does not notice
        places = [(whole[0].find(vectors[20:24].tobytes()) + 3) / (len(whole[0]) - 1)]
    for place in places:
        flip(path, place)
        report = encode_to_parquet(inputs, output, engine(), resume=True)
        assert (report.rows, report.failed, report.resumed) == (40, 1, 0)
        assert "none of its rows can be kept" in caplog.text
        assert [file.read_bytes() for file in files] == whole
        caplog.clear()
    assert encode_to_parquet(inputs, output, engine(), resume=True).resumed == 41
    if damaged:
        path.unlink()
        assert encode_to_parquet(inputs, output, engine(), resume=True).resumed == 0
        assert "missing" in caplog.text
    assert [file.read_bytes() for file in files] == whole


def test_a_list_of_errors_from_elsewhere(tmp_path, caplog):
    output = tmp_path / "out.parquet"
    encode_to_parquet(Inputs(CELLS[:3]), output, engine())
    tables.errors_path(output).write_text(f"source,reason\n{CELLS[3]},no\n")
    report = encode_to_parquet(Inputs(CELLS[:4]), output, engine(), resume=True)
    assert (report.rows, report.failed, report.resumed) == (4, 0, 0)
    assert "belongs to another table" in caplog.text


def test_a_flipped_bit_in_a_part(tmp_path, small_parts, caplog):
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    encode_to_parquet(Inputs(CELLS[:60]), whole, engine())
    interrupt(output)
    parts = sorted(Path(f"{output}.parts").glob("*.parquet"))
    assert len(parts) > 3
    flip(parts[2])
    report = encode_to_parquet(Inputs(CELLS[:60]), output, engine(), resume=True)
    assert (report.rows, report.resumed) == (60, 16)
    assert f"{parts[2]}: damaged" in caplog.text
    assert output.read_bytes() == whole.read_bytes()


@pytest.fixture
def files(tmp_path):
    """Forty small files that each name a network."""
    paths = [tmp_path / f"{number:02d}.onnx" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_text(NAMES[number % 16])
    time.sleep(0.1)
    return paths


def rewrite(path, text):
    """Change a file so that its time of modification stays."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    time.sleep(0.1)


@pytest.mark.parametrize("finished", [True, False])
def test_a_file_that_has_changed_is_read_again(tmp_path, files, small_parts, caplog, finished):
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    inputs = Inputs([str(path) for path in files])
    loading = engine(loader="zoo_fakes:load_named_in_file")
    if finished:
        encode_to_parquet(inputs, output, loading)
    else:
        interrupt(output, inputs, loading)
    size = files[21].stat().st_size
    rewrite(files[21], "fake:smooth_9")
    assert files[21].stat().st_size == size
    report = encode_to_parquet(inputs, output, loading, resume=True)
    assert (report.rows, report.resumed) == (40, 21)
    assert f"{files[21]}: may have changed since the earlier run" in caplog.text
    encode_to_parquet(inputs, whole, loading)
    assert output.read_bytes() == whole.read_bytes()
    assert pq.read_table(output)["name"][21].as_py() == "smooth_9"


def test_a_file_that_comes_goes_or_moves(tmp_path, files):
    output = tmp_path / "out.parquet"
    late = tmp_path / "late.onnx"
    inputs = Inputs([*map(str, files), str(late)])
    loading = engine(loader="zoo_fakes:load_named_in_file")

    def encode():
        report = encode_to_parquet(inputs, output, loading, resume=True)
        return report.rows, report.failed, report.resumed

    assert [encode(), encode()] == [(40, 1, 0), (40, 1, 41)]
    late.write_text("fake:mixer_2")
    time.sleep(0.1)
    assert [encode(), encode()] == [(41, 0, 40), (41, 0, 41)]
    files[30].unlink()
    assert [encode(), encode()] == [(40, 1, 30), (40, 1, 41)]
    files[8].rename(files[2])
    time.sleep(0.1)
    assert [encode(), encode()] == [(39, 2, 2), (39, 2, 41)]


def test_rows_that_another_machine_read_are_not_kept(tmp_path):
    """A file that is not here may have changed there."""

    class Elsewhere(LocalEngine):
        def tables(self, blocks):
            here = engine()
            return here.tables(replace(block, names=tuple(CELLS[: len(block)])) for block in blocks)

    output = tmp_path / "out.parquet"
    inputs = Inputs(["/somewhere/else.onnx"])
    encode_to_parquet(inputs, output, Elsewhere(FakeEncoder()))
    assert tables.record_path(output).read_text().startswith("1 ?\n")


def test_identities_of_named_sources(tmp_path, zoo_path, monkeypatch):
    versions = {"timm": "1"}
    monkeypatch.setattr("narfast.bulk.identity.library_versions", lambda: versions)
    monkeypatch.chdir(tmp_path)
    for name in ("models.py", "blocks.py", "package/__init__.py", "package/a.py", "other/b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "config.json").write_text("{}")
    os.mkfifo(tmp_path / "pipe.onnx")
    time.sleep(0.1)
    hf = f"hf:{tmp_path}"
    names = ["timm:resnet18", "models.py:build", hf, "zoo:fake:plain_1", CELLS[0], "config.json"]
    odd = ["no.onnx", "pipe.onnx", "a\0b", "x" * 5000]

    def identities():
        block = Block("named", (*names, *odd), zoo=zoo_path)
        return dict(zip(block.names, Identities().of(block), strict=True))

    def changed(before):
        return {name for name, identity in identities().items() if identity != before[name]}

    first = identities()
    assert first[CELLS[0]] == ""
    assert first["no.onnx"] == "absent"
    assert [name for name in first if first[name] is None] == odd[1:]
    assert changed(first) == set()
    versions["timm"] = "2"
    assert changed(first) == {"timm:resnet18", "models.py:build", hf}
    versions["timm"] = "1"
    (tmp_path / "other/b.py").write_text("1")  # no package: it cannot be imported
    assert changed(first) == set()
    for module in ("models.py", "blocks.py", "package/a.py"):
        before = identities()
        rewrite(tmp_path / module, "")
        assert changed(before) == {"models.py:build"}
    before = identities()
    (tmp_path / "new.py").touch()
    assert identities()["models.py:build"] is None  # so fresh that a change might not show
    time.sleep(0.1)
    assert changed(before) == {"models.py:build"}
    before = identities()
    rewrite(tmp_path / "config.json", "[]")
    assert changed(before) == {"config.json", hf}
    before = identities()
    zoo = Zoo.open(zoo_path)
    zoo.embed(FakeEncoder(seed=3), source="other")
    open_zoo.cache_clear()
    assert changed(before) == set()  # vectors of a zoo are not used
    zoo.add([network("plain", 9)])
    open_zoo.cache_clear()
    assert changed(before) == {"zoo:fake:plain_1"}


def test_what_killed_runs_left_goes_with_the_next(tmp_path, small_parts):
    output = tmp_path / "out.parquet"
    interrupt(output)
    folder = Path(f"{output}.parts")
    (folder / "000099.tmp").touch()
    shutil.copytree(folder, tmp_path / ".out.parquet.parts.gone")
    for name in ("", ".errors.csv", ".resume"):
        (tmp_path / f".out.parquet{name}.new-abcd_123").touch()
    with tables.Parts(output, FakeEncoder().fingerprint, 8):
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
        assert not list(folder.glob("*.tmp"))
    encode_to_parquet(Inputs(CELLS[:60]), output, engine(), resume=True)
    assert sorted(tmp_path.iterdir()) == [output, tables.record_path(output)]


# ---- what must not be destroyed


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
        (["--motif-cache", ""], "--motif-cache: its name is empty"),
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
