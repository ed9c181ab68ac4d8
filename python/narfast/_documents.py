"""JSON documents from disk, checked against a declared shape before any value is used.

A document may be hostile: its size is limited, nesting cannot exhaust the stack, numbers are
finite, and a value of the wrong kind is an error that names the file and the field. The code that
declares a shape gives the values their meaning.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from narfast._files import open_regular
from narfast.errors import CorruptFileError, printable

__all__ = [
    "MOST_VALUES",
    "Anything",
    "Flag",
    "Integer",
    "ListOf",
    "MapOf",
    "Number",
    "Object",
    "OneOf",
    "Optional",
    "Shape",
    "Text",
    "TupleOf",
    "check_document",
    "parse_document",
    "parse_limited",
    "read_document",
    "read_small_file",
]

MOST_VALUES = 10_000_000
"""Values in a JSON document; an exported program of 100,000 operators has about as many."""

_SHOWN = 60  # characters of a wrong value in an error


class Mismatch(Exception):
    """A value has the wrong shape: names the field and what was expected."""

    def __init__(self, where: str, expected: str) -> None:
        super().__init__(where, expected)
        self.where = where
        self.expected = expected


class Shape(Protocol):
    """Describes the allowed values."""

    def check(self, value: Any, where: str) -> None:
        """Raise `Mismatch` unless ``value``, found at ``where``, has this shape."""


@dataclass(frozen=True)
class Integer:
    """A whole number in a range, both ends included; true and false are not numbers."""

    low: int = 0
    high: int = 2**63 - 1

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if type(value) is not int or not self.low <= value <= self.high:
            raise Mismatch(where, f"a whole number from {self.low} to {self.high}{_not(value)}")


@dataclass(frozen=True)
class Number:
    """A finite number in a range, both ends included."""

    low: float = -sys.float_info.max
    high: float = sys.float_info.max

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if type(value) not in (int, float) or not self.low <= value <= self.high:
            raise Mismatch(where, f"a number from {self.low:g} to {self.high:g}{_not(value)}")


@dataclass(frozen=True)
class Text:
    """A text of limited length that matches a pattern, if there is one."""

    longest: int = 4096
    pattern: str | None = None

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if not isinstance(value, str) or len(value) > self.longest:
            raise Mismatch(where, f"a text of at most {self.longest} characters{_not(value)}")
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise Mismatch(where, f"a text like {self.pattern}{_not(value)}")


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if not isinstance(value, bool):
            raise Mismatch(where, f"true or false{_not(value)}")


@dataclass(frozen=True)
class OneOf:
    """One of several texts."""

    choices: tuple[str, ...]

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if not isinstance(value, str) or value not in self.choices:
            raise Mismatch(where, f"one of {', '.join(self.choices)}{_not(value)}")


@dataclass(frozen=True)
class Anything:
    """Any value; it is kept but not used."""

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""


@dataclass(frozen=True)
class Optional:
    """Null, or a value of a shape."""

    shape: Shape

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if value is not None:
            self.shape.check(value, where)


@dataclass(frozen=True)
class ListOf:
    """A list of limited length, all items of one shape."""

    item: Shape
    most: int = 1 << 20
    least: int = 0

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            raise Mismatch(where, f"a list of {self.least} to {self.most} items{_not(value)}")
        for position, item in enumerate(value):
            self.item.check(item, f"{where}[{position}]")


@dataclass(frozen=True)
class TupleOf:
    """A list of fixed length, each item of its own shape."""

    items: tuple[Shape, ...]

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if not isinstance(value, list) or len(value) != len(self.items):
            raise Mismatch(where, f"a list of {len(self.items)} items{_not(value)}")
        for position, (item, shape) in enumerate(zip(value, self.items, strict=True)):
            shape.check(item, f"{where}[{position}]")


@dataclass(frozen=True)
class MapOf:
    """An object whose keys are free and whose values have one shape."""

    value: Shape
    key: Shape = field(default_factory=Text)
    most: int = 1 << 20

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if not isinstance(value, dict) or len(value) > self.most:
            raise Mismatch(where, f"an object of at most {self.most} fields{_not(value)}")
        for name, item in value.items():
            self.key.check(name, f"{where or 'document'}, name of a field")
            self.value.check(item, _inside(where, name))


@dataclass(frozen=True)
class Object:
    """An object with fields of known names and shapes.

    Attributes:
        required: fields that must be present.
        optional: fields that may be present.
        closed: whether other fields are refused; otherwise they are ignored.
    """

    required: Mapping[str, Shape] = field(default_factory=dict)
    optional: Mapping[str, Shape] = field(default_factory=dict)
    closed: bool = False

    def check(self, value: Any, where: str) -> None:
        """See `Shape`."""
        if not isinstance(value, dict):
            raise Mismatch(where, f"an object{_not(value)}")
        for name, shape in self.required.items():
            if name not in value:
                raise Mismatch(_inside(where, name), "there; it is missing")
            shape.check(value[name], _inside(where, name))
        for name, shape in self.optional.items():
            if name in value:
                shape.check(value[name], _inside(where, name))
        if self.closed:
            for name in value:
                if name not in self.required and name not in self.optional:
                    known = ", ".join((*self.required, *self.optional))
                    raise Mismatch(_inside(where, name), f"absent; known fields are {known}")


def read_document(
    path: Path, shape: Shape, *, what: str, remedy: str, limit: int = 16 << 20
) -> Any:
    """Read a JSON file.

    Args:
        path: a regular file; a pipe or device is refused.
        shape: shape of the document.
        what: kind of document for errors, such as ``a zoo manifest``.
        remedy: remedy for a damaged document, for errors.
        limit: maximum size in bytes.

    Returns:
        The value, which has that shape.

    Raises:
        CorruptFileError: not a regular file, too large, not JSON, or the wrong shape.
        OSError: it cannot be opened or read.
    """
    data = read_small_file(path, what=what, remedy=remedy, limit=limit)
    return parse_document(data, shape, path=path, what=what, remedy=remedy)


def read_small_file(path: Path, *, what: str, remedy: str, limit: int = 16 << 20) -> bytes:
    """Return the bytes of a file that must be regular and small; see `read_document`."""
    try:
        stream = open_regular(path)
    except CorruptFileError:
        raise CorruptFileError(f"{path}: not {what} (not a regular file); {remedy}") from None
    with stream:
        size = os.fstat(stream.fileno()).st_size
        data = stream.read(min(size, limit) + 1)  # read allocates this much at once
    if len(data) > limit:
        raise CorruptFileError(f"{path}: not {what} (more than {limit:,} bytes); {remedy}")
    return data


def parse_document(data: bytes, shape: Shape, *, path: Path, what: str, remedy: str) -> Any:
    """Parse the bytes of a JSON file; see `read_document`."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise CorruptFileError(
            f"{path}: not {what} (not valid JSON: nested too deeply); {remedy}"
        ) from None
    except ValueError as error:  # not UTF-8, not JSON, NaN, or a number of thousands of digits
        raise CorruptFileError(f"{path}: not {what} (not valid JSON: {error}); {remedy}") from None
    return check_document(value, shape, path=path, what=what, remedy=remedy)


def check_document(value: Any, shape: Shape, *, path: Path, what: str, remedy: str) -> Any:
    """Return ``value``, parsed from ``path``, if it has the shape; see `read_document`."""
    try:
        shape.check(value, "")
    except Mismatch as error:
        place = f"field {printable(error.where, 80)}" if error.where else "the document"
        raise CorruptFileError(
            f"{path}: not {what}: {place} must be {printable(error.expected, 200)}; {remedy}"
        ) from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _not(value: Any) -> str:
    """Describe the found value in a few characters."""
    if isinstance(value, dict):
        return ", not an object"
    if isinstance(value, list):
        return f", not a list of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return ", not a number of more than 60 digits"
    return f", not {printable(json.dumps(value, ensure_ascii=False), _SHOWN)}"


def parse_limited(data: bytes, most: int = MOST_VALUES) -> Any:
    """Parse JSON of at most ``most`` values; commas and brackets in texts count too.

    A value takes up to about 100 bytes of memory, and an empty list three bytes of text.

    Raises:
        ValueError: not JSON, too many values, or nested too deep.
    """
    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if values > most:
        raise ValueError(f"more than {most:,} values")
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None
