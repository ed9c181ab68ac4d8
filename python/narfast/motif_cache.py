"""Vectors of motifs already encoded: in memory, and on disk for later runs where that is wanted.

On disk a cache is a folder of files that never change. A file is named by the SHA-256 of its bytes,
so a damaged one gives itself away, and processes that share a folder need no lock.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import narfast
from narfast.errors import NarfastError

__all__ = ["MotifCache", "MotifFolder"]

# About 50 MB at the default width; a zoo of thousands of networks has some ten thousand motifs.
_MAX_MOTIFS = 1 << 16
_MAX_FILES = 32
_WRITE_AT = 1 << 14  # new motifs that are put on disk together,
_WRITE_AFTER = 20.0  # or all that are new after so many seconds
_FORMAT = "1"
_SUFFIX = ".safetensors"

_log = logging.getLogger("narfast")

UInt64 = NDArray[np.uint64]
Compute = Callable[[NDArray[np.int64]], Tensor]


class MotifCache:
    """Vectors by motif id. Threads may share it.

    When it grows past its limit it forgets what is not from disk. A folder is given at most as many
    motifs as are read from it again, and none that it has.
    """

    def __init__(
        self, dim: int, *, limit: int = _MAX_MOTIFS, folder: MotifFolder | None = None
    ) -> None:
        """Start empty, or with what a folder holds.

        Args:
            dim: Width of the vectors.
            limit: Motifs to keep in memory, and as many from disk.
            folder: Where vectors of earlier runs are, and new ones go (`save`).
        """
        self._dim = dim
        self._limit = limit
        self._folder = folder
        self._lock = threading.Lock()
        self._row: dict[bytes, int] = {}
        self._vectors = torch.empty(0, dim)
        self._unsaved: list[tuple[UInt64, Tensor]] = []
        self._saved = time.monotonic()
        if folder is not None:
            motif_id, vectors = folder.read(dim, limit)
            self._add(motif_id, torch.from_numpy(vectors))
        self._lasting = len(self._row)  # the first rows are from disk
        self._on_disk = set(self._row)  # or on the way there

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, motif_id: UInt64) -> bool:
        return motif_id.tobytes() in self._row

    def clear(self) -> None:
        """Forget every motif in memory."""
        with self._lock:
            self._row.clear()
            self._vectors = torch.empty(0, self._dim)
            self._lasting = 0

    def get(self, motif_id: UInt64, compute: Compute) -> Tensor:
        """Vectors of distinct motifs; those that are not here are computed and kept.

        Args:
            motif_id: uint64[U, 2], distinct.
            compute: From positions int64[M] in ``motif_id`` to vectors float[M, dim].

        Returns:
            float[U, dim].
        """
        keys = [key.tobytes() for key in motif_id]
        with self._lock:
            rows = np.array([self._row.get(key, -1) for key in keys], dtype=np.int64)
            known, missing = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
            found = self._vectors.index_select(
                0, torch.from_numpy(rows[known]).to(self._vectors.device)
            )
        if not len(missing):
            return found
        new = compute(missing)
        table = new.new_empty(len(keys), self._dim)
        table[torch.from_numpy(missing)] = new
        table[torch.from_numpy(known)] = found.to(new.device)
        with self._lock:
            if len(self._row) - self._lasting > self._limit:
                while len(self._row) > self._lasting:
                    self._row.popitem()  # the memory of the vectors is used again
            self._add(motif_id[missing], new)
            if self._folder is not None:
                self._remember(motif_id[missing], new)
                late = time.monotonic() - self._saved > _WRITE_AFTER
                full = late or sum(len(ids) for ids, _ in self._unsaved) >= _WRITE_AT
            else:
                full = False
        if full:
            self.save()
        return table

    def save(self) -> None:
        """Put on disk what is new since the last time; without a folder, do nothing.

        Raises:
            OSError: The disk is full, read-only, ...
        """
        with self._lock:
            unsaved, self._unsaved = self._unsaved, []
            self._saved = time.monotonic()
        if self._folder is not None and unsaved:
            ids = np.concatenate([ids for ids, _ in unsaved])
            self._folder.write(ids, torch.cat([vectors for _, vectors in unsaved]).numpy())

    def _remember(self, motif_id: UInt64, vectors: Tensor) -> None:
        """Let the next `save` put on disk what is not there, while there is room."""
        if vectors.device.type != "cpu":
            return  # other bits than those of the processor that the folder is for
        fresh = [i for i, key in enumerate(motif_id) if key.tobytes() not in self._on_disk]
        fresh = fresh[: max(0, self._limit - len(self._on_disk))]
        if fresh:
            self._on_disk.update(motif_id[i].tobytes() for i in fresh)
            self._unsaved.append((motif_id[fresh], vectors[fresh]))

    def _add(self, motif_id: UInt64, vectors: Tensor) -> None:
        """Store float[U, dim] vectors of uint64[U, 2] motifs, but not those that are here."""
        keys = [key.tobytes() for key in motif_id]
        fresh = [i for i, key in enumerate(keys) if key not in self._row]
        used = len(self._row)
        needed = used + len(fresh)
        if needed > len(self._vectors):
            grown = vectors.new_empty((max(needed, 2 * len(self._vectors), 256), self._dim))
            grown[:used] = self._vectors[:used]
            self._vectors = grown
        self._vectors[used:needed] = vectors if len(fresh) == len(keys) else vectors[fresh]
        self._row.update((keys[i], used + n) for n, i in enumerate(fresh))


class MotifFolder:
    """The files of one encoder, on one kind of processor and version of torch, in a folder."""

    def __init__(self, folder: Path, *, fingerprint: str) -> None:
        """Open a folder, made if missing.

        Args:
            folder: The cache; several encoders may share it.
            fingerprint: Of the encoder.

        Raises:
            NarfastError: It is no folder.
            OSError: It cannot be made.
        """
        if folder.exists() and not folder.is_dir():
            raise NarfastError(f"{folder}: not a folder; name one for the motif cache")
        # Whatever else decides the last bit of a vector.
        facts = (
            _FORMAT,
            narfast.__version__,
            fingerprint,
            torch.__version__,
            torch.backends.cpu.get_cpu_capability(),
        )
        self._stamp = hashlib.sha256("\n".join(facts).encode()).hexdigest()
        self.path = folder / self._stamp[:16]
        if self.path.exists() and not self.path.is_dir():
            _log.warning("%s: not a folder; it is made anew", self.path)
            self.path.unlink(missing_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)

    def read(self, dim: int, limit: int = _MAX_MOTIFS) -> tuple[UInt64, NDArray[np.float32]]:
        """Read distinct ids uint64[n, 2] and their vectors float32[n, dim], at most ``limit``.

        A damaged file is removed with a warning. Many small files are put into one.
        """
        ids: list[UInt64] = [np.empty((0, 2), np.uint64)]
        vectors: list[NDArray[np.float32]] = [np.empty((0, dim), np.float32)]
        known: set[bytes] = set()
        whole = []  # files of which everything is known now
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

        Of equal motifs the first counts.
        """
        from safetensors.numpy import save

        first = np.sort(np.unique(motif_id, axis=0, return_index=True)[1])
        motif_id, vectors = motif_id[first], vectors[first]
        tensors = {"motif_id": np.ascontiguousarray(motif_id), "vectors": vectors}
        # One fact alone: the order of several, and so the name of the file, would be by chance.
        data = save(tensors, metadata={"stamp": self._stamp})
        path = self.path / (hashlib.sha256(data).hexdigest() + _SUFFIX)
        staging = path.with_suffix(f".{os.getpid()}.tmp")
        staging.write_bytes(data)
        if path.is_dir():
            _put_aside(path)
        staging.replace(path)
        return path

    def _read(self, path: Path, dim: int) -> tuple[UInt64, NDArray[np.float32]] | None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None  # another process has put it into a larger one
        except IsADirectoryError:
            _log.warning("%s: a folder, not a file of motifs; they are encoded anew", path)
            _put_aside(path)
            return None
        if hashlib.sha256(data).hexdigest() != path.stem:
            problem = "damaged"
        else:
            part = _motifs_of(data, self._stamp, dim)
            if part is not None:
                return part
            problem = "not of this encoder, processor and narfast"
        _log.warning("%s: %s; its motifs are encoded anew", path, problem)
        path.unlink(missing_ok=True)
        return None


def _motifs_of(data: bytes, stamp: str, dim: int) -> tuple[UInt64, NDArray[np.float32]] | None:
    """What a file holds, or None for one that `MotifFolder.write` has not made so."""
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
    """Free the name of a file from a folder, which may hold what someone wants."""
    try:
        folder.rmdir()
    except OSError:
        folder.rename(folder.with_name(f"{folder.stem}.{time.time_ns()}.aside"))
