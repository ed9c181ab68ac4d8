"""Paths of the data that ships with the package."""

from pathlib import Path

__all__ = ["DATA", "SHIPPED_ENCODER", "SHIPPED_ZOO"]

DATA = Path(__file__).parent / "data"
SHIPPED_ENCODER = DATA / "encoder"
SHIPPED_ZOO = DATA / "zoo"
