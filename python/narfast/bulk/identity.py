"""What tells that a source is still what it was: a row of an earlier run is kept for no less.

No file is read for this: an ONNX file may have gigabytes of weights that reading its structure
never touches. A file is known by its size and both of its times. The system sets the time of change
(ctime) whenever bytes, name or permissions change, and no program can set it back. A source that is
looked at before it is read, and has the same identity later, has not changed since.
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
from narfast.sources.registry import kind_of, library_versions
from narfast.storage.format import ARCHITECTURES, GRAPHS

__all__ = ["ABSENT", "Identities"]

ABSENT = "absent"
"""Identity of a file that is not there."""

_TICK = 50_000_000  # nanoseconds: a later change may have the same time
_COARSE_TICK = 2_500_000_000  # where times are whole seconds
_MOST_MODULES = 10_000


class Identities:
    """Identities of sources, for one run: what many sources share is looked at once, at its begin.

    An identity is a short text; None is that of a source which nothing can be said of, and equals
    no other.
    """

    def __init__(self) -> None:
        self._libraries = ""
        self._folders: dict[Path, str | None] = {}

    def of(self, block: Block) -> list[str | None]:
        """Return the identity of each source of a block."""
        if block.kind == "named":
            return [self._named(source, block.zoo) for source in block.names]
        shared = self._zoo(block.zoo) if block.kind == "zoo" else ""
        return [shared] * len(block)

    def _named(self, source: str, zoo: str) -> str | None:
        kind = kind_of(source)
        prefix, colon, rest = source.partition(":")
        if kind is not None and kind.group == "search space":
            return ""  # a cell is spelt out in the source
        if kind is not None and kind.name == "zoo":
            return self._zoo(zoo)
        if kind is not None and kind.group == "library":
            return self._of_libraries()
        if kind is not None and kind.name == "hf":
            return self._with_libraries(_configuration(rest))
        if kind is not None and kind.name == "python":
            return self._with_libraries(self._python(Path(source.rpartition(":")[0])))
        found = _file(source)
        if found == ABSENT and colon and prefix.isidentifier():
            return self._of_libraries()
        return found

    def _of_libraries(self) -> str:
        """The installed versions of all libraries: most models are built by several."""
        if not self._libraries:
            self._libraries = _digest(library_versions())
        return self._libraries

    def _with_libraries(self, identity: str | None) -> str | None:
        return None if identity is None else f"{identity} {self._of_libraries()}"

    @staticmethod
    def _zoo(folder: str) -> str | None:
        """The content that rows of a zoo are made from; its vectors are not used."""
        try:
            files = open_zoo(folder).manifest.files
            return _digest([files[name]["sha256"] for name in (ARCHITECTURES, GRAPHS)])
        except (NarfastError, OSError, KeyError):
            return None

    def _python(self, file: Path) -> str | None:
        """A Python file, with the modules that it can import from its folder."""
        folder = file.parent
        if folder not in self._folders:
            self._folders[folder] = _modules(folder)
        shared = self._folders[folder]
        return None if shared is None else shared if _file(file) != ABSENT else ABSENT


def _file(path: str | Path) -> str | None:
    try:
        facts = os.stat(path)  # noqa: PTH116 (no Path can be made of every source)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except (OSError, ValueError):  # such as a name that is too long
        return None
    times = (facts.st_mtime_ns, facts.st_ctime_ns)
    coarse = all(moment % 1_000_000_000 == 0 for moment in times)
    fresh = max(times) > time.time_ns() - (_COARSE_TICK if coarse else _TICK)
    if fresh or not stat.S_ISREG(facts.st_mode):
        return None
    return f"{facts.st_size} {times[0]} {times[1]}"


def _modules(folder: Path) -> str | None:
    """The Python files of a folder and of the packages in it."""
    found: list[tuple[str, str]] = []
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.name.endswith(".py"):
                        identity = _file(entry.path)
                        if identity is None or len(found) == _MOST_MODULES:
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


def _configuration(where: str) -> str | None:
    """The file that ``hf:where`` reads, or the one in the cache of the hub."""
    if not where or "\0" in where:
        return ABSENT
    path = Path(where)
    if path.is_dir():
        return _file(path / "config.json")
    if path.exists() or where.count("/") != 1:
        return _file(path)
    try:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(where, "config.json")
    except Exception:  # not installed, or no name of a model
        return None
    if not isinstance(cached, str):
        return None
    content = os.path.realpath(cached)  # the cache names it by its content
    identity = _file(content)
    return None if identity is None else f"{Path(content).name} {identity}"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]
