"""Vectors of motifs that were already encoded: in memory and, if wanted, on disk for later runs.

On disk, a cache is a folder of files that never change. Each file is named by the SHA-256 of its
bytes, so damage is detected and processes can share a folder without a lock.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narfast import _core
from narfast._files import open_regular, replacing
from narfast._version import __version__
from narfast.errors import CorruptFileError, NarfastError

__all__ = ["MotifCache", "MotifFolder"]

# About 50 MB at the default width; a zoo of thousands of networks has some ten thousand motifs.
_MAX_MOTIFS = 1 << 16
_MAX_FILES = 32
_WRITE_AT = 1 << 14  # write new motifs to disk above this number,
_WRITE_AFTER = 20.0  # or after this many seconds
_FORMAT = "2"
_SUFFIX = ".safetensors"

_log = logging.getLogger("narfast")

UInt64 = NDArray[np.uint64]


class MotifCache:
    """The motifs that an encoder of the core keeps in memory, and a folder for later runs.

    The folder gets no motif twice, and at most as many as a later run reads.
    """

    def __init__(
        self,
        core: _core.Encoder,
        *,
        folder: Path | None = None,
        fingerprint: str = "",
        dim: int = 0,
        limit: int = _MAX_MOTIFS,
    ) -> None:
        """Read the motifs of a folder into the core.

        Args:
            core: The encoder, which computes and stores the vectors.
            folder: Folder for vectors of earlier runs and new ones (`save`); created if missing.
            fingerprint: Fingerprint of the encoder.
            dim: Width of the vectors.
            limit: Maximum number of motifs to read from disk.

        Raises:
            NarfastError: ``folder`` is not a folder.
            OSError: It cannot be created or read.
        """
        self._core = core
        self._limit = limit
        self._lock = threading.Lock()
        self._folder = None if folder is None else MotifFolder(folder, fingerprint=fingerprint)
        self._on_disk: set[bytes] = set()  # or about to be written
        self._unsaved: list[tuple[UInt64, NDArray[np.float32]]] = []
        self._saved = time.monotonic()
        if self._folder is not None:
            motif_id, vectors = self._folder.read(dim, limit)
            core.insert_motifs(motif_id, vectors)
            core.take_new_motifs()  # from now on, the core records new motifs
            self._on_disk.update(key.tobytes() for key in motif_id)

    def __len__(self) -> int:
        return self._core.num_motifs

    def clear(self) -> None:
        """Remove all motifs from memory."""
        self._core.clear_motifs()

    def save_if_due(self) -> None:
        """Write new motifs to disk if there are many, or if some time has passed.

        If they cannot be written, log a warning and keep them for the next time.
        """
        if self._folder is None:
            return
        self._collect()
        late = time.monotonic() - self._saved > _WRITE_AFTER
        if late or sum(len(ids) for ids, _ in self._unsaved) >= _WRITE_AT:
            try:
                self.save()
            except OSError as error:
                _log.warning("%s: %s; new motifs are kept in memory", self._folder.path, error)

    def save(self) -> None:
        """Write new motifs to disk; without a folder, do nothing.

        Raises:
            OSError: The disk is full, read-only, ...
        """
        if self._folder is None:
            return
        self._collect()
        with self._lock:
            unsaved, self._unsaved = self._unsaved, []
            self._saved = time.monotonic()
        if not unsaved:
            return
        ids = np.concatenate([ids for ids, _ in unsaved])
        vectors = np.concatenate([vectors for _, vectors in unsaved])
        try:
            self._folder.write(ids, vectors)
        except OSError:
            with self._lock:
                self._unsaved.insert(0, (ids, vectors))
            raise

    def _collect(self) -> None:
        """Take new motifs from the core, up to the limit on disk."""
        with self._lock:
            motif_id, vectors = self._core.take_new_motifs()
            fresh = [i for i, key in enumerate(motif_id) if key.tobytes() not in self._on_disk]
            fresh = fresh[: max(0, self._limit - len(self._on_disk))]
            if fresh:
                self._on_disk.update(motif_id[i].tobytes() for i in fresh)
                self._unsaved.append((motif_id[fresh], vectors[fresh]))


class MotifFolder:
    """The files of one encoder in a folder. Vectors are the same on every machine."""

    def __init__(self, folder: Path, *, fingerprint: str) -> None:
        """Open a folder; create it if missing.

        Args:
            folder: The cache; several encoders may share it.
            fingerprint: Fingerprint of the encoder.

        Raises:
            NarfastError: It is not a folder.
            OSError: It cannot be created.
        """
        if folder.exists() and not folder.is_dir():
            raise NarfastError(f"{folder}: not a folder; name one for the motif cache")
        # All other facts that determine the last bit of a vector.
        facts = (
            _FORMAT,
            __version__,
            fingerprint,
        )
        self._stamp = hashlib.sha256("\n".join(facts).encode()).hexdigest()
        self.path = folder / self._stamp[:16]
        if self.path.exists() and not self.path.is_dir():
            _log.warning("%s: not a folder; creating it", self.path)
            self.path.unlink(missing_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)

    def read(self, dim: int, limit: int = _MAX_MOTIFS) -> tuple[UInt64, NDArray[np.float32]]:
        """Read at most ``limit`` distinct ids uint64[n, 2] and their vectors float32[n, dim].

        A damaged file is removed with a warning. Many small files are merged into one.
        """
        ids: list[UInt64] = [np.empty((0, 2), np.uint64)]
        vectors: list[NDArray[np.float32]] = [np.empty((0, dim), np.float32)]
        known: set[bytes] = set()
        whole = []  # files that were read completely
        for path in sorted(self.path.glob(f"*{_SUFFIX}")):
            if len(known) >= limit:
                break
            part = self._read(path, dim)
            if part is None:
                continue
            fresh = []
            for i, key in enumerate(part[0]):
                if len(known) < limit and key.tobytes() not in known:
                    known.add(key.tobytes())
                    fresh.append(i)
            ids.append(part[0][fresh])
            vectors.append(part[1][fresh])
            if len(known) < limit:
                whole.append(path)
        found = np.concatenate(ids), np.concatenate(vectors)
        if len(whole) > _MAX_FILES:
            merged = self.write(*found)
            for path in whole:
                if path != merged:
                    path.unlink(missing_ok=True)
        return found

    def write(self, motif_id: UInt64, vectors: NDArray[np.float32]) -> Path:
        """Write a file with vectors float32[n, dim] of motifs uint64[n, 2]; return its path.

        If a motif is given twice, its first vector is written.
        """
        from safetensors.numpy import save

        first = np.sort(np.unique(motif_id, axis=0, return_index=True)[1])
        motif_id, vectors = motif_id[first], vectors[first]
        tensors = {"motif_id": np.ascontiguousarray(motif_id), "vectors": vectors}
        # One entry only: safetensors would write several in random order, and change the file name.
        data = save(tensors, metadata={"stamp": self._stamp})
        path = self.path / (hashlib.sha256(data).hexdigest() + _SUFFIX)
        if path.is_dir():
            _put_aside(path)
        with replacing(path) as stream:
            stream.write(data)
        return path

    def _read(self, path: Path, dim: int) -> tuple[UInt64, NDArray[np.float32]] | None:
        try:
            with open_regular(path) as stream:
                data = stream.read()
        except FileNotFoundError:
            return None  # another process has merged it into a larger one
        except (CorruptFileError, IsADirectoryError):
            _log.warning("%s: not a file of motifs; encoding them again", path)
            _put_aside(path)
            return None
        if hashlib.sha256(data).hexdigest() != path.stem:
            problem = "damaged"
        else:
            part = _motifs_of(data, self._stamp, dim)
            if part is not None:
                return part
            problem = "made by another encoder or narfast"
        _log.warning("%s: %s; encoding its motifs again", path, problem)
        path.unlink(missing_ok=True)
        return None


def _motifs_of(data: bytes, stamp: str, dim: int) -> tuple[UInt64, NDArray[np.float32]] | None:
    """Parse the bytes of a file; None if they are not as `MotifFolder.write` writes them."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        found = header["__metadata__"]["stamp"]
        motif_id, vectors = tensors["motif_id"], tensors["vectors"]
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None
    if (
        found != stamp
        or (motif_id.dtype, vectors.dtype) != (np.uint64, np.float32)
        or motif_id.shape != (len(vectors), 2)
        or vectors.shape != (len(vectors), dim)
    ):
        return None
    return motif_id, vectors


def _put_aside(folder: Path) -> None:
    """Rename a folder that has the name of a file; it may contain a user's data."""
    try:
        folder.rmdir()
    except OSError:
        folder.rename(folder.with_name(f"{folder.stem}.{time.time_ns()}.aside"))
