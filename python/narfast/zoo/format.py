"""The zoo folder on disk: manifest, checksums, atomic replacement. Knows bytes, not networks.

A folder holds ``manifest.json`` and the files that it lists with size and SHA-256. Every file is
checked before its bytes are used; what is inside the files is the business of `narfast.zoo.tables`.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

from narfast.errors import CorruptFileError, NarfastError

__all__ = [
    "ARCHITECTURES",
    "DERIVED",
    "EMBEDDINGS",
    "ERRORS",
    "FORMAT_VERSION",
    "GRAPHS",
    "INDEX",
    "MANIFEST",
    "Manifest",
    "ZooFolder",
    "check_replaceable",
    "check_replaceable_csv",
    "check_replaceable_table",
    "remedy",
    "replace_folder",
    "write_file",
]

FORMAT_VERSION = 2
MANIFEST = "manifest.json"
ARCHITECTURES = "architectures.parquet"
GRAPHS = "graphs.parquet"
EMBEDDINGS = "embeddings.safetensors"
ERRORS = "errors.parquet"
INDEX = "index.usearch"

DERIVED = frozenset({INDEX})
"""Files that can be made again from the others, so that damage to them is no loss."""

_EXPORTED = frozenset({"structural_hash", "op", "attr", "in_ptr", "in_src", "op_names"})
_MAX_MANIFEST_BYTES = 16 << 20
_REMEDY = {
    EMBEDDINGS: "make it again with 'narfast zoo embed'",
    INDEX: "it is rebuilt from the embeddings when needed",
}
_DEFAULT_REMEDY = "restore it from a copy, or make the zoo again with 'narfast zoo build'"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What ``manifest.json`` says; `checksum` identifies the zoo's whole content.

    Attributes:
        counts: ``distinct`` structures and ``names``.
        encoder: ``fingerprint``, ``dim`` and ``source`` of the encoder behind the embeddings.
        index: settings of the HNSW index, or None when search is exact.
        operators: names of the operator ids that the graphs use, by id.
        versions: libraries that decide the content.
        files: size and SHA-256 of each file beside the manifest.
    """

    counts: Mapping[str, int]
    encoder: Mapping[str, Any] | None = None
    index: Mapping[str, Any] | None = None
    operators: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def body(self) -> dict[str, Any]:
        """Return everything but the checksum, as plain JSON values."""
        return {
            "format": "narfast-zoo",
            "format_version": self.format_version,
            "counts": dict(self.counts),
            "encoder": None if self.encoder is None else dict(self.encoder),
            "index": None if self.index is None else dict(self.index),
            "operators": list(self.operators),
            "versions": dict(self.versions),
            "files": {name: dict(facts) for name, facts in self.files.items()},
        }

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) of the manifest's content, and through it of every file."""
        return _sha256(json.dumps(self.body(), sort_keys=True).encode())

    def to_bytes(self) -> bytes:
        """Return the file's bytes."""
        document = {**self.body(), "checksum": self.checksum}
        return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, path: Path) -> Manifest:
        """Read ``data``; ``path`` is named in errors.

        Raises:
            CorruptFileError: not a manifest, damaged, or of a newer format.
        """
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or document.get("format") != "narfast-zoo":
            raise CorruptFileError(f"{path}: not a zoo manifest; {_DEFAULT_REMEDY}")
        version = document.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise CorruptFileError(
                f"{path}: zoo format {version} is newer than this narfast reads "
                f"({FORMAT_VERSION}); upgrade narfast"
            )
        try:
            manifest = cls(
                counts={key: int(value) for key, value in document["counts"].items()},
                encoder=_mapping_or_none(document["encoder"]),
                index=_mapping_or_none(document["index"]),
                operators=tuple(str(name) for name in document["operators"]),
                versions={str(key): str(value) for key, value in document["versions"].items()},
                files={
                    str(name): {"bytes": int(facts["bytes"]), "sha256": str(facts["sha256"])}
                    for name, facts in document["files"].items()
                },
                format_version=int(document["format_version"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise CorruptFileError(
                f"{path}: a field is missing or of the wrong kind; {_DEFAULT_REMEDY}"
            ) from None
        if document.get("checksum") != manifest.checksum:
            raise CorruptFileError(f"{path}: checksum does not match; {_DEFAULT_REMEDY}")
        for name in manifest.files:
            if name != Path(name).name or name in {"", ".", ".."}:
                raise CorruptFileError(f"{path}: lists a file outside the zoo; {_DEFAULT_REMEDY}")
        return manifest


class ZooFolder:
    """Checked reading of one zoo folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read and check the manifest of the folder at ``path``.

        Raises:
            NarfastError: there is no zoo at ``path``.
            CorruptFileError: the manifest is damaged.
        """
        self.path = Path(path)
        _recover(self.path)
        manifest_path = self.path / MANIFEST
        try:
            facts = manifest_path.stat()
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MAX_MANIFEST_BYTES:
                raise CorruptFileError(f"{manifest_path}: not a zoo manifest; {_DEFAULT_REMEDY}")
            data = manifest_path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            if self.path.is_dir() and any((self.path / name).exists() for name in _REMEDY):
                raise CorruptFileError(f"{manifest_path}: missing; {_DEFAULT_REMEDY}") from None
            raise NarfastError(
                f"{self.path}: no zoo here (no {MANIFEST}); make one with 'narfast zoo build'"
            ) from None
        self.manifest = Manifest.from_bytes(data, manifest_path)

    def check_unchanged(self) -> None:
        """Raise NarfastError where another process has replaced the folder since it was opened."""
        path = self.path / MANIFEST
        try:
            current = Manifest.from_bytes(path.read_bytes(), path)
        except (OSError, CorruptFileError):
            return  # damage, not change
        if current.checksum != self.manifest.checksum:
            raise NarfastError(
                f"{self.path}: was changed by someone else meanwhile; open it and try again"
            )

    def read(self, name: str) -> bytes:
        """Return the bytes of the file ``name``, checked against the manifest.

        Raises:
            CorruptFileError: missing, not in the manifest, or different from what it promises.
            NarfastError: the folder was replaced since it was opened.
        """
        with self._open(name) as stream:
            data = stream.read()
        self._check(name, hashlib.sha256(data).hexdigest())
        return data

    def open(self, name: str) -> BufferedReader:
        """Return the file ``name``, checked as by `read`, for reading it a little at a time."""
        stream = self._open(name)
        try:
            self._check(name, hashlib.file_digest(stream, "sha256").hexdigest())
        except BaseException:
            stream.close()
            raise
        stream.seek(0)
        return stream

    def _open(self, name: str) -> BufferedReader:
        """Open a file that has the promised size."""
        path = self.path / name
        try:
            facts = self.manifest.files.get(name)
            if facts is None:
                raise CorruptFileError(f"{path}: not listed in {MANIFEST}; {remedy(name)}")
            try:
                size = path.stat().st_size
                stream = path.open("rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise CorruptFileError(f"{path}: missing; {remedy(name)}") from None
            if size != facts["bytes"]:
                stream.close()
                raise CorruptFileError(
                    f"{path}: has {size} bytes, {MANIFEST} promises {facts['bytes']}; "
                    f"{remedy(name)}"
                )
        except CorruptFileError:
            self.check_unchanged()
            raise
        return stream

    def _check(self, name: str, found: str) -> None:
        if found != self.manifest.files[name]["sha256"]:
            self.check_unchanged()
            raise CorruptFileError(
                f"{self.path / name}: damaged (SHA-256 differs from {MANIFEST}); {remedy(name)}"
            )

    def problems(self) -> list[str]:
        """Check every file; return one line for each that is not as promised."""
        found = []
        for name in sorted(self.manifest.files):
            try:
                self.read(name)
            except (NarfastError, OSError) as error:
                found.append(str(error))
        return found


def remedy(name: str) -> str:
    """Return how to mend the zoo file ``name``."""
    return _REMEDY.get(name, _DEFAULT_REMEDY)


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` and force it to disk before returning."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _is_taken(path: Path) -> bool:
    """Whether something is there already; a path in the folder of a zoo is refused."""
    if _holds_zoo(path.resolve().parent):
        raise NarfastError(f"{path}: is inside a zoo; choose a place outside its folder")
    return path.is_file() and path.stat().st_size > 0


def check_replaceable_csv(path: Path, names: Sequence[str]) -> None:
    """Refuse to overwrite text that does not begin with a line of these names.

    Raises:
        NarfastError: ``path`` is in the folder of a zoo, or is there and is another file.
    """
    if not _is_taken(path):
        return
    header = ",".join(f'"{name}"' for name in names).encode() + b"\n"
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise NarfastError(
                f"{path}: exists and was not written by narfast; choose another name or move it "
                "away"
            )


def check_replaceable_table(path: Path) -> None:
    """Refuse to overwrite what narfast has not written as a table, and anything inside a zoo.

    Tables of ``encode`` carry narfast's version, those of ``zoo export`` columns of their own.

    Raises:
        NarfastError: ``path`` is in the folder of a zoo, or is there and is another file.
    """
    if not _is_taken(path):
        return
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise NarfastError(
                f"{path}: exists and is no parquet file; choose another name or move it away"
            )
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        raise NarfastError(
            f"{path}: exists and is a damaged parquet file; choose another name or move it away"
        ) from None
    if b"narfast.version" not in (schema.metadata or {}) and not set(schema.names) >= _EXPORTED:
        raise NarfastError(
            f"{path}: exists and was not written by narfast; choose another name or move it away"
        )


def _holds_zoo(folder: Path) -> bool:
    manifest = folder / MANIFEST
    try:
        if not manifest.is_file() or manifest.stat().st_size > _MAX_MANIFEST_BYTES:
            return False
        return b"narfast-zoo" in manifest.read_bytes()
    except OSError:
        return False


def check_replaceable(target: Path) -> None:
    """Raise NarfastError where ``target`` exists and is neither a zoo nor an empty folder."""
    if target.exists() and not (
        target.is_dir() and ((target / MANIFEST).exists() or not any(target.iterdir()))
    ):
        raise NarfastError(f"{target}: exists and is not a zoo; choose another folder")


def replace_folder(target: Path, files: Mapping[str, bytes], manifest: Manifest) -> Manifest:
    """Write a zoo folder beside ``target`` and put it in its place in one step.

    A crash at any point leaves the old folder whole. An existing ``target`` must be a zoo or empty.

    Args:
        target: the folder to create or replace.
        files: name -> bytes.
        manifest: all but its ``files``, which are computed here.

    Returns:
        The manifest as written.

    Raises:
        NarfastError: ``target`` exists and is something else.
        OSError: the disk is full, read-only, ...
    """
    target = Path(target)
    _recover(target)
    check_replaceable(target)
    facts = {
        name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in sorted(files.items())
    }
    complete = dataclasses.replace(manifest, files=facts)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.new-", dir=target.parent))
    try:
        staging.chmod(0o777 & ~_umask())
        for name, data in sorted(files.items()):
            write_file(staging / name, data)
        write_file(staging / MANIFEST, complete.to_bytes())
        _sync_folder(staging)
        _swap(staging, target)
        _sync_folder(target.parent)
    finally:
        # After the exchange this is the old folder; after a failure, the unfinished new one.
        shutil.rmtree(staging, ignore_errors=True)
    return complete


def _swap(staging: Path, target: Path) -> None:
    """Put ``staging`` at ``target``; an old ``target`` ends up at ``staging`` or is removed."""
    if not target.exists():
        staging.rename(target)
        return
    if _exchange(staging, target):
        return
    # No atomic exchange here: two renames, and `_recover` mends a crash between them.
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
    """Exchange two paths atomically (Linux renameat2); False where the system cannot."""
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
    return target.with_name(f".{target.name}.old")


def _recover(target: Path) -> None:
    """Undo a crash between the two renames of `_swap`."""
    backup = _backup_of(target)
    if backup.is_dir() and not target.exists():
        with contextlib.suppress(OSError):
            backup.rename(target)


def _sync_folder(path: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _mapping_or_none(value: Any) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise TypeError
    return value
