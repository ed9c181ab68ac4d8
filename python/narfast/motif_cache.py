"""Vectors of motifs already encoded: in memory, and on disk for later runs where that is wanted.

On disk a cache is a folder of files that never change. A file is named by the SHA-256 of its bytes,
so a damaged one gives itself away, and processes that share a folder need no lock.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    """Vectors by motif id. Emptied when it grows past its limit. Threads may share it."""

    def __init__(
        self, dim: int, *, limit: int = _MAX_MOTIFS, folder: MotifFolder | None = None
    ) -> None:
        """Start empty, or with what a folder holds.

        Args:
            dim: Width of the vectors.
            limit: Motifs to keep in memory.
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
            for motif_id, vectors in folder.read(dim):
                self._add(motif_id, torch.from_numpy(vectors))

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, motif_id: UInt64) -> bool:
        return motif_id.tobytes() in self._row

    def clear(self) -> None:
        """Forget every motif in memory."""
        with self._lock:
            self._row.clear()
            self._vectors = torch.empty(0, self._dim)

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
            if len(self._row) > self._limit:
                self._row.clear()  # the memory of the vectors is used again
            self._add(motif_id[missing], new)
            if self._folder is not None:
                self._unsaved.append((motif_id[missing], new.cpu()))
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
        facts = (_FORMAT, fingerprint, torch.__version__, torch.backends.cpu.get_cpu_capability())
        self._stamp = hashlib.sha256("\n".join(facts).encode()).hexdigest()
        self.path = folder / self._stamp[:16]
        self.path.mkdir(parents=True, exist_ok=True)

    def read(self, dim: int) -> Iterator[tuple[UInt64, NDArray[np.float32]]]:
        """Yield ids uint64[n, 2] and vectors float32[n, dim], file by file.

        A damaged file is removed with a warning. Many small files are put into one.
        """
        paths = sorted(self.path.glob(f"*{_SUFFIX}"))
        parts = []
        for path in paths:
            part = self._read(path, dim)
            if part is not None:
                parts.append(part)
                yield part
        if len(paths) > _MAX_FILES:
            merged = self.write(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
            for path in paths:
                if path != merged:
                    path.unlink(missing_ok=True)

    def write(self, motif_id: UInt64, vectors: NDArray[np.float32]) -> Path:
        """Write a file with vectors float32[n, dim] of motifs uint64[n, 2]; return its path."""
        from safetensors.numpy import save

        tensors = {"motif_id": np.ascontiguousarray(motif_id), "vectors": vectors}
        data = save(tensors, metadata={"format": "narfast-motifs", "stamp": self._stamp})
        path = self.path / (hashlib.sha256(data).hexdigest() + _SUFFIX)
        staging = path.with_suffix(f".{os.getpid()}.tmp")
        staging.write_bytes(data)
        staging.replace(path)
        return path

    def _read(self, path: Path, dim: int) -> tuple[UInt64, NDArray[np.float32]] | None:
        from safetensors.numpy import load

        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None  # another process has put it into a larger one
        if hashlib.sha256(data).hexdigest() == path.stem:
            tensors = load(data)
            motif_id, vectors = tensors["motif_id"], tensors["vectors"]
            if vectors.shape == (len(motif_id), dim):
                return motif_id, vectors
        _log.warning("%s: damaged; its motifs are encoded anew", path)
        path.unlink(missing_ok=True)
        return None
