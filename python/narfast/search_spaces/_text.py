"""Shared by the readers of cells: errors, and a parser of Python literals without evaluation."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TypeAlias

from narfast.errors import UnsupportedSourceError

__all__ = ["Value", "arguments", "bad_cell", "check_operator", "clean", "shown"]

Value: TypeAlias = "int | str | list[Value]"

MAX_TEXT = 4096  # characters; the longest published cell has 600
_MAX_DEPTH = 4
_MAX_ITEMS = 256
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[0-9]{1,4})(?![0-9A-Za-z_.])|(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |'(?P<single>[^'\\\n]*)'|"(?P<double>[^"\\\n]*)"|(?P<mark>[][(),=]))""",
    re.VERBOSE,
)


def shown(text: str) -> str:
    """Shorten a text to one line for an error message."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def bad_cell(space: str, why: str) -> UnsupportedSourceError:
    """Return the error for a text that is not a cell of `space`."""
    return UnsupportedSourceError(f"{space}: {why}")


def clean(space: str, text: str, form: str) -> str:
    """Strip blanks around a text.

    Raises:
        UnsupportedSourceError: It is empty or too long; the message shows `form`.
    """
    if len(text) > MAX_TEXT:
        raise bad_cell(space, f"{len(text):,} characters are not a cell; it looks like {form}")
    text = text.strip()
    if not text:
        raise bad_cell(space, f"name a cell, as {space}:{form}")
    return text


def check_operator(space: str, name: str, known: Sequence[str]) -> None:
    """Raises UnsupportedSourceError, with close matches, unless the space has the operator."""
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(known)}"
    raise bad_cell(space, f"it has no operator called {shown(name)}; {hint}")


class _Reader:
    """Reads values from a text; every method raises ValueError at an unexpected token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def next(self) -> tuple[str, str]:
        """Return kind and content of the next token; ("end", "") after the last."""
        if not self._text[self._position :].strip():
            return "end", ""
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            raise ValueError(f"cannot read {shown(self._text[self._position :].strip())}")
        self._position = match.end()
        kind = str(match.lastgroup)
        return ("string" if kind in ("single", "double") else kind), match[kind]

    def peek(self) -> tuple[str, str]:
        """Return the next token without consuming it."""
        position = self._position
        token = self.next()
        self._position = position
        return token

    def expect(self, mark: str) -> None:
        """Consume one mark."""
        token = self.next()
        if token != ("mark", mark):
            raise ValueError(f"expected {mark!r}, found {shown(token[1] or 'the end')}")

    def items(self, end: str, depth: int) -> list[Value]:
        """Read values up to a closing bracket; consume the bracket."""
        values: list[Value] = []
        while self.peek() != ("mark", end):
            values.append(self.value(depth))
            if len(values) > _MAX_ITEMS:
                raise ValueError(f"a list of more than {_MAX_ITEMS} items")
            if self.peek() != ("mark", end):
                self.expect(",")
        self.expect(end)
        return values

    def value(self, depth: int = 0) -> Value:
        """Read a number, a string, a list or tuple of values, or a range."""
        kind, content = self.next()
        if kind == "number":
            return int(content)
        if kind == "string":
            return content
        if depth < _MAX_DEPTH and (kind, content) in (("mark", "["), ("mark", "(")):
            return self.items("]" if content == "[" else ")", depth + 1)
        if (kind, content) == ("word", "range"):
            self.expect("(")
            bounds = [b for b in self.items(")", _MAX_DEPTH) if isinstance(b, int)]
            if not 1 <= len(bounds) <= 2 or max(bounds) > _MAX_ITEMS:
                raise ValueError("expected range(start, stop) of small numbers")
            return list(range(*bounds))
        raise ValueError(f"cannot read {shown(content or 'the end')}")


def arguments(text: str) -> tuple[list[Value], dict[str, Value]]:
    """Parse the arguments of a call: values, then keywords.

    Numbers, strings, lists, tuples and ``range`` are understood; nothing is evaluated.

    Raises:
        ValueError: Anything else; the message quotes it.
    """
    reader = _Reader(text)
    positional: list[Value] = []
    keywords: dict[str, Value] = {}
    while reader.peek()[0] != "end":
        kind, content = reader.peek()
        if kind == "word" and content != "range":
            reader.next()
            reader.expect("=")
            if content in keywords:
                raise ValueError(f"{content} is given twice")
            keywords[content] = reader.value()
        elif keywords:
            raise ValueError(f"expected a keyword, found {shown(content)}")
        else:
            positional.append(reader.value())
        if reader.peek()[0] != "end":
            reader.expect(",")
    return positional, keywords
