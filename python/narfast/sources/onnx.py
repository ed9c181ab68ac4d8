"""ONNX files as raw graphs.

The C++ core reads the structure of a file. It never reads weight bytes, never opens external data
files, and does not need the `onnx` package.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from narfast import _core, errors
from narfast.errors import NarfastError
from narfast.graph import ArchGraph, GraphMeta
from narfast.hyperparameters import Hyperparameters

__all__ = ["load_onnx", "load_onnx_files"]


def load_onnx(path: str | os.PathLike[str]) -> ArchGraph:
    """Read the raw graph of an ONNX file.

    Args:
        path: An ONNX file, opset 7 or newer; external data may be missing.

    Returns:
        The graph before canonicalization. `meta` has the file's stem as name, the number of
        trained parameters, the shape of the first input (-1 where symbolic), and the operators
        outside the table.

    Raises:
        UnsupportedSourceError: There is no such file, or it is another format.
        CorruptFileError: The file is damaged or truncated; the message has the byte offset.
        InvalidGraphError: The graph is cyclic, dangling, too large, or reaches no output.
    """
    (result,) = load_onnx_files([path])
    if isinstance(result, NarfastError):
        raise result
    return result


def load_onnx_files(
    paths: Sequence[str | os.PathLike[str]], *, num_threads: int = 1
) -> list[ArchGraph | NarfastError]:
    """Read many ONNX files; a file that cannot be read gives an error in its place.

    Args:
        paths: ONNX files.
        num_threads: Number of files read in parallel.

    Returns:
        One graph or one error per path, in order.
    """
    names = [os.fsencode(path) for path in paths]
    results: list[ArchGraph | NarfastError] = []
    for name, outcome in zip(names, _core.read_onnx(names, num_threads), strict=True):
        if len(outcome) == 2:
            kind, message = outcome
            results.append(getattr(errors, kind)(message))
            continue
        op, attr, in_ptr, in_src, facts = outcome
        meta = GraphMeta(
            name=Path(os.fsdecode(name)).stem,
            source="onnx",
            trace_kind="onnx",
            params=facts["params"],
            input_shape=next(iter(facts["input_shapes"]), None),
            input_shapes=facts["input_shapes"],
            unknown_ops=facts["unknown_ops"],
        )
        ptr, key, value = facts["hyperparameters"]
        exact = Hyperparameters(ptr, key, value, facts["texts"])
        results.append(ArchGraph(op, attr, in_ptr, in_src, meta, exact))
    return results
