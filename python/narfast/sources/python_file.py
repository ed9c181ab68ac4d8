"""Models built by a function of the user's Python file, as ``my_model.py:build``.

Loading such a source runs the file: it is only for one's own code, never for a server.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn

from narfast.errors import NarfastError, TraceError, UnsupportedSourceError
from narfast.graph import ArchGraph
from narfast.sources._torchvision_compat import torchvision_importable
from narfast.sources.torch_trace.tracer import trace

__all__ = ["load_python"]


def load_python(path: Path, function: str) -> ArchGraph:
    """Run a Python file and trace the model that one of its functions builds.

    Args:
        path: An existing file.
        function: A function without arguments that returns ``(module, example_inputs)``, or a
            module with an ``example_inputs`` attribute.

    Raises:
        UnsupportedSourceError: There is no such function, or it returns something else.
        TraceError: The user's code fails, or the module cannot be traced.
    """
    where = f"{path}:{function}"
    own = os.getpid()
    try:
        with _as_script(path.parent.resolve()), _failures_named(where):
            return _traced(path, function, where)
    finally:
        if os.getpid() != own:
            os._exit(0)  # a child process that the user's code has forked must not answer


@contextlib.contextmanager
def _as_script(folder: Path) -> Iterator[None]:
    """Let a file import modules from its folder, and torchvision beside any torch.

    Its prints and warnings are not part of the answer. The modules from its folder are removed
    afterwards: another file may have modules of the same names.
    """
    before = list(sys.path)
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        with (
            contextlib.redirect_stdout(sys.stderr),
            warnings.catch_warnings(),
            torchvision_importable(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.path[:] = before
        new = sys.modules.keys() - known
        neighbours = {name for name in new if "." not in name and _lies_in(name, folder)}
        for name in new:
            if name.partition(".")[0] in neighbours:
                del sys.modules[name]


def _lies_in(name: str, folder: Path) -> bool:
    """Whether a top-level module is a file or a package of a folder."""
    module = sys.modules[name]
    places = getattr(module, "__path__", None) or [getattr(module, "__file__", None) or ""]
    return any(Path(place).parent == folder for place in places)


@contextlib.contextmanager
def _failures_named(where: str) -> Iterator[None]:
    """Turn any exception of the user's code into an error that names the function."""
    try:
        yield
    except (NarfastError, KeyboardInterrupt):
        raise
    except BaseException as error:
        text = " ".join(str(error).split())[:300]
        why = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise TraceError(f"{where}: running it failed: {why}") from error


def _traced(path: Path, function: str, where: str) -> ArchGraph:
    built = _build(path, function, where)
    if isinstance(built, tuple) and len(built) == 2:
        module, inputs = built
    elif hasattr(built, "example_inputs"):
        module, inputs = built, built.example_inputs
    else:
        raise UnsupportedSourceError(
            f"{where}: must return (module, example_inputs), got {type(built).__name__}"
        )
    if not isinstance(module, nn.Module):
        raise UnsupportedSourceError(
            f"{where}: must return a torch.nn.Module with its inputs, got {type(module).__name__}"
        )
    name = path.stem if function == "build" else function
    try:
        return trace(module, inputs, name=name, source="python")
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from error


def _build(path: Path, function: str, where: str) -> Any:
    scope = runpy.run_path(str(path))
    builder = scope.get(function)
    if not callable(builder):
        offered = [n for n, v in scope.items() if callable(v) and not n.startswith("_")]
        raise UnsupportedSourceError(
            f"{where}: the file has no such function; it has {', '.join(offered) or 'none'}"
        )
    return builder()
