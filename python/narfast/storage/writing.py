"""Writing a zoo folder: one process at a time, and the whole folder in one step.

Knows folders and bytes; `narfast.storage.format` defines the files of a zoo.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from narfast._files import umask
from narfast.errors import NarfastError

__all__ = ["put_folder", "recover", "write_file", "writing"]

_log = logging.getLogger("narfast")


class _HeldLocks(threading.local):
    """The folders that this thread has locked."""

    def __init__(self) -> None:
        self.folders: set[Path] = set()


_held = _HeldLocks()


@contextlib.contextmanager
def writing(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Be the only writer of a folder while the body runs; log a warning before waiting for another.

    The other writer may have changed the folder: read it in the body. A thread may nest this. The
    lock is a file beside the folder, ``.NAME.lock``, which its last writer removes; the lock file
    of a killed process locks nothing. Files that killed writers left beside the folder are removed.

    Raises:
        NarfastError: the folder has no name of its own, such as ``/``.
        OSError: the lock cannot be made, as on a read-only disk.
    """
    folder = _real(directory)
    if folder in _held.folders:
        yield
        return
    path = folder.with_name(f".{folder.name}.lock")
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(path, folder)
    _held.folders.add(folder)
    try:
        _clean(folder)
        yield
    finally:
        _held.folders.discard(folder)
        with contextlib.suppress(OSError):
            path.unlink()  # before the release: a waiting process sees that and creates a new one
        os.close(lock)


def _lock(path: Path, folder: Path) -> int:
    """Return a descriptor of the locked file at ``path``."""
    said = False
    while True:
        lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    _log.warning("%s: another process is writing it; waiting for its end", folder)
                said = True
                fcntl.flock(lock, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), path.stat()):
                    return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # the last holder has removed the file


def _real(directory: str | os.PathLike[str]) -> Path:
    """Resolve links, so that all paths of a folder share one lock."""
    folder = Path(os.path.realpath(directory))
    if not folder.name:
        raise NarfastError(f"{os.fspath(directory)}: cannot be a zoo; name a folder in it")
    return folder


def _clean(folder: Path) -> None:
    """Undo a crash between two renames, and remove files of killed writers; needs the lock."""
    backup = _backup_of(folder)
    if backup.is_dir():
        if folder.exists():
            shutil.rmtree(backup, ignore_errors=True)
        else:
            backup.rename(folder)
    pattern = re.compile(re.escape(_staging_prefix(folder)) + "[a-z0-9_]{8}")
    with os.scandir(folder.parent) as entries:
        left = [entry.path for entry in entries if pattern.fullmatch(entry.name)]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)


def put_folder(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder beside ``directory`` and exchange the two; call this inside `writing`.

    A crash at any point leaves the old folder intact.

    Args:
        directory: the folder to create or replace.
        files: name -> bytes, in the order of writing.

    Raises:
        OSError: the disk is full, read-only, ...
    """
    folder = _real(directory)
    staging = Path(tempfile.mkdtemp(prefix=_staging_prefix(folder), dir=folder.parent))
    try:
        staging.chmod(0o777 & ~umask())
        for name, data in files.items():
            write_file(staging / name, data)
        _sync_folder(staging)
        _swap(staging, folder)
        _sync_folder(folder.parent)
    finally:
        # After the exchange this is the old folder; after a failure, the unfinished new one.
        shutil.rmtree(staging, ignore_errors=True)


def recover(directory: str | os.PathLike[str]) -> None:
    """Undo a crash of a writer between the two renames of `_swap`."""
    folder = Path(os.path.realpath(directory))
    if folder.name and not folder.exists() and _backup_of(folder).is_dir():
        # A live writer may be between them. In a read-only folder there is no writer.
        with contextlib.suppress(OSError), writing(folder):
            pass


def _staging_prefix(folder: Path) -> str:
    return f".{folder.name}.new-"


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` and flush it to disk."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _swap(staging: Path, target: Path) -> None:
    """Move ``staging`` to ``target``; an old ``target`` moves to ``staging`` or is removed."""
    if not target.exists():
        staging.rename(target)
        return
    if _exchange(staging, target):
        return
    # No atomic exchange on this system: two renames; `_clean` repairs a crash between them.
    backup = _backup_of(target)
    shutil.rmtree(backup, ignore_errors=True)
    target.rename(backup)
    try:
        staging.rename(target)
    except OSError:
        backup.rename(target)
        raise
    shutil.rmtree(backup, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two paths atomically (Linux renameat2); False if the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    at_fdcwd, rename_exchange = -100, 2
    result = renameat2(
        at_fdcwd, os.fsencode(first), at_fdcwd, os.fsencode(second), ctypes.c_uint(rename_exchange)
    )
    if result == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(second))


def _backup_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.replaced-by-narfast")


def _sync_folder(path: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
