"""Every page of docs/extending is followed in a copy of the sources, and what it shows is run.

The pages that change the core are compiled together, once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import narfast
from documentation import DOCS, RUN, Block, blocks, environment, run
from narfast import _core
from paths import ROOT

PAGES = sorted(path for path in (DOCS / "extending").glob("*.md") if path.name != "index.md")
MOST_FILES = 3


def patch_of(page: Path) -> str:
    return "".join(block.text for block in blocks(page) if block.language == "diff")


def new_files(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.caption]


def touched(page: Path) -> set[str]:
    patched = {
        line.removeprefix("+++ b/")
        for line in patch_of(page).splitlines()
        if line.startswith("+++ b/")
    }
    return patched | {block.caption for block in new_files(page)}


def changes_the_core(page: Path) -> bool:
    return any(file.startswith("cpp/") for file in touched(page))


PAGES_OF_THE_CORE = [page for page in PAGES if changes_the_core(page)]


def copy_of_the_sources(folder: Path) -> None:
    """The checkout without what is large: data is linked."""
    package = folder / "python" / "narfast"
    shutil.copytree(
        ROOT / "python" / "narfast",
        package,
        ignore=shutil.ignore_patterns("data", "__pycache__", "_core*.so"),
    )
    (package / "data").symlink_to(ROOT / "python" / "narfast" / "data")
    shutil.copytree(ROOT / "cpp", folder / "cpp")
    shutil.copy(ROOT / "CMakeLists.txt", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "examples").symlink_to(ROOT / "examples")


def follow(page: Path, folder: Path) -> None:
    """Do what a page says."""
    for block in new_files(page):
        (folder / block.caption).write_text(block.text, encoding="utf-8")
    patch = patch_of(page)
    if patch:
        # Line numbers may have moved since; the lines must be there.
        subprocess.run(
            ["git", "apply", "-"],
            input=patch,
            cwd=folder,
            text=True,
            check=True,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        )


def python_of(folder: Path) -> tuple[list[str], dict[str, str]]:
    """An interpreter, and variables, under which narfast is the one of a folder.

    Without ``site`` no editable install comes first.
    """
    source = Path(narfast.__file__).parents[1]
    paths = [path for path in sys.path if path and Path(path) != source and path != "tests"]
    scripts = folder / "bin"
    scripts.mkdir(exist_ok=True)
    script = scripts / "narfast"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S -m narfast "$@"\n')
    script.chmod(0o755)
    variables = environment(scripts, folder / "cache")
    variables["PYTHONPATH"] = os.pathsep.join([str(folder / "python"), *paths])
    return [sys.executable, "-S"], variables


def run_all(page: Path, folder: Path) -> None:
    python, variables = python_of(folder)
    ran = [block for block in blocks(page) if block.language in RUN and not block.caption]
    assert ran, f"{page.name} shows nothing at work"
    for block in ran:
        run(block, folder, variables, python)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_an_addition_touches_few_files(page: Path) -> None:
    assert 1 <= len(touched(page)) <= MOST_FILES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    copy_of_the_sources(tmp_path)
    follow(page, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in PAGES_OF_THE_CORE], ids=lambda page: page.stem
)
def test_an_addition_works(page: Path, tmp_path: Path) -> None:
    copy_of_the_sources(tmp_path)
    follow(page, tmp_path)
    shutil.copy(_core.__file__, tmp_path / "python" / "narfast")
    run_all(page, tmp_path)


@pytest.fixture(scope="module")
def extended_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core")
    copy_of_the_sources(folder)
    for page in PAGES_OF_THE_CORE:
        follow(page, folder)
    cmake = shutil.which("cmake")
    assert cmake is not None
    found = subprocess.run(
        [sys.executable, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=True
    )
    configure = [
        cmake,
        *("-S", str(folder), "-B", str(folder / "build"), "-G", "Ninja"),
        "-DCMAKE_BUILD_TYPE=Debug",
        "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
        f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={folder / 'python' / 'narfast'}",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dpybind11_DIR={found.stdout.strip()}",
    ]
    # Where ccache is used, files that no page changes are compiled once for all runs.
    env = {**os.environ, "CCACHE_BASEDIR": str(folder), "CCACHE_NOHASHDIR": "1"}
    for command in (configure, [cmake, "--build", str(folder / "build")]):
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_OF_THE_CORE, ids=lambda page: page.stem)
def test_an_addition_to_the_core_works(page: Path, extended_core: Path) -> None:
    run_all(page, extended_core)
