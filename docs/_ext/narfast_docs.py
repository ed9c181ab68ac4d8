"""Directives that write pages from the code: the table of sources, and the commands.

``{sources}`` is a table of `narfast.sources.registry.SOURCES`, ``{commands}`` a section for each
command of ``narfast``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from narfast.cli.app import app as command_line
from narfast.sources.registry import SOURCES, UNTRUSTED_KINDS, SourceKind


class MadeByCode(SphinxDirective):
    """A directive whose content is MyST that the code makes."""

    def lines(self) -> Iterator[str]:
        """The lines of the page."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse the lines where the directive stands."""
        self.content = StringList(list(self.lines()), source=f"<{self.name}>")
        return self.parse_content_to_nodes(allow_section_headings=True)


class Sources(MadeByCode):
    """One row for each kind of source."""

    def lines(self) -> Iterator[str]:
        """A table."""
        yield "| kind | written as | what it is | needs | runs code | opens a path |"
        yield "|---|---|---|---|---|---|"
        for kind in SOURCES:
            cells = (
                f"`{kind.name}`",
                f"`{kind.spelling}`",
                kind.description,
                _needs(kind),
                "yes" if kind.runs_code else "no",
                "yes" if kind.opens_path else "no",
            )
            yield f"| {' | '.join(cells)} |"
        yield ""
        allowed = ", ".join(f"`{kind.name}`" for kind in SOURCES if kind.name in UNTRUSTED_KINDS)
        yield f"`UNTRUSTED_KINDS` are those that do neither: {allowed}."


def _needs(kind: SourceKind) -> str:
    return "nothing more" if kind.extra is None else f"`narfast[{kind.extra}]`"


class Commands(MadeByCode):
    """One section for each command."""

    def lines(self) -> Iterator[str]:
        """Sections, in the order of ``narfast --help``."""
        yield from _command("narfast", typer.main.get_command(command_line))


def _command(path: str, command: Any) -> Iterator[str]:
    commands = getattr(command, "commands", None)
    if commands is None:
        yield f"## {path}"
        yield ""
        yield "```text"
        yield f"{path} {_arguments(command)}".rstrip()
        yield "```"
        yield ""
        yield from inspect.cleandoc(command.help or "").splitlines()
        yield ""
        yield from _parameters(command)
        yield ""
        return
    for name, child in commands.items():
        yield from _command(f"{path} {name}", child)


def _arguments(command: Any) -> str:
    words = [_argument(p) for p in command.params if p.param_type_name == "argument"]
    needed = [p for p in command.params if p.param_type_name == "option" and p.required]
    words += [f"{p.opts[0]} {_value(p)}" for p in needed]
    return " ".join([*words, "[OPTIONS]"])


def _argument(parameter: Any) -> str:
    name: str = parameter.metavar or parameter.name.upper()
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _value(parameter: Any) -> str:
    default = parameter.default
    if parameter.is_flag:
        return ""
    if parameter.metavar:
        return str(parameter.metavar)
    if isinstance(default, Enum):
        return "|".join(str(choice.value) for choice in type(default))
    return "N" if isinstance(default, (int, float)) or parameter.min is not None else "TEXT"


def _parameters(command: Any) -> Iterator[str]:
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        if parameter.param_type_name == "argument":
            spelling = _argument(parameter)
        else:
            names = "/".join([", ".join(parameter.opts), *parameter.secondary_opts])
            spelling = f"{names} {_value(parameter)}".rstrip()
        default = parameter.default
        plain = isinstance(default, (str, int, float)) and not isinstance(default, bool)
        shown = f"`{getattr(default, 'value', default)}`" if plain and default != "" else ""
        spelling = spelling.replace("|", "\\|")
        rows.append(f"| `{spelling}` | {_escaped(parameter.help or '')} | {shown} |")
    if rows:
        yield from ("| option | meaning | default |", "|---|---|---|", *rows)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")


# Links of documents that stay where programs write them, as pages here.
_MOVED = {
    "](README.md)": "](measurements.md)",
    "](results)": "](results.md)",
    "](SECURITY.md)": "](security.md)",
}
_FILE_LINK = re.compile(r"\[([^\]]+)\]\((results/[^)]+)\)")


def _included(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    """Point links of an included document to the pages that it became."""
    for old, new in _MOVED.items():
        content[0] = content[0].replace(old, new)
    content[0] = _FILE_LINK.sub(r"\1: `benchmarks/\2`", content[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    app.add_directive("sources", Sources)
    app.add_directive("commands", Commands)
    app.connect("include-read", _included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
