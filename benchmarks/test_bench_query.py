"""A query in a warm process, whole and by stages: an ONNX ResNet-50 against the shipped zoo."""

from __future__ import annotations

import pytest
import torch

from narfast.encoder import ArchitectureEncoder
from narfast.frontends import library
from narfast.frontends._modules import as_call, map_tensors, real_module, real_weights
from narfast.frontends.onnx import load_onnx
from narfast.graph import canonicalize
from narfast.zoo import Zoo

pytestmark = [
    pytest.mark.benchmark(group="query, ONNX ResNet-50, shipped zoo"),
    pytest.mark.filterwarnings("ignore"),  # the exporter's
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    module, inputs = library("torchvision").build("resnet50")
    module, _ = real_module(module)
    args, _ = as_call(map_tensors(inputs, real_weights))
    path = tmp_path_factory.mktemp("query") / "resnet50.onnx"
    torch.onnx.export(module.eval(), args, str(path), dynamo=False)
    return path


@pytest.fixture(scope="module")
def zoo():
    zoo = Zoo.open("default")
    zoo.search("timm:resnet18", k=1)  # opens what a warm process has open
    return zoo


def answer(path, zoo):
    # A vector that is not in the zoo yet: nothing may be looked up by its hash.
    graph = canonicalize(load_onnx(path))
    return zoo.search(zoo.encoder.encode([graph])[0], k=10)


def test_whole(benchmark, path, zoo):
    answer(path, zoo)  # the first round says how many follow: it must be as warm as they are
    hits = benchmark(answer, path, zoo)
    assert "resnet50" in hits[0].name
    assert hits[0].score > 0.999


def test_whole_of_new_motifs(benchmark, path, zoo):
    hits = benchmark.pedantic(
        answer, (path, zoo), setup=zoo.encoder.motif_cache.clear, rounds=50, warmup_rounds=5
    )
    assert "resnet50" in hits[0].name


def test_read(benchmark, path):
    assert benchmark(load_onnx, path).num_nodes > 100


def test_canonicalize(benchmark, path):
    raw = load_onnx(path)
    assert benchmark(canonicalize, raw).num_nodes > 100


def test_encode(benchmark, path):
    graph = canonicalize(load_onnx(path))
    encoder = ArchitectureEncoder.from_pretrained("default")
    assert benchmark(encoder.encode, [graph]).shape == (1, encoder.dim)


def test_search(benchmark, path, zoo):
    vector = zoo.encoder.encode([canonicalize(load_onnx(path))])[0]
    assert len(benchmark(zoo.search, vector, k=10)) == 10
