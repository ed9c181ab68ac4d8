"""Splits a model's name into its line of models (the stem) and its size within the line.

The rules describe how names are spelled. They are right for nearly all names; if a name follows
none of them, the size is None.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = ["parse_name"]

# Stems that end in a number that is not a size; in levit_256, the size looks like an image's side.
_STEMS = re.compile(r"(ssd300|ssdlite320|levit(?:_conv)?)(?=[^a-z])")

# Sizes, as whole tokens; more specific patterns come first.
_PARAMETERS = re.compile(r"(?:so|[ae]|\d+x)?\d+(?:\.\d+)?(?:m2?|b|gf|mf)|\d+b\d")
_WORD = re.compile(
    r"(?:zepto|atto|femto|pico|nano|micro|mini|tiny|little|small|medium|mediumd|x?base|large|big|huge|"
    r"giant|gigantic|enormous|x{1,3}small|x{1,3}tiny|x{1,3}large|d?p?wee|dlittle|betwixt|giantopt|"
    r"bigg|gopt|kobe)\d?"
)
_CODE = re.compile(
    r"(?![kprv]\d|t5)(?:xx?s|m[ac]i?|s[ab]|ti|[a-z])\d{1,3}(?:\.\d+)?(?:pt\d|g\d|se)?"
)
_LETTER = re.compile(r"[a-hlmstx]|x{1,3}[sl]|ti|e[sml]")
_NUMBER = re.compile(r"\d{1,4}(?:\.\d+|x\d|[a-z])?")
# A size at the end of a token, as in resnet50d, efficientnet_lite0, mnasnet0_5.
_INSIDE = re.compile(
    r"(?<=[a-z])[1-9]\d{1,2}(?:x\d+)?(?=[a-z]{0,3}$)|(?<=lite)\d$|(?<=net)\d\.\d+$"
)
# The side of an image.
_RESOLUTION = re.compile(
    r"112|128|160|19[26]|224|240|256|280|288|299|3(?:20|36|78|84)|4(?:08|48)|512|560|640|896|1024"
)
# Tokens that belong neither to the line nor to the size: input, patches, groups, training, pooling.
_IGNORED = re.compile(
    r"(?:patch|window|reg|ks)\d+(?:to\d+)?|\d+to\d+|p\d+|\d+x\d+d?|\d+s\d+x\d+d|\d{1,2}[ws]|rw\d?|"
    r"tf|tv|jx|miil|ssld|gap|map|cls|clsgap|rpn|pruned|dist|distilled|legacy|quantized|quickgelu|"
    r"test|plus|enc|[1-4]d|\d+k"
)
_TRAINING_DATA = re.compile(r"[-_](?:finetuned|laion|pretrain).*$")


def _with_point(found: re.Match[str]) -> str:
    """Write a number with a point: ``0_5`` at the end of a name is 0.5."""
    return found[0].replace("_", ".")


def _tokens(name: str) -> list[str]:
    name = _TRAINING_DATA.sub("", name)
    name = re.sub(r"(?<![\dv])([0-2])_(\d{1,2})$|(?<=[_-])(\d)_(\d(?:gf|b))$", _with_point, name)
    name = re.sub(r"(?<=[_-])(x+)[_-](?=small|large|tiny)", r"\1", name)
    name = re.sub(r"(?<![a-z])vit([tsblhg]|\d+b)(\d+)(plus)?(?![a-z0-9])", r"vit_\1_\3_\2", name)
    name = re.sub(r"l[-_]\d+_h[-_]\d+_a[-_]\d+", "", name)  # bert_uncased_L-2_H-128_A-2
    return [token for token in re.split(r"[^a-z0-9.]+|\.(?=[a-z])", name) if token]


def _is_letter_size(tokens: list[str], place: int) -> bool:
    """Whether a letter is a size: yes in vit_b_16; no in regnetz_040_h, efficientnet_h_b5, L-6."""
    if not _LETTER.fullmatch(tokens[place]):
        return False
    before = tokens[place - 1] if place else ""
    after = tokens[place + 1] if place + 1 < len(tokens) else ""
    if re.fullmatch(r"\d\d+", before):
        return False
    image = re.fullmatch(r"7|8|14|16|32", after) or _RESOLUTION.fullmatch(after)
    if image or tokens[place] in ("xl", "xxl"):
        return True
    return not any(kind.fullmatch(after) for kind in (_PARAMETERS, _CODE, _NUMBER))


def _is_number(token: str, leads: bool) -> bool:
    """Whether a token is a bare number that may be a size, and not the side of the input."""
    if not _NUMBER.fullmatch(token):
        return False
    if leads and re.fullmatch(r"\d+(?:x\d)?", token):  # a width, as in levit_256
        return True
    return not (_RESOLUTION.fullmatch(token) or _IGNORED.fullmatch(token))


def _place_of_size(tokens: list[str], first: int) -> int | None:
    """Position of the most specific size; before `first`, only a size that ends a longer token."""
    places = range(first, len(tokens))
    for place in places:
        if _PARAMETERS.fullmatch(tokens[place]):
            return place
    if first == 0 and tokens and re.fullmatch(r"\d{2,4}[a-z]?", tokens[0]):
        return 0  # directly after a known stem
    for place in places:
        width = place > 0 and re.fullmatch(r"w\d+", tokens[place - 1])  # of hrnet_w18_small
        if _WORD.fullmatch(tokens[place]) and not width:
            return place
    for place, token in enumerate(tokens):
        if _IGNORED.fullmatch(token):
            continue
        whole = _CODE.fullmatch(token) or _is_letter_size(tokens, place)
        if (whole and place >= first) or (not whole and _INSIDE.search(token)):
            return place
    return next((place for place in places if _is_number(tokens[place], place == first)), None)


def _take_size(tokens: list[str], first: int) -> str | None:
    """Remove the size from the tokens and return it."""
    place = _place_of_size(tokens, first)
    if place is None:
        return None
    token = tokens[place]
    inside = _INSIDE.search(token)
    whole = any(kind.fullmatch(token) for kind in (_PARAMETERS, _WORD, _CODE, _NUMBER))
    if inside and not whole:
        tokens[place] = token[: inside.start()]
        return inside[0]
    del tokens[place]
    if tokens[place : place + 1] == ["plus"]:
        del tokens[place]
        return f"{token}_plus"
    return token


@cache
def parse_name(name: str, prefix: str = "") -> tuple[str, str | None]:
    """Split a name into its line of models and its size.

    Args:
        name: Such as ``seresnext101_32x4d`` or ``vit_base_patch16_224``.
        prefix: The beginning of the name that is not a size, such as a model type.

    Returns:
        (stem, size), such as ``("seresnext", "101")`` or ``("vit", "base")``.
    """
    name, prefix = re.sub(r"regnet[-_]([xy])[-_]", r"regnet\1_", name.lower()), prefix.lower()
    known = _STEMS.match(name)
    start = known[1] if known else ""
    beginning, following = name[: len(prefix)], name[len(prefix) : len(prefix) + 1]
    if prefix and beginning.replace("-", "_") == prefix.replace("-", "_"):
        start = "" if following.isalnum() else beginning
    tokens = _tokens(name.removeprefix(start))
    size = _take_size(tokens, 0 if start else 1)
    kept = [
        token for token in tokens if not (_IGNORED.fullmatch(token) or _NUMBER.fullmatch(token))
    ]
    return "_".join([start, *kept] if start else kept) or name, size
