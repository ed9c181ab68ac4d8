"""One row per kind of source, and everything that must agree with it."""

from __future__ import annotations

import importlib.util
import inspect
import tomllib
from pathlib import Path

import pytest

import narfast
from narfast.errors import NarfastError
from narfast.sources.registry import (
    KINDS,
    LIBRARIES,
    LISTED,
    SEARCH_SPACES,
    SOURCES,
    UNTRUSTED_KINDS,
    accepted,
    kind_of,
    library_version,
)
from narfast.zoo.builder import identifiers_of
from paths import ROOT, TESTS
from processes import subprocess_run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LIBRARY_ROWS = [kind for kind in SOURCES if kind.group == "library"]


def test_names_are_distinct() -> None:
    assert len(KINDS) == len(SOURCES)
    assert len({kind.spelling for kind in SOURCES}) == len(SOURCES)


@pytest.mark.parametrize("kind", SOURCES, ids=lambda kind: kind.name)
def test_what_a_row_names_is_there(kind) -> None:
    spec = importlib.util.find_spec(f"narfast.{kind.module}")
    assert spec is not None
    assert spec.origin is not None
    functions = ("list_names", "build", "labels") if kind.group == "library" else (kind.function,)
    module = importlib.import_module(f"narfast.{kind.module}")
    for function in functions:
        assert inspect.isfunction(getattr(module, function)), function


@pytest.mark.parametrize("kind", LIBRARY_ROWS, ids=lambda kind: kind.name)
def test_a_library_has_its_extra_and_its_test(kind) -> None:
    required = EXTRAS[kind.extra]
    assert "narfast[torch]" in required
    assert any(line.startswith(f"{kind.distribution}>=") for line in required), required
    assert library_version(kind.name) is not None
    tests = [path.read_text() for path in (TESTS / "sources").rglob("test_*.py")]
    assert any(f'"{kind.name}:' in text or f'library("{kind.name}")' in text for text in tests)


def test_extras_of_libraries_are_those_of_the_registry() -> None:
    (everything,) = EXTRAS["all"]
    assert sorted(everything[len("narfast[") : -1].split(",")) == sorted(LIBRARIES)
    assert {kind.extra for kind in SOURCES if kind.extra} <= EXTRAS.keys()


def test_modules_of_libraries_and_search_spaces_have_rows() -> None:
    package = Path(narfast.__file__).parent
    for folder, rows, others in (
        ("sources/libraries", LIBRARIES, {"base"}),
        ("search_spaces", SEARCH_SPACES, set()),
    ):
        names = {path.stem for path in (package / folder).iterdir() if path.name[0] not in "_."}
        assert names - others == set(rows)


def test_kinds_of_texts() -> None:
    expected = {
        "timm:resnet50": "timm",
        "darts:DARTS_V2": "darts",
        "hf:org/name": "hf",
        "zoo:timm:resnet50": "zoo",
        "zoo:a.onnx": "zoo",
        "some/model.ONNX": "onnx",
        "C:model.onnx": "onnx",
        "model.pt2": "pt2",
        "record.json": "record",
        "my_model.py:build": "python",
        "my_model.py": "python",
        "timm:my.py:build": "timm",
    }
    for source, name in expected.items():
        kind = kind_of(source)
        assert kind is not None, source
        assert kind.name == name
    assert [kind_of(source) for source in ("", "resnet50", "model.pt", "Timm:x", ":")] == [None] * 5


def test_nothing_untrusted_runs_code_or_opens_a_path() -> None:
    assert {"darts", "nasbench101", "nasbench201", "zoo"} == UNTRUSTED_KINDS
    assert {kind.name for kind in SOURCES if kind.runs_code} == {
        *LIBRARIES,
        "hf",
        "python",
        "module",
    }


def test_help_and_errors_list_every_kind() -> None:
    with pytest.raises(NarfastError) as raised:
        narfast.load("model.xyz")
    said = " ".join(subprocess_run("search", "--help", env={"COLUMNS": "1000"}).stdout.split())
    build = " ".join(
        subprocess_run("zoo", "build", "--help", env={"COLUMNS": "1000"}).stdout.split()
    )
    for kind in SOURCES:
        assert kind.spelling in accepted()
        assert kind.spelling in str(raised.value)
        assert kind.spelling in said or kind.group == "object"
    for name in LISTED:
        assert name in build


@pytest.mark.parametrize("source", ["nasbench201", "onnx", "keras"])
def test_what_cannot_be_listed(source) -> None:
    with pytest.raises(NarfastError, match="timm, torchvision"):
        identifiers_of(source)
