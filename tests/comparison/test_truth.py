"""Differences that papers document: the sentences name exactly these, and nothing else."""

from __future__ import annotations

from functools import cache

import pytest

import narfast
from narfast.comparison import compare_graphs

pytestmark = pytest.mark.slow

# Networks a and b, and what b's paper says of it.
TRUTH = {
    # He et al. 2019: three small convolutions in the stem, average pooling on the shortcut.
    ("timm:resnet50", "timm:resnet50d"): [
        "stem: conv 7x7 /2, 3→64; max_pool 3x3 /2 → conv 3x3 /2, 3→32; conv 3x3, 32→32; "
        "conv 3x3, 32→64; max_pool 3x3 /2",
        "conv 1x1 /2 → conv 1x1, in 3 of 16 blocks (bottleneck)",
        "+ avg_pool 2x2 /2, in 3 of 16 blocks (bottleneck)",
    ],
    # Hu et al. 2018: squeeze and excitation with a reduction of 16.
    ("timm:resnet50", "timm:seresnet50"): [
        "+ squeeze-and-excitation (÷16) after conv3, in every bottleneck+se",
    ],
    # Xie et al. 2017: 32 groups of width 4.
    ("timm:resnet50", "timm:resnext50_32x4d"): [
        "conv 3x3: groups 1 → 32, in every bottleneck",
        "conv1, conv2 in every bottleneck: 2× as wide (64 → 128 to 512 → 1024)",
    ],
    # Zagoruyko and Komodakis 2016: the inner width is doubled.
    ("timm:resnet50", "timm:wide_resnet50_2"): [
        "conv1, conv2 in every bottleneck: 2× as wide (64 → 128 to 512 → 1024)",
    ],
    # He et al. 2016: the third stage has 23 blocks.
    ("timm:resnet50", "timm:resnet101"): [
        "3, 4, 23, 3 instead of 3, 4, 6, 3 times: bottleneck",
    ],
    # Touvron et al. 2022: layer scale after attention and MLP; positions before the class token.
    ("timm:vit_base_patch16_224", "timm:deit3_base_patch16_224"): [
        "stem: conv 16x16 /16, 3→768; class token; learnt embedding → "
        "conv 16x16 /16, 3→768; learnt embedding; class token",
        "+ layer scale after proj, in every transformer layer (24 places)",
    ],
    # Liu et al. 2022: normalization after the branch, cosine attention.
    ("timm:swin_tiny_patch4_window7_224", "timm:swinv2_tiny_window8_256"): [
        "layer_norm moves: after add → after fc2, in every transformer layer and every downsample "
        "(27 places)",
        "+ l2_norm of queries or keys (cosine attention) after attn, in every transformer layer "
        "(24 places)",
    ],
    # Woo et al. 2023: global response normalization instead of layer scale.
    ("timm:convnext_tiny", "timm:convnextv2_tiny"): [
        "− layer scale, in every convnext block",
        "+ global response norm after gelu, in every convnext block",
    ],
    # Tan and Le 2019: deeper by 1.8, wider by 1.4.
    ("timm:efficientnet_b0", "timm:efficientnet_b4"): [
        "stem: conv 3x3 /2, 3→32 → conv 3x3 /2, 3→48",
        "head: conv 1x1, 320→1280; global_avg_pool; linear, 1280→1000 → "
        "conv 1x1, 448→1792; global_avg_pool; linear, 1792→1000",
        "2× instead of 1×: depthwise separable+se",
        "4, 4, 6, 6, 8, 2 instead of 2, 2, 3, 3, 4, 1 times: inverted residual+se",
        "widths 16, 24, 40, 80, 112, 192, 320 → 24, 32, 56, 112, 160, 272, 448",
    ],
    # Liu et al. 2019: the layers are those of BERT; vocabulary and inputs differ.
    ("transformers:bert", "transformers:roberta"): [
        "embedding: embedding, 30522→768; learnt embedding; learnt embedding; layer_norm → "
        "embedding, 50265→768; embedding, 2→768; embedding, 512→768; layer_norm",
        "vocabulary 30522 → 50265",
    ],
    # Jiang et al. 2023: eight heads of keys, a wider MLP; the block is that of Llama.
    ("transformers:llama", "transformers:mistral"): [
        "MLP size 11008 → 14336, heads of keys 32 → 8",
    ],
    # Touvron et al. 2023: RMS norm, SwiGLU, rotary positions.
    ("transformers:gpt2", "transformers:llama"): [
        "embedding: embedding, 50257→768; learnt embedding → embedding, 32000→4096",
        "32× instead of 12×: transformer layer",
        "layer_norm → rms_norm, in every transformer layer and the rms_norm (25 places)",
        "gelu → silu, in every transformer layer",
        "+ rotary position embedding after q_proj, in every transformer layer",
        "+ gate after silu, in every transformer layer",
        "hidden size 768 → 4096, MLP size 3072 → 11008, heads 12 → 32, heads of keys 12 → 32, "
        "head size 64 → 128, vocabulary 50257 → 32000",
    ],
}
OPPOSITE = {"added": "removed", "removed": "added"}


@cache
def load(source: str) -> narfast.ArchGraph:
    return narfast.load(source)


@pytest.mark.parametrize(("a", "b"), TRUTH, ids=lambda source: source.partition(":")[2])
def test_the_sentences_are_the_paper(a: str, b: str) -> None:
    there = compare_graphs(load(a), load(b))
    assert there.sentences() == TRUTH[a, b]
    back = compare_graphs(load(b), load(a))
    assert len(back.sentences()) == len(there.sentences())
    kinds = [OPPOSITE.get(difference.kind, difference.kind) for difference in back.differences]
    assert sorted(kinds) == sorted(difference.kind for difference in there.differences)
    assert there.counts["kept"] == back.counts["kept"]
    assert there.counts["added"] == back.counts["removed"]


def test_sizes_of_heads_that_are_not_the_hidden_size() -> None:
    # Xue et al. 2021: mT5-small has 6 heads of 64 beside a hidden size of 512, and a gated MLP.
    assert compare_graphs(load("transformers:t5"), load("transformers:mt5")).sentences() == [
        "embedding: embedding, 32128→512 → embedding, 250112→512 (2 places)",
        "8× instead of 6×: encoder layer",
        "8× instead of 6×: decoder layer",
        "relu → gelu, in every encoder layer and every decoder layer",
        "+ gate after gelu, in every encoder layer and every decoder layer",
        "MLP size 2048 → 1024, heads 8 → 6, heads of keys 8 → 6, vocabulary 32128 → 250112",
    ]


@pytest.mark.parametrize("source", sorted({source for pair in TRUTH for source in pair}))
def test_a_network_does_not_differ_from_itself(source: str) -> None:
    same = compare_graphs(load(source), load(source))
    assert same.sentences() == []
    assert same.same_structure
    assert same.same_hyperparameters
    assert same.counts["kept"] == load(source).num_nodes
    assert all(fact.a == fact.b for fact in same.facts)
