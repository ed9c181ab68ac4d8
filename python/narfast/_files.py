"""Opening and replacing files: only regular files are opened; replacement is atomic."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from narfast.errors import CorruptFileError, NarfastError, UnsupportedSourceError

__all__ = [
    "open_regular",
    "open_source",
    "read_source",
    "remove_leftovers",
    "replace_file",
    "replacing",
    "umask",
]


def open_regular(
    path: str | os.PathLike[str], *, error: type[NarfastError] = CorruptFileError
) -> BufferedReader:
    """Open a file for reading; it must be a regular file.

    Raises:
        CorruptFileError: a pipe, device, socket or folder: reading it could block forever; another
            class if ``error`` is given.
        OSError: it is missing or may not be read.
    """
    # Opening a pipe without a writer would block too.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:  # a null character, or a lone surrogate
        raise error(f"{os.fspath(path)}: not a name that a file can have; check it") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise error(f"{os.fspath(path)}: not a regular file; name another one")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_source(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a file that a user names as a source.

    Raises:
        UnsupportedSourceError: it is missing, may not be read, or is not a regular file.
    """
    try:
        return open_regular(path, error=UnsupportedSourceError)
    except OSError as error:
        raise UnsupportedSourceError(
            f"{os.fspath(path)}: cannot be read ({error.strerror or error}); check the path"
        ) from None


def read_source(path: str | os.PathLike[str], *, limit: int, what: str) -> bytes:
    """Read a file that a user names as a source, in one piece.

    Args:
        path: a regular file.
        limit: maximum size in bytes.
        what: kind of file for errors, such as ``a config.json``.

    Raises:
        UnsupportedSourceError: as `open_source`.
        CorruptFileError: it is larger than ``limit``.
    """
    with open_source(path) as stream:
        try:
            data: bytes | None = stream.read(min(os.fstat(stream.fileno()).st_size, limit) + 1)
        except OSError as error:
            raise UnsupportedSourceError(
                f"{os.fspath(path)}: cannot be read ({error.strerror or error}); check the path"
            ) from None
    if data is None:  # a kernel file that has no data yet
        raise UnsupportedSourceError(f"{os.fspath(path)}: not a regular file; name another one")
    if len(data) > limit:
        raise CorruptFileError(
            f"{os.fspath(path)}: more than {limit:,} bytes are too many for {what}"
        )
    return data


@contextlib.contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Write a file beside ``path`` and rename it to ``path`` when the body ends.

    The bytes are flushed to disk before the rename: a crash leaves the old file or the new one. If
    the body raises, or closes the file, the old file stays. Files of killed writers are removed.

    Args:
        path: the file to create or replace.
        mode: its permissions; None for the defaults of a new file.

    Yields:
        A file for writing and reading back.

    Raises:
        OSError: the disk is full, read-only, ...
    """
    remove_leftovers(path)
    with _named(path):
        stream, staging = _begin(path)
    try:
        with stream:
            yield stream
            if not stream.closed:
                stream.flush()
                os.fsync(stream.fileno())
                os.fchmod(stream.fileno(), 0o666 & ~umask() if mode is None else mode)
                with _named(path):
                    staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let errors name the file that was asked for, not the one beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def replace_file(path: Path, data: bytes) -> None:
    """Create or replace a file in one step; see `replacing`."""
    with replacing(path) as stream:
        stream.write(data)


def _begin(path: Path) -> tuple[BinaryIO, Path]:
    """Create a file beside ``path`` and lock it: while the lock is held, it is not a leftover."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.new-", dir=path.parent)
        stream = os.fdopen(descriptor, "w+b")
        fcntl.flock(stream, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), Path(name).stat()):
                return stream, Path(name)
        stream.close()  # another writer took it for a leftover before it was locked


def remove_leftovers(path: Path) -> None:
    """Remove files of `replacing` whose writer has ended."""
    pattern = re.compile(re.escape(f".{path.name}.new-") + "[a-z0-9_]{8}")
    with contextlib.suppress(OSError), os.scandir(path.parent) as found:
        names = [entry.name for entry in found if pattern.fullmatch(entry.name)]
        for name in names:
            left = path.parent / name
            with contextlib.suppress(OSError, CorruptFileError), open_regular(left) as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


_UMASK = _umask()  # read once: reading changes it for a moment, which other threads would see


def umask() -> int:
    """Return the permissions that this process removes from new files."""
    return _UMASK
