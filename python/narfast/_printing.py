"""`Printable`: results that show themselves as tables. rich is imported when something is shown."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Printable"]

_WIDTH = 120  # characters of a line of plain text


class Printable:
    """A result with tables for people."""

    def _show(self, console: Console) -> None:
        """Print the tables on a console."""
        raise NotImplementedError

    def print(self, console: Console | None = None) -> None:
        """Print what the command shows.

        Args:
            console: a rich console; standard output by default.
        """
        from narfast._tables import stdout_console

        self._show(console or stdout_console())

    def __str__(self) -> str:
        """Return the output of `print` as plain text."""
        from rich.console import Console

        text = io.StringIO()
        self._show(Console(file=text, width=_WIDTH, highlight=False, emoji=False))
        return text.getvalue().rstrip("\n")
