"""Tables for terminals: one style, and plain text if they are long."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape, render
from rich.table import Table

from narfast.errors import printable

__all__ = ["cell", "make_table", "print_table", "short_count", "stdout_console"]

_LAID_OUT = 200  # maximum rows of a table that rich lays out
_MARKUP = re.compile(r"[\[\\\n]")


def cell(text: str) -> str:
    """Return a name out of a file or a zoo: without markup, and without control characters."""
    return escape(printable(text))


def short_count(value: int | None) -> str:
    """Abbreviate a large number: 25557032 -> 25.6M."""
    if value is None:
        return "–"
    for limit, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return str(value)


def stdout_console() -> Console:
    """Return a console on stdout; outside a terminal it is wide enough for any table."""
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal and console.width < 120:
        console = Console(
            highlight=False, emoji=False, width=120
        )  # lines in a file or pipe need no wrapping
    return console


def print_table(console: Console, table: Table) -> None:
    """Print a table; print a long one as plain text, since rich needs a millisecond per row."""
    if table.row_count <= _LAID_OUT:
        console.print(table)
        return
    columns = []
    for column in table.columns:
        cells = [_plain_text(str(cell)) for cell in (column.header, *column.cells)]
        lengths = list(map(cell_len, cells))
        width = max(lengths)
        pads = [" " * (width - length) for length in lengths]
        right = column.justify == "right"
        columns.append([p + c if right else c + p for c, p in zip(cells, pads, strict=True)])
    lines = ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
    console.file.write("\n".join((_plain_text(str(table.title)), *lines)) + "\n")


def _plain_text(markup: str) -> str:
    if not _MARKUP.search(markup):
        return markup
    return " ".join(render(markup, emoji=False).plain.split("\n"))


def make_table(title: str) -> Table:
    """Return an empty table in the common style."""
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
