"""The operator table of the C++ core in Python: lookups by id, by name and by spelling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from narfast import _core

__all__ = [
    "Frontend",
    "OpInfo",
    "by_id",
    "by_name",
    "lookup",
    "pack_attributes",
    "table",
    "unknown",
]

Frontend = Literal["autograd", "aten", "onnx"]

_TRAITS = {1: "transparent", 2: "commutative", 4: "weights", 8: "source", 16: "unary"}

pack_attributes = _core.pack_attributes


@dataclass(frozen=True)
class OpInfo:
    """One operator. `data_inputs` is the number of leading data inputs, or None for all."""

    id: int
    name: str
    category: str
    traits: frozenset[str]
    data_inputs: int | None = None


@cache
def table() -> tuple[OpInfo, ...]:
    """Return the whole table; the position of an operator is its id."""
    return tuple(
        OpInfo(i, name, category, frozenset(t for bit, t in _TRAITS.items() if bits & bit))
        for i, (name, category, bits) in enumerate(_core.operator_table())
    )


@cache
def _names() -> dict[str, OpInfo]:
    return {info.name: info for info in table()}


def by_id(op: int) -> OpInfo:
    """Return the operator with this id. Raises IndexError for an id outside the table."""
    return table()[op]


def by_name(name: str) -> OpInfo:
    """Return the operator with this name. Raises KeyError for a name outside the table."""
    return _names()[name]


@cache
def lookup(frontend: Frontend, spelling: str) -> OpInfo | None:
    """Return the operator with a frontend's spelling, or None if the table does not have it."""
    found = _core.find_spelling(frontend, spelling)
    if found is None:
        return None
    op, data_inputs = found
    info = table()[op]
    return OpInfo(
        info.id, info.name, info.category, info.traits, None if data_inputs < 0 else data_inputs
    )


def unknown(category: str = "other") -> OpInfo:
    """Return the placeholder for unknown operators of a category."""
    return _names().get(f"unknown/{category}", _names()["unknown/other"])
