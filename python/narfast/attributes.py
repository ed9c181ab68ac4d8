"""Packed attributes of operators: the only decoder of their bits in Python.

The core defines the fields (`cpp/narfast/graph/attributes.h`) and packs them
(`narfast.operators.pack_attributes`); all other code reads them by name.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from narfast import _core

__all__ = ["Field", "field", "joined", "value"]

_Packed = TypeVar("_Packed", int, NDArray[np.uint32])


class Field(NamedTuple):
    """Neighbouring bits of packed attributes.

    Attributes:
        shift: first bit.
        bits: number of bits.
    """

    shift: int
    bits: int

    @property
    def mask(self) -> int:
        """Mask of the field's bits."""
        return ((1 << self.bits) - 1) << self.shift

    def of(self, packed: _Packed) -> _Packed:
        """Return the field's value in packed attributes, a number or an array."""
        return (packed & self.mask) >> self.shift  # type: ignore[return-value]


@cache
def field(name: str) -> Field:
    """Return the field with a name, such as ``kernel``.

    Raises:
        KeyError: There is no such field.
    """
    return Field(*_core.attribute_layout()[name])


def joined(*names: str) -> Field:
    """Return adjacent fields as one; the first has the lowest bits.

    Raises:
        ValueError: They are not adjacent.
    """
    fields = [field(name) for name in names]
    for lower, upper in pairwise(fields):
        if lower.shift + lower.bits != upper.shift:
            raise ValueError(f"{', '.join(names)}: not adjacent in this order")
    return Field(fields[0].shift, sum(each.bits for each in fields))


def value(name: str, packed: int) -> int:
    """Return the value of a field in packed attributes."""
    return field(name).of(packed)
