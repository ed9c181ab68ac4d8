"""NNRetrieval records: cleaning as released, and malformed files."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import pickle
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfast.errors import CorruptFileError, InvalidGraphError, UnsupportedSourceError
from narfast.sources.loader import load_raw
from narfast.sources.nnretrieval import clean_edges, from_nodes, load_record
from oracles import nnretrieval_cleaning
from paths import DATA

GOLDEN = DATA / "nnretrieval_motifs.jsonl.gz"
RECORDS = {
    record["name"]: record
    for record in map(json.loads, gzip.decompress(GOLDEN.read_bytes()).splitlines())
}


@pytest.mark.parametrize("name", RECORDS)
def test_cleaning_equals_the_released_scripts(name: str) -> None:
    nodes, edges = clean_edges(RECORDS[name]["raw_edges"])
    assert nodes == RECORDS[name]["clean_nodes"]
    assert [list(edge) for edge in edges] == RECORDS[name]["clean_edges"]


def test_every_golden_record_becomes_a_graph_of_known_operators() -> None:
    for record in RECORDS.values():
        graph = from_nodes(*clean_edges(record["raw_edges"]))
        assert graph.meta.unknown_ops == {}
        assert graph.num_nodes == len(record["clean_nodes"]) + 1  # and the input


_KINDS = ["ReluBackward", "AddBackward", "TBackward", "torch::autograd::AccumulateGrad", "w (3,)"]


@st.composite
def raw_graphs(draw: st.DrawFn) -> list[tuple[str, str]]:
    size = draw(st.integers(2, 12))
    names = [f"{draw(st.sampled_from(_KINDS))}-{i}" for i in range(size)]
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))
    chosen = draw(st.lists(pairs, max_size=24))
    return [(names[min(p)], names[max(p)]) for p in chosen if p[0] != p[1]]


@given(raw_graphs())
@settings(max_examples=300, deadline=None)
def test_cleaning_equals_the_slow_oracle(edges: list[tuple[str, str]]) -> None:
    assert clean_edges(edges) == nnretrieval_cleaning.clean_edges(edges)


def test_cleaning_a_long_chain_is_linear() -> None:
    names = ["ReluBackward", "TBackward", "torch::autograd::AccumulateGrad"]
    chain = [f"{names[i % 3]}-{i}" for i in range(30_000)]
    nodes, edges = clean_edges(list(itertools.pairwise(chain)))
    assert len(nodes) == len(edges) + 1 == 9_999


def test_cleaning_refuses_absurdly_many_joined_edges() -> None:
    hub = "torch::autograd::AccumulateGrad-0"

    def joined(count: int) -> list[tuple[str, str]]:
        return [(f"a{i}", hub) for i in range(count)] + [(hub, f"b{i}") for i in range(count)]

    for count in (800, 5_000):
        start = time.process_time()
        with pytest.raises(InvalidGraphError, match="not a network"):
            clean_edges(joined(count))
        assert time.process_time() - start < 1
    nodes, edges = clean_edges([("x", "a0"), *joined(100)])
    assert (len(nodes), len(edges)) == (101, 100)


def test_long_names_cannot_be_folded_a_thousand_times() -> None:
    """A weight of a thousand consumers is written into each of their names."""
    name = "w" * 1_000_000
    edges = [(name, f"{i}") for i in range(100)] + [(f"{i}", f"{i + 1}") for i in range(99)]
    with pytest.raises(InvalidGraphError, match="100,000,000 characters are folded"):
        clean_edges(edges)


def test_records_of_absurdly_many_values(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b"[" + b"[]," * 6_000_000 + b"1]")
    with pytest.raises(CorruptFileError, match="more than 10,000,000 values"):
        load_record(path)


def test_weights_give_attributes_and_the_input_is_added() -> None:
    raw = [
        ["features.0.weight (64, 1, 3, 3)", "ConvolutionBackward-1"],
        ["ConvolutionBackward-1", "ViewBackward-2"],
        ["ViewBackward-2", "AddmmBackward-3"],
        ["head.weight (10, 64)", "TBackward-4"],
        ["TBackward-4", "AddmmBackward-3"],
    ]
    graph = from_nodes(*clean_edges(raw))
    assert graph.op_names() == ["input", "conv", "reshape", "linear"]
    conv, linear = int(graph.attr[1]), int(graph.attr[3])
    assert conv & 7 == 3
    assert conv >> 4 & 3 == 3  # depthwise
    assert (linear >> 7 & 15) - 8 == -3  # 64 -> 10


def test_cells_of_darts_have_their_own_operators() -> None:
    graph = from_nodes(*clean_edges(RECORDS["darts-00"]["raw_edges"]))
    counts = Counter(graph.op_names())
    assert counts["input"] == 1
    assert counts["nas/sep_conv"] == 14
    assert counts["nas/dil_conv"] == 30
    assert counts["nas/skip_connect"] == 14


def test_absurd_names_are_unknown_operators_and_cost_no_time() -> None:
    names = ["a" * 1_000_000, "x." * 500_000, "::" * 500_000 + "Backward!", "NewThingBackward-3"]
    graph = from_nodes(names, [(0, 1), (1, 2), (2, 3)])
    assert sum(graph.meta.unknown_ops.values()) == 4
    assert graph.meta.unknown_ops["NewThing"] == 1


def test_a_long_chain_becomes_a_graph() -> None:
    names = [f"ReluBackward-{i}" for i in range(100_000)]
    assert from_nodes(names, itertools.pairwise(range(100_000))).num_nodes == 100_000


def test_a_folder_is_no_record(tmp_path: Path) -> None:
    folder = tmp_path / "folder.json"
    folder.mkdir()
    with pytest.raises(UnsupportedSourceError, match=r"folder\.json: not a regular file"):
        load_raw(folder)


def write(path: Path, record: Any) -> Path:
    path.write_text(json.dumps(record))
    return path


def test_both_spellings_of_the_edges_and_the_raw_form_agree(tmp_path: Path) -> None:
    record = RECORDS["torchvision/resnet50"]
    nodes, edges = record["clean_nodes"], record["clean_edges"]
    rows = [list(row) for row in zip(*edges, strict=True)]
    graphs = [
        load_raw(write(tmp_path / "a.json", {"unique_nodes": nodes, "edge_index": rows})),
        load_record(write(tmp_path / "b.json", {"unique_nodes": nodes, "edge_index": edges})),
        load_record(write(tmp_path / "c.json", {"raw_edges": record["raw_edges"]})),
        load_record(write(tmp_path / "d.json", {"graph_edges": record["raw_edges"]})),
    ]
    assert all(graph.same_structure(graphs[0]) for graph in graphs)
    assert graphs[0].meta.name == "a"
    assert graphs[0].meta.source == "nnretrieval"


@pytest.mark.parametrize("side", ["9" * 20, "9" * 5000])
def test_absurd_sides_are_cut_not_fatal(tmp_path: Path, side: str) -> None:
    names = [f"ConvolutionBackward0+w ({side}, 3, 3, 3)", f"conv_{side[:400]}x3"]
    path = write(tmp_path / "a.json", {"unique_nodes": names, "edge_index": [[0], [1]]})
    assert load_record(path).num_nodes == 3


def test_a_pipe_is_refused_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(UnsupportedSourceError, match="not a regular file"):
        load_record(tmp_path / "pipe.json")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", CorruptFileError),
        (b"\x08\x07\xff\xfe\x00", CorruptFileError),
        (b"[1, 2]", CorruptFileError),
        (b"{}", CorruptFileError),
        (b'{"unique_nodes": [1], "edge_index": []}', CorruptFileError),
        (b'{"unique_nodes": ["a"], "edge_index": [[0, 1, 2]]}', CorruptFileError),
        (b'{"unique_nodes": ["a"], "edge_index": [["0", "0"]]}', CorruptFileError),
        (b'{"unique_nodes": ["a", "b"], "edge_index": [[0, 7], [1, 1]]}', InvalidGraphError),
        (b'{"unique_nodes": ["a", "b"], "edge_index": [[0, 1], [-1, 0]]}', InvalidGraphError),
        (b'{"unique_nodes": ["a", "b"], "edge_index": [[0, 1], [1, 0]]}', InvalidGraphError),
        (b'{"raw_edges": [["a"]]}', InvalidGraphError),
        (b'{"raw_edges": [["a", 1]]}', InvalidGraphError),
        (b'{"raw_edges": []}', InvalidGraphError),
        (b"[" * 100_000, CorruptFileError),
        (pickle.dumps({"unique_nodes": []}), UnsupportedSourceError),
    ],
)
def test_bad_records_are_refused_by_name(
    tmp_path: Path, content: bytes, error: type[Exception]
) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(error, match=r"record\.json") as caught:
        load_record(path)
    assert "\n" not in str(caught.value)
