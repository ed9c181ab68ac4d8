"""A query by an ONNX ResNet-50 against the shipped zoo: warm, by stages, and as a whole process."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest
import torch

from narfast.encoder.encoder import ArchitectureEncoder
from narfast.graph import canonicalize
from narfast.sources.loader import library
from narfast.sources.onnx import load_onnx
from narfast.sources.torch_trace.module_copy import as_call, map_tensors, real_module, real_weights
from narfast.zoo import Zoo

PROCESS = pytest.mark.benchmark(group="narfast search resnet50.onnx, whole process")

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


def run(code):
    """What a program writes, and the most memory that its process held, in MB.

    The process says it itself: what the system counts begins with the memory of this one.
    """
    held = "print(re.search(r'VmHWM:\\s*([0-9]+)', open('/proc/self/status').read())[1])"
    wrapped = f"import re, sys\ntry:\n    {code}\nfinally:\n    sys.stdout = sys.stderr; {held}"
    done = subprocess.run([sys.executable, "-c", wrapped], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, int(done.stderr.split()[-1]) / 1024


def install():
    """How narfast is installed; an editable one looks for changed sources at every import."""
    text = importlib.metadata.distribution("narfast").read_text("direct_url.json")
    editable = text and json.loads(text).get("dir_info", {}).get("editable")
    return "editable install" if editable else "installed package"


@PROCESS
def test_narfast(benchmark, path):
    words = ["narfast", "search", str(path), "-k", "3", "--json"]
    program = f"from narfast.cli.app import main; sys.argv = {words!r}; main()"
    written, memory = benchmark.pedantic(run, (program,), rounds=7, warmup_rounds=1)
    assert "resnet50" in json.loads(written)[0]["name"]
    benchmark.extra_info.update(peak_mb=round(memory), install=install())


@PROCESS
def test_import_torch(benchmark):
    _, memory = benchmark.pedantic(run, ("import torch",), rounds=7, warmup_rounds=1)
    benchmark.extra_info.update(peak_mb=round(memory))
