"""`load` reads a network from any source; `trace` reads a module in memory.

`registry` knows the reader of each kind; it is imported when a source of its kind is first loaded.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from narfast._optional import require
from narfast.errors import NarfastError, TraceError, UnsupportedSourceError
from narfast.graph import ArchGraph, canonicalize
from narfast.sources.registry import (
    LIBRARIES,
    SOURCES,
    SourceKind,
    check_allowed,
    kind_of,
    may_open_paths,
    prefix_hint,
    unsupported,
)
from narfast.taxonomy.families import classify

if TYPE_CHECKING:
    from torch import nn

    from narfast.sources.libraries.base import ModelSource

__all__ = ["library", "load", "load_raw", "python_file_of", "trace"]

_PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt"})
_SHOWN = 200  # characters of a text that is no source
_FILES = {kind.suffix: kind for kind in SOURCES if kind.suffix and not kind.runs_code}
(_MODULE,) = (kind for kind in SOURCES if kind.group == "object")


def library(name: str) -> ModelSource:
    """Return the module of a model library.

    Raises:
        UnsupportedSourceError: There is no such library.
        MissingDependencyError: torch is not installed.
    """
    if name not in LIBRARIES:
        raise UnsupportedSourceError(
            f"{name!r}: not a library that narfast reads; choose from {', '.join(LIBRARIES)}"
        )
    require("torch", by=f"{name}: reading its networks", extra=name)
    return cast("ModelSource", importlib.import_module(f"narfast.sources.libraries.{name}"))


def python_file_of(source: str) -> tuple[Path, str] | None:
    """Return file and function of ``my_model.py:build``; None for other sources.

    Raises:
        UnsupportedSourceError: There is no such file, or no function is named.
    """
    kind = kind_of(source)
    if kind is None or kind.name != "python":
        return None
    file, _, function = source.rpartition(":")
    if not file.endswith(".py"):
        raise UnsupportedSourceError(
            f"{source}: name the function that builds the model, as {source}:build"
        )
    path = Path(file)
    if not path.is_file():
        raise UnsupportedSourceError(f"{path}: no such file; check the path")
    if not function.isidentifier():
        raise UnsupportedSourceError(
            f"{path}:{function}: name a function of the file, as {path}:build"
        )
    return path, function


def _read(kind: SourceKind, *what: Any) -> ArchGraph:
    """Call the function of a kind of source."""
    module = importlib.import_module(f"narfast.{kind.module}")
    graph: ArchGraph = getattr(module, kind.function)(*what)
    return graph


def _from_library(prefix: str, name: str) -> ArchGraph:
    models = library(prefix)
    from narfast.sources.libraries.base import Fallback, fallbacks_of
    from narfast.sources.torch_trace.tracer import trace as trace_raw

    reasons = []
    params = None  # of the requested network, not of a narrow build
    builds: list[Fallback] = [("", partial(models.build, name))]
    for difference, build in (*builds, *fallbacks_of(models, name)):
        try:
            module, inputs = build()
            params = params or sum(p.numel() for p in module.parameters())
            group, task = models.labels(name)
            family = classify(prefix, group, name).family
            graph = trace_raw(
                module, inputs, name=name, source=prefix, family=family, task=task, copy=False
            )
        except TraceError as error:
            reasons.append(str(error))
        except NarfastError:
            raise
        except Exception as error:  # a library's builder may raise anything
            what = str(error).strip().partition("\n")[0][:200]
            reasons.append(f"{name} could not be built ({type(error).__name__}: {what})")
        else:
            kind = f"{graph.meta.trace_kind}+{difference}" if difference else graph.meta.trace_kind
            return graph.with_meta(trace_kind=kind, group=group, params=params)
    raise TraceError("; ".join(reasons))


def _from_file(path: Path, allow: Collection[str] | None) -> ArchGraph:
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        raise UnsupportedSourceError(
            f"{path}: pickles can run code and are never loaded; export the model to ONNX with "
            "torch.onnx.export, or name a function that builds it, as my_model.py:build"
        )
    kind = _FILES.get(suffix)
    if kind is None:
        raise unsupported(path, f"files ending in {suffix or 'nothing'} are not read")
    check_allowed(kind, allow, path)
    if not path.exists():
        raise UnsupportedSourceError(f"{path}: no such file; check the path")
    return _read(kind, path)


def _from_text(source: str, allow: Collection[str] | None) -> ArchGraph:
    prefix, colon, rest = source.partition(":")
    kind = kind_of(source)
    if kind is not None:
        check_allowed(kind, allow, source)
    if kind is not None and (kind.prefixed or kind.name == "python"):
        if kind.group == "library":
            return _from_library(prefix, rest)
        python_file = python_file_of(source)
        if kind.extra is not None:
            require("torch", by=f"{source}: reading it", extra=kind.extra)
        return _read(kind, *(python_file or (rest,)))
    if kind is None and allow is not None and not may_open_paths(allow):
        raise unsupported(source[:_SHOWN], "no kind of source")
    path = Path(source)
    if colon and not path.exists() and "/" not in prefix and "." not in prefix:
        raise unsupported(source, prefix_hint(prefix))
    if not path.suffix and not path.is_file():
        raise unsupported(
            source, f"not a file; names need a library, such as timm:{source or 'NAME'}"
        )
    return _from_file(path, allow)


def load_raw(
    source: str | os.PathLike[str] | ArchGraph | tuple[nn.Module, Any],
    *,
    allow: Collection[str] | None = None,
) -> ArchGraph:
    """Read the raw graph of one network, before canonicalization.

    Args:
        source: See `load`.
        allow: See `load`.

    Raises:
        NarfastError: As `load`.
    """
    if isinstance(source, ArchGraph):
        return source
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        if not isinstance(text, str):
            raise unsupported(repr(source), "paths must be text")
        if "\0" in text:
            raise unsupported(repr(source), "a path cannot have a null character")
        try:
            if isinstance(source, str):
                return _from_text(source, allow)
            return _from_file(Path(text), allow)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise unsupported(f"{text[:80]}...", "longer than any file name") from None
    if isinstance(source, tuple) and len(source) == 2:
        check_allowed(_MODULE, allow, type(source[0]).__name__)
        require("torch", by="reading a module")
        return _read(_MODULE, *source)
    if hasattr(source, "named_parameters"):
        raise UnsupportedSourceError(
            f"{type(source).__name__}: a module needs example inputs; "
            "use narfast.trace(module, example_inputs)"
        )
    raise unsupported(type(source).__name__, "not a source")


def load(
    source: str | os.PathLike[str] | ArchGraph | tuple[nn.Module, Any],
    *,
    passes: Sequence[str] | None = None,
    allow: Collection[str] | None = None,
) -> ArchGraph:
    """Read one network from any kind of source and canonicalize it.

    Args:
        source: Any source in `narfast.sources.registry.SOURCES`: a text such as ``timm:NAME``,
            ``darts:GENOTYPE`` or ``my_model.py:build`` (which runs that file), the path of a file,
            or a pair of module and example inputs. A graph is returned as it is.
        passes: Canonicalization passes to run; all by default.
        allow: Names of the kinds of sources that may be read, such as ``UNTRUSTED_KINDS`` of the
            registry; all by default.

    Raises:
        UnsupportedSourceError: No reader accepts this source, a library has no such model, or
            `allow` does not permit it.
        MissingDependencyError: The source's library is not installed.
        TraceError: A module could not be traced.
        CorruptFileError: A file does not have the format of its name.
    """
    if isinstance(source, ArchGraph):
        return source
    raw = load_raw(source, allow=allow)
    if isinstance(source, str) and source.startswith("zoo:"):
        return raw  # zoos store canonical graphs
    return canonicalize(raw, passes=passes)


def trace(
    module: nn.Module,
    example_inputs: Any,
    *,
    name: str | None = None,
    canonical: bool = True,
    family: str | None = None,
    task: str | None = None,
) -> ArchGraph:
    """Read the graph of a `torch.nn.Module` without allocating weights.

    Args:
        module: Any module, on any device; it is not changed.
        example_inputs: A tensor; a tuple or list of arguments; or a dict of keyword arguments.
        name: Name to record; the class name by default.
        canonical: False returns the raw graph in PyTorch's spelling.
        family: Family label to record.
        task: Task label to record.

    Returns:
        The graph. ``meta.trace_kind`` is the strategy that worked; ``meta.untraced`` is the number
        of parameter tensors that no traced operator uses.

    Raises:
        TraceError: No tracing strategy worked; the message has the reason of each.
        UnsupportedSourceError: `module` is not a module.
        MissingDependencyError: torch is not installed.
    """
    require("torch", by="narfast.trace")
    from narfast.sources.torch_trace.tracer import trace as trace_raw

    raw = trace_raw(module, example_inputs, name=name, family=family, task=task)
    return canonicalize(raw) if canonical else raw
