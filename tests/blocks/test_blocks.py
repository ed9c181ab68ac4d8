"""Blocks as people name them: known networks, and what holds for every graph."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narfast
from narfast import operators
from narfast.blocks import KINDS, BlockView, blocks_of, kind_of_operator
from narfast.graph import ArchGraph, GraphBatch, build_graph, hash_texts, structural_hash
from narfast.motifs import coarsen, mine
from narfast.zoo import Zoo

KNOWN = {
    "timm:resnet50": "stem | bottleneck ×3 | bottleneck ×4 | bottleneck ×6 | bottleneck ×3 | head",
    "timm:resnet18": "stem | basic block ×2 | basic block ×2 | basic block ×2 | "
    "basic block ×2 | head",
    "timm:seresnet50": "stem | bottleneck+se ×3 | bottleneck+se ×4 | bottleneck+se ×6 | "
    "bottleneck+se ×3 | head",
    "timm:vit_base_patch16_224": "stem | transformer layer ×12 | head",
    "timm:convnext_tiny": "stem | convnext block ×3 | downsample | convnext block ×3 | "
    "downsample | convnext block ×9 | downsample | convnext block ×3 | head",
    "timm:swin_tiny_patch4_window7_224": "stem | transformer layer ×2 | downsample | "
    "transformer layer ×2 | downsample | transformer layer ×6 | downsample | "
    "transformer layer ×2 | head",
    "timm:densenet121": "stem | dense layer ×6 | transition | dense layer ×12 | transition | "
    "dense layer ×24 | transition | dense layer ×16 | head",
    "timm:mobilenetv3_large_100": "stem | depthwise separable | inverted residual ×2 | "
    "inverted residual+se ×3 | inverted residual ×4 | inverted residual+se ×2 | "
    "inverted residual+se ×3 | head",
    "timm:inception_v3": "stem | inception block | inception block ×2 | inception block ×2 | "
    "inception block ×3 | inception block ×3 | head",
    "timm:mixer_b16_224": "stem | mixer layer ×12 | head",
    "darts:NASNet": "stem | cell | cell | cell ×4 | reduction cell | cell ×6 | reduction cell | "
    "cell ×6 | head",
    "timm:pvt_v2_b2": "stem | transformer layer ×3 | downsample | transformer layer ×4 | "
    "downsample | transformer layer ×6 | downsample | transformer layer ×3 | head",
    "timm:poolformer_s12": "stem | metaformer block ×2 | downsample | metaformer block ×2 | "
    "downsample | metaformer block ×6 | downsample | metaformer block ×2 | head",
    "transformers:deepseek_v3": "embedding | transformer layer ×3 | mixture of experts layer ×58 | "
    "rms_norm",
    "transformers:mamba": "embedding | state space layer ×32 | rms_norm",
    "transformers:wav2vec2-base": "stem | residual conv | transformer layer ×12",
    "transformers:bert": "embedding | transformer layer ×12 | head",
    "transformers:gpt2": "embedding | transformer layer ×12 | layer_norm",
    "transformers:llama": "embedding | transformer layer ×32 | rms_norm",
    "transformers:mixtral": "embedding | mixture of experts layer ×32 | rms_norm",
    "transformers:t5": "embedding | embedding | encoder layer ×6 | rms_norm | decoder layer ×6 | "
    "rms_norm",
    "monai:BasicUNet-2d": "conv block | down block | down block | down block | down block | "
    "up block | up block | up block | up block",
}


def text(view: BlockView) -> str:
    return " | ".join(b.name + (f" ×{b.count}" if b.count > 1 else "") for b in view.blocks)


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return Zoo.open("default")


def check(view: BlockView) -> None:
    """What holds for every view."""
    graph = view.graph
    assert view.block_of.dtype == np.int32
    for number, block in enumerate(view.blocks):
        assert block.name
        assert block.kind in KINDS
        for nodes in block.instances:
            assert len(nodes)
            assert (np.diff(nodes) > 0).all()
            assert (view.block_of[nodes] == number).all()
        assert len(block.nodes) == np.count_nonzero(view.block_of == number)
        assert all(i < block.count for i in block.variants)
        target = np.repeat(np.arange(graph.num_nodes), np.diff(graph.in_ptr))
        reads = view.block_of[graph.in_src[view.block_of[target] == number]]
        assert block.inputs == tuple(sorted(set(reads.tolist()) - {number}))
        assert all(i < number for i in block.inputs), "reading order is topological"


@pytest.mark.parametrize("name", KNOWN)
def test_known_networks_read_as_in_their_papers(zoo: Zoo, name: str) -> None:
    view = blocks_of(zoo.graph_of(name))
    assert text(view) == KNOWN[name]
    check(view)


def test_the_identifier_of_a_block_is_that_of_its_motif(zoo: Zoo) -> None:
    graph = zoo.graph_of("transformers:bert")
    layer = blocks_of(graph).blocks[1]
    macro = coarsen(graph, mine(graph))
    assert layer.motif_id in hash_texts(macro.motif_id)
    assert layer.variants == ()


def test_the_opening_of_a_stage_is_a_variant(zoo: Zoo) -> None:
    blocks = blocks_of(zoo.graph_of("timm:resnet50")).blocks
    assert [block.variants for block in blocks[1:5]] == [(0,)] * 4
    assert blocks[1].motif_id == blocks[4].motif_id
    assert blocks[1].kind == "convolution"
    assert blocks[2].inputs == (1,)


def test_a_long_skip_joins_levels_and_is_no_block(zoo: Zoo) -> None:
    blocks = blocks_of(zoo.graph_of("monai:BasicUNet-2d")).blocks
    assert [block.inputs for block in blocks[5:]] == [(3, 4), (2, 5), (1, 6), (0, 7)]


def test_repeated_sequences_of_unlike_blocks_stand_together(zoo: Zoo) -> None:
    view = blocks_of(zoo.graph_of("diffusers:stable-diffusion-v1-5/unet"))
    check(view)
    pairs = [block for block in view.blocks if block.period == 2]
    assert {block.name for block in pairs} == {"residual block + transformer layer"}
    assert len(view) <= 24


def test_every_thirty_second_network_of_the_zoo(zoo: Zoo) -> None:
    graphs = zoo.graphs
    for row in range(0, len(graphs), 32):
        check(blocks_of(graphs[row]))


def test_blocks_do_not_depend_on_the_run(zoo: Zoo) -> None:
    graph = zoo.graph_of("transformers:t5")
    first, second = blocks_of(graph), blocks_of(graph)
    assert text(first) == text(second)
    assert np.array_equal(first.block_of, second.block_of)


def test_nothing_and_almost_nothing() -> None:
    assert len(blocks_of(build_graph([], [], [], []))) == 0
    one = blocks_of(build_graph([operators.by_name("conv").id], [0], [[]], [0]))
    assert [block.name for block in one.blocks] == ["conv"]


def test_a_chain_of_a_hundred_thousand_operators() -> None:
    size = 100_000
    op = np.full(size, operators.by_name("linear").id, np.uint16)
    ptr = np.concatenate([[0], np.arange(size)]).astype(np.int64)
    graph = ArchGraph(op, np.zeros(size, np.uint32), ptr, np.arange(size - 1, dtype=np.int32))
    view = blocks_of(graph)
    assert sum(len(block.nodes) for block in view.blocks) == size


def test_a_chain_of_unlike_operators_that_do_no_work() -> None:
    size = 100_000
    names = ("relu", "sigmoid", "tanh", "exp", "softplus", "elu", "selu")
    ids = np.array([operators.by_name(name).id for name in names], np.uint16)
    op = ids[np.random.default_rng(1).integers(0, len(ids), size)]
    ptr = np.concatenate([[0], np.arange(size)]).astype(np.int64)
    graph = ArchGraph(op, np.zeros(size, np.uint32), ptr, np.arange(size - 1, dtype=np.int32))
    begin = time.process_time()
    (block,) = blocks_of(graph).blocks
    assert block.nodes.tolist() == list(range(size))
    assert time.process_time() - begin < 15  # it was 40 while each crumb sorted the block anew


def test_pooling_without_a_stride_does_not_resample() -> None:
    cell = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|{}~2|"
    view = blocks_of(narfast.load("nasbench201:" + cell.format("nor_conv_3x3")))
    assert [block.count for block in view.blocks] == [1, 5, 1, 5, 1, 4, 1, 1]


def test_every_operator_has_a_kind() -> None:
    assert {kind_of_operator(info.id) for info in operators.table()} == set(KINDS)


NAMES = [
    "input",
    "conv",
    "linear",
    "add",
    "concat",
    "mul",
    "relu",
    "layer_norm",
    "attention",
    "max_pool",
    "resize",
    "softmax",
]


@st.composite
def graphs(draw: st.DrawFn) -> ArchGraph:
    size = draw(st.integers(1, 24))
    op = [operators.by_name(draw(st.sampled_from(NAMES))).id for _ in range(size)]
    inputs = [
        draw(st.lists(st.integers(0, node - 1), max_size=3)) if node else [] for node in range(size)
    ]
    attr = draw(st.lists(st.sampled_from([0, 8]), min_size=size, max_size=size))
    return build_graph(op, attr, inputs, range(size))


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_any_graph_is_divided(graph: ArchGraph) -> None:
    view = blocks_of(graph)
    check(view)
    for block in view.blocks:
        if block.period == 1 and block.count > 1:
            assert len(block.instances) == block.count
    assert hash_texts(structural_hash(GraphBatch.from_graphs([graph])))
