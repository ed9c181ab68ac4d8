"""Code blocks of README.md and docs/, and how they are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from paths import ROOT

DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
RUN = ("python", "console")

_FENCE = re.compile(r"(`{3,}|:{3,})(?:\{(?P<directive>[\w-]+)\})? *(?P<word>\S*)\s*")
_OPTION = re.compile(r":(\w+): *(.*)")
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the file it is in.
        line: its first line, from 1.
        language: such as ``python``; ``code-block`` has that of its argument.
        text: its content.
        caption: of a ``code-block``: the file that it is.
        not_run: the reason, where a comment above says so.
        output: the ``text`` block that follows a ``python`` block: what it prints.
    """

    page: Path
    line: int
    language: str
    text: str
    caption: str = ""
    not_run: str = ""
    output: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    found: list[Block] = []
    end = -1  # line after the last block
    for block, begin, after in _fences(page):
        follows = found and begin == end + 1 and found[-1].language == "python"
        if block.language == "text" and follows:
            found[-1] = replace(found[-1], output=block.text)
        else:
            found.append(block)
        end = after
    return found


def _fences(page: Path) -> Iterator[tuple[Block, int, int]]:
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.fullmatch(lines[at].strip())
        if not fence:
            at += 1
            continue
        begin, indent = at, lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        while lines[at + 1].strip() != fence[1]:
            at += 1
        body = lines[begin + 1 : at + 1]
        at += 2
        options = {}
        if fence["directive"]:
            while body and (option := _OPTION.fullmatch(body[0].strip())):
                options[option[1]] = option[2]
                del body[0]
        above = _NOT_RUN.fullmatch(lines[begin - 1].strip()) if begin else None
        block = Block(
            page=page,
            line=begin + 1,
            language=fence["word"] if fence["directive"] in (None, "code-block") else "",
            text="\n".join(line.removeprefix(indent) for line in body).strip("\n") + "\n",
            caption=options.get("caption", ""),
            not_run=above[1] if above else "",
        )
        yield block, begin, at


def commands(block: Block) -> Iterator[tuple[str, str | None]]:
    """The commands of a ``console`` block, each with the output shown below it, if any is."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\"):
            more, _, output = output.partition("\n")
            command += "\n" + more
        yield command, output if output.strip() else None


def environment(scripts: Path, home: Path) -> dict[str, str]:
    """Variables under which pages run: plain tables of a known width, caches of their own."""
    return {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(home),
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "PYTHONWARNINGS": "ignore",
    }


def run(
    block: Block, folder: Path, env: Mapping[str, str], python: Sequence[str] = (sys.executable,)
) -> None:
    """Run a block in processes of its own, and compare what it prints with what the page shows.

    A command whose output is shown as an error has to end with exit code 2.

    Args:
        block: of ``python`` or ``console``.
        folder: to run it in.
        env: variables.
        python: the interpreter with its options.
    """
    if block.language == "python":
        _run([*python, "-c", block.text], str(block), block.output, folder, env)
        return
    for command, output in commands(block):
        shell = ["bash", "-c", f"set -o pipefail; {command}"]
        fails = output is not None and output.startswith("error: ")
        _run(shell, f"{block}: {command}", output, folder, env, code=2 if fails else 0)


def _run(
    arguments: Sequence[str],
    what: str,
    output: str | None,
    folder: Path,
    env: Mapping[str, str],
    code: int = 0,
) -> None:
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=env,
        text=True,
        capture_output=True,
        timeout=300,
    )
    both = done.stdout + done.stderr
    assert done.returncode == code, f"{what} ended with {done.returncode}:\n{both}"
    printed = done.stdout or done.stderr
    if output is not None:
        assert agree(output, printed), f"{what} printed\n{printed}and not\n{output}"


def agree(shown: str, printed: str) -> bool:
    """Whether an output is the one shown; ``...`` stands for any text, alone for any lines."""
    lines = [line.rstrip() for line in shown.strip("\n").splitlines()]
    pattern = "".join(
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
        for line in lines
    )
    text = "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, text + "\n") is not None
