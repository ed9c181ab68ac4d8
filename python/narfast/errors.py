"""The exceptions of narfast. Every message says what, where, and the remedy."""

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

_MAX_LENGTH = 500  # characters of a message
_REMEDY = 200  # of these characters, kept at the end
# Control and format characters (some change the direction of text), lone surrogates (bytes of file
# names that are not UTF-8), line and paragraph separators.
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NO_XML = "\ufffe\uffff"  # no characters, and not allowed in figures


def printable(text: str, limit: int = _MAX_LENGTH) -> str:
    r"""Return a text as one line for any terminal: escape odd characters, cut a long middle.

    Args:
        text: any text; file names may have any bytes.
        limit: maximum length; start and end of a longer text are kept.

    Example:
        >>> print(printable("a\x1b[31m\n.onnx: no such file"))
        a\x1b[31m\n.onnx: no such file
    """
    if len(text) > limit:  # the part that is cut need not be escaped
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
    if unicodedata.category(character) not in _ESCAPED and character not in _NO_XML:
        return character
    if "\udc80" <= character <= "\udcff":  # a byte, as stored by `os.fsdecode`
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


class NarfastError(Exception):
    """Base class of all errors that narfast raises for bad input.

    The message is one `printable` line of at most 500 characters.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


class InvalidGraphError(NarfastError, ValueError):
    """A graph that cannot be a network: cyclic, dangling, malformed, or too large."""


class UnsupportedSourceError(NarfastError, ValueError):
    """A source string or object that narfast cannot read."""


class CorruptFileError(NarfastError, ValueError):
    """A file whose bytes do not match its format or its manifest."""


class TraceError(NarfastError, RuntimeError):
    """A network that no tracing strategy could read."""


class MissingDependencyError(NarfastError, ImportError):
    """An optional library is missing; the message has the pip command."""


@dataclass(frozen=True)
class Failure:
    """A network that could not be read, and the reason in one line."""

    id: str
    reason: str
