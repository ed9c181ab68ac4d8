"""The zoo folder on disk: manifest and checksums. Works on bytes and knows nothing of networks.

A folder has ``manifest.json`` and the files that it lists with size and SHA-256. Every file is
checked before its bytes are used. `narfast.storage.tables` defines the contents of the files.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

from narfast._documents import (
    Integer,
    ListOf,
    MapOf,
    Object,
    OneOf,
    Optional,
    Text,
    check_document,
    parse_document,
    read_small_file,
)
from narfast._files import open_regular
from narfast.errors import CorruptFileError, NarfastError
from narfast.storage.writing import put_folder, recover, writing

__all__ = [
    "ARCHITECTURES",
    "EMBEDDINGS",
    "ERRORS",
    "FORMAT_VERSION",
    "GRAPHS",
    "MANIFEST",
    "Manifest",
    "ZooFolder",
    "check_replaceable",
    "check_replaceable_csv",
    "check_replaceable_table",
    "remedy",
    "replace_folder",
]

FORMAT_VERSION = 2
MANIFEST = "manifest.json"
ARCHITECTURES = "architectures.parquet"
GRAPHS = "graphs.parquet"
EMBEDDINGS = "embeddings.safetensors"
ERRORS = "errors.parquet"

_EXPORTED = frozenset({"structural_hash", "op", "attr", "in_ptr", "in_src", "op_names"})
_FILES = (ARCHITECTURES, GRAPHS, EMBEDDINGS, ERRORS)
_REMEDY = {EMBEDDINGS: "make it again with 'narfast zoo embed'"}
_DEFAULT_REMEDY = "restore it from a copy, or make the zoo again with 'narfast zoo build'"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WHAT = "a zoo manifest"
_SIGNED = Object(
    {
        "format": OneOf(("narfast-zoo",)),
        "format_version": Integer(1, 1 << 31),
        "checksum": Text(64),
    }
)
_COUNT = Integer(0, 10**8)
_SHAPE = Object(
    {
        "counts": Object({"distinct": _COUNT, "names": _COUNT}),
        "encoder": Optional(
            Object(
                {"fingerprint": Text(200), "dim": Integer(1, 1 << 16), "source": Text(4096)},
            )
        ),
        "index": Optional(
            Object(
                {
                    "dtype": OneOf(("f16", "f32")),
                    # usearch allocates memory by these settings before it reads any vector.
                    "connectivity": Integer(2, 256),
                    "expansion_add": Integer(1, 4096),
                    "expansion_search": Integer(1, 4096),
                    "oversample": Integer(1, 64),
                },
                closed=True,
            )
        ),
        "operators": ListOf(Text(200), 1 << 16),
        "versions": MapOf(Text(200), most=1024),
        "files": MapOf(
            Object({"bytes": Integer(0, 1 << 50), "sha256": Text(64, "[0-9a-f]{64}")}, closed=True),
            most=64,
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The contents of ``manifest.json``; `checksum` identifies the whole content of the zoo.

    Attributes:
        counts: ``distinct`` structures and ``names``.
        encoder: ``fingerprint``, ``dim`` and ``source`` of the encoder of the embeddings, or None.
        index: settings of the HNSW index, or None if search is exact.
        operators: operator names that the graphs' operator ids refer to, by id.
        versions: versions of the libraries that determine the content.
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
        """Return all but the checksum, as plain JSON values."""
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
        """SHA-256 (hex) of the manifest, and through it of every file."""
        return _sha256(json.dumps(self.body(), sort_keys=True).encode())

    def to_bytes(self) -> bytes:
        """Return the file's bytes."""
        document = {**self.body(), "checksum": self.checksum}
        return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, path: Path) -> Manifest:
        """Parse ``data``; errors name ``path``.

        Raises:
            CorruptFileError: not a manifest, damaged, or in a newer format.
        """
        document = parse_document(data, _SIGNED, path=path, what=_WHAT, remedy=_DEFAULT_REMEDY)
        version = document["format_version"]
        if version > FORMAT_VERSION:
            raise CorruptFileError(
                f"{path}: zoo format {version} is newer than this narfast reads "
                f"({FORMAT_VERSION}); upgrade narfast"
            )
        check_document(document, _SHAPE, path=path, what=_WHAT, remedy=_DEFAULT_REMEDY)
        manifest = cls(**{name: document[name] for name in _SHAPE.required}, format_version=version)
        if document["checksum"] != manifest.checksum:
            raise CorruptFileError(f"{path}: checksum does not match; {_DEFAULT_REMEDY}")
        for name in manifest.files:
            if not _FILE_NAME.fullmatch(name):
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
        recover(self.path)
        manifest_path = self.path / MANIFEST
        try:
            data = read_small_file(manifest_path, what=_WHAT, remedy=_DEFAULT_REMEDY)
        except (FileNotFoundError, NotADirectoryError):
            if self.path.is_dir() and any((self.path / name).exists() for name in _FILES):
                raise CorruptFileError(f"{manifest_path}: missing; {_DEFAULT_REMEDY}") from None
            raise NarfastError(
                f"{self.path}: no zoo here (no {MANIFEST}); make one with 'narfast zoo add "
                "DIR SOURCE...' or 'narfast zoo build'"
            ) from None
        self.manifest = Manifest.from_bytes(data, manifest_path)

    def is_current(self) -> bool:
        """Whether the folder is still the opened one; damage does not count as a change."""
        path = self.path / MANIFEST
        try:
            data = read_small_file(path, what=_WHAT, remedy=_DEFAULT_REMEDY)
            return Manifest.from_bytes(data, path).checksum == self.manifest.checksum
        except (OSError, CorruptFileError):
            return True

    def check_unchanged(self) -> None:
        """Raise NarfastError if another process has replaced the folder since it was opened."""
        if not self.is_current():
            raise NarfastError(
                f"{self.path}: another process has changed it meanwhile; open it and try again"
            )

    def read(self, name: str) -> bytes:
        """Return the bytes of the file ``name``, checked against the manifest.

        Raises:
            CorruptFileError: missing, not in the manifest, or different from the manifest.
            NarfastError: the folder was replaced since it was opened.
        """
        with self._open(name) as stream:
            data = stream.read()
        self._check(name, hashlib.sha256(data).hexdigest())
        return data

    def open(self, name: str) -> BufferedReader:
        """Return the file ``name``, checked as by `read`, as a stream."""
        stream = self._open(name)
        try:
            self._check(name, hashlib.file_digest(stream, "sha256").hexdigest())
        except BaseException:
            stream.close()
            raise
        stream.seek(0)
        return stream

    def _open(self, name: str) -> BufferedReader:
        """Open a file and check its size against the manifest."""
        path = self.path / name
        try:
            facts = self.manifest.files.get(name)
            if facts is None:
                raise CorruptFileError(f"{path}: not listed in {MANIFEST}; {remedy(name)}")
            try:
                stream = open_regular(path)
            except (FileNotFoundError, NotADirectoryError):
                raise CorruptFileError(f"{path}: missing; {remedy(name)}") from None
            size = os.fstat(stream.fileno()).st_size
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
        """Check every file; return one line per problem."""
        found = []
        for name in sorted(self.manifest.files):
            try:
                self.read(name)
            except (NarfastError, OSError) as error:
                found.append(str(error))
        return found


