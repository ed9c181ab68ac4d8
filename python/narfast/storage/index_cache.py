"""Indexes of zoos that this user has built on this machine, kept for later runs.

There are three kinds: HNSW graphs of the vectors of large zoos (``usearch``), indexes of the blocks
of networks (``blocks``), and what `narfast.situate` measures on a zoo (``situate``). usearch trusts
the bytes that it restores: crafted bytes crash the process, and a checksum beside them proves
nothing. So no zoo contains an index. A missing index is built from the zoo and kept in a folder
that only its user can write.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import os
import stat
from pathlib import Path
from typing import Literal

from narfast._files import open_regular, replacing
from narfast.errors import CorruptFileError
from narfast.index import IndexSettings

__all__ = ["index_key", "load_index", "store_index"]

IndexKind = Literal["usearch", "blocks", "situate"]

_log = logging.getLogger("narfast")

_KEPT = 8  # number of indexes of each kind; the most recently used are kept
_DIGEST = 32  # bytes before an index


def index_key(embeddings: str, settings: IndexSettings) -> str:
    """Return a key that identifies the inputs of an index.

    Args:
        embeddings: SHA-256 of the file of vectors.
        settings: settings of the index.
    """
    facts = [embeddings, settings.to_json(), importlib.metadata.version("usearch")]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def load_index(key: str, kind: IndexKind = "usearch") -> bytes | None:
    """Return the bytes of an index from `store_index`; None if there is no trustworthy one."""
    path = _path(key, kind)
    if path is None:
        return None
    try:
        if not _is_own(path.parent.lstat()) or path.is_symlink():
            return None
        with open_regular(path) as stream:
            if not _is_own(os.fstat(stream.fileno())):
                return None
            data = stream.read()
    except (OSError, CorruptFileError):
        return None
    if _digest(key, data[_DIGEST:]) != data[:_DIGEST]:
        _log.warning("%s: damaged; building the index again", path)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return data[_DIGEST:]


def store_index(key: str, index: bytes, kind: IndexKind = "usearch") -> None:
    """Store an index; log a warning if that is not possible."""
    path = _path(key, kind)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_own(path.parent.lstat()):
            raise PermissionError(f"{path.parent}: others can write there")
        with replacing(path, mode=0o600) as stream:
            stream.write(_digest(key, index))
            stream.write(index)
        old = sorted(path.parent.glob(f"*.{kind}"), key=lambda p: p.stat().st_mtime)[:-_KEPT]
        for unused in old:
            unused.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("the index cannot be kept for later (%s)", error)


def _path(key: str, kind: IndexKind = "usearch") -> Path | None:
    """Path of a stored index; None if the user has no cache folder."""
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(cache) / "narfast" / "indexes" / f"{key}.{kind}"


def _is_own(facts: os.stat_result) -> bool:
    """Whether this user owns a file or folder and nobody else can write it."""
    return facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _digest(key: str, index: bytes) -> bytes:
    return hashlib.sha256(key.encode() + index).digest()
