"""How the code is laid out: what may know what."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import narfast
from narfast import _core, operators
from narfast.graph import canonicalization_passes
from paths import ROOT

PROGRAMS = sorted((*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "examples").glob("*.py")))
CORE = sorted((ROOT / "cpp" / "narfast").rglob("*.*"))


def test_the_core_is_where_it_is_looked_for() -> None:
    assert {"graph.h", "repeats.cpp"} <= {path.name for path in CORE}


@pytest.mark.slow
@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_has_never_heard_of_python(path: Path) -> None:
    assert not re.search(r"pybind11|Python\.h|PyObject", path.read_text(encoding="utf-8"))


def test_the_core_includes_only_itself_and_the_standard_library() -> None:
    for path in CORE:
        for included in re.findall(r'^#include [<"](.*)[>"]', path.read_text("utf-8"), re.M):
            inside = included.startswith("narfast/")
            test_only = included.startswith("doctest/") and (
                path.stem.endswith("_test") or path.parent.name == "testing"
            )
            standard = "/" not in included and not included.endswith(".h")
            system = included in {"fcntl.h", "unistd.h"} or included.startswith("sys/")
            vectors = path.name == "lanes.h" and included in {"immintrin.h", "arm_neon.h"}
            allowed = inside or test_only or standard or system or vectors
            assert allowed, f"{path.name} includes {included}"


def test_import_narfast_loads_no_framework() -> None:
    heavy = ("torch", "timm", "torchvision", "transformers", "numba", "onnx", "usearch", "pyarrow")
    program = f"import sys, narfast; print([m for m in {heavy!r} if m in sys.modules])"
    path = str(Path(narfast.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_imported() -> None:
    for name in narfast.__all__:
        assert getattr(narfast, name) is not None


def test_tables_cross_whole() -> None:
    assert len(operators.table()) == len(_core.operator_table())
    assert all(canonicalization_passes().values())
    assert operators.by_name("relu") == operators.lookup("aten", "relu_")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_programs_import_what_there_is(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("narfast"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                assert hasattr(module, alias.name) or importlib.util.find_spec(name), name
