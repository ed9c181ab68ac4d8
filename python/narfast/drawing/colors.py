"""Colours and letters of the kinds of operators, the same in terminals, figures and pages.

The colours are those of Okabe and Ito, which people with any colour vision tell apart; a letter
stands beside each. Text over them meets WCAG AA (a contrast of 4.5).
"""

from __future__ import annotations

from narfast.blocks import Kind

__all__ = ["COLORS", "LETTERS", "contrast", "mixed", "text_color"]

COLORS: dict[Kind, str] = {
    "convolution": "#0072b2",
    "linear": "#e69f00",
    "attention": "#d55e00",
    "normalization": "#56b4e9",
    "activation": "#f0e442",
    "pooling": "#009e73",
    "arithmetic": "#999999",
    "layout": "#cccccc",
    "recurrent": "#cc79a7",
    "other": "#555555",
}
"""Colour of each kind, as #rrggbb."""

LETTERS: dict[Kind, str] = {
    "convolution": "C",
    "linear": "L",
    "attention": "A",
    "normalization": "N",
    "activation": "F",
    "pooling": "P",
    "arithmetic": "M",
    "layout": "T",
    "recurrent": "R",
    "other": "O",
}
"""Letter of each kind: F is a function, M mathematics, T a transposition or other move."""


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in _channels(color))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours by WCAG 2, from 1 to 21."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def text_color(background: str) -> str:
    """Return black or white, whichever reads better on a background."""
    return max("#000000", "#ffffff", key=lambda color: contrast(color, background))


def mixed(color: str, base: str, share: float) -> str:
    """Return a colour mixed into a base; `share` of it is the colour."""
    pairs = zip(_channels(color), _channels(base), strict=True)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)
