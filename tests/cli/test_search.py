"""``narfast search`` and ``narfast inspect``: what they print."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from rich.markup import escape

from narfast import _tables
from narfast.encoder.calibration import Relation
from narfast.explain import operator_label, shared_motifs, summarize
from narfast.operators import by_name, pack_attributes
from narfast.retrieval import SearchResult
from narfast.sources import loader
from narfast.sources.loader import load as load_source
from narfast.zoo import Zoo
from zoo_fakes import FakeEncoder, load


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
    found = SearchResult(
        query=query, hits=tuple(hits), relations=tuple(relations), shared_motifs=((), ())
    )
    found.print()
    shown = capsys.readouterr().out
    assert "closer than" in shown
    assert "99.8 %" in shown
    assert "widths and exact kernel sizes may differ" in shown
    assert "blocks in common make up a tenth" in shown
    replace(found, relations=(None, None)).print()
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
        made = _tables.make_table("all [bold]of[/bold] them")
        made.add_column("#", justify="right")
        made.add_column("name", overflow="fold")
        for place in range(rows):
            made.add_row(str(place), escape(f"[red]x{place}") + " [dim]+1 more[/dim]")
        _tables.print_table(_tables.stdout_console(), made)
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


def test_search_by_block(run, zoo_path):
    result = run("search", "--block", "fake:plain_3#motif:1", "--zoo", zoo_path, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["level"] == "exact"
    assert {hit["name"] for hit in found["hits"]} >= {"plain_3", "plain_4"}
    assert {"id", "name", "family", "source", "count", "places"} <= set(found["hits"][0])
    motif = json.loads(run("inspect", "fake:plain_3", "--json").stdout)["motifs"][0]["motif_id"]
    words = ["search", "--block", motif[:8], "--zoo", zoo_path, "-k", 2, "--family", "plain"]
    assert json.loads(run(*words, "--json").stdout)["hits"] == found["hits"][:2]
    shown = run(*words, "--level", "operators").stdout
    assert "operators and connections alone" in shown
    assert "first nodes" in shown


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "name a SOURCE, or a block with --block"),
        (["fake:plain_3", "--block", "00000000"], "do not go together"),
        (["--block", "00000000", "--max-params", 3], "do not go together"),
        (["fake:plain_3", "--level", "exact"], "--level needs --block"),
        (["--block", "00000000", "--level", "rough"], "choose from auto, exact"),
        (["--block", "00000000"], "has this motif"),
        (["--block", ""], "the block is empty"),
    ],
)
def test_mistakes_in_a_search_by_block(run, zoo_path, words, reason):
    result = run("search", *words, "--zoo", zoo_path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_motifs(run, zoo_path):
    words = ["motifs", "--zoo", zoo_path, "--min-size", 2]
    found = json.loads(run(*words, "--json").stdout)
    assert {"motif_id", "name", "networks", "families", "size", "operators"} <= set(found[0])
    shown = run(*words, "-k", 1).stdout
    assert found[0]["motif_id"][:8] in shown
    assert found[1]["motif_id"][:8] not in shown
    few = json.loads(run(*words, "--family", "mixer", "--json").stdout)
    assert 0 < len(few) < len(found)
    assert run(*words, "--family", "mixxer").exit_code == 2
    none = run("motifs", "--zoo", zoo_path, "--min-size", 500)
    assert none.exit_code == 0
    assert "no block of this size" in none.stderr


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
    monkeypatch.setattr(loader, "load", load_source)
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
    monkeypatch.setattr(loader, "load", lambda source: graph)
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
