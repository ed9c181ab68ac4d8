"""The examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest
import torch

import narfast
from paths import ROOT

EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("name", ["narfast.index", "narfast.zoo.zoo"])
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0


@pytest.mark.slow
def test_the_demo_with_torch_finds_what_it_says(tmp_path) -> None:
    demo = EXAMPLES / "demo_torch.py"
    result = subprocess.run(
        [sys.executable, demo], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    residual, transformer = result.stdout.split("2. An ONNX file")
    assert "same family" in residual
    assert "seresnet50" in residual
    assert "vit_base" in transformer


@pytest.mark.slow
def test_the_example_file_is_what_its_script_writes(tmp_path) -> None:
    shipped = EXAMPLES / "gated_resnet.onnx"
    assert shipped.stat().st_size < 100_000
    subprocess.run(
        [sys.executable, EXAMPLES / "make_gated_resnet.py", tmp_path / "again.onnx"],
        check=True,
        capture_output=True,
    )
    ours, again = narfast.load(shipped), narfast.load(tmp_path / "again.onnx")
    assert ours.structural_hash == again.structural_hash
    assert ours.meta.params == again.meta.params == 19_428_874


@pytest.mark.slow
def test_the_example_file_and_the_module_are_one_network(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    module = importlib.import_module("demo_torch").gated_resnet()
    traced = narfast.trace(module, torch.zeros(1, 3, 112, 112))
    stored = narfast.load(EXAMPLES / "gated_resnet.onnx")
    assert stored.structural_hash == traced.structural_hash
    assert stored.meta.params == traced.meta.params
