"""Parses settings from TOML or JSON into frozen dataclasses; errors name the setting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

__all__ = ["read_settings"]

_MAX_NUMBER = 2**63 - 1  # the largest seed of random generators
_Kind = TypeVar("_Kind")


def read_settings(kind: type[_Kind], values: Mapping[str, Any], *, section: str = "") -> _Kind:
    """Make a dataclass from plain values.

    The default of a field determines its type. A list becomes a tuple, a whole number may stand for
    a float, and no number is negative. Further checks are up to the dataclass.

    Args:
        kind: a dataclass; all its fields have defaults.
        values: settings by name; missing ones keep their defaults.
        section: section of the settings, for errors.

    Raises:
        ValueError: an unknown setting, or a value of another type or out of range.
    """
    prefix = f"{section}." if section else ""
    known = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise ValueError(f"unknown setting {prefix}{unknown[0]}; known: {', '.join(known)}")
    converted = {name: _value(prefix + name, v, known[name]) for name, v in values.items()}
    try:
        return kind(**converted)
    except TypeError as error:  # for example, a table in a list of names
        raise ValueError(f"{section or 'settings'}: {error}") from error


def _value(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{name} must be a list, not {value!r}")
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    if isinstance(default, float) and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            raise ValueError(f"{name} is too large") from None
    if type(value) is not type(default):
        raise ValueError(f"{name} must be {type(default).__name__}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value!r}")
    if isinstance(value, (int, float)) and value < 0:
        raise ValueError(f"{name} must not be negative, not {value!r}")
    if isinstance(value, int) and value > _MAX_NUMBER:
        raise ValueError(f"{name} must be at most {_MAX_NUMBER}")
    return value
