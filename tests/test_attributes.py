"""Packed attributes: every field is read as it was packed."""

from __future__ import annotations

import pytest

from narfast import _core, attributes
from narfast.encoder_config import ATTRIBUTE_FIELDS
from narfast.operators import pack_attributes


def test_fields_do_not_overlap_and_fit() -> None:
    covered = 0
    for name in _core.attribute_layout():
        mask = attributes.field(name).mask
        assert not covered & mask
        covered |= mask
    assert covered < 1 << 32


def test_fields_are_read_as_packed() -> None:
    packed = pack_attributes(
        kernel=3, stride=2, groups=8, in_channels=8, out_channels=8, spatial_rank=2, heads=5
    )
    values = {name: attributes.value(name, packed) for name in _core.attribute_layout()}
    assert values["kernel"] == 3
    assert values["stride"] == 1
    assert values["groups"] == 3  # depthwise
    assert values["channel_ratio"] == 8  # equal widths
    assert values["rank"] == 2
    assert values["heads"] == 3  # binary digits of 5
    assert not values["non_square"]
    assert not any(values[name] for name in list(values)[8:])


def test_the_encoder_reads_every_bit_once() -> None:
    assert sum(attributes.Field(*bits).mask for _, *bits in ATTRIBUTE_FIELDS) == sum(
        attributes.field(name).mask for name in _core.attribute_layout()
    )


def test_only_neighbours_can_be_joined() -> None:
    with pytest.raises(ValueError, match="not adjacent"):
        attributes.joined("kernel", "groups")
    with pytest.raises(KeyError):
        attributes.field("colour")
