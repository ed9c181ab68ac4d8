"""What a model's name says: its line of models (the stem) and its size within the line.

These are rules of how names are spelt. They are right for nearly all; where a name follows none of
them the size is None.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = ["parse_name"]

# Stems that would be read as sizes.
_STEMS = re.compile(r"(tiny_vit|swin_s3|ssd300|ssdlite320|levit(?:_conv)?)(?=[^a-z])")

_WORDS = (
    "zepto|atto|femto|pico|nano|micro|mini|tiny|little|small|medium|mediumd|base|large|big|huge|"
    "giant|gigantic|enormous|x{1,3}small|x{1,3}tiny|x{1,3}large|d?p?wee|dlittle|betwixt|giantopt|"
    "bigg|gopt|kobe"
)
_WORD = re.compile(rf"(?:{_WORDS})\d?")
_PARAMETERS = re.compile(r"(?:so|e|\d+x)?\d+(?:\.\d+)?(?:m2?|b|k|gf|mf)")
_LETTER = re.compile(r"[a-hlmstx]|x{1,3}[sl]|ti|e[sml]")
_CODE = re.compile(
    r"(?!v\d|p\d|r\d)(?:xx?s|m[ac]i?|s[ab]|ti|[a-z])\d{1,3}(?:\.\d+)?(?:pt\d|g\d|se)?"
)
_NUMBER = re.compile(r"\d{1,4}(?:\.\d+|x\d|[a-z])?")
_INSIDE = re.compile(
    r"(?<=[a-z])[1-9]\d{1,2}(?:x\d+)?(?=[a-z]{0,3}$)|(?<=lite)\d$|(?<=net)\d\.\d+$"
)
_RESOLUTION = re.compile(
    r"112|128|160|19[26]|224|240|256|280|288|299|3(?:20|36|78|84)|4(?:08|48)|512|560|640|896|1024"
)
# Parts that tell neither the line nor its scale: input, patches, groups, training, pooling.
_IGNORED = re.compile(
    r"(?:patch|window|reg|ks)\d+(?:to\d+)?|\d+to\d+|p\d+|\d+x\d+d?|\d+s\d+x\d+d|\d{1,2}[ws]|rw\d?|"
    r"tf|tv|jx|miil|ssld|gap|map|cls|clsgap|rpn|pruned|dist|distilled|legacy|quantized|quickgelu|"
    r"test|plus|enc|[1-4]d"
)


def _with_point(found: re.Match[str]) -> str:
    """``0_5`` at the end of a name is a number."""
    return found[0].replace("_", ".")


def _tokens(name: str) -> list[str]:
    name = re.sub(r"(?<![\dv])([0-2])_(\d{1,2})$|(?<!\d)(\d)_(\dgf)$", _with_point, name)
    name = re.sub(r"(?<=[_-])(x+)[_-](?=small|large|tiny)", r"\1", name)
    return [token for token in re.split(r"[^a-z0-9.]+", name) if token]


def _is_scale(tokens: list[str], place: int) -> bool:
    """Whether a token is a size beyond doubt: anything but a bare number."""
    token = tokens[place]
    if _LETTER.fullmatch(token):  # beside regnet_x_400mf's and regnetz_040_h's it is a variant
        after = tokens[place + 1] if place + 1 < len(tokens) else ""
        sized = _PARAMETERS.fullmatch(after) or _CODE.fullmatch(after)
        return not (sized or (place > 0 and _NUMBER.fullmatch(tokens[place - 1])))
    if _IGNORED.fullmatch(token):
        return False
    return any(kind.fullmatch(token) for kind in (_WORD, _PARAMETERS, _CODE))


def _is_number(token: str, leads: bool) -> bool:
    """Whether a token is a bare number that may be a size, and not the side of the input."""
    if _RESOLUTION.fullmatch(token) or _IGNORED.fullmatch(token):
        return leads and _NUMBER.fullmatch(token) is not None  # a width, as in levit_256
    return _NUMBER.fullmatch(token) is not None


def _place_of_size(tokens: list[str], first: int) -> int | None:
    """Parameters tell the most, then the first token that is, or ends in, a size, then numbers."""
    places = range(first, len(tokens))
    for place in places:
        if _PARAMETERS.fullmatch(tokens[place]):
            return place
    if first == 0 and tokens and re.fullmatch(r"\d{2,4}[a-z]?", tokens[0]):
        return 0  # right after a stem that is known
    for place, token in enumerate(tokens):
        ends_in_size = _INSIDE.search(token) and not _IGNORED.fullmatch(token)
        if ends_in_size or (place >= first and _is_scale(tokens, place)):
            return place
    return next((place for place in places if _is_number(tokens[place], place == first)), None)


def _take_size(tokens: list[str], first: int) -> str | None:
    """Remove the size from the tokens and return it."""
    place = _place_of_size(tokens, first)
    if place is None:
        return None
    token = tokens[place]
    inside = _INSIDE.search(token)
    if inside and not (place >= first and _is_scale(tokens, place)):
        tokens[place] = token[: inside.start()]
        return inside[0]
    del tokens[place]
    if tokens[place : place + 1] == ["plus"]:
        del tokens[place]
        return f"{token}_plus"
    return token


@cache
def parse_name(name: str, prefix: str = "") -> tuple[str, str | None]:
    """Splits a name into its line of models and its size.

    Args:
        name: Such as ``seresnext101_32x4d`` or ``vit_base_patch16_224``.
        prefix: Its beginning that is known to be no size, such as a model type.

    Returns:
        (stem, size), such as ``("seresnext", "101")`` or ``("vit", "base")``.
    """
    name = name.lower()
    known = _STEMS.match(name)
    start = known[1] if known else prefix.lower() if name.startswith(prefix.lower()) else ""
    tokens = _tokens(name.removeprefix(start))
    size = _take_size(tokens, 0 if start else 1)
    kept = [
        token for token in tokens if not (_IGNORED.fullmatch(token) or _NUMBER.fullmatch(token))
    ]
    return "_".join([start, *kept] if start else kept) or name, size
