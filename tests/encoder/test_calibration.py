"""What scores mean in words."""

from __future__ import annotations

import numpy as np
import pytest

from narfast.encoder.calibration import PRECISION, SHARED, Calibration, shares_blocks
from narfast.errors import CorruptFileError
from narfast.explain import SharedMotif
from narfast.retrieval import relations_of
from narfast.zoo import Zoo
from narfast.zoo.entries import Hit
from random_graphs import chain


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
    # Blocks in common raise the weakest word, and no other.
    assert words.word(0.69, same_structure=False, shares_blocks=True) == "shares blocks"
    assert words.word(0.89, same_structure=False, shares_blocks=True) == "related"


def block(size, count, query_count):
    return SharedMotif("0" * 32, size, count, query_count, "conv → relu → conv")


def test_blocks_are_shared_where_they_make_up_a_tenth_of_one_network():
    assert SHARED == 0.1
    assert shares_blocks(190, 138, [block(7, 18, 12)])  # twelve blocks, 44 % of the network
    assert shares_blocks(1000, 40, [block(4, 1, 1)])
    assert not shares_blocks(1000, 41, [block(4, 1, 1)])
    # As often as in both; two operators in a row are in networks of every kind.
    assert not shares_blocks(100, 100, [block(3, 50, 1)])
    assert not shares_blocks(100, 100, [block(2, 50, 50)])
    assert not shares_blocks(100, 100, [])


def test_a_hit_with_blocks_of_the_query_is_not_called_unrelated():
    query = chain(60)
    facts = dict.fromkeys(("family", "params", "task"))
    hit = Hit(
        **facts,
        id="timm:x",
        name="x",
        names=("x",),
        source="timm",
        score=0.3,
        structural_hash="0" * 32,
        nodes=138,
        ids=("timm:x",),
    )
    zoo = Zoo.open("default")
    first, second = relations_of(zoo, query, [hit, hit], [[block(7, 18, 3)], []])
    assert (first.word, second.word) == ("shares blocks", "unrelated")
    assert first.percentile == second.percentile == 0.0


def test_percentiles_count_the_nearest_neighbours_that_are_no_nearer():
    nearest = np.linspace(0.5, 0.9, 201)
    fitted = Calibration.fit(np.array([0.9]), np.array([True]), np.array([True]), nearest)
    assert len(fitted.nearest) == 101
    assert [fitted.percentile(score) for score in (0.3, 0.5, 0.7, 0.9, 1.0)] == [
        *(0.0, 0.0, 50.0),
        *(100.0, 100.0),
    ]
    assert fitted.percentile(0.701) == 50.2  # 50.25, rounded down
    assert Calibration(same_family=0.9, related=0.7).percentile(0.8) is None


def test_thresholds_are_kept_beside_the_encoder(tmp_path):
    assert Calibration.load(tmp_path) is None
    Calibration(same_family=0.9, related=0.7).save(tmp_path, zoo="abc")
    assert Calibration.load(tmp_path) == Calibration(same_family=0.9, related=0.7)
    whole = Calibration(same_family=0.9, related=0.7, nearest=(0.1, 0.5, 1.0))
    whole.save(tmp_path)
    assert Calibration.load(tmp_path) == whole


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"same_family": null, "related": 1}', "\x00", "[" * 9999),
        f'{{"same_family": {"9" * 4000}, "related": 1}}',
        *(f'{{"same_family": {value}, "related": 1}}' for value in ("NaN", "1e999", "true")),
        *(
            f'{{"same_family": 1, "related": 1, "nearest": {nearest}}}'
            for nearest in ("1", "[1]", "[1, 0]", '["a"]', "[0, NaN]", "[null]")
        ),
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
    assert found.percentile(1.0) == 100.0
    assert 0.0 < found.percentile(found.same_family) < 50.0
    assert PRECISION == 0.9
    assert Zoo.open("default").manifest.encoder is not None