def remedy(name: str) -> str:
    """Return how to repair the zoo file ``name``."""
    return _REMEDY.get(name, _DEFAULT_REMEDY)


def _is_taken(path: Path) -> bool:
    """Whether ``path`` exists; raise NarfastError if it lies inside a zoo."""
    if _holds_zoo(path.resolve().parent):
        raise NarfastError(f"{path}: is inside a zoo; choose a place outside its folder")
    return path.is_file() and path.stat().st_size > 0


def check_replaceable_csv(path: Path, names: Sequence[str]) -> None:
    """Refuse to overwrite a file that does not start with a header of these names.

    Raises:
        NarfastError: ``path`` is inside a zoo folder, or is an unrelated file.
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
    """Refuse to overwrite anything but a table that narfast wrote, and anything inside a zoo.

    Tables of ``encode`` carry narfast's version; tables of ``zoo export`` have columns of their
    own.

    Raises:
        NarfastError: ``path`` is inside a zoo folder, or is an unrelated file.
    """
    if not _is_taken(path):
        return
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise NarfastError(
                f"{path}: exists and is not a parquet file; choose another name or move it away"
            )
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise NarfastError(
            f"{path}: exists and is a damaged parquet file; choose another name or move it away"
        ) from None
    if b"narfast.version" not in (schema.metadata or {}) and not set(schema.names) >= _EXPORTED:
        raise NarfastError(
            f"{path}: exists and was not written by narfast; choose another name or move it away"
        )


def _holds_zoo(folder: Path) -> bool:
    try:
        data = read_small_file(folder / MANIFEST, what=_WHAT, remedy=_DEFAULT_REMEDY)
    except (OSError, CorruptFileError):
        return False
    return b"narfast-zoo" in data


def check_replaceable(target: Path) -> None:
    """Raise NarfastError if ``target`` exists and is neither a zoo nor an empty folder."""
    if target.exists() and not (
        target.is_dir() and ((target / MANIFEST).exists() or not any(target.iterdir()))
    ):
        raise NarfastError(f"{target}: exists and is not a zoo; choose another folder")


def replace_folder(target: Path, files: Mapping[str, bytes], manifest: Manifest) -> Manifest:
    """Write a zoo folder beside ``target`` and exchange the two atomically.

    A crash at any point leaves the old folder intact. An existing ``target`` must be a zoo or
    empty. If another process writes the zoo, this one waits.

    Args:
        target: the folder to create or replace.
        files: name -> bytes.
        manifest: the manifest without its ``files``, which are computed here.

    Returns:
        The manifest as written.

    Raises:
        NarfastError: ``target`` exists and is something else.
        OSError: the disk is full, read-only, ...
    """
    facts = {
        name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in sorted(files.items())
    }
    complete = dataclasses.replace(manifest, files=facts)
    with writing(target):
        check_replaceable(target)
        put_folder(target, {**dict(sorted(files.items())), MANIFEST: complete.to_bytes()})
    return complete


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
