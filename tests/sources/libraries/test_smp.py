"""Decoders over encoders of segmentation_models_pytorch: names, blocks, pairs that do not fit."""

from __future__ import annotations

from collections import Counter

import pytest

import narfast
from narfast.errors import NarfastError, UnsupportedSourceError
from narfast.sources.libraries import smp
from narfast.sources.loader import library

DECODERS = {
    "deeplabv3",
    "deeplabv3plus",
    "dpt",
    "fpn",
    "linknet",
    "manet",
    "pan",
    "pspnet",
    "segformer",
    "unet",
    "unetplusplus",
    "upernet",
}


def test_names_are_pairings_that_work() -> None:
    names = library("smp").list_names()
    assert names == sorted(set(names))
    assert set(names) <= {f"{decoder}-{encoder}" for decoder, encoder in smp.pairings()}
    own = [name for name in names if "-tu-" not in name]
    assert {name.partition("-")[0] for name in own} == DECODERS - {"dpt"}
    assert len(own) >= 700
    assert len(names) >= 3000


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "unetplusplus-mit_b0",  # refused by the library
        "deeplabv3-vgg16",  # strides of 32 only
        "unet-tu-vit_base_patch16_224",  # features of one scale
        "dpt-resnet34",
        "fpn-",
        "-resnet34",
        "resnet34",
        "",
    ],
)
def test_what_does_not_fit_is_no_name(name: str) -> None:
    with pytest.raises(UnsupportedSourceError, match="smp has no model called") as raised:
        narfast.load(f"smp:{name}")
    assert "\n" not in str(raised.value)


def test_a_misspelt_name_is_told_the_right_one() -> None:
    with pytest.raises(UnsupportedSourceError, match=r"did you mean .*unet-resnet34"):
        narfast.load("smp:unet-resnet_34")


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "segmentation_models_pytorch", None)
    with pytest.raises(NarfastError, match=r"pip install 'narfast\[smp\]'"):
        smp.build("unet-resnet34")


def test_labels() -> None:
    assert smp.labels("unet-resnet34") == ("unet", "image-segmentation")
    assert smp.labels("fpn-tu-resnest50d_1s4x24d") == ("fpn", "image-segmentation")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weighted"),
    [
        # The encoder's layers, the decoder's, and the head's.
        ("unet-resnet34", 36 + 2 * 5 + 1),
        ("unet-resnet50", 53 + 2 * 5 + 1),
        ("unetplusplus-resnet34", 36 + 2 * 11 + 1),  # ten nodes of the triangle, and the last
        ("linknet-resnet18", 20 + 3 * 5 + 1),
        ("deeplabv3plus-resnet50", 53 + 1 + 2 * 3 + 1 + 1 + 2 + 1 + 2 + 1),
    ],
)
def test_weighted_layers(name: str, weighted: int) -> None:
    graph = narfast.load(f"smp:{name}")
    found = Counter(graph.op_names())
    assert found["conv"] + found["conv_transpose"] + found["linear"] == weighted
    assert graph.meta.unknown_ops == {}
    assert graph.meta.untraced == 0


def test_attention_of_encoders() -> None:
    assert narfast.load("smp:unet-mit_b0").op_names().count("attention") == 8
    graph = narfast.load("smp:dpt-tu-vit_base_patch16_224")
    assert graph.op_names().count("attention") == 12
    assert (graph.meta.group, graph.meta.task) == smp.labels("dpt-")


@pytest.mark.slow
def test_an_encoder_with_a_size_of_its_own() -> None:
    assert narfast.load("smp:unet-tu-coatnet_1_224").meta.input_shape == (1, 3, 224, 224)
    assert narfast.load("smp:unet-tu-convnext_pico").meta.input_shape == (1, 3, 256, 256)


def test_encoders_of_the_library_and_of_timm_can_be_one_structure() -> None:
    own, timm = (narfast.load(f"smp:fpn-{name}") for name in ("resnet50", "tu-resnet50"))
    assert own.structural_hash == timm.structural_hash


def test_the_librarys_own_probe_of_timm_stays_what_it_was() -> None:
    """Building patches a name of the library for the time of the build."""
    import timm
    from segmentation_models_pytorch.encoders import timm_universal

    smp.build("unet-tu-convnext_pico")
    assert timm_universal.timm is timm
