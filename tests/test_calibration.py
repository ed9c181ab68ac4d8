"""What scores mean in words."""

from __future__ import annotations

import numpy as np
import pytest

from narfast.calibration import PRECISION, Calibration
from narfast.errors import CorruptFileError
from narfast.zoo import Zoo


def test_thresholds_are_the_lowest_at_which_words_are_right_often_enough():
    scores = np.array([0.5, 0.9, 0.7, 0.8, 0.6])
    family = np.array([False, True, True, True, False])
    coarse = np.array([False, True, True, True, True])
    fitted = Calibration.fit(scores, family, coarse)
    assert fitted == Calibration(same_family=0.7, related=0.6)
    # Nine of ten right is enough, eight of ten is not.
    scores = np.linspace(0.99, 0.9, 10)
    right = np.ones(10, dtype=bool)
    right[-1] = False
    assert Calibration.fit(scores, right, right).same_family == 0.9
    right[-2] = False
    assert Calibration.fit(scores, right, right).same_family == 0.92


def test_nothing_is_named_where_nothing_is_right():
    fitted = Calibration.fit(np.array([0.9]), np.array([False]), np.array([False]))
    assert fitted.word(1.0, same_structure=False) == "unrelated"


def test_words():
    words = Calibration(same_family=0.9, related=0.7)
    assert words.word(0.2, same_structure=True) == "same structure"
    assert words.word(0.9, same_structure=False) == "same family"
    assert words.word(0.89, same_structure=False) == "related"
    assert words.word(0.69, same_structure=False) == "unrelated"


def test_thresholds_are_kept_beside_the_encoder(tmp_path):
    assert Calibration.load(tmp_path) is None
    Calibration(same_family=0.9, related=0.7).save(tmp_path, zoo="abc")
    assert Calibration.load(tmp_path) == Calibration(same_family=0.9, related=0.7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"same_family": null, "related": 1}',
        "\x00",
        "[" * 9999,
        '{"same_family": NaN, "related": 1}',
        '{"same_family": 1e999, "related": 1}',
        '{"same_family": true, "related": 1}',
    ],
)
def test_damaged_thresholds_are_refused(tmp_path, text):
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(CorruptFileError, match="calibration"):
        Calibration.load(tmp_path)


def test_the_shipped_encoder_is_calibrated():
    found = Calibration.load("default")
    assert found is not None
    assert 0.5 < found.related < found.same_family < 1.0
    assert PRECISION == 0.9
    assert Zoo.open("default").manifest.encoder is not None
