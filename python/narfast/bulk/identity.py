"""Identities of sources, which tell whether a row of an earlier run is still valid.

No file is read for this: an ONNX file may have gigabytes of weights, and reading its structure
skips them. A file is identified by its size and both of its times. The system sets the time of
change (ctime) whenever bytes, name or permissions change, and no program can set it back. If the
identity before reading equals the identity in a later run, the source has not changed since.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from pathlib import Path

from narfast.bulk.sources import Block, open_zoo
from narfast.errors import NarfastError
from narfast.sources import registry
from narfast.sources.registry import kind_of, library_versions
from narfast.storage.format import ARCHITECTURES, GRAPHS

__all__ = ["ABSENT", "Identities"]

ABSENT = "absent"
"""Identity of a missing file."""

_TICK = 50_000_000  # nanoseconds within which two changes may get the same time
_COARSE_TICK = 2_500_000_000  # the same for file systems with times in whole seconds
_MAX_MODULES = 10_000


class Identities:
    """Identities of sources for one run; libraries and folders are examined only once per run.

    An identity is a short text. None means unknown, and equals no other identity.
    """

    def __init__(self) -> None:
        self._libraries = ""
        self._folders: dict[Path, str | None] = {}

    def of(self, block: Block) -> list[str | None]:
        """Return the identity of each source of a block."""
        if block.kind == "named":
            return [self._source_identity(source, block.zoo) for source in block.names]
        shared = self._zoo_identity(block.zoo) if block.kind == "zoo" else _with_tracing("")
        return [shared] * len(block)

    def _source_identity(self, source: str, zoo: str) -> str | None:
        kind = kind_of(source)
        prefix, colon, rest = source.partition(":")
        if kind is not None and kind.group == "search space":
            return _with_tracing("")  # the source itself spells out the cell
        if kind is not None and kind.name == "zoo":
            return self._zoo_identity(zoo)
        if kind is not None and kind.group == "library":
            return self._library_identity()
        if kind is not None and kind.name == "hf":
            return self._with_libraries(_config_identity(rest))
        if kind is not None and kind.name == "python":
            return self._with_libraries(self._python_identity(Path(source.rpartition(":")[0])))
        found = _file_identity(source)
        if found == ABSENT and colon and prefix.isidentifier():
            return self._library_identity()
        return _with_tracing(found)

    def _library_identity(self) -> str:
        """Identify the installed versions of all libraries: most models are built by several."""
        if not self._libraries:
            self._libraries = _digest(library_versions())
        return self._libraries

    def _with_libraries(self, identity: str | None) -> str | None:
        return None if identity is None else f"{identity} {self._library_identity()}"

    @staticmethod
    def _zoo_identity(folder: str) -> str | None:
        """Identify the content of a zoo that rows depend on; its vectors are not used."""
        try:
            files = open_zoo(folder).manifest.files
            return _digest([files[name]["sha256"] for name in (ARCHITECTURES, GRAPHS)])
        except (NarfastError, OSError, KeyError):
            return None

    def _python_identity(self, file: Path) -> str | None:
        """Identify a Python file together with the modules that it can import from its folder."""
        folder = file.parent
        if folder not in self._folders:
            self._folders[folder] = _folder_identity(folder)
        shared = self._folders[folder]
        return None if shared is None else shared if _file_identity(file) != ABSENT else ABSENT


def _with_tracing(identity: str | None) -> str | None:
    """Add the version of the code that reads sources; the first version is not spelt out."""
    if identity in (None, ABSENT) or registry.TRACING_VERSION == 1:
        return identity
    return f"{identity} tracing {registry.TRACING_VERSION}"


def _file_identity(path: str | Path) -> str | None:
    try:
        facts = os.stat(path)  # noqa: PTH116 (a Path cannot be made of every source)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except (OSError, ValueError):  # for example, the name is too long
        return None
    times = (facts.st_mtime_ns, facts.st_ctime_ns)
    coarse = all(moment % 1_000_000_000 == 0 for moment in times)
    fresh = max(times) > time.time_ns() - (_COARSE_TICK if coarse else _TICK)
    if fresh or not stat.S_ISREG(facts.st_mode):
        return None
    return f"{facts.st_size} {times[0]} {times[1]}"


def _folder_identity(folder: Path) -> str | None:
    """Identify the Python files of a folder and of the packages in it."""
    found: list[tuple[str, str]] = []
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.name.endswith(".py"):
                        identity = _file_identity(entry.path)
                        if identity is None or len(found) == _MAX_MODULES:
                            return None
                        found.append((os.path.relpath(entry.path, folder), identity))
                    elif entry.is_dir(follow_symlinks=False):
                        package = Path(entry.path)
                        if (package / "__init__.py").exists():
                            waiting.append(package)
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        except OSError:
            return None
    return _digest(sorted(found))


def _config_identity(where: str) -> str | None:
    """Identify the file that ``hf:where`` reads; it may be in the cache of the hub."""
    if not where or "\0" in where:
        return ABSENT
    path = Path(where)
    if path.is_dir():
        return _file_identity(path / "config.json")
    if path.exists() or where.count("/") != 1:
        return _file_identity(path)
    try:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(where, "config.json")
    except Exception:  # not installed, or not a model name
        return None
    if not isinstance(cached, str):
        return None
    content = os.path.realpath(cached)  # the cache names files by their content
    identity = _file_identity(content)
    return None if identity is None else f"{Path(content).name} {identity}"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]
