"""Everything that can become a graph, and `load`, the one function that picks the right reader.

Readers are imported when a source of their kind is first loaded.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from narfast._optional import require
from narfast.errors import NarfastError, TraceError, UnsupportedSourceError
from narfast.graph import ArchGraph, canonicalize
from narfast.search_spaces import SPACES, space
from narfast.taxonomy.families import classify

if TYPE_CHECKING:
    from torch import nn

    from narfast.sources.libraries.base import ModelSource

__all__ = ["LIBRARIES", "library", "load", "load_raw", "python_file_of", "trace"]

LIBRARIES = (
    "timm",
    "torchvision",
    "open_clip",
    "vit_pytorch",
    "torch_geometric",
    "diffusers",
    "transformers",
    "smp",
    "monai",
)
"""Libraries whose models are loaded by name, as ``library:name``; each is a module here."""

_ACCEPTED = (
    "timm:NAME, torchvision:NAME, darts:GENOTYPE, nasbench101:CELL, nasbench201:CELL, hf:CONFIG, "
    "zoo:ID, model.onnx, model.pt2, an NNRetrieval record.json, my_model.py:build, an ArchGraph, "
    "or (module, example_inputs)"
)
_PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt"})


def library(name: str) -> ModelSource:
    """The source that loads a library's models by name.

    Raises:
        UnsupportedSourceError: There is no such source.
        MissingDependencyError: torch is not installed.
    """
    if name not in LIBRARIES:
        raise UnsupportedSourceError(
            f"{name!r} is not a library of models that narfast reads: {', '.join(LIBRARIES)}"
        )
    require("torch", by=f"{name}: reading its networks", extra=name)
    return cast("ModelSource", importlib.import_module(f"narfast.sources.{name}"))


def _unsupported(source: object, why: str) -> UnsupportedSourceError:
    return UnsupportedSourceError(f"{source}: {why}; accepted are {_ACCEPTED}")


def _from_library(prefix: str, name: str) -> ArchGraph:
    source = library(prefix)
    from narfast.sources.libraries.base import Fallback, fallbacks_of
    from narfast.sources.torch_trace.tracer import trace as trace_raw

    reasons = []
    params = None  # of the network that is asked for, not of a narrow one in its place
    ways: list[Fallback] = [("", partial(source.build, name))]
    for difference, build in (*ways, *fallbacks_of(source, name)):
        try:
            module, inputs = build()
            params = params or sum(p.numel() for p in module.parameters())
            group, task = source.labels(name)
            family = classify(prefix, group, name).family
            graph = trace_raw(
                module, inputs, name=name, source=prefix, family=family, task=task, copy=False
            )
        except TraceError as error:
            reasons.append(str(error))
        except NarfastError:
            raise
        except Exception as error:  # what a library's builder may raise has no limit
            what = str(error).strip().partition("\n")[0][:200]
            reasons.append(f"{name} could not be built ({type(error).__name__}: {what})")
        else:
            kind = f"{graph.meta.trace_kind}+{difference}" if difference else graph.meta.trace_kind
            return graph.with_meta(trace_kind=kind, group=group, params=params)
    raise TraceError("; ".join(reasons))


def _from_zoo(identifier: str) -> ArchGraph:
    from narfast.zoo import Zoo

    zoo = Zoo.open("default")
    try:
        return zoo.graphs_at([zoo[identifier].row])[0]
    except KeyError:
        raise UnsupportedSourceError(
            f"zoo:{identifier}: the shipped zoo has no such entry; its ids look like timm:resnet50"
        ) from None


def _from_file(path: Path) -> ArchGraph:
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        raise UnsupportedSourceError(
            f"{path}: pickles can run code and are never loaded; export the model to ONNX with "
            "torch.onnx.export, or name a function that builds it, as my_model.py:build"
        )
    if suffix not in (".onnx", ".pt2", ".json"):
        raise _unsupported(path, f"files ending in {suffix or 'nothing'} are not read")
    if not path.exists():
        raise UnsupportedSourceError(f"{path}: no such file; check the path")
    if suffix == ".onnx":
        from narfast.sources.onnx import load_onnx

        return load_onnx(path)
    if suffix == ".pt2":
        from narfast.sources.pt2 import load_pt2

        return load_pt2(path)
    from narfast.sources.nnretrieval import load_record

    return load_record(path)


def _prefix_hint(prefix: str) -> str:
    close = difflib.get_close_matches(prefix.lower(), (*LIBRARIES, *SPACES, "hf", "zoo"), n=1)
    return f"nothing is read by the prefix {prefix!r}" + (
        f", did you mean {close[0]!r}?" if close else ""
    )


def python_file_of(source: str) -> tuple[Path, str] | None:
    """The file and the function that ``my_model.py:build`` names; None for other sources.

    Raises:
        UnsupportedSourceError: There is no such file, or the other part is no name of a function.
    """
    file, _, function = source.rpartition(":")
    prefix = source.partition(":")[0]
    if not file.endswith(".py") or prefix in (*LIBRARIES, *SPACES, "zoo", "hf"):
        return None
    path = Path(file)
    if not path.is_file():
        raise UnsupportedSourceError(f"{path}: no such file; check the path")
    if not function.isidentifier():
        raise UnsupportedSourceError(
            f"{path}:{function}: name a function of the file, as {path}:build"
        )
    return path, function


def _from_text(source: str) -> ArchGraph:
    prefix, colon, rest = source.partition(":")
    if colon and prefix in LIBRARIES:
        return _from_library(prefix, rest)
    if colon and prefix in SPACES:
        return space(prefix).load(rest)
    if colon and prefix == "zoo":
        return _from_zoo(rest)
    if colon and prefix == "hf":
        require("torch", by=f"hf:{rest}: building the network", extra="transformers")
        from narfast.sources.hf_config import load_hf

        return load_hf(rest)
    python_file = python_file_of(source)
    if python_file is not None:
        require("torch", by=f"{source}: reading a Python module")
        from narfast.sources.python_file import load_python

        return load_python(*python_file)
    path = Path(source)
    if path.suffix == ".py":
        raise UnsupportedSourceError(
            f"{source}: name the function that builds the model, as {source}:build"
        )
    if colon and not path.exists() and "/" not in prefix and "." not in prefix:
        raise _unsupported(source, _prefix_hint(prefix))
    if not path.suffix and not path.is_file():
        raise _unsupported(
            source, f"not a file, and names need their library, as timm:{source or 'NAME'}"
        )
    return _from_file(path)


def load_raw(source: str | os.PathLike[str] | ArchGraph | tuple[nn.Module, Any]) -> ArchGraph:
    """Reads one network, as its source spells it: before canonicalization.

    Args:
        source: See `load`.

    Raises:
        NarfastError: As `load`.
    """
    if isinstance(source, ArchGraph):
        return source
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        if not isinstance(text, str):
            raise _unsupported(repr(source), "paths must be text")
        if "\0" in text:
            raise _unsupported(repr(source), "a path cannot hold a null character")
        try:
            return _from_text(text) if isinstance(source, str) else _from_file(Path(text))
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise _unsupported(f"{text[:80]}...", "longer than any file's name") from None
    if isinstance(source, tuple) and len(source) == 2:
        require("torch", by="reading a module")
        from narfast.sources.torch_trace.tracer import trace as trace_raw

        return trace_raw(*source)
    if hasattr(source, "named_parameters"):
        raise UnsupportedSourceError(
            f"{type(source).__name__}: a module needs example inputs; "
            "use narfast.trace(module, example_inputs)"
        )
    raise _unsupported(type(source).__name__, "not a source")


def load(
    source: str | os.PathLike[str] | ArchGraph | tuple[nn.Module, Any],
    *,
    passes: Sequence[str] | None = None,
) -> ArchGraph:
    """Reads one network from any kind of source and canonicalizes it.

    Args:
        source: ``timm:NAME``, ``torchvision:NAME``, ``darts:GENOTYPE``, ``nasbench101:CELL``,
            ``nasbench201:CELL``, ``zoo:ID``, the path of an ONNX file, of a torch.export file or
            of an NNRetrieval JSON record, ``my_model.py:build`` (this runs the file), a pair of
            module and example inputs, or a graph, which is returned as it is.
        passes: Canonicalization passes to run; all by default.

    Raises:
        UnsupportedSourceError: No reader takes this source, or a library has no such model.
        MissingDependencyError: The source's library is not installed.
        TraceError: A module could not be traced.
        CorruptFileError: A file is not what its name says.
    """
    if isinstance(source, ArchGraph):
        return source
    raw = load_raw(source)
    if isinstance(source, str) and source.startswith("zoo:"):
        return raw  # stored in canonical form
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
    """Reads the graph of a `torch.nn.Module` without allocating weights.

    Args:
        module: Any module, on any device; it is not changed.
        example_inputs: A tensor; a tuple or list of arguments; or a dict of keyword arguments.
        name: Name to record; the class name by default.
        canonical: False gives the graph as PyTorch spells it.
        family: Family label to record.
        task: Task label to record.

    Returns:
        The graph; ``meta.trace_kind`` says how it was read, ``meta.untraced`` how many parameter
        tensors no traced operator uses.

    Raises:
        TraceError: No way of tracing worked; the message gives the reason of each.
        UnsupportedSourceError: `module` is not a module.
        MissingDependencyError: torch is not installed.
    """
    require("torch", by="narfast.trace")
    from narfast.sources.torch_trace.tracer import trace as trace_raw

    raw = trace_raw(module, example_inputs, name=name, family=family, task=task)
    return canonicalize(raw) if canonical else raw
