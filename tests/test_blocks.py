"""`repeats` names the blocks of well-known networks as often as their papers have them."""

from __future__ import annotations

import pytest

import narfast
from narfast.explain import summarize

# Network, occurrences of the largest repeated motif, and where the number comes from.
BLOCKS = [
    ("timm:vit_base_patch16_224", 12, "ViT-B has 12 encoder layers"),
    ("timm:vit_large_patch16_224", 24, "ViT-L has 24 encoder layers"),
    ("torchvision:vit_b_16", 12, "the same ViT-B, by another code base"),
    ("timm:deit3_small_patch16_224", 12, "DeiT III-S has 12 layers"),
    ("timm:resnet50", 12, "3+4+6+3 bottlenecks, the first of each stage with a projection"),
    ("torchvision:resnet50", 12, "the same ResNet-50, by another code base"),
    ("timm:resnet152", 46, "3+8+36+3 bottlenecks, four with a projection"),
    ("timm:resnet101", 29, "3+4+23+3 bottlenecks, four with a projection"),
    ("timm:beit_base_patch16_224", 12, "BEiT-B has 12 layers"),
    ("timm:convnext_tiny", 18, "3+3+9+3 blocks"),
    ("timm:convnext_base", 36, "3+3+27+3 blocks"),
    ("timm:densenet121", 58, "6+12+24+16 dense layers"),
    ("torchvision:densenet169", 82, "6+12+32+32 dense layers"),
    ("torchvision:vit_l_16", 24, "ViT-L again"),
    ("timm:deit_base_patch16_224", 12, "DeiT-B has ViT-B's 12 layers"),
    ("torchvision:swin_t", 5, "the same Swin-T"),
    ("timm:mobilenetv2_100", 10, "17 inverted residuals, of which 10 have the residual"),
    ("timm:mixer_b16_224", 12, "Mixer-B has 12 layers"),
    (
        "timm:swin_tiny_patch4_window7_224",
        5,
        "2+2+6 layers are 5 shifted pairs: none at 7x7",
    ),
    ("timm:regnety_004", 12, "1+3+6+6 blocks, the first of each stage with a projection"),
    ("torchvision:shufflenet_v2_x1_0", 13, "4+8+4 units, the first of each stage downsampling"),
    ("timm:efficientnet_b0", 15, "16 MBConv blocks, of which 15 expand six-fold"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "count", "reason"), BLOCKS, ids=[row[0] for row in BLOCKS])
def test_the_largest_repeated_motif_is_the_block_people_name(
    source: str, count: int, reason: str
) -> None:
    repeated = [motif for motif in summarize(narfast.load(source)).motifs if motif.count > 1]
    largest = max(repeated, key=lambda motif: motif.size * motif.count)
    assert largest.count == count, f"{reason}; found {largest}"


# Network, size and occurrences of the block that is second by size * count.
SECOND = [
    ("timm:resnet50", 8, 3, "four projections; the first is in one block with the stem"),
    ("timm:regnety_004", 14, 4, "the first block of each of four stages, with a projection"),
    ("timm:swin_tiny_patch4_window7_224", 12, 2, "stage 4 at 7x7: two layers, neither shifted"),
]


@pytest.mark.parametrize(("source", "size", "count", "reason"), SECOND, ids=[r[0] for r in SECOND])
def test_the_blocks_that_differ_from_the_rest_are_found_too(
    source: str, size: int, count: int, reason: str
) -> None:
    repeated = [motif for motif in summarize(narfast.load(source)).motifs if motif.count > 1]
    second = sorted(repeated, key=lambda motif: motif.size * motif.count)[-2]
    assert (second.size, second.count) == (size, count), f"{reason}; found {second}"
