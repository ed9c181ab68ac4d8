"""Files of `torch.export.save` as raw graphs: the program is read, the weights are skipped.

An archive is a zip file with weights and, as JSON, the program. Only the JSON is read; nothing is
unpickled and nothing is extracted. Both the current layout of PyTorch (`models/*.json`) and the
previous one (`serialized_exported_program.json`) are read.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from narfast._documents import parse_limited
from narfast._files import open_source
from narfast.errors import CorruptFileError, NarfastError, UnsupportedSourceError
from narfast.graph import ArchGraph
from narfast.sources.pt2.graph import read_program

__all__ = ["load_pt2"]

_OLD_PROGRAM = "serialized_exported_program.json"
_MAX_PROGRAM = 256 << 20  # bytes of JSON; an operator has about 2,000, and 100 values
_MAX_RATIO = 100  # PyTorch does not compress programs; compressed text shrinks 10 to 40 times
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # an unknown compression
    RuntimeError,  # an encrypted entry
    ValueError,
    OSError,
)


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the entry with the program; the first one by name if there are several."""
    programs, others = [], set()
    for entry in archive.infolist():
        parts = entry.filename.split("/")
        name = parts[-1]
        if name == _OLD_PROGRAM or (parts[-2:-1] == ["models"] and name.endswith(".json")):
            programs.append(entry)
        others.add(name)
    if programs:
        return min(
            programs, key=lambda entry: (not entry.filename.endswith("/model.json"), entry.filename)
        )
    if "data.pkl" in others:
        raise UnsupportedSourceError(
            f"{path}: written by torch.save, which pickles; "
            "write it with torch.export.save(torch.export.export(model, inputs), path)"
        )
    raise UnsupportedSourceError(
        f"{path}: a zip file without an exported program; write it with "
        "torch.export.save(torch.export.export(model, inputs), path)"
    )


def _text(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return the bytes of an entry, unless its header has impossible sizes."""
    claimed, stored = entry.file_size, entry.compress_size
    if claimed > _MAX_PROGRAM or claimed > _MAX_RATIO * max(stored, 1024):
        raise CorruptFileError(
            f"{path}: {entry.filename[:80]} claims {claimed:,} bytes in {stored:,}: "
            "this is not a network"
        )
    with archive.open(entry) as stream:
        text = stream.read(claimed + 1)
    if len(text) != claimed:
        raise CorruptFileError(
            f"{path}: {entry.filename[:80]} has {len(text):,} of {claimed:,} bytes; export it again"
        )
    return text


def _shared_weights(weights: Any) -> dict[str, str]:
    """Return, by parameter, a name that all parameters with the same stored weight share."""
    config = weights.get("config") if isinstance(weights, dict) else None
    if not isinstance(config, dict):
        return {}
    places = {n: entry.get("path_name") for n, entry in config.items() if isinstance(entry, dict)}
    return {name: place for name, place in places.items() if isinstance(place, str)}


def _read(path: Path, file: BinaryIO) -> tuple[Any, dict[str, str]]:
    """Return the program, and the shared names of its parameters."""
    with zipfile.ZipFile(file) as archive:
        if min((e.header_offset for e in archive.infolist()), default=0) > 0:
            # The end of the file is cut off; the end record found belongs to an inner entry.
            raise zipfile.BadZipFile("its end is missing")
        entry = _member(path, archive)
        program = parse_limited(_text(path, archive, entry))
        folder, _, name = entry.filename.rpartition("models/")
        stem = name.removesuffix(".json")
        try:
            config = archive.getinfo(f"{folder}data/weights/{stem}_weights_config.json")
        except KeyError:  # older layouts have none
            return program, {}
        return program, _shared_weights(parse_limited(_text(path, archive, config)))


def load_pt2(path: str | os.PathLike[str]) -> ArchGraph:
    """Read the raw graph of a torch.export file.

    Args:
        path: A file of `torch.export.save`; weights of any size are skipped.

    Returns:
        The graph before canonicalization. `meta` has the file's stem as name, the number of trained
        parameters, the shape of the first input (-1 where symbolic), and the operators outside the
        table.

    Raises:
        UnsupportedSourceError: There is no such file, or it is another format.
        CorruptFileError: The file is damaged or truncated.
        InvalidGraphError: The graph is cyclic, dangling, too large, or reaches no output.
    """
    path = Path(path)
    with open_source(path) as file:
        try:
            if file.read(2) != b"PK":
                raise UnsupportedSourceError(
                    f"{path}: not a torch.export file (those are zip files); write it with "
                    "torch.export.save(torch.export.export(model, inputs), path)"
                )
            program, shared = _read(path, file)
        except NarfastError:
            raise
        except _UNREADABLE as error:
            reason = str(error).partition("\n")[0][:200] or type(error).__name__
            raise CorruptFileError(
                f"{path}: damaged or truncated ({reason}); export it again"
            ) from None
    return read_program(program, path, shared)
