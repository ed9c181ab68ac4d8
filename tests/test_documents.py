"""Documents from strangers: whatever is in them, the answer names the file and the field."""

from __future__ import annotations

import json
import os
import pickle

import pytest

from narfast._documents import (
    Flag,
    Integer,
    ListOf,
    MapOf,
    Number,
    Object,
    OneOf,
    Optional,
    Text,
    TupleOf,
    read_document,
)
from narfast.errors import CorruptFileError, MissingDependencyError, NarfastError, printable

SHAPE = Object(
    {"counts": MapOf(Integer(0, 100)), "name": Text(10, r"[a-z]+")},
    {
        "rate": Optional(Number(0, 1)),
        "kind": OneOf(("a", "b")),
        "pairs": ListOf(TupleOf((Text(), Integer())), most=3),
        "on": Flag(),
    },
    closed=True,
)
GOOD = {
    "counts": {"x": 3},
    "name": "abc",
    "rate": None,
    "kind": "a",
    "pairs": [["p", 1]],
    "on": True,
}


def read(path):
    return read_document(path, SHAPE, what="a test", remedy="write it again", limit=10_000)


def test_a_good_document_comes_back_as_it_is(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD))
    assert read(path) == GOOD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": {"x": -1}}, "field counts.x must be a whole number from 0 to 100, not -1"),
        ({"counts": {"x": True}}, "field counts.x must be a whole number"),
        ({"counts": {"x": 10**900}}, "not a number of more than 60 digits"),
        ({"counts": {"x": 1.0}}, "counts.x must be a whole number"),
        ({"counts": [1, 2]}, "counts must be an object of at most .* fields, not a list of 2"),
        ({"name": "ABC"}, "name must be a text like"),
        ({"name": "a" * 11}, "name must be a text of at most 10 characters"),
        ({"rate": 2}, "rate must be a number from 0 to 1, not 2"),
        ({"kind": ["a"]}, "kind must be one of a, b, not a list of 1"),
        ({"pairs": [["p"]]}, r"pairs\[0\] must be a list of 2 items"),
        ({"pairs": [["p", {}]]}, r"pairs\[0\]\[1\] must be a whole number .*, not an object"),
        ({"pairs": [["p", 1]] * 4}, "pairs must be a list of 0 to 3 items"),
        ({"on": 1}, "on must be true or false, not 1"),
        ({"x\x1b[31m": 1}, r"field x\\x1b\[31m must be absent"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, change, message):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(CorruptFileError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: not a test")
    assert str(caught.value).endswith("write it again")
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 9_999, "nested too deeply|not valid JSON"),  # Python 3.14 reads deeper
        (b'{"name": NaN}', "NaN is not a JSON number"),
        (b'{"counts": {"x": ' + b"9" * 5000 + b"}}", "not valid JSON"),
        (b'{"name": "abc"}', "field counts must be there; it is missing"),
        (b"[]", "the document must be an object, not a list of 0"),
        (b'{"counts": {}, "name": "abc", "rate": 1e999}', "rate must be a number"),
        (b" " * 10_001, "more than 10,000 bytes"),
    ],
)
def test_what_is_no_document(tmp_path, data, message):
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(CorruptFileError, match=message):
        read(path)


def test_a_pipe_and_a_folder_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(CorruptFileError, match="not a regular file"):
            read(path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing")


def test_messages_are_one_short_printable_line():
    odd = os.fsdecode(b"caf\xe9\x1b[2J\n\xe2\x80\xae.onnx")
    assert str(NarfastError(f"{odd}: no")) == r"caf\xe9\x1b[2J\n\u202e.onnx: no"
    assert str(NarfastError("größer, 2 × 3 …")) == "größer, 2 × 3 …"
    long = str(CorruptFileError("a" * 4000 + "\n" * 4000 + "; mend it so"))
    assert len(long) == 500
    assert long.startswith("aaa")
    assert long.endswith("; mend it so")
    again = pickle.loads(pickle.dumps(MissingDependencyError("x\ty")))
    assert (type(again), str(again)) == (MissingDependencyError, r"x\ty")
    assert printable("\0" * 100, 20) == r"\x00\x00\…00\x00\x00"
