"""The index of large zoos: built once, never taken from elsewhere."""

from __future__ import annotations

import os

import pytest

from narfast.errors import CorruptFileError
from narfast.storage import index_cache
from narfast.zoo.store import write_zoo
from zoo_fakes import FakeEncoder, contents
from zoo_folders import FILES, edited_manifest, open_zoo, put


@pytest.fixture
def large(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_zoo(tmp_path / "large", contents().embedded(FakeEncoder(), source="fake"), exact_limit=8)
    return tmp_path / "large"


def kept_index(large):
    """The file in which the index of a large zoo is kept."""
    (path,) = (large.parent / "cache/narfast/indexes").iterdir()
    return path


def find(large):
    """Search a large zoo by its index."""
    zoo = open_zoo(large)
    assert not zoo.index.exact
    assert zoo.search("fake:plain_3", 1)[0].id == "fake:plain_3"
    return zoo


def test_large_zoos_have_an_index(large, caplog):
    assert find(large).manifest.index["dtype"] == "f16"
    assert {path.name for path in large.iterdir()} == set(FILES)
    assert kept_index(large).stat().st_mode & 0o777 == 0o600
    assert caplog.text == ""  # it was built when the zoo was written


def test_several_threads_may_build_the_index(tmp_path, large):
    made = contents().embedded(FakeEncoder(), source="fake")
    write_zoo(large, made, exact_limit=8, index_threads=2)
    assert find(large).verify() == []


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "missing", "writable", "link"])
def test_an_index_that_cannot_be_trusted_is_built_again(large, damage, caplog, monkeypatch):
    path = kept_index(large)
    data = path.read_bytes()
    match damage:
        case "flipped":
            path.write_bytes(bytes([*data[:50], data[50] ^ 1, *data[51:]]))
        case "truncated":
            path.write_bytes(data[:40])
        case "empty":
            path.write_bytes(b"")
        case "missing":
            path.unlink()
        case "writable":
            path.parent.chmod(0o777)
        case "link":
            path.rename(large.parent / "elsewhere")
            path.symlink_to(large.parent / "elsewhere")
    find(large)
    assert f"{large}: building the index of its 16 structures" in caplog.text
    if damage == "writable":  # not kept there either
        assert "others can write there" in caplog.text
        path.parent.chmod(0o700)
    assert kept_index(large).read_bytes() == data
    assert not path.is_symlink()
    caplog.clear()
    find(large)
    assert caplog.text == ""


def test_an_index_inside_a_zoo_is_never_loaded(large, monkeypatch):
    """A stranger's zoo with an index of an older format: its bytes reach no one."""
    put(large, "index.usearch", b"crafted" * 1000)
    edited_manifest(large, index={**open_zoo(large).manifest.index, "expansion_search": 64})
    restored = []
    monkeypatch.setattr(
        "narfast.index.VectorIndex._restore", lambda index, data: restored.append(data)
    )
    assert find(large).verify() == []
    assert restored == []


def test_only_some_indexes_are_kept(large, monkeypatch):
    monkeypatch.setattr(index_cache, "_KEPT", 2)
    kept_index(large).unlink()
    for number in range(5):
        index_cache.store_index(f"{number}", b"bytes")
        os.utime(index_cache._path(f"{number}"), times=(number, number))
    assert [index_cache.load_index(f"{number}") for number in (2, 3, 4)] == [
        None,
        b"bytes",
        b"bytes",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"connectivity": 10**9}, "index.connectivity must be a whole number from 2 to 256"),
        ({"dtype": "b1"}, "index.dtype must be one of f16, f32"),
        ({"threads": 4}, "index.threads must be absent"),
        ({"oversample": -1}, "index.oversample must be"),
    ],
)
def test_settings_of_an_index_from_a_stranger(large, change, message):
    edited_manifest(large, index={**open_zoo(large).manifest.index, **change})
    with pytest.raises(CorruptFileError, match=message):
        open_zoo(large)
