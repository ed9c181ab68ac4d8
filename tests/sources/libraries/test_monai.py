"""The networks of MONAI: what the table says is what the library builds."""

from __future__ import annotations

from collections import Counter

import pytest

import narfast
from narfast.errors import NarfastError, UnsupportedSourceError
from narfast.sources.libraries import monai
from narfast.sources.loader import library, load_raw

# Layers with weights by kind, counted by hand from the arguments in the table.
LAYERS = {
    "resnet50-3d": {"conv": 17 + 3, "linear": 33 + 1},  # 3x3x3, stem, strides; 1x1x1, head
    "resnet18-2d": {"conv": 20, "linear": 1},
    "DenseNet121-3d": {"conv": 1 + 58, "linear": 58 + 3 + 1, "avg_pool": 3},
    "UNet-2d": {"conv": 4 + 1, "conv_transpose": 4},
    "BasicUNet-3d": {"conv": 2 * 9, "conv_transpose": 4, "linear": 1},
    "UNETR-2d-batch": {"attention": 12},
    "ViT-3d-24-classification": {"attention": 24},
    "SwinUNETR-3d-24-deep": {"attention": 2 + 4 + 2 + 2},
    "AutoencoderKL-2d": {"attention": 2 * (4 + 1)},
    "Quicknat": {"max_pool": 4, "max_unpool": 4},
    "MILModel-att_trans": {"attention": 4},
}
# Every block of a ViT has a normalization for cross attention, which only decoders use.
UNUSED = {"UNETR-2d-batch": 2 * 12, "ViT-3d-24-classification": 2 * 24}


@pytest.mark.slow
def test_names_are_sorted_and_of_many_classes() -> None:
    names = library("monai").list_names()
    assert names == sorted(set(names))
    assert len(names) >= 280
    assert len({monai.labels(name)[0] for name in names}) >= 50


def test_labels_are_class_and_task() -> None:
    assert monai.labels("UNet-3d") == ("UNet", "image-segmentation")
    assert monai.labels("SEResNeXt50-2d") == ("SENet", "image-classification")


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    graph = narfast.load(f"monai:{name}")
    found = Counter(graph.op_names())
    assert {op: found[op] for op in LAYERS[name]} == LAYERS[name]
    assert graph.meta.unknown_ops == {}
    assert graph.meta.untraced == UNUSED.get(name, 0)
    assert (graph.meta.group, graph.meta.task) == monai.labels(name)


@pytest.mark.slow
def test_inputs_of_other_kinds() -> None:
    """Time steps, words, several images, a list of lists of images."""
    for name, inputs in (
        ("DiffusionModelUNet-2d-conditioned", 3),
        ("VoxelMorph-3d", 2),
        ("NaViT-2d", 3),
    ):
        assert load_raw(f"monai:{name}").op_names().count("input") == inputs, name


@pytest.mark.slow
def test_arguments_that_are_networks() -> None:
    module, inputs = monai.build("DiNTS-search-2d")
    assert type(module.dints_space).__name__ == "TopologySearch"
    assert module.dints_space.num_blocks == 8
    assert inputs["x"].shape == (1, 1, 64, 64)


def test_two_and_three_dimensions_differ_in_kernels_alone() -> None:
    flat, deep = (narfast.load(f"monai:AttentionUnet-{d}") for d in ("2d", "3d"))
    assert flat.op_names() == deep.op_names()
    assert flat.structural_hash != deep.structural_hash


def test_unknown_name() -> None:
    with pytest.raises(UnsupportedSourceError, match=r"did you mean .*UNet-3d"):
        narfast.load("monai:unet-3d")
    for name in ("", "UNet", "UNet-4d"):
        with pytest.raises(UnsupportedSourceError, match="monai has no model called"):
            narfast.load(f"monai:{name}")


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "monai", None)
    with pytest.raises(NarfastError, match=r"pip install 'narfast\[monai\]'"):
        monai.build("UNet-3d")
