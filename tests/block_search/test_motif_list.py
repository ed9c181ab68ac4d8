"""The most widespread blocks of a zoo, and their names."""

from __future__ import annotations

import pytest

from narfast.block_search import BlockIndex, widespread_motifs
from narfast.errors import NarfastError
from narfast.zoo import Zoo


def test_blocks_are_ordered_by_families_then_networks(zoo):
    motifs = widespread_motifs(zoo, k=100, min_size=1)
    keys = [(-m.families, -m.networks) for m in motifs]
    assert keys == sorted(keys)
    assert len(motifs) == len(BlockIndex.of(zoo).motifs)
    assert len({motif.name for motif in motifs}) == len(motifs)
    assert all(m.size >= 3 for m in widespread_motifs(zoo, min_size=3))
    assert len(widespread_motifs(zoo, k=2, min_size=1)) == 2


def test_blocks_of_a_family(zoo):
    motifs = widespread_motifs(zoo, family="smooth", min_size=1)
    assert motifs
    assert {m.named_after for m in motifs} <= {"smooth", "plain", "mixer", "norms"}
    assert motifs[0].named_after == "smooth"
    with pytest.raises(NarfastError, match="did you mean smooth"):
        widespread_motifs(zoo, family="smoth")
    with pytest.raises(NarfastError, match="at least 1"):
        widespread_motifs(zoo, k=0)


def test_names_of_the_shipped_zoo():
    named = {m.named_after: m for m in reversed(widespread_motifs(Zoo.open("default"), k=60))}
    assert named["vit"].operators.startswith("layer_norm → linear ~×4 → attention → linear → add")
    assert named["resnet"].operators == (
        "linear ~÷4 → relu → conv3x3 → relu → linear ~×4 → add → relu"
    )
    assert named["vit"].name == "vit transformer layer"
    assert named["resnet"].name == "resnet bottleneck"
    assert "attention" in named["bert"].operators
    assert named["efficientnet"].size > 4
    # Decoders of smp read the features of every backbone: no backbone's block is named after them.
    assert "upernet" not in {m.named_after for m in widespread_motifs(Zoo.open("default"), k=5)}
