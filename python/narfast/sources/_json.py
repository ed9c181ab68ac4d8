"""JSON from strangers: how many values it has is known before memory is spent on them."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["MOST_VALUES", "parse_limited"]

MOST_VALUES = 10_000_000
"""Of one document: an exported program of 100,000 operators has about as many."""


def parse_limited(data: bytes, most: int = MOST_VALUES) -> Any:
    """Parse JSON of at most ``most`` values, commas and brackets within texts counted too.

    A value takes up to about 100 bytes of memory, and an empty list three bytes of text.

    Raises:
        ValueError: no JSON, more values, or nested too deep.
    """
    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if values > most:
        raise ValueError(f"more than {most:,} values")
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None
