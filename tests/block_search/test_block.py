"""Texts that name a block, and the graphs that they mean."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from narfast.block_search.block import motif_of, read_block
from narfast.block_search.index import BlockIndex
from narfast.block_search.parts import induced, nodes_of_module
from narfast.errors import NarfastError
from narfast.explain import block_text, summarize
from narfast.graph import hash_texts
from narfast.hyperparameters import Hyperparameters
from narfast.operators import by_name
from narfast.zoo import Zoo
from zoo_fakes import network


def test_a_motif_by_id_and_by_place(zoo):
    graph = zoo.load("fake:smooth_4")
    motif = summarize(graph).motifs[0]
    by_place = read_block("fake:smooth_4#motif:1", zoo)
    assert by_place.structural_hash == motif.motif_id
    assert by_place.num_nodes == motif.size
    for spec in (motif.motif_id, motif.motif_id[:8], f" {motif.motif_id[:9].upper()} "):
        assert read_block(spec, zoo).structural_hash == motif.motif_id


def test_a_whole_network_without_its_input(zoo):
    whole = zoo.load("fake:plain_2")
    block = read_block("fake:plain_2", zoo)
    assert block.num_nodes == whole.num_nodes - 1
    assert "input" not in block.op_names()
    assert read_block(whole, zoo).same_structure(block)
    assert read_block(block, zoo) is block


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "the block is empty"),
        ("abc", "at least its first 8 digits"),
        ("00000000", "no network of the zoo .* has this motif"),
        ("fake:plain_2#", "name a network and a part"),
        ("#motif:1", "name a network and a part"),
        ("fake:plain_2#motif:", "not a number"),
        ("fake:plain_2#motif:-1", "not a number"),
        ("fake:plain_2#motif:٣", "not a number"),
        ("fake:plain_2#motif:0", "count them from 1 on"),
        ("fake:plain_2#motif:99999999", "count them from 1 on"),
        ("fake:plain_2#motif:" + "9" * 400, "not a number"),
        ("zoo:fake:plain_2#layer1", "its modules are not known"),
        ("bottleneck", "neither the id of a motif nor a source"),
        ("no_such_file.onnx", "no such file"),
        ("no\0file.onnx", "null character"),
        ("x" * 5000 + "#motif:1", "."),
        ("x" * 5000, "."),
        (42, "not a source"),
    ],
)
def test_specs_that_mean_nothing(zoo, spec, reason):
    with pytest.raises(NarfastError, match=reason) as raised:
        read_block(spec, zoo)
    assert "\n" not in str(raised.value)


def test_a_hash_of_a_network_is_pointed_out(zoo):
    graph = next(entry for entry in zoo if entry.structural_hash not in _motifs(zoo))
    with pytest.raises(NarfastError, match="search for zoo:"):
        read_block(graph.structural_hash, zoo)


def _motifs(zoo):
    return set(hash_texts(BlockIndex.of(zoo).motifs.motif_id))


def test_digits_of_several_motifs(zoo, monkeypatch):
    table = BlockIndex.of(zoo).motifs
    monkeypatch.setattr(type(table), "find", lambda self, prefix: np.array([0, 1]))
    with pytest.raises(NarfastError, match="2 motifs begin so"):
        read_block("01234567", zoo)


def test_a_graph_of_inputs_alone(zoo):
    graph = network("plain", 1)
    only = induced(graph, np.flatnonzero(graph.op == by_name("input").id))
    with pytest.raises(NarfastError, match="no operator beside its inputs"):
        read_block(only, zoo)


def test_a_motif_that_the_network_does_not_have():
    with pytest.raises(NarfastError, match="no such motif"):
        motif_of(network("plain", 2), "0" * 32)


def block_file(path):
    """A narrowing and a widening convolution, at the ends of a file."""
    weights = [
        helper.make_tensor("a", TensorProto.FLOAT, [16, 64, 1, 1], [0.0] * 1024),
        helper.make_tensor("b", TensorProto.FLOAT, [64, 16, 3, 3], [0.0] * 9216),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["y"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("Conv", ["z", "b"], ["w"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["w", "x"], ["out"]),
    ]
    value = [TensorProto.FLOAT, [1, 64, 8, 8]]
    graph = helper.make_graph(
        nodes,
        "block",
        [helper.make_tensor_value_info("x", *value)],
        [helper.make_tensor_value_info("out", *value)],
        initializer=weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_the_ends_of_a_block_are_not_those_of_a_network(zoo, tmp_path):
    """Inside a network the first and last width count; alone they would be dropped."""
    block = read_block(str(block_file(tmp_path / "a#block.onnx")), zoo)
    assert block.op_names() == ["linear", "relu", "conv", "add"]
    assert block_text(block) == "linear ~÷4 → relu → conv3x3 ~×4 → add"
    assert block.inputs(3).tolist() == [2]


def test_only_what_is_allowed(zoo, tmp_path):
    path = str(block_file(tmp_path / "block.onnx"))
    with pytest.raises(NarfastError):
        read_block(path, zoo, allow=["zoo"])
    assert read_block("fake:plain_2#motif:1", zoo, allow=["zoo"]).num_nodes
    with pytest.raises(NarfastError):
        read_block("fake:plain_2#motif:1", zoo, allow=["onnx"])


def test_a_module_with_what_lies_between(zoo):
    graph = network("plain", 2)  # input, then conv, relu, add twice
    paths = (None, "layers.0.conv", None, "layers.0", "layers.1.conv", None, "layers.1")
    assert nodes_of_module(graph, paths, "layers.0").tolist() == [1, 2, 3]
    assert nodes_of_module(graph, paths, "layers").tolist() == [1, 2, 3, 4, 5, 6]
    assert nodes_of_module(graph, paths, "layers.1.conv").tolist() == [4]
    tens = (None, "layers.1", None, "layers.10", "layers.1", None, None)
    assert nodes_of_module(graph, tens, "layers.10").tolist() == [3]
    with pytest.raises(NarfastError, match=r"did you mean layers\.[01]"):
        nodes_of_module(graph, paths, "layers.2")
    with pytest.raises(NarfastError, match="its modules are layers"):
        nodes_of_module(graph, paths, "zzz")


def test_a_part_by_its_module(zoo, monkeypatch):
    paths = (None, "layers.0.conv", None, "layers.0", "layers.1.conv", None, "layers.1")
    known = Hyperparameters.from_rows([{"path": path} for path in paths])
    graph = replace(network("plain", 2, name="n"), hyperparameters=known)
    monkeypatch.setattr("narfast.block_search.block.read_network", lambda *_, **__: graph)
    assert read_block("some:network#layers.1", zoo).op_names() == ["conv", "relu", "add"]
    with pytest.raises(NarfastError, match="no module of n has this path"):
        read_block("some:network#layers.3", zoo)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "build", "shape", "network"),
    [
        ("timm.models.convnext", ("ConvNeXtBlock", 96), (1, 96, 14, 14), "convnext_tiny"),
        ("timm.models.resnet", ("Bottleneck", 256, 64), (1, 256, 14, 14), "resnet50"),
        (
            "timm.models.vision_transformer",
            ("Block", 384, 6),
            (1, 10, 384),
            "vit_small_patch16_224",
        ),
    ],
)
def test_a_block_alone_reads_as_inside_its_network(module, build, shape, network):
    """As a module with inputs, as a motif, and by its module path, a block is one graph."""
    import torch

    from narfast.sources.loader import library

    library("timm").build("resnet18")  # imports timm as narfast does
    name, *arguments = build
    block = getattr(importlib.import_module(module), name)(*arguments)
    shipped = Zoo.open("default")
    alone = read_block((block, torch.zeros(shape)), shipped)
    as_motif = read_block(f"timm:{network}#motif:1", shipped)
    path = {"convnext_tiny": "stages.1.blocks.1", "resnet50": "layer1.1"}.get(network, "blocks.3")
    as_module = read_block(f"timm:{network}#{path}", shipped)
    assert alone.structural_hash == as_motif.structural_hash == as_module.structural_hash


@pytest.mark.slow
def test_a_block_of_a_python_file(tmp_path):
    file = tmp_path / "block.py"
    file.write_text(
        "import torch\n"
        "def build():\n"
        "    layers = [torch.nn.Linear(8, 32), torch.nn.GELU(), torch.nn.Linear(32, 8)]\n"
        "    return torch.nn.Sequential(*layers), torch.zeros(2, 8)\n"
    )
    block = read_block(f"{file}:build", Zoo.open("default"))
    assert block_text(block) == "linear ~×4 → gelu → linear ~÷4"
