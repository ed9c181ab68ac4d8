"""Models built by a function of the user's own Python file, as ``my_model.py:build``.

Loading such a source runs the file: it is for one's own code, and a server must never do it.
"""

from __future__ import annotations

import contextlib
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

from torch import nn

from narfast.errors import NarfastError, TraceError, UnsupportedSourceError
from narfast.frontends.torch_module import trace
from narfast.graph import ArchGraph

__all__ = ["load_python"]


def load_python(path: Path, function: str) -> ArchGraph:
    """Runs a Python file and traces what one of its functions builds.

    Args:
        path: The file.
        function: A function without arguments that returns ``(module, example_inputs)``, or a
            module that has an ``example_inputs`` attribute.

    Raises:
        UnsupportedSourceError: No such file or function, or it returns something else.
        TraceError: The user's code fails, or the module cannot be traced.
    """
    where = f"{path}:{function}"
    if not path.is_file():
        raise UnsupportedSourceError(f"{path}: no such file; check the path")
    if not function.isidentifier():
        raise UnsupportedSourceError(f"{where}: name a function of the file, as {path}:build")
    # What the user's code prints or warns of is not the answer.
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _traced(path, function, where)


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
    before = list(sys.path)
    sys.path.insert(0, str(path.parent))  # as for a script: it may import its neighbours
    try:
        scope = runpy.run_path(str(path))
        builder = scope.get(function)
        if not callable(builder):
            offered = [n for n, v in scope.items() if callable(v) and not n.startswith("_")]
            raise UnsupportedSourceError(
                f"{where}: the file has no such function; it has {', '.join(offered) or 'none'}"
            )
        return builder()
    except NarfastError:
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())[:300]
        why = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise TraceError(f"{where}: running it failed: {why}") from error
    finally:
        sys.path[:] = before
