"""Comparisons of small networks and of stored ones: facts, maps, JSON, text."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import narfast
from narfast import operators
from narfast.blocks import BlockView, blocks_of
from narfast.comparison import Comparison, compare_graphs
from narfast.comparison.facts import FACTS, facts_of
from narfast.comparison.model_explorer import write_model_explorer
from narfast.comparison.parts import corresponding_parts
from narfast.graph import ArchGraph, build_graph
from narfast.zoo import Zoo
from narfast.zoo.networks import read_network
from paths import ROOT


def chain(*layers: tuple[str, dict[str, object]]) -> ArchGraph:
    """One operator after another, with hyperparameters."""
    rows = [("input", {}), *layers]
    return build_graph(
        [operators.by_name(name).id for name, _ in rows],
        [0] * len(rows),
        [[i - 1] if i else [] for i in range(len(rows))],
        [len(rows) - 1],
        hyperparameters=[exact for _, exact in rows],
    )


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return Zoo.open("default")


def test_a_repeat_that_grew_is_one_sentence(zoo: Zoo) -> None:
    pair = narfast.compare("zoo:transformers:bert", "zoo:timm:vit_large_patch16_224", zoo=zoo)
    text = [sentence for sentence in pair.sentences() if "instead of" in sentence]
    assert text == ["24× instead of 12×: transformer layer"]


def test_stored_networks_without_hyperparameters_are_compared_by_ranges(zoo: Zoo) -> None:
    pair = narfast.compare("zoo:timm:resnet50", "zoo:timm:resnext50_32x4d", zoo=zoo)
    assert pair.a.hyperparameters is None
    assert "conv: groups dense → grouped, in every bottleneck" in pair.sentences()
    assert pair.same_hyperparameters is False
    twins = narfast.compare("zoo:transformers:llama", "zoo:transformers:phi3", zoo=zoo)
    assert twins.same_structure
    assert twins.same_hyperparameters is None
    assert "not known" in twins.verdict


def test_json_is_the_contract(zoo: Zoo) -> None:
    pair = narfast.compare("zoo:timm:resnet18", ROOT / "examples" / "gated_resnet.onnx", zoo=zoo)
    value = json.loads(json.dumps(pair.to_json()))
    keys = {"a", "b", "same_structure", "facts", "differences"}
    assert keys | {"kept", "changed", "added", "removed"} <= value.keys()
    assert {tuple(fact) for fact in value["facts"]} == {("what", "a", "b")}
    assert {tuple(one) for one in value["differences"]} == {("kind", "where", "count", "text")}
    assert {one["kind"] for one in value["differences"]} <= {
        "added",
        "removed",
        "changed",
        "repeated",
    }
    matched = value["kept"] + value["changed"]
    assert matched + value["removed"] == pair.a.num_nodes
    assert matched + value["added"] == pair.b.num_nodes
    assert len(value["nodes"]) == matched
    assert {block["a"]["number"] for block in value["blocks"] if block["a"]} == set(
        range(len(pair.views[0]))
    )
    assert {block["b"]["number"] for block in value["blocks"] if block["b"]} == set(
        range(len(pair.views[1]))
    )


def test_widths_alone_are_the_second_level() -> None:
    narrow, wide = (
        chain(("linear", {"in_channels": width, "out_channels": width}), ("relu", {}))
        for width in (8, 16)
    )
    pair = compare_graphs(narrow, wide)
    assert pair.same_structure
    assert pair.same_hyperparameters is False
    assert "hyperparameters differ" in pair.verdict
    assert compare_graphs(narrow, narrow).same_hyperparameters
    unknown = replace(wide, hyperparameters=None)
    assert compare_graphs(narrow, unknown).same_hyperparameters is None


def test_a_kernel_and_a_norm_are_named() -> None:
    def net(kernel: int, norm: tuple[int, ...]) -> ArchGraph:
        exact = {"kernel": (kernel, kernel), "in_channels": 4, "out_channels": 4, "fused": norm}
        return chain(("conv", exact), ("relu", {}), ("max_pool", {"kernel": (2, 2)}), ("relu", {}))

    norm = operators.by_name("batch_norm").id
    sentences = compare_graphs(net(3, (norm,)), net(5, ())).sentences()
    assert any("3x3" in text and "5x5" in text for text in sentences)
    norms = [text for text in sentences if "batch_norm" in text]
    assert norms == [] or "folded" in norms[0]


def test_cells_that_are_divided_otherwise_are_aligned_without_their_blocks() -> None:
    cells = (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|"
        "nor_conv_3x3~2|",
    )
    a, b = (narfast.load(f"nasbench201:{cell}") for cell in cells)
    pair = compare_graphs(a, b)
    assert a.num_nodes == 125
    assert pair.counts["kept"] == 110  # all but one of three convolutions in 15 cells
    assert compare_graphs(b, a).alignment.to_b.tolist() == pair.alignment.to_a.tolist()


def test_more_blocks_than_can_be_paired_are_aligned_by_operators() -> None:
    layers = [("conv", {}), ("relu", {}), ("max_pool", {}), ("sigmoid", {})] * 501
    view = blocks_of(chain(*layers))
    many = BlockView(view.graph, tuple(view.blocks[:1]) * 501, view.block_of)
    assert not corresponding_parts(many, many)[0].any()


def test_facts_have_known_names_and_plain_texts(zoo: Zoo) -> None:
    for name in ("timm:resnet50", "transformers:t5", "transformers:mixtral", "smp:unet-resnet34"):
        facts = facts_of(blocks_of(zoo.graph_of(name)))
        assert list(facts) == [what for what in FACTS if what in facts]
        assert all(facts.values())
        assert "operators" in facts


def test_parts_give_each_repetition_its_own_number(zoo: Zoo) -> None:
    a, b = (blocks_of(zoo.graph_of(name)) for name in ("timm:resnet50", "timm:resnet101"))
    part_a, part_b = corresponding_parts(a, b)
    assert (part_a >= 0).all()
    alone = part_b < 0
    assert alone.sum() == 17 * 7  # 17 bottlenecks more, in one place
    assert set(part_a) == set(part_b) - {-1}
    for view, part in ((a, part_a), (b, part_b)):
        for block in view.blocks:
            for nodes in block.instances:
                assert len(set(part[nodes].tolist())) == 1


def test_printed_text_fits_and_has_no_color(zoo: Zoo) -> None:
    pair = narfast.compare("zoo:timm:resnet50", "zoo:timm:seresnet50", zoo=zoo)
    text = str(pair)
    assert "squeeze-and-excitation" in text
    assert "stem | bottleneck ×3" in text
    assert "\x1b" not in text
    console = Console(width=60, file=io.StringIO(), color_system=None)
    pair.print(console)
    assert max(map(len, console.file.getvalue().splitlines()[-2:])) <= 60


def test_model_explorer_files_belong_together(zoo: Zoo, tmp_path: Path) -> None:
    pair = narfast.compare("zoo:timm:resnet18", "zoo:timm:resnet34", zoo=zoo)
    paths = write_model_explorer(pair, tmp_path / "out")
    assert [path.name for path in paths] == ["a.json", "b.json", "mapping.json"]
    a, b, mapping = (json.loads(path.read_text()) for path in paths)
    ids = [{node["id"] for node in side["graphs"][0]["nodes"]} for side in (a, b)]
    assert mapping.keys() <= ids[0]
    assert set(mapping.values()) <= ids[1]
    assert len(mapping) == len(pair.alignment.pairs)
    sources = {
        edge["sourceNodeId"] for node in a["graphs"][0]["nodes"] for edge in node["incomingEdges"]
    }
    assert sources <= ids[0]


def test_reading_prefers_what_has_hyperparameters(zoo: Zoo) -> None:
    stored = read_network("zoo:timm:resnet18", zoo, exact=True)
    assert stored.hyperparameters is None  # asked for from the zoo
    assert read_network("timm:resnet18", zoo).same_structure(stored)
    graph = stored
    assert read_network(graph, zoo, exact=True) is graph


def test_an_empty_comparison_says_so(zoo: Zoo) -> None:
    graph = zoo.graph_of("timm:resnet18")
    same: Comparison = compare_graphs(graph, graph)
    assert same.differences == ()
    assert same.counts == {"kept": graph.num_nodes, "changed": 0, "added": 0, "removed": 0}
    assert np.array_equal(same.alignment.to_b, np.arange(graph.num_nodes))
