"""The command line: what each command prints, and how it ends on bad input."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper
from rich.markup import escape
from typer.testing import CliRunner

import narfast
import zoo_fakes
from narfast.bulk import LocalEngine, engines
from narfast.cli import _render
from narfast.cli import app as cli
from narfast.cli._options import Terminated
from narfast.cli._render import print_hits
from narfast.encoder.calibration import Relation
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.explain import operator_label, shared_motifs, summarize
from narfast.operators import by_name, pack_attributes
from narfast.reading import worker_pool as workers
from narfast.reading.worker_pool import read_apart
from narfast.training.config import DataConfig
from narfast.zoo import NetworkRecord, Zoo
from narfast.zoo.store import ZooContents, write_zoo
from zoo_fakes import NAMES, FakeEncoder, load

PYTHON_ROOT = Path(narfast.__file__).parents[1]


@pytest.fixture
def zoo_path(tmp_path):
    networks = [(NetworkRecord.of(name, load(name)), load(name)) for name in NAMES]
    contents = ZooContents.from_networks(networks).embedded(FakeEncoder(), source="fake")
    write_zoo(tmp_path / "zoo", contents)
    return tmp_path / "zoo"


@pytest.fixture
def run(monkeypatch):
    """Run the CLI in this process, with the made-up networks in place of libraries and weights."""
    monkeypatch.setitem(vars(narfast), "load", load)  # before it is looked up lazily
    monkeypatch.setattr(Zoo, "load", lambda zoo, source: _zoo_load(zoo, source))
    monkeypatch.setattr(ArchitectureEncoder, "from_pretrained", lambda source: FakeEncoder())
    monkeypatch.setattr(
        engines,
        "LocalEngine",
        lambda encoder, workers, limits: LocalEngine(
            encoder, workers, replace(limits, loader="zoo_fakes:load_raw")
        ),
    )
    monkeypatch.setattr(Zoo, "encoder", FakeEncoder())
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments):
        return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])

    return invoke


def _zoo_load(zoo, source):
    if not isinstance(source, str):
        return source
    entry = zoo.find(source)
    return entry.graph if entry is not None else load(source)


def subprocess_run(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "narfast", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        **options,
    )


# ---- search and inspect


def test_search_json(run, zoo_path):
    result = run("search", "fake:plain_3", "-k", 3, "--zoo", zoo_path, "--json")
    assert result.exit_code == 0, result.output
    hits = json.loads(result.stdout)
    assert len(hits) == 3
    keys = {"id", "name", "names", "family", "source", "score", "params", "structural_hash"}
    assert all(keys <= set(hit) for hit in hits)
    assert hits[0]["id"] == "fake:plain_3"
    assert hits[0]["score"] == pytest.approx(1.0, abs=1e-6)
    assert all({"relation", "percentile", "shared_motifs"} <= set(hit) for hit in hits)
    assert all(hit["relation"] is hit["percentile"] is None for hit in hits)  # no thresholds
    shared = hits[0]["shared_motifs"]
    assert sum(m["size"] * m["count"] for m in shared) == load("fake:plain_3").num_nodes
    assert all(m["count"] == m["query_count"] for m in shared)
    assert set(shared[0]) == {"motif_id", "size", "count", "query_count", "operators", "exact"}


def test_search_table(run, zoo_path):
    result = run("search", "fake:plain_2", "--zoo", zoo_path)
    assert result.exit_code == 0
    assert "plain_2 +2 more" in result.stdout
    assert "Why: motifs shared" in result.stdout
    assert result.stderr == ""


def test_the_table_says_what_a_score_means_and_what_a_word_leaves_out(
    zoo_path, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", "200")
    query = load("fake:plain_2")
    hits = Zoo.open(zoo_path, encoder=FakeEncoder()).search(query, 2)
    relations = [Relation("same structure", 99.8), Relation("shares blocks", None)]
    print_hits(query, hits, relations, [[], []])
    shown = capsys.readouterr().out
    assert "closer than" in shown
    assert "99.8 %" in shown
    assert "widths and exact kernel sizes may differ" in shown
    assert "blocks in common make up a tenth" in shown
    print_hits(query, hits, [None, None], [[], []])
    shown = capsys.readouterr().out
    assert "closer than" not in shown
    assert "relation" not in shown
    assert "more: names of the same structure; operators and connections are equal" in shown


@pytest.mark.parametrize("command", [["search"], ["inspect"], ["zoo"]])
def test_help_says_at_what_level_structures_are_equal(run, command):
    shown = " ".join(run(*command, "--help").stdout.split())
    assert "widths" in shown
    assert "exact kernel sizes" in shown


def test_long_tables_are_plain_text(capsys):
    """Laid out by rich, a table of all networks took half a minute."""

    def table(rows):
        made = _render._table("all [bold]of[/bold] them")
        made.add_column("#", justify="right")
        made.add_column("name", overflow="fold")
        for place in range(rows):
            made.add_row(str(place), escape(f"[red]x{place}") + " [dim]+1 more[/dim]")
        _render._print(_render._console(), made)
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    short, start = table(200), time.process_time()
    long = table(5000)
    assert time.process_time() - start < 2
    assert long[0] == short[0] == "all of them"
    assert [line.split() for line in long[:201]] == [line.split() for line in short[:201]]
    assert long[-1] == "4999  [red]x4999 +1 more"


def test_search_filters(run, zoo_path):
    arguments = ["search", "fake:plain_3", "--zoo", zoo_path, "--json"]
    hits = json.loads(run(*arguments, "--family", "mixer", "--max-params", 2000).stdout)
    assert {hit["id"] for hit in hits} == {"fake:mixer_1", "fake:mixer_2"}
    wrong = run(*arguments, "--family", "mixxer")
    assert wrong.exit_code == 2
    assert "did you mean mixer" in wrong.stderr
    none = run(*arguments, "--max-params", 1)
    assert json.loads(none.stdout) == []


def test_inspect_json(run):
    result = run("inspect", "fake:smooth_4", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    graph = load("fake:smooth_4")
    assert summary["nodes"] == graph.num_nodes
    assert summary["edges"] == graph.num_edges
    assert summary["structural_hash"] == graph.structural_hash
    assert summary["trace_kind"] == "fake"
    assert summary["params"] == 4000
    assert summary["unknown_ops"] == {}
    assert summary["operators"]["conv"] == 8
    assert sum(m["size"] * m["count"] for m in summary["motifs"]) == graph.num_nodes
    assert summary["macro_nodes"] == sum(m["count"] for m in summary["motifs"])
    weights = [m["size"] * m["count"] for m in summary["motifs"]]
    assert weights == sorted(weights, reverse=True)
    assert max(m["count"] for m in summary["motifs"]) >= 3


def test_inspect_shows_every_input(run, tmp_path, monkeypatch):
    sides = {"image": [1, 3, 32, 32], "mask": ["batch", 1, 32, 32]}
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in sides.items()]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Mul", list(sides), ["y"])
    path = tmp_path / "two.onnx"
    onnx.save(helper.make_model(helper.make_graph([node], "net", infos, [result])), path)
    stored = json.loads(run("inspect", "fake:smooth_4", "--json").stdout)
    assert stored["input_shapes"] == [stored["input_shape"]] == [[1, 3, 8, 8]]
    monkeypatch.setitem(vars(narfast), "load", narfast.sources.load)
    assert "1 × 3 × 32 × 32, -1 × 1 × 32 × 32" in run("inspect", str(path)).stdout
    summary = json.loads(run("inspect", str(path), "--json").stdout)
    assert summary["input_shape"] == [1, 3, 32, 32]
    assert summary["input_shapes"] == [[1, 3, 32, 32], [-1, 1, 32, 32]]


def test_inspect_table(run):
    result = run("inspect", "fake:smooth_4")
    assert result.exit_code == 0
    assert "conv → silu → conv → sigmoid → add" in result.stdout
    assert "motif instances" in result.stdout


def test_names_that_look_like_markup_are_shown_as_they_are(run, monkeypatch):
    graph = load("fake:plain_3").with_meta(name="[bold]x[/nonsense]")
    monkeypatch.setitem(vars(narfast), "load", lambda source: graph)
    result = run("inspect", "anything")
    assert result.exit_code == 0
    assert "[bold]x[/nonsense]" in result.stdout


def test_operator_labels():
    conv = by_name("conv").id

    def label(**attributes):
        return operator_label(conv, pack_attributes(**attributes))

    assert label(kernel=3, stride=2, groups=8, in_channels=8, spatial_rank=2) == (
        "conv3x3 /2+ depthwise"
    )
    assert label(kernel=1, in_channels=8, out_channels=32, spatial_rank=2) == "conv1x1 ~×4"
    assert label(kernel=3, in_channels=8, out_channels=2, spatial_rank=3) == "conv3x3x3 ~÷4"
    assert label(kernel=2, in_channels=1, out_channels=999, spatial_rank=1) == "conv2 ~×128+"


def test_labels_of_bins_with_several_values_are_ranges():
    conv = by_name("conv").id

    def label(**attributes):
        return operator_label(conv, pack_attributes(**attributes))

    # A 4x4 convolution with stride 4 is not a 5x5 one with stride 2.
    assert label(kernel=4, stride=4, spatial_rank=2) == "conv 4-5 /2+"
    for side, shown in ((4, "4-5"), (5, "4-5"), (6, "6-7"), (7, "6-7"), (8, "8-15"), (15, "8-15")):
        assert label(kernel=side, spatial_rank=2) == f"conv {shown}"
    assert label(kernel=16, spatial_rank=2) == label(kernel=99, spatial_rank=2) == "conv 16+"
    assert label(kernel=7, spatial_rank=1) == "conv 6-7 1d"
    assert label(kernel=7, square=False, spatial_rank=2) == "conv 6-7 non-square"
    assert label(kernel=3, square=False, spatial_rank=3) == "conv 3 non-square 3d"
    # Ratios of channels are those that the nearest power of two stands for.
    for out in (23, 32, 45):
        assert label(in_channels=8, out_channels=out) == "conv ~×4"


def test_operators_without_attributes():
    assert operator_label(by_name("relu").id, 0) == "relu"


def test_shared_motifs_count_both_sides():
    query, hit, other = load("fake:plain_4"), load("fake:plain_3"), load("fake:mixer_4")
    near, far = shared_motifs(query, [hit, other])
    own, theirs = ({m.motif_id: m for m in summarize(g).motifs} for g in (query, hit))
    assert {m.motif_id for m in near} == own.keys() & theirs.keys()
    for motif in near:
        assert motif.query_count == own[motif.motif_id].count
        assert motif.count == theirs[motif.motif_id].count
    assert sum(m.size * m.count for m in far) < sum(m.size * m.count for m in near)
    assert summarize(query).macro_nodes == sum(m.count for m in own.values())


def widened(graph):
    """The same operators and edges with other attributes."""
    attr = np.where(graph.op == by_name("conv").id, pack_attributes(kernel=7), graph.attr)
    return replace(graph, attr=attr.astype(np.uint32))


def test_motifs_that_differ_in_attributes_are_similar():
    query = load("fake:plain_4")
    (shared,) = shared_motifs(query, [widened(query)])
    similar = [motif for motif in shared if not motif.exact]
    largest = max(similar, key=lambda motif: motif.size * motif.count)
    exact = summarize(query).motifs[0]
    assert (largest.size, largest.count) == (exact.size, exact.count)
    assert largest.count == largest.query_count
    assert largest.operators == exact.operators.replace("conv3x3", "conv")
    assert all(motif.exact for motif in shared_motifs(query, [query])[0])


# ---- encode


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


def test_encode_of_nothing_but_errors(run, tmp_path):
    result = run("encode", "fake:bad_1", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 2
    assert "none of the sources" in result.stderr


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
    from test_encoder import make_encoder

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


# ---- zoo commands


def test_zoo_build_and_info(run, tmp_path, monkeypatch):
    from narfast.zoo import builder

    monkeypatch.setattr(builder, "identifiers_of", lambda source: [*NAMES, "fake:bad_1"])
    monkeypatch.setattr(
        builder.build_zoo,
        "__kwdefaults__",
        {**builder.build_zoo.__kwdefaults__, "loader": "zoo_fakes:load_raw"},
    )
    result = run("zoo", "build", tmp_path / "zoo", "--source", "fake", "--json", "--workers", 1)
    assert result.exit_code == 0, result.output
    built = json.loads(result.stdout)
    assert built["distinct"] == 16
    assert list(built["errors"]) == ["fake:bad_1"]
    info = json.loads(run("zoo", "info", tmp_path / "zoo", "--json").stdout)
    assert {"distinct", "names", "by_source", "by_family", "format_version", "encoder"} <= set(info)
    assert "16 distinct" in run("zoo", "info", tmp_path / "zoo").stdout


def test_zoo_add_makes_a_zoo(run, tmp_path):
    new = tmp_path / "deep" / "new"
    failed = run("zoo", "add", new, "fake:bad_1")
    assert failed.exit_code == 2
    assert failed.stderr.splitlines()[-1].startswith("error: none of the sources could be read")
    assert not new.parent.exists()
    result = run("zoo", "add", new, "fake:plain_7", "fake:bad_1")
    assert result.exit_code == 0, result.output
    assert "added 1 names, 1 of them new structures; 1 structures in all" in result.stdout
    assert run("zoo", "verify", new).exit_code == 0
    assert [path.name for path in new.parent.iterdir()] == ["new"]
    (new.parent / "note.txt").write_text("mine")
    refused = run("zoo", "add", new.parent, "fake:plain_7")
    assert "exists and is not a zoo" in refused.stderr


def test_zoo_add_verify_embed(run, zoo_path):
    result = run("zoo", "add", zoo_path, "fake:plain_7", "fake:bad_1", "--json")
    assert result.exit_code == 0, result.output
    added = json.loads(result.stdout)
    assert added["added"] == ["fake:plain_7"]
    assert list(added["errors"]) == ["fake:bad_1"]
    assert run("zoo", "verify", zoo_path).stdout.startswith(f"{zoo_path}: whole, 17 structures")
    assert run("zoo", "embed", zoo_path, "--index-threads", 2).exit_code == 0
    failed = run("zoo", "add", zoo_path, "fake:bad_1")
    assert failed.exit_code == 2


def test_zoo_verify_of_a_damaged_zoo(run, zoo_path):
    path = zoo_path / "graphs.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    result = run("zoo", "verify", zoo_path, "--json")
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    assert not report["whole"]
    assert "graphs.parquet" in report["problems"][0]
    assert result.stderr.startswith("error: ")


def test_evaluate(run, zoo_path, tmp_path, monkeypatch):
    from narfast.evaluation import PROTOCOLS, protocols

    for name in PROTOCOLS.copy():
        monkeypatch.delitem(PROTOCOLS, name)
    monkeypatch.setitem(
        PROTOCOLS,
        "some-thing",
        lambda zoo: [
            protocols.same_family(zoo, range(len(zoo)), name="all", description="everything")
        ],
    )
    folder = tmp_path / "results"
    result = run("evaluate", "some-thing", "--zoo", zoo_path, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["queries"] == 16
    assert {"protocol", "methods", "families", "seed", "zoo", "versions"} <= set(report)
    every = run("evaluate", "all", "--zoo", zoo_path, "-o", folder, "--json")
    assert json.loads(every.stdout) == [report]
    assert json.loads((folder / "some_thing.json").read_text()) == report
    table = run("evaluate", "all", "--zoo", zoo_path)
    assert table.exit_code == 0
    assert "operator histogram" in table.stdout
    assert "NDCG@100" in table.stdout
    mine = run("evaluate", "all", "--zoo", zoo_path, "--encoder", "mine=default", "--json")
    (methods,) = (value["methods"] for value in json.loads(mine.stdout))
    assert methods.pop("mine") == methods["shipped encoder"]
    path = folder / "some_thing.json"
    less = {key: value for key, value in report["methods"].items() if "log1p" not in key}
    older = json.dumps({**report, "methods": less})
    path.write_text(older)
    one = [*("evaluate", "all", "--zoo", zoo_path), "--only", "operator histogram, log1p"]
    result = run(*one, "-o", folder)
    assert result.exit_code == 0, result.output
    assert "WL tf-idf" not in result.stdout
    assert json.loads(path.read_text()) == report
    path.write_text("{")
    result = run(*one, "-o", folder)
    assert result.exit_code == 2
    assert "some_thing.json: not a JSON file; choose another folder" in result.stderr
    assert path.read_text() == "{"
    assert "choose from 'operator histogram'" in run(*one[:-1], "nonsense").stderr
    nameless = run("evaluate", "all", "--zoo", zoo_path, "--encoder", "default")
    assert nameless.exit_code == 2
    assert "say NAME=DIR" in nameless.stderr


def test_evaluate_of_all_that_is_stopped_keeps_what_is_done(run, zoo_path, tmp_path, monkeypatch):
    from narfast.evaluation import PROTOCOLS, protocols

    def everything(zoo):
        return [protocols.same_family(zoo, range(len(zoo)), name="all", description="everything")]

    def stopped(zoo):
        raise KeyboardInterrupt

    for name in PROTOCOLS.copy():
        monkeypatch.delitem(PROTOCOLS, name)
    monkeypatch.setitem(PROTOCOLS, "first", everything)
    monkeypatch.setitem(PROTOCOLS, "second", stopped)
    result = run("evaluate", "all", "--zoo", zoo_path, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 130
    (report,) = json.loads(result.stdout)
    assert report["protocol"] == "first"
    assert json.loads((tmp_path / "out" / "first.json").read_text()) == report
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["first.json"]


def test_pretrain_hands_over_graphs_and_families(run, zoo_path, tmp_path, monkeypatch):
    import types

    calls = []
    stand_in = types.ModuleType("narfast.training.run")
    config = types.SimpleNamespace(
        data=DataConfig(test_families=("mixer",), test_libraries=("nowhere",))
    )
    paths = []
    stand_in.PretrainConfig = types.SimpleNamespace(
        from_toml=lambda path: paths.append(path) or config
    )
    stand_in.check_output = lambda folder, config, *, resume: None
    stand_in.run = lambda *arguments, **options: calls.append((arguments, options))
    monkeypatch.setitem(sys.modules, "narfast.training.run", stand_in)
    result = run("pretrain", "-c", "x.toml", "-o", tmp_path / "out", "--zoo", zoo_path)
    assert result.exit_code == 0, result.output
    (given, graphs, labels, output), options = calls[0]
    assert given is config
    assert paths == [Path("x.toml")]
    assert len(graphs) == len(labels) == 16
    assert set(labels) == set(zoo_fakes.BLOCKS)
    assert output == tmp_path / "out"
    held_out = {place for place, label in enumerate(labels) if label == "mixer"}
    libraries = options.pop("libraries")
    assert options == {"held_out": held_out, "resume": True}
    assert set(libraries) == {"fake"}


# ---- mistakes


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "fake:bad_1"],
        ["search", "fake:plain_1", "--zoo", "/nonexistent"],
        ["search", "zoo:nothing"],
        ["inspect", "fake:bad_1"],
        ["evaluate", "nonsense"],
        ["zoo", "info", "/nonexistent"],
        ["zoo", "verify", "/nonexistent"],
        ["zoo", "add", "/proc/nothing", "fake:plain_1"],
        ["zoo", "add", "/", "fake:plain_1"],
        ["zoo", "build", "OUT", "--source", "keras"],
        ["encode", "fake:plain_1", "-o", "/proc/nothing/out.parquet"],
        ["frobnicate"],
        ["--nonsense"],
        ["encode"],
        ["zoo", "frobnicate"],
        ["evaluate", "paper-real", "--seed", "-1"],
        ["evaluate", "paper-real", "--nonsense"],
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(run, zoo_path, arguments):
    if arguments[0] in ("search", "evaluate") and "--zoo" not in arguments:
        arguments = [*arguments, "--zoo", zoo_path]
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device", "out/x"), "out/x: no space left on device; free"),
        (PermissionError(13, "Permission denied", "out/x"), "out/x: permission denied; check"),
        (OSError(30, "Read-only file system", "out/x"), "out/x: read-only file system; choose"),
        (MemoryError(), "out of memory"),
    ],
)
def test_system_errors_are_one_line(run, monkeypatch, error, expected):
    def fail(source):
        raise error

    monkeypatch.setitem(vars(narfast), "load", fail)
    result = run("inspect", "anything")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {expected}")
    assert len(result.stderr.splitlines()) == 1


def test_a_bug_is_not_hidden(run, monkeypatch):
    def fail(source):
        raise ZeroDivisionError

    monkeypatch.setitem(vars(narfast), "load", fail)
    assert isinstance(run("inspect", "anything").exception, ZeroDivisionError)


STOPS = [(KeyboardInterrupt, "interrupted", 130), (Terminated, "terminated", 143)]


@pytest.mark.parametrize(("stop", "word", "code"), STOPS)
def test_ctrl_c_and_sigterm(run, monkeypatch, stop, word, code):
    def interrupt(source):
        raise stop

    monkeypatch.setitem(vars(narfast), "load", interrupt)
    result = run("inspect", "anything")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr == f"{word}\n"


@pytest.mark.parametrize(("stop", "word", "code"), STOPS)
def test_a_stopped_run_says_what_is_kept(run, tmp_path, monkeypatch, stop, word, code):
    @contextlib.contextmanager
    def bar(verb, unit):
        def progress(done, total):
            raise stop

        yield progress

    output = tmp_path / "out.parquet"
    monkeypatch.setattr(cli, "bar", bar)
    result = run("encode", "fake:plain_1", "fake:plain_2", "-o", output)
    assert result.exit_code == code
    assert result.stderr == f"{word}; 2 sources are kept in {output}.parts; go on with --resume\n"
    monkeypatch.undo()
    assert len(pq.read_table(tmp_path / "out.parquet.parts")) == 2


# ---- as a process of its own


def test_version_and_help():
    assert subprocess_run("--version").stdout == f"narfast {narfast.__version__}\n"
    result = subprocess_run("--help")
    for command in ("search", "inspect", "encode", "zoo", "pretrain", "evaluate"):
        assert command in result.stdout
    assert "verify" in subprocess_run("zoo").stderr  # a group alone: its help


def test_importing_is_light():
    code = (
        "import sys, narfast, narfast.cli.app\n"
        "print([m for m in ('torch', 'numba', 'timm', 'numpy', 'pyarrow') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_ROOT)}
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert output.stdout == "[]\n"


def test_every_public_name_is_listed():
    assert set(narfast.__all__) <= set(dir(narfast))
    assert set(narfast._LAZY) < set(narfast.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = narfast.nothing


def test_a_process_prints_no_traceback(zoo_path):
    for arguments in (["zoo", "info", "missing"], ["search", "missing.onnx", "--zoo", zoo_path]):
        result = subprocess_run(*arguments)
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1


def test_a_process_answers_in_ascii_where_it_must(zoo_path):
    result = subprocess_run("zoo", "info", zoo_path, env={"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0
    assert "16 distinct" in result.stdout


def shell(script):
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_ROOT)}
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=60
    )


def test_a_reader_that_goes_away(zoo_path):
    result = shell(
        f"{sys.executable} -m narfast zoo info {zoo_path} | true; exit ${{PIPESTATUS[0]}}"
    )
    assert result.returncode == 1
    assert result.stderr == ""


@pytest.mark.parametrize("command", ["zoo info ZOO", "zoo info ZOO --json", "--version"])
def test_a_result_without_a_place_is_an_error(zoo_path, command):
    result = shell(f"{sys.executable} -m narfast {command.replace('ZOO', str(zoo_path))} >&-")
    assert result.returncode == 2
    assert result.stderr.startswith("error: stdout is closed")
    assert len(result.stderr.splitlines()) == 1


def test_a_closed_stdout_does_not_matter_where_nothing_goes_there(zoo_path, tmp_path):
    output = tmp_path / "out.csv"
    command = f"zoo export {zoo_path} --format csv -o {output}"
    result = shell(f"{sys.executable} -m narfast {command} >&- 2>&- <&-")
    assert result.returncode == 0
    assert len(output.read_text().splitlines()) == len(NAMES) + 1


def test_a_missing_file_is_told_before_anything_heavy_is_imported():
    code = (
        "import sys\n"
        "from narfast.cli import app as cli\n"
        "sys.argv[1:] = ['search', 'missing.onnx']\n"
        "try:\n"
        "    cli.main()\n"
        "except SystemExit as end:\n"
        "    print(end.code, [m for m in ('torch', 'numba') if m in sys.modules])\n"
    )
    result = shell(f"{sys.executable} -c {shlex.quote(code)}")
    assert result.stdout == "2 []\n"
    assert result.stderr == "error: missing.onnx: no such file; check the path\n"


def test_a_file_whose_code_forks_and_prints_is_answered_once(tmp_path):
    path = tmp_path / "odd.py"
    path.write_text(
        "import os, torch\n"
        "os.write(1, b'noise')\n"
        "def build():\n"
        "    os.fork()\n"
        "    os.write(1, b'noise')\n"
        "    return torch.nn.Linear(2, 2), torch.zeros(1, 2)\n"
    )
    result = subprocess_run("inspect", f"{path}:build", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["nodes"] == 2


def test_code_that_ends_its_process_is_an_error(run, monkeypatch, tmp_path, zoo_path):
    path = tmp_path / "model.py"
    path.write_text("")
    monkeypatch.setattr(workers, "read_apart", partial(read_apart, loader="misbehaving:load_file"))
    for command in (["inspect"], ["search", "--zoo", zoo_path], ["zoo", "add", zoo_path]):
        result = run(*command, f"{path}:leaves")
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert "its process died (exit code 0)" in " ".join(result.stderr.split())
    result = run("zoo", "add", zoo_path, f"{path}:leaves", f"{path}:builds", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["added"] == ["fake:file"]
    assert list(report["errors"]) == [f"{path}:leaves"]


def test_an_unwritable_zoo(zoo_path):
    # Root may write anywhere, so the parent is made a file system that refuses everyone.
    result = subprocess_run("zoo", "build", "/proc/zoo", "--source", "timm", "--no-embed")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_of_a_process(tmp_path, signum, code):
    script = tmp_path / "wait.py"
    script.write_text(
        "import signal, time, narfast\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # jobs may ignore it
        "from narfast.cli import app as cli\n"
        "def load(source):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(30)\n"
        "narfast.load = load\n"
        "import sys\n"
        "sys.argv = ['narfast', 'inspect', 'anything']\n"
        "cli.main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in errors


def test_a_file_that_is_no_table_is_never_replaced(run, zoo_path, tmp_path):
    script = tmp_path / "my_model.py"
    script.write_text("def build(): ...")
    for arguments in (
        ["encode", "fake:plain_1", "-o", script],
        ["zoo", "export", zoo_path, "-o", script],
    ):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert "no parquet file" in result.stderr
        assert script.read_text() == "def build(): ..."


def test_more_hits_than_there_are_networks_and_a_zoo_without_a_name(run, zoo_path):
    result = run("search", "fake:plain_1", "-k", 10**18, "--zoo", zoo_path, "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)) == 16
    assert run("search", "fake:plain_1", "--zoo", "").exit_code == 2
