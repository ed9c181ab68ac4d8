"""One vocabulary of families: the table, sub-families and sizes from names, and what is unified."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfast.sources.loader import library
from narfast.sources.registry import LIBRARIES
from narfast.taxonomy.families import Labels, classify, rows

SOURCES = sorted({row.source for row in rows()} & set(LIBRARIES))


@cache
def names(source: str) -> dict[str, str]:
    """Group of every name that a library offers."""
    models = library(source)
    return {name: models.labels(name)[0] for name in models.list_names()}


def test_rows_are_well_formed() -> None:
    for row in rows():
        re.compile(row.pattern)
        assert re.fullmatch(r"[a-z0-9_]+", row.family), row
        assert re.fullmatch(r"[a-z0-9_]*", row.subfamily), row
        assert row.pattern or row.group != "*", row


def test_every_row_has_evidence_that_can_be_looked_up() -> None:
    for row in rows():
        for source in row.evidence.split("; "):
            if re.fullmatch(r"arXiv:\d{4}\.\d{4,5}|doi:\S+|https://\S+", source):
                continue
            file = re.fullmatch(r"(\w+)(/\S+\.(?:py|json))(?: \(.+\))?", source)
            assert file, row
            library = find_spec(file[1])
            if library is not None and library.origin:
                assert Path(library.origin).parent.joinpath(file[2][1:]).is_file(), row


def test_no_row_says_the_same_as_another() -> None:
    keys = Counter((row.source, row.group, row.pattern) for row in rows())
    assert keys.most_common(1)[0][1] == 1


def test_rows_stand_in_order() -> None:
    """Sources together, and families in order in each."""
    sources = [row.source for row in rows()]
    families = [row.family for row in rows()]
    assert [source for source, _ in groupby(sources)] == list(dict.fromkeys(sources))
    for source, of_source in groupby(zip(sources, families, strict=True), lambda pair: pair[0]):
        found = [family for _, family in of_source]
        assert found == sorted(found), source


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_every_row_is_of_use_and_no_name_has_two(source: str) -> None:
    unused = {row for row in rows() if row.source == source}
    patterns = {row: re.compile(row.pattern) for row in unused}
    for name, group in names(source).items():
        parts = {"*": name, group: name, "encoder": name.partition("-")[2]}
        found = {
            row
            for row, pattern in patterns.items()
            if row.pattern and row.group in parts and pattern.search(parts[row.group])
        }
        assert len(found) <= 1, (name, found)
        unused -= found or {row for row in unused if row.group == group and not row.pattern}
    assert not unused


def test_an_encoder_is_of_the_family_that_timm_says() -> None:
    for name, group in names("timm").items():
        whole = classify("timm", group, name)
        part = classify("smp", "unet", f"unet-tu-{name}")
        assert part == Labels("unet", whole.family, whole.size), name


@pytest.mark.parametrize(
    ("family", "members"),
    [
        (
            "resnet",
            [
                ("timm", "resnet", "resnet50"),
                ("timm", "resnet", "wide_resnet50_2"),
                ("timm", "byobnet", "gcresnext26ts"),
                ("timm", "senet", "legacy_senet154"),
                ("torchvision", "resnet", "resnext50_32x4d"),
                ("transformers", "resnet", "resnet-50"),
                ("monai", "ResNet", "resnet50-3d"),
            ],
        ),
        (
            "vit",
            [
                ("timm", "vision_transformer", "vit_base_patch16_224"),
                ("timm", "deit", "deit3_base_patch16_224"),
                ("torchvision", "vision_transformer", "vit_b_16"),
                ("transformers", "vit", "vit-base-patch16-224"),
                ("transformers", "dinov2", "dinov2-base"),
                ("transformers", "clip_vision_model", "clip_vision_model"),
                ("vit_pytorch", "simple_vit", "simple_vit.SimpleViT"),
                ("monai", "ViT", "ViT-3d-sincos"),
            ],
        ),
        (
            "swinv2",
            [
                ("timm", "swin_transformer_v2", "swinv2_tiny_window8_256"),
                ("torchvision", "swin_transformer", "swin_v2_t"),
                ("transformers", "swinv2", "swinv2"),
            ],
        ),
        (
            "mobilenetv2",
            [
                ("timm", "efficientnet", "mobilenetv2_100"),
                ("torchvision", "mobilenetv2", "mobilenet_v2"),
                ("transformers", "mobilenet_v2", "mobilenet_v2_1.0_224"),
            ],
        ),
        ("bert", [("transformers", group, group) for group in ("bert", "xlm-roberta", "electra")]),
        ("llama", [("transformers", group, group) for group in ("llama", "mistral", "qwen2")]),
        ("unet", [("smp", "unet", "unet-resnet34"), ("monai", "BasicUNet", "BasicUNet-2d")]),
        (
            "clip",
            [
                ("transformers", "clip", "clip"),
                ("transformers", "siglip", "siglip"),
                ("open_clip", "vit", "ViT-B-32"),
                ("open_clip", "modified_resnet", "RN50"),
            ],
        ),
        (
            "resnetv2",
            [("timm", "resnetv2", "resnetv2_50x1_bit"), ("transformers", "bit", "bit")],
        ),
        ("res2net", [("timm", "res2net", "res2net50_26w_4s")]),
    ],
)
def test_unified(family: str, members: list[tuple[str, str, str]]) -> None:
    assert {classify(*member).family for member in members} == {family}


@pytest.mark.parametrize(
    ("source", "group", "name", "subfamily", "size"),
    [
        ("timm", "resnet", "resnet50", "resnet", "50"),
        ("timm", "resnet", "seresnext101_32x8d", "seresnext", "101"),
        ("timm", "resnetv2", "resnetv2_50x3_bit", "resnetv2_bit", "50x3"),
        ("timm", "vision_transformer", "vit_base_patch16_clip_224", "vit_clip", "base"),
        ("timm", "vision_transformer", "vit_so400m_patch14_siglip_384", "vit_siglip", "so400m"),
        ("timm", "eva", "vit_7b_patch16_dinov3", "vit_dinov3", "7b"),
        ("timm", "hiera", "hiera_base_plus_224", "hiera", "base_plus"),
        ("timm", "tiny_vit", "tiny_vit_21m_384", "tiny_vit", "21m"),
        ("timm", "levit", "levit_256", "levit", "256"),
        ("timm", "levit", "levit_conv_384_s8", "levit_conv_s8", "384"),
        ("timm", "efficientnet", "tf_efficientnet_b4", "efficientnet", "b4"),
        ("timm", "efficientnet", "efficientnet_h_b5", "efficientnet_h", "b5"),
        ("timm", "swin_transformer", "swin_s3_tiny_224", "swin_s3", "tiny"),
        ("timm", "edgenext", "edgenext_xx_small", "edgenext", "xxsmall"),
        ("timm", "mlp_mixer", "mixer_b16_224", "mixer", "b16"),
        ("timm", "regnet", "regnety_032", "regnety", "032"),
        ("timm", "xcit", "xcit_small_12_p8_224", "xcit", "small"),
        ("timm", "inception_v3", "inception_v3", "inception_v3", None),
        ("torchvision", "regnet", "regnet_y_1_6gf", "regnety", "1.6gf"),
        ("torchvision", "shufflenetv2", "quantized_shufflenet_v2_x0_5", "shufflenetv2", "x0.5"),
        ("torchvision", "vision_transformer", "vit_l_32", "vit", "l"),
        ("torchvision", "deeplabv3", "deeplabv3_resnet101", "resnet", "101"),
        ("torchvision", "alexnet", "alexnet", "alexnet", None),
        ("transformers", "bert", "bert-large-uncased/BertForMaskedLM", "bert", "large"),
        ("transformers", "roberta", "RobertaForMaskedLM", "roberta", None),
        ("transformers", "qwen2", "Qwen2.5-0.5B", "qwen2", "0.5b"),
        ("transformers", "llama", "Llama-2-7b-hf", "llama", "7b"),
        ("transformers", "t5", "flan-t5-xl", "t5", "xl"),
        ("transformers", "whisper", "whisper-large-v3", "whisper", "large"),
        ("transformers", "m2m_100", "m2m100_418M", "m2m_100", "418m"),
        ("transformers", "mixtral", "Mixtral-8x7B-v0.1", "mixtral", "8x7b"),
        ("transformers", "ijepa", "ijepa_vith14_1k", "ijepa", "h"),
        ("transformers", "resnet", "resnet-50", "resnet", "50"),
        ("transformers", "phi", "phi-2", "phi", None),
        ("transformers", "gemma2", "gemma-2-2b", "gemma2", "2b"),
        ("transformers", "stablelm", "stablelm-2-1_6b", "stablelm", "1.6b"),
        (
            "diffusers",
            "transformer_cogview4",
            "CogView4-6B/transformer",
            "transformer_cogview4",
            "6b",
        ),
        ("diffusers", "autoencoder_kl", "stable-diffusion-v1-5/vae", "autoencoder_kl", None),
        ("diffusers", "dit_transformer_2d", "DiT-XL-2-256/transformer", "dit_transformer_2d", "xl"),
        ("torch_geometric", "GIN", "GIN-5_layers-jk_cat", "gin", "5"),
        ("hf", "llama", "config", "llama", None),
        ("open_clip", "vit", "xlm-roberta-large-ViT-H-14", "clip", "h"),
        ("open_clip", "modified_resnet", "RN50x4", "clip_resnet", "50x4"),
        ("vit_pytorch", "cct", "cct.cct_14", "cct", "14"),
        ("vit_pytorch", "mp3", "mp3.ViT", "mp3", None),
        ("monai", "DenseNet", "DenseNet121-3d", "densenet", "121"),
        ("monai", "SENet", "SEResNeXt50-2d", "seresnext", "50"),
        ("monai", "UNet", "UNet-2d", "unet", None),
        ("smp", "deeplabv3plus", "deeplabv3plus-tu-convnext_tiny", "convnext", "tiny"),
        ("smp", "unet", "unet-mit_b3", "segformer", "b3"),
        ("smp", "fpn", "fpn-se_resnext50_32x4d", "resnet", "50"),
    ],
)
def test_lines_and_sizes(
    source: str, group: str, name: str, subfamily: str, size: str | None
) -> None:
    labels = classify(source, group, name)
    assert (labels.subfamily, labels.size) == (subfamily, size)


def test_a_group_without_a_row_is_its_own_family() -> None:
    assert classify("elsewhere", "New Net-2", "new-net-2-large").family == "new_net_2"


@pytest.mark.slow
@given(
    st.sampled_from([*LIBRARIES, "transformers", "diffusers", "smp", "monai", "hf", "elsewhere"]),
    st.text() | st.sampled_from(["resnet", "vit", "bert"]),
    st.text() | st.from_regex(r"[A-Za-z]{1,8}[-_/.]?[0-9a-z]{0,4}([-_/.][A-Za-z0-9.]{0,4}){0,3}"),
)
def test_classify_is_total(source: str, group: str, name: str) -> None:
    labels = classify(source, group, name)
    assert labels.family
    assert labels.subfamily
    assert labels.size != ""
