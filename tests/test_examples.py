"""The examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[1] / "examples" / "demo.py"


@pytest.mark.parametrize("name", ["narfast.index", "narfast.zoo.zoo"])
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0


def test_the_demo_finds_what_it_says(tmp_path) -> None:
    result = subprocess.run(
        [sys.executable, DEMO], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    residual, transformer = result.stdout.split("2. An ONNX file")
    assert "same family" in residual
    assert "seresnet50" in residual
    assert "vit_base" in transformer
