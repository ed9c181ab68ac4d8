"""The zoo inside the package: whole, made by the sources and the encoder that ship beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import narfast
from narfast.errors import NarfastError
from narfast.graph import canonicalize, structural_hash
from narfast.sources import loader
from narfast.sources.libraries.transformers.catalog import entries
from narfast.taxonomy.coarse_class import COARSE_CLASSES
from narfast.zoo import DEFAULT_ZOO, Zoo


@pytest.fixture(scope="module")
def zoo():
    return Zoo.open("default")


@pytest.mark.slow
def test_it_is_whole_and_small(zoo):
    assert zoo.verify() == []
    assert sum(path.stat().st_size for path in DEFAULT_ZOO.iterdir()) < 25e6
    info = zoo.info()
    assert info["distinct"] == len(zoo) >= 8_000
    assert info["names"] == len(zoo.records) >= 12_517
    assert len(info["by_family"]) >= 300
    assert len(info["by_source"]) >= 8
    assert max(info["distinct_by_source"].values()) <= 0.6 * len(zoo)
    assert info["by_source"]["timm"] >= 0.99 * len(loader.library("timm").list_names())
    assert info["by_source"]["torchvision"] >= 118


@pytest.mark.slow
def test_most_model_types_of_transformers_are_there(zoo):
    types = {entry.model_type for entry in entries().values()}
    names = {record.name for record in zoo.records if record.source == "transformers"}
    found = {entry.model_type for name, entry in entries().items() if name in names}
    assert len(found) >= 0.85 * len(types)


def test_every_network_has_labels(zoo):
    assert all(record.family and record.task and record.coarse_class for record in zoo.records)
    assert {record.coarse_class for record in zoo.records} <= set(COARSE_CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["timm", "torchvision", "transformers", "smp", "monai"])
def test_every_name_is_one_that_its_library_offers(zoo, source):
    listed = set(loader.library(source).list_names())
    assert {record.name for record in zoo.records if record.source == source} <= listed


@pytest.mark.slow
def test_every_graph_is_in_todays_canonical_form(zoo):
    again = structural_hash(canonicalize(zoo.graphs)).tolist()
    stale = [
        entry.id
        for entry, (high, low) in zip(zoo, again, strict=True)
        if f"{high:016x}{low:016x}" != entry.structural_hash
    ]
    assert stale == [], "make the shipped zoo again"


def test_names_of_one_structure_are_together(zoo):
    assert zoo["timm:resnet50"].row == zoo["torchvision:resnet50"].row
    assert zoo["timm:mobilenetv2_100"].row == zoo["torchvision:mobilenet_v2"].row
    assert zoo["timm:vit_base_patch16_224"].row == zoo["torchvision:vit_b_16"].row
    assert zoo["timm:vit_base_patch14_dinov2"].row == zoo["transformers:dinov2"].row
    assert zoo["timm:resnet50"].row != zoo["timm:resnet101"].row


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "timm:resnet18",
        "timm:convnext_atto",
        "timm:vit_tiny_patch16_224",
        "timm:swin_tiny_patch4_window7_224",
        "timm:efficientnet_b0",
        "timm:mixer_s16_224",
        "timm:coatnet_nano_rw_224",
        "torchvision:mobilenet_v3_small",
        "torchvision:squeezenet1_0",
        "timm:convnext_tiny.fb_in22k",
        "transformers:bert",
        "transformers:t5-small",
        "diffusers:AutoencoderKL",
        "open_clip:ViT-B-32",
        "smp:unet-resnet18",
        "smp:fpn-tu-convnext_atto",
        "monai:UNETR-3d",
        "vit_pytorch:xcit.XCiT",
        "torch_geometric:GCN-2_layers",
        "darts:DARTS_V2",
    ],
)
def test_it_is_what_the_sources_read_today(zoo, name):
    graph = narfast.load(name)
    entry = zoo[name]
    assert graph.structural_hash == entry.structural_hash, "make the shipped zoo again"
    record = next(record for record in entry.records if record.id == name)
    assert (record.params, record.family) == (graph.meta.params, graph.meta.family)


def test_it_does_not_change():
    opened = Zoo.open("default")
    with pytest.raises(NarfastError, match="does not change"):
        opened.add(["darts:DARTS_V1"])
    with pytest.raises(NarfastError, match="does not change"):
        opened.embed(opened.encoder)


@pytest.mark.slow
def test_its_vectors_are_by_the_shipped_encoder_to_the_last_bit(zoo):
    encoder = narfast.ArchitectureEncoder.from_pretrained("default")
    assert zoo.manifest.encoder["fingerprint"] == encoder.fingerprint, "run 'narfast zoo embed'"
    np.testing.assert_array_equal(encoder.encode(zoo.graphs), zoo.embeddings)


@pytest.mark.slow
def test_a_search_in_a_process_of_its_own():
    environment = {**os.environ, "PYTHONPATH": str(Path(narfast.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-m", "narfast", "search", "timm:resnet50", "-k", "5", "--json"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=True,
    )
    hits = json.loads(result.stdout)
    assert len(hits) == 5
    assert "resnet50" in hits[0]["names"]
    assert hits[0]["score"] == pytest.approx(1.0, abs=1e-5)
    assert hits[0]["shared_motifs"][0]["count"] == 12  # identity bottlenecks
    assert sum(hit["family"] == "resnet" for hit in hits) >= 3
