"""Bulk runs: what they take, in which order."""

from __future__ import annotations

import csv
import io
import os
import resource
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import narfast
from bulk_runs import CELLS, engine, sources_of
from narfast.bulk import Inputs, encode_to_parquet, tables
from narfast.bulk.sources import read_list
from narfast.errors import CorruptFileError, NarfastError
from narfast.search_spaces import nasbench101, nasbench201
from narfast.zoo import Zoo
from narfast.zoo.store import write_zoo
from zoo_fakes import NAMES, FakeEncoder, contents, load


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_list_of_bytes_is_a_list_of_bad_sources(tmp_path):
    path, output = tmp_path / "list.txt", tmp_path / "out.parquet"
    path.write_bytes(b"\xff\xfe\x00.onnx\n" + NAMES[0].encode() + b"\nmissing.onnx\n")
    odd = os.fsdecode(b"\xff.onnx")
    report = encode_to_parquet(Inputs([odd], [str(path)]), output, engine())
    assert (report.rows, report.failed) == (1, 3)
    assert sources_of(output) == [NAMES[0]]


@pytest.mark.slow
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


@pytest.mark.slow
def test_only_the_first_errors_are_held(tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"missing_{i}.onnx\n" for i in range(150)) + NAMES[0])
    report = encode_to_parquet(Inputs([], [str(listed)]), tmp_path / "out.parquet", engine())
    assert (report.rows, report.failed, len(report.errors)) == (1, 150, 100)
    with tables.errors_path(tmp_path / "out.parquet").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 150
