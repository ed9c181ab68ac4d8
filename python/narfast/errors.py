"""The exceptions a user can meet. Every message says what, where, and the remedy."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

__all__ = [
    "CorruptFileError",
    "Failure",
    "InvalidGraphError",
    "MissingDependencyError",
    "NarfastError",
    "TraceError",
    "UnsupportedSourceError",
    "printable",
]

_LONGEST = 500  # characters of a message
_REMEDY = 200  # of them, at its end
# Control and format characters (which turn the direction of text), lone surrogates (which are bytes
# of names that are no UTF-8), separators of lines and paragraphs.
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str, limit: int = _LONGEST) -> str:
    r"""Return a text as one line for any terminal: odd characters escaped, a long middle left out.

    Args:
        text: anything; names of files may hold any bytes.
        limit: characters of the result; begin and end of a longer text are kept.

    Example:
        >>> print(printable("a\x1b[31m\n.onnx: no such file"))
        a\x1b[31m\n.onnx: no such file
    """
    if len(text) > limit:  # what is left out need not be looked at
        text = text[:limit] + text[-limit:]
        shortened = True
    else:
        shortened = False
    line = text if text.isascii() and text.isprintable() else "".join(map(_escape, text))
    if not shortened and len(line) <= limit:
        return line
    end = min(_REMEDY, limit // 2)
    return f"{line[: limit - end - 1]}…{line[-end:]}"


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED:
        return character
    if "\udc80" <= character <= "\udcff":  # a byte, as `os.fsdecode` stores it
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


class NarfastError(Exception):
    """Base of every error that narfast raises for bad input.

    The message is one `printable` line of at most 500 characters.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


class InvalidGraphError(NarfastError, ValueError):
    """A graph that cannot be a network: cyclic, dangling, mis-shaped, or too large."""


class UnsupportedSourceError(NarfastError, ValueError):
    """A source string or object that no frontend can read."""


class CorruptFileError(NarfastError, ValueError):
    """A file whose bytes are not what its format or its manifest promises."""


class TraceError(NarfastError, RuntimeError):
    """A network that no way of tracing could follow."""


class MissingDependencyError(NarfastError, ImportError):
    """An optional library is needed and not installed; the message has the pip command."""


@dataclass(frozen=True)
class Failure:
    """A network of many that could not be read, and why, in one line."""

    id: str
    reason: str
