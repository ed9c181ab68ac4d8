"""Draws the families that training never sees, and writes ``data/splits.toml``.

    python benchmarks/studies/draw_splits.py [--zoo DIR] > python/narfast/data/splits.toml

Run once for a version of the zoo that is to be reported on: a new draw makes old numbers
incomparable.
"""

from __future__ import annotations

import argparse
import collections
import random
import textwrap

from narfast.zoo import Zoo

SEED = 2026
SHARE = 0.15  # of the eligible families, for validation and for test each
SMALLEST, LARGEST = 3, 60  # distinct structures of an eligible family
VALIDATION_LIBRARIES = ("monai", "open_clip")
TEST_LIBRARIES = ("torchvision", "vit_pytorch")
# Families that earlier versions of the encoder were compared on: seen too often for a test.
LOOKED_AT = frozenset(
    [
        "cpubone", "crossvit", "cspnet", "deeplabv3", "focalnet", "hiera", "lcnetv2",
        "levit", "mobilenetv5", "mobilevit", "mvitv2", "nextvit", "pit", "repghost",
        "repvit", "resnetv2", "rexnet", "swiftformer", "swin", "swinv2", "tnt", "twins",
        "vit_relpos",
    ]
)  # fmt: skip

HEADER = f"""\
# What training never sees. Made by benchmarks/studies/draw_splits.py; do not edit.
#
# Families: drawn at random (seed {SEED}), {SHARE:.0%} for validation and as many for test, among
# those of {SMALLEST} to {LARGEST} distinct structures: smaller ones have nothing to find, and
# larger ones would decide the mean. Families that earlier encoders were compared on are for
# validation.
# Libraries: the test libraries are written by people who share no code with the others, and offer
# families that others offer too; so do the validation libraries, in another field (medical volumes)
# and of another kind (pairs of towers).
# A structure is kept from training if any of its names is of a held-out family or library.
"""


def listed(name: str, values: list[str]) -> str:
    body = textwrap.wrap(
        " ".join(f'"{value}",' for value in values),
        96,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join([f"{name} = [", *body, "]"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", default="default")
    zoo = Zoo.open(parser.parse_args().zoo)
    sizes = collections.Counter(family for entry in zoo for family in entry.families)
    eligible = sorted(f for f, size in sizes.items() if SMALLEST <= size <= LARGEST)
    fresh = [family for family in eligible if family not in LOOKED_AT]
    random.Random(SEED).shuffle(fresh)
    count = round(SHARE * len(eligible))
    test, rest = fresh[:count], fresh[count:]
    known = sorted(LOOKED_AT & sizes.keys())
    validation = known + rest[: max(0, count - len(known))]
    print(HEADER)
    print("[validation]")
    print(listed("libraries", list(VALIDATION_LIBRARIES)))
    print(listed("families", sorted(validation)))
    print("\n[test]")
    print(listed("libraries", list(TEST_LIBRARIES)))
    print(listed("families", sorted(test)))


if __name__ == "__main__":
    main()
