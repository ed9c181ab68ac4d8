"""One network, one structure: what is traced of a module and what both ONNX exporters write,
batch norms folded or not.

`data/onnx_exports.zip` holds exports with the options of `exports.VARIANTS`, stripped of weights
and comments by `exports.strip`: the reader never looks at them. Most were exported with fresh
weights, some with random ones; `exports.py` adds to the file. Three small networks are exported
anew, whole.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

import narfast
from exports import VARIANTS, build, export
from narfast.graph import ArchGraph, canonicalize
from narfast.sources.onnx import load_onnx
from paths import DATA

FIXTURE = DATA / "onnx_exports.zip"

# Networks whose exports all have the very structure of the trace.
EQUAL = (
    # plain convolutional networks
    "timm:resnet18", "timm:resnet50", "timm:resnext26ts", "timm:regnetx_002", "timm:regnety_002",
    "timm:repvgg_a0", "timm:mobileone_s0", "timm:densenet121", "timm:dla46_c", "timm:skresnet18",
    "timm:resnest14d", "timm:nf_regnet_b0", "timm:mobilenetv2_050", "timm:mobilenetv3_small_050",
    "timm:efficientnet_b0", "timm:lcnet_050", "timm:test_efficientnet_evos",
    "timm:test_efficientnet_ln", "torchvision:squeezenet1_1", "torchvision:shufflenet_v2_x0_5",
    "torchvision:mnasnet0_5", "torchvision:googlenet", "torchvision:vgg11", "torchvision:alexnet",
    # vision transformers
    "timm:vit_tiny_patch16_224", "timm:deit3_small_patch16_224", "timm:vit_tiny_r_s16_p8_224",
    "timm:test_vit3", "timm:cait_xxs24_224", "timm:crossvit_tiny_240", "timm:xcit_nano_12_p16_224",
    "timm:eva02_tiny_patch14_224", "timm:pvt_v2_b0", "timm:swin_tiny_patch4_window7_224",
    "torchvision:vit_b_16",
    # others
    "timm:convnext_atto", "timm:convnextv2_atto", "timm:edgenext_xx_small", "timm:mobilevit_xxs",
    "timm:mobilevitv2_050", "timm:levit_128s", "timm:poolformer_s12", "timm:coat_lite_tiny",
    "timm:mixer_s32_224", "timm:resmlp_12_224", "timm:fastvit_t8", "timm:mambaout_femto",
    "timm:starnet_s1", "timm:botnet26t_256", "timm:visformer_tiny",
)  # fmt: skip
# Networks that differ a little, for the reason given; their embeddings must be close.
CLOSE = {
    "timm:ghostnet_050": "adds in place to a slice, which autograd records as a scatter",
}
# The scripting exporter fails on these.
NOT_EXPORTED = {
    ("timm:eva02_tiny_patch14_224", "script"),
    ("timm:eva02_tiny_patch14_224", "script_folded"),
}
EXPORTED_ANEW = ("timm:test_resnet", "timm:test_vit", "timm:test_convnext")


@cache
def traced(source: str) -> ArchGraph:
    return narfast.load(source)


def fixtures(source: str, folder: Path) -> Iterator[tuple[str, ArchGraph]]:
    """The canonical graph of every export of `source` in the fixture, with its variant."""
    with zipfile.ZipFile(FIXTURE) as archive:
        for variant in VARIANTS:
            if (source, variant) in NOT_EXPORTED:
                continue
            path = folder / "model.onnx"
            path.write_bytes(archive.read(f"{source.replace(':', '/')}/{variant}.onnx"))
            yield variant, canonicalize(load_onnx(path))


def test_the_table_is_long_enough() -> None:
    assert len(set(EQUAL)) == len(EQUAL) >= 30
    with zipfile.ZipFile(FIXTURE) as archive:
        names = {name.rsplit("/", 1)[0].replace("/", ":") for name in archive.namelist()}
    assert names == {*EQUAL, *CLOSE}


@pytest.mark.slow
@pytest.mark.parametrize("source", EQUAL)
def test_exports_have_the_structure_of_the_trace(source: str, tmp_path: Path) -> None:
    expected = traced(source)
    found = {v: graph.structural_hash for v, graph in fixtures(source, tmp_path)}
    assert found == dict.fromkeys(found, expected.structural_hash)
    assert len(found) >= 2


@pytest.mark.parametrize("source", EQUAL[::7])
def test_exports_have_the_same_arrays(source: str, tmp_path: Path) -> None:
    """Not only up to isomorphism: node order does not depend on the format either."""
    for variant, graph in fixtures(source, tmp_path):
        assert graph.same_structure(traced(source)), variant


def test_different_networks_stay_different() -> None:
    """Canonicalization must not reach equality by forgetting what tells networks apart."""
    by_hash: dict[str, set[str]] = {}
    for source in EQUAL:
        by_hash.setdefault(traced(source).structural_hash, set()).add(source)
    one_design = {"timm:vit_tiny_patch16_224", "torchvision:vit_b_16"}  # in two widths
    assert [names for names in by_hash.values() if len(names) > 1] == [one_design]


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("source", EXPORTED_ANEW)
def test_fresh_exports(source: str, variant: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export(*build(source), path, variant)
    assert canonicalize(load_onnx(path)).structural_hash == traced(source).structural_hash


class Products(nn.Module):
    """Einsum with learnt and computed operands, an ellipsis, sums, and an outer product."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Linear(16, 16)
        self.positions = nn.Parameter(torch.rand(6, 5, 16))
        self.heads = nn.Parameter(torch.rand(16, 4, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = self.queries(x)
        parts = [
            torch.einsum("bhwc,hkc->bhwk", q, self.positions),
            torch.einsum("bhwc,cnd->bhwnd", q, self.heads),
            torch.einsum("...c,...c->...", q, x),
            torch.einsum("bhwc->bhw", q),
            torch.einsum("bhwc,bhwd", q, x),
            torch.einsum("bi,bj->bij", q[:, 0, 0], x[:, 0, 0]),
        ]
        return torch.cat([part.flatten() for part in parts])


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["script", "dynamo_folded"])
def test_einsum_has_the_structure_of_the_trace(variant: str, tmp_path: Path) -> None:
    module, inputs = Products().eval(), (torch.rand(2, 6, 5, 16),)
    path = tmp_path / "model.onnx"
    export(module, inputs, path, variant)
    expected = narfast.trace(module, inputs)
    assert canonicalize(load_onnx(path)).structural_hash == expected.structural_hash


@pytest.mark.slow
@pytest.mark.parametrize("source", CLOSE)
def test_near_misses_are_close_in_the_embedding(source: str, tmp_path: Path) -> None:
    encoder = narfast.ArchitectureEncoder.from_pretrained("default")
    graphs = [traced(source), *(graph for _, graph in fixtures(source, tmp_path))]
    vectors = encoder.encode(graphs, normalize_embeddings=True)
    assert (vectors[1:] @ vectors[0]).min() >= 0.98
