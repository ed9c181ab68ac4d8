"""Packed attributes of operators: the one place in Python where their bits are told apart.

The core lays the fields out (`cpp/narfast/graph/attributes.h`) and packs them
(`narfast.operators.pack_attributes`); everything else reads them by name.
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
        bits: how many.
    """

    shift: int
    bits: int

    @property
    def mask(self) -> int:
        """The bits of the field where they lie."""
        return ((1 << self.bits) - 1) << self.shift

    def of(self, packed: _Packed) -> _Packed:
        """The field's value in packed attributes, one or an array of them."""
        return (packed & self.mask) >> self.shift  # type: ignore[return-value]


@cache
def field(name: str) -> Field:
    """The field of a name, such as ``kernel``.

    Raises:
        KeyError: There is no such field.
    """
    return Field(*_core.attribute_layout()[name])


def joined(*names: str) -> Field:
    """Fields that lie one after the other, read as one number: the first in its lowest bits.

    Raises:
        ValueError: They are no neighbours.
    """
    fields = [field(name) for name in names]
    for lower, upper in pairwise(fields):
        if lower.shift + lower.bits != upper.shift:
            raise ValueError(f"{', '.join(names)}: not neighbours in this order")
    return Field(fields[0].shift, sum(each.bits for each in fields))


def value(name: str, packed: int) -> int:
    """The value of a field in packed attributes."""
    return field(name).of(packed)
