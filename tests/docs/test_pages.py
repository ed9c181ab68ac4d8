"""The documentation is whole: it builds without a warning, and its lists are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import narfast
from documentation import DOCS, PAGES
from narfast.sources.registry import SOURCES, UNTRUSTED_KINDS
from paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("html")
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "-b", "html", DOCS, folder],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_pages_need_nothing_from_elsewhere(built: Path) -> None:
    loaded = re.compile(r"<(?:script|img|iframe)[^>]* src=\"https?:|<link[^>]* href=\"https?:")
    for page in built.rglob("*.html"):
        assert not loaded.search(page.read_text(encoding="utf-8")), page.name


@pytest.mark.slow
def test_every_kind_of_source_is_in_the_table(built: Path) -> None:
    page = (built / "sources.html").read_text(encoding="utf-8")
    for kind in SOURCES:
        assert f">{kind.name}</span>" in page, kind.name
    assert len(UNTRUSTED_KINDS) < len(SOURCES)


@pytest.mark.slow
def test_every_command_is_on_the_page(built: Path) -> None:
    page = (built / "command-line.html").read_text(encoding="utf-8")
    for words in (["search"], ["zoo", "build"], ["evaluate"]):
        shown = subprocess.run(
            [sys.executable, "-m", "narfast", *words, "--help"], capture_output=True, text=True
        ).stdout
        options = set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--help"}
        assert options, words
        section = page.partition(f'id="narfast-{"-".join(words)}"')[2].partition("<section")[0]
        missing = [option for option in options if option not in section]
        assert not missing, words


def test_the_api_page_lists_what_is_public() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto\w+:: narfast\.(\w+)$", page, re.MULTILINE)
    assert sorted([*listed, "__version__"]) == sorted(narfast.__all__)


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(links) > 10
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing


def test_files_that_pages_name_are_there() -> None:
    named = re.compile(r"(?:benchmarks|configs|cpp|examples|python/narfast|tests)/[\w./-]*\w")
    checked = 0
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *PAGES):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        found = [path for code in re.findall(r"`([^`\n]+)`", text) for path in named.findall(code)]
        missing = [path for path in found if not (ROOT / path).exists()]
        assert not missing, page.name
        checked += len(found)
    assert checked > 30


def test_numbers_of_the_readme_are_those_of_the_results() -> None:
    """The README repeats six rows by hand; the tables that it repeats are written by programs."""
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    table = README.partition("## Numbers")[2].partition("## Limits")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][1:]
    numbers = [number for row in rows for number in re.findall(r"\.?\d[\d.,]*\d", row)]
    assert len(rows) == 6
    assert len(numbers) >= 12
    missing = [number for number in numbers if number not in results]
    assert not missing
