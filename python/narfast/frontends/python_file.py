"""Models built by a function of the user's own Python file, as ``my_model.py:build``.

Loading such a source runs the file: it is for one's own code, and a server must never do it.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

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
    built = _build(path, function, where)
    if isinstance(built, tuple) and len(built) == 2:
        module, inputs = built
    elif hasattr(built, "example_inputs"):
        module, inputs = built, built.example_inputs
    else:
        raise UnsupportedSourceError(
            f"{where}: must return (module, example_inputs), got {type(built).__name__}"
        )
    name = path.stem if function == "build" else function
    return trace(module, inputs, name=name, source="python")


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
        line = next(iter(str(error).splitlines()), "")
        raise TraceError(f"{where}: running it failed: {type(error).__name__}: {line}") from error
    finally:
        sys.path[:] = before
