"""The documentation is whole: it builds without a warning, and its lists are those of the code."""

from __future__ import annotations

import html
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import narfast
from documentation import DOCS, PAGES
from narfast.cli.app import app
from narfast.sources.registry import SOURCES
from paths import ROOT
from test_import_graph import ROOMS

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
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
    neither = [kind.name for kind in SOURCES if not kind.runs_code and not kind.opens_path]
    text = " ".join(html.unescape(re.sub("<[^>]*>", "", page)).split())
    assert f"UNTRUSTED_KINDS are those that do neither: {', '.join(neither)}." in text


def commands(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The words and the object of every command that is no group."""
    children = getattr(command, "commands", None)
    if children is None:
        yield words, command
        return
    for name, child in children.items():
        yield from commands(child, *words, name)


@pytest.mark.slow
def test_every_command_is_on_the_page(built: Path) -> None:
    page = (built / "command-line.html").read_text(encoding="utf-8")
    found = dict(commands(typer.main.get_command(app)))
    assert {("search",), ("zoo", "build"), ("evaluate",)} < found.keys()
    for words, command in found.items():
        _, title, rest = page.partition(f'id="narfast-{"-".join(words)}"')
        assert title, words
        named = re.findall(r"--[a-z][a-z-]+", rest.partition("<section")[0])
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o[:2] == "--"}
        assert options - {"--help"} <= set(named), words


def test_the_api_page_lists_what_is_public() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto\w+:: narfast\.(\w+)$", page, re.MULTILINE)
    assert sorted([*listed, "__version__"]) == sorted(narfast.__all__)


def test_every_extra_is_in_the_quickstart() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (DOCS / "quickstart.md").read_text(encoding="utf-8")
    missing = [name for name in project["optional-dependencies"] if f"[{name}]`" not in page]
    assert not missing


def test_contributing_lists_the_rooms_in_the_order_of_imports() -> None:
    table = CONTRIBUTING.partition("| in `python/narfast/` |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = [name for cell in cells for name in re.findall(r"`(\w+)(?:\.py|/)`", cell)]
    assert listed == ROOMS


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(links) > 10
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing


NAMED_FILE = re.compile(
    r"(?<![\w./-])(?:benchmarks|configs|cpp|examples|python/narfast|tests)/[\w./-]*\w"
)


def test_files_that_pages_name_are_there() -> None:
    checked = 0
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *PAGES):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        found = [
            path for code in re.findall(r"`([^`\n]+)`", text) for path in NAMED_FILE.findall(code)
        ]
        missing = [path for path in found if not (ROOT / path).exists()]
        assert not missing, page.name
        checked += len(found)
    assert checked > 30


def test_files_that_sources_name_are_there() -> None:
    package = ROOT / "python" / "narfast"
    sources = [
        *package.rglob("*.py"),
        *(package / "data").glob("*.toml"),
        *(file for file in (ROOT / "cpp").rglob("*") if file.is_file()),
    ]
    found = [
        (str(file.relative_to(ROOT)), path)
        for file in sources
        for path in NAMED_FILE.findall(file.read_text(encoding="utf-8"))
    ]
    assert len(found) > 10
    assert [pair for pair in found if not (ROOT / pair[1]).exists()] == []


def test_numbers_of_the_readme_are_those_of_the_results() -> None:
    """The README repeats six rows by hand; the tables that it repeats are written by programs."""
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    table = README.partition("## Numbers")[2].partition("## Limits")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][1:]
    numbers = [number for row in rows for number in re.findall(r"\.?\d[\d.,]*\d", row)]
    assert len(rows) == 6
    assert len(numbers) >= 12
    missing = [n for n in numbers if not re.search(rf"(?<![\d.]){re.escape(n)}(?!\d)", results)]
    assert not missing
