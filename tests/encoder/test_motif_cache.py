"""Vectors of motifs on disk: for later runs, damaged, foreign, full."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from encoders import GRAPHS, make_encoder
from narfast.encoder import motif_cache
from narfast.encoder.motif_cache import MotifCache, MotifFolder
from narfast.errors import NarfastError


class FakeCore:
    """What the cache needs of an encoder of the core; `compute` stands for encoding."""

    def __init__(self) -> None:
        self.vectors: dict[bytes, NDArray[np.float32]] = {}
        self._new: list[tuple[NDArray[np.uint64], NDArray[np.float32]]] = []

    @property
    def num_motifs(self) -> int:
        return len(self.vectors)

    def insert_motifs(self, ids: NDArray[np.uint64], vectors: NDArray[np.float32]) -> None:
        for key, vector in zip(ids, vectors, strict=True):
            self.vectors.setdefault(key.tobytes(), vector)

    def compute(self, ids: NDArray[np.uint64], vectors: NDArray[np.float32]) -> None:
        fresh = [i for i, key in enumerate(ids) if key.tobytes() not in self.vectors]
        self.insert_motifs(ids, vectors)
        self._new.append((ids[fresh], vectors[fresh]))

    def take_new_motifs(self) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        new, self._new = self._new, []
        ids = np.concatenate([np.empty((0, 2), np.uint64), *(ids for ids, _ in new)])
        return ids, np.concatenate([np.empty((0, 3), np.float32), *(v for _, v in new)])

    def clear_motifs(self) -> None:
        self.vectors.clear()


def open_cache(folder: MotifFolder, core: FakeCore | None = None, limit: int = 65536) -> MotifCache:
    return MotifCache(
        core or FakeCore(),  # type: ignore[arg-type]
        folder=folder.path.parent,
        fingerprint="x",
        dim=3,
        limit=limit,
    )


def test_motifs_are_kept_on_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = make_encoder().encode(GRAPHS)
    for part in (GRAPHS[:7], GRAPHS[7:]):
        writer = make_encoder()
        writer.use_motif_cache(tmp_path)
        writer.encode(part)
        writer.motif_cache.save()
        writer.motif_cache.save()  # nothing new
    (folder,) = tmp_path.iterdir()
    files = sorted(folder.iterdir())
    assert len(files) == 2

    reader = make_encoder()
    reader.use_motif_cache(tmp_path)
    known = len(reader.motif_cache)
    np.testing.assert_array_equal(reader.encode(GRAPHS), expected)
    assert len(reader.motif_cache) == known > 0  # nothing was computed anew

    other = make_encoder(structural=False)
    other.use_motif_cache(tmp_path)
    assert len(other.motif_cache) == 0

    damaged = bytearray(files[0].read_bytes())
    damaged[-1] ^= 1
    files[0].write_bytes(damaged)
    files[1].write_bytes(files[1].read_bytes()[:100])
    again = make_encoder()
    again.use_motif_cache(tmp_path)
    assert len(again.motif_cache) == 0
    assert caplog.text.count("damaged") == 2
    assert not any(folder.iterdir())
    np.testing.assert_array_equal(again.encode(GRAPHS), expected)
    (tmp_path / "file").touch()
    with pytest.raises(NarfastError, match="not a folder"):
        again.use_motif_cache(tmp_path / "file")


def test_many_files_of_motifs_become_one(tmp_path: Path) -> None:
    folder = MotifFolder(tmp_path, fingerprint="x")
    for i in range(40):
        folder.write(np.array([[i, i]], np.uint64), np.full((1, 3), i, np.float32))
    assert len(open_cache(folder)) == 40
    assert len(list(folder.path.iterdir())) == 1
    core = FakeCore()
    open_cache(folder, core)
    assert core.vectors[np.array([7, 7], np.uint64).tobytes()].tolist() == [7] * 3


def put(folder: MotifFolder, data: bytes) -> Path:
    """Put bytes among the files of motifs, under the name that they vouch for."""
    path = folder.path / (hashlib.sha256(data).hexdigest() + ".safetensors")
    path.write_bytes(data)
    return path


def test_files_of_motifs_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ids, vectors = np.array([[1, 1]], np.uint64), np.ones((1, 3), np.float32)
    folder = MotifFolder(tmp_path, fingerprint="x")
    good = folder.write(ids, vectors)
    other = MotifFolder(tmp_path, fingerprint="y").write(ids, vectors)
    header = safetensors.safe_open(good, "np").metadata()
    with monkeypatch.context() as patch:
        patch.setattr(motif_cache, "__version__", "99.0")
        assert MotifFolder(tmp_path, fingerprint="x").path != folder.path
    bad = [
        put(folder, b"garbage"),
        put(folder, b""),
        put(folder, other.read_bytes()),
        *(
            put(folder, save(tensors, metadata=header))
            for tensors in (
                {"vectors": vectors},
                {"motif_id": ids.astype(np.int64), "vectors": vectors},
                {"motif_id": ids[:, :1], "vectors": vectors},
                {"motif_id": ids, "vectors": vectors.astype(np.float64)},
                {"motif_id": ids, "vectors": vectors[:, :2]},
                {"motif_id": ids.reshape(2), "vectors": vectors},
            )
        ),
        put(folder, save({"motif_id": ids, "vectors": vectors})),
    ]
    cache = open_cache(folder)
    assert len(cache) == 1
    assert list(folder.path.iterdir()) == [good]
    assert all(path.name in caplog.text for path in bad)
    assert caplog.text.count("; encoding ") == len(bad)

    # A folder in the place of a file, whether or not something is in it.
    for inside in (False, True):
        good.unlink()
        good.mkdir()
        if inside:
            (good / "note").touch()
        caplog.clear()
        core = FakeCore()
        cache = open_cache(folder, core)
        assert "not a file of motifs" in caplog.text
        core.compute(ids, vectors)
        cache.save()
        assert good.is_file()
    assert [path.name for path in folder.path.rglob("note")] == ["note"]


def test_only_damaged_files_of_motifs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = MotifFolder(tmp_path, fingerprint="x")
    for i in range(40):
        (folder.path / f"{i}.safetensors").touch()
    assert len(open_cache(folder)) == 0
    assert caplog.text.count(": damaged;") == 40
    folder.path.rmdir()
    folder.path.touch()
    again = MotifFolder(tmp_path, fingerprint="x")
    assert "not a folder" in caplog.text
    assert again.path.is_dir()


def test_a_full_folder_of_motifs_gets_no_duplicates(tmp_path: Path) -> None:
    folder = MotifFolder(tmp_path, fingerprint="x")
    ids = np.arange(40, dtype=np.uint64).reshape(20, 2)
    vectors = np.repeat(np.arange(20, dtype=np.float32), 3).reshape(20, 3)
    for start in (0, 2, 4):  # as of processes that do not know of each other
        folder.write(np.tile(ids[start : start + 4], (2, 1)), np.zeros((8, 3), np.float32))
    sizes = [len(load_file(path)["motif_id"]) for path in folder.path.iterdir()]
    assert sizes == [4, 4, 4]
    before = sorted(folder.path.iterdir())
    for _ in range(2):
        core = FakeCore()
        cache = open_cache(folder, core, limit=5)
        assert len(cache) == 5
        core.compute(ids, vectors)
        cache.save()
        assert sorted(folder.path.iterdir()) == before

    core = FakeCore()
    roomy = open_cache(folder, core, limit=12)
    for _ in range(3):
        roomy.clear()
        core.compute(ids, vectors)
        roomy.save()
    assert len(list(folder.path.iterdir())) == 4
    assert len(open_cache(folder, limit=100)) == 12
