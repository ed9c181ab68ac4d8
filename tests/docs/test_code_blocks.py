"""What README.md and docs/ show runs, and prints what they say it prints.

The Python blocks of a page are one program. A block under a comment ``<!-- not run: reason -->`` is
left out, and there are few of those.
"""

from __future__ import annotations

import contextlib
import io
import re
import sysconfig
from pathlib import Path

import pytest

from documentation import PAGES, RUN, agree, blocks, environment, run
from paths import ROOT

FOLLOWED = "extending"  # pages that test_extending.py follows
BLOCKS = {page: blocks(page) for page in PAGES}
RUNNABLE = [
    page
    for page, found in BLOCKS.items()
    if (page.parent.name != FOLLOWED or page.stem == "index")
    and any(b.language in RUN and not b.not_run for b in found)
]
MOST_NOT_RUN = 8
LANGUAGES = {"python", "console", "text", "toml", "json", "diff", "cpp"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder: the examples and configurations of the checkout, nothing else."""
    for name in ("examples", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_what_a_page_shows(page: Path, folder: Path) -> None:
    env = environment(Path(sysconfig.get_path("scripts")), folder / ".cache")
    names: dict[str, object] = {"__name__": page.stem}
    for block in BLOCKS[page]:
        if block.language not in RUN or block.not_run:
            continue
        if block.language == "console":
            run(block, folder, env)
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, str(block), "exec"), names)
        if block.output is not None:
            assert agree(block.output, printed.getvalue()), f"{block}:\n{printed.getvalue()}"


def test_every_block_says_what_it_is() -> None:
    for page, found in BLOCKS.items():
        # Directives such as toctree have no language.
        odd = [str(b) for b in found if b.language not in LANGUAGES and b.language]
        assert not odd, f"{page.name}: unknown languages"
        shell = [str(b) for b in found if b.language == "console" and not b.text.startswith("$ ")]
        assert not shell, "commands begin with '$ '"


def test_few_blocks_are_not_run() -> None:
    left_out = [block for found in BLOCKS.values() for block in found if block.not_run]
    assert len(left_out) <= MOST_NOT_RUN, [f"{b}: {b.not_run}" for b in left_out]
    for page in PAGES:  # a comment above nothing would leave nothing out, and hide it
        comments = re.findall(r"<!-- not run: ", page.read_text(encoding="utf-8"))
        assert len(comments) == sum(bool(b.not_run) for b in BLOCKS[page]), page.name


def test_a_wrong_output_is_noticed() -> None:
    assert agree("a\n...\nd\n", "a\nb\nc\nd\n")
    assert agree("  1  x ...\n", "  1  x  y  \n")
    assert not agree("a\n", "b\n")
    assert not agree("a\n...\n", "b\na\n")
