"""NAS-Bench-101 (Ying et al., ICML 2019): 423,624 cells, given by adjacency matrix and operators.

A cell is spelled as the rows of its matrix, separated by ``/``, then ``|``, then one operator per
vertex. A 1 in row x and column y is an edge from x to y::

    0110/0011/0001/0000|input,conv3x3-bn-relu,maxpool3x3,output

Text pasted from code works too: ``[[0, 1], [0, 0]], ['input', 'output']``, also inside
``ModelSpec(matrix=..., ops=...)``. As in the benchmark, vertices that are not on a path from input
to output are left out.

The network: a stem of 128 channels, three stacks of three modules with max-pooling and twice the
channels between them, and a classifier. Inside a module, a vertex sums its inputs and cuts wider
ones to its width. Edges from the module's input have a projection. The output concatenates.

In arrays, a cell is one number: bits 31-33 are the number of vertices, bits 10-30 the edges (x to y
at bit x + y(y-1)/2), bits 0-9 the operators of the inner vertices, two bits each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from narfast import _core
from narfast.graph import ArchGraph, GraphBatch
from narfast.search_spaces._networks import as_batch
from narfast.search_spaces._text import Value, arguments, bad_cell, check_operator, clean, shown

__all__ = [
    "MAX_EDGES",
    "MAX_VERTICES",
    "OPERATORS",
    "batches",
    "cells",
    "load",
    "modules",
    "networks",
    "pack",
    "parse",
    "text",
    "unpack",
]

OPERATORS: tuple[str, ...] = _core.NASBENCH101_OPERATORS
MAX_VERTICES, MAX_EDGES = 7, 9

_SPACE = "nasbench101"
_FORM = "010/001/000|input,conv3x3-bn-relu,output"
_CALL = re.compile(r"(?:ModelSpec\s*)?\((.*)\)", re.DOTALL)
Matrix = Sequence[Sequence[int]]


def _on_paths(matrix: Matrix) -> list[int]:
    """Return the vertices on a path from the first to the last."""
    count = len(matrix)
    forward, backward = {0}, {count - 1}
    for target in range(1, count):
        if any(matrix[source][target] for source in forward):
            forward.add(target)
    for source in reversed(range(count - 1)):
        if any(matrix[source][target] for target in backward):
            backward.add(source)
    return sorted(forward & backward)


def pack(matrix: Matrix, operators: Sequence[str]) -> int:
    """Return the number of a cell.

    Args:
        matrix: A square of 0 and 1; a 1 in row x, column y is an edge from x to y, and y > x.
        operators: One per vertex: ``input``, inner ones from `OPERATORS`, ``output``.

    Raises:
        UnsupportedSourceError: It is not a cell of the benchmark.
    """
    count = len(matrix)
    if count < 2 or any(len(row) != count for row in matrix):
        raise bad_cell(_SPACE, "the matrix must be square, with at least two rows")
    if len(operators) != count:
        raise bad_cell(_SPACE, f"{count} vertices need as many operators, not {len(operators)}")
    for source, row in enumerate(matrix):
        for target, entry in enumerate(row):
            if entry not in (0, 1):
                raise bad_cell(_SPACE, f"the matrix must hold 0 and 1, not {entry}")
            if entry and target <= source:
                raise bad_cell(
                    _SPACE,
                    f"an edge goes from vertex {source} to {target}, but edges must go to later "
                    "vertices: the matrix must be upper triangular",
                )
    if (operators[0], operators[-1]) != ("input", "output"):
        raise bad_cell(_SPACE, "the first operator must be input, the last output")
    for operator in operators[1:-1]:
        check_operator(_SPACE, operator, OPERATORS)
    kept = _on_paths(matrix)
    if len(kept) < 2:
        raise bad_cell(_SPACE, "no path leads from input to output")
    edges = sum(
        1 << (x + y * (y - 1) // 2)
        for y, target in enumerate(kept)
        for x, source in enumerate(kept)
        if matrix[source][target]
    )
    if len(kept) > MAX_VERTICES or edges.bit_count() > MAX_EDGES:
        raise bad_cell(
            _SPACE,
            f"{len(kept)} vertices and {edges.bit_count()} edges are too many: "
            f"a cell has at most {MAX_VERTICES} and {MAX_EDGES}",
        )
    code = 0
    for vertex in kept[1:-1]:
        code = code << 2 | OPERATORS.index(operators[vertex])
    return len(kept) << 31 | edges << 10 | code


@cache
def _rows(count: int, edges: int) -> tuple[str, ...]:
    """Return the rows of a matrix; cached, since the space has only a few thousand matrices."""
    return tuple(
        "".join("1" if x < y and edges >> (x + y * (y - 1) // 2) & 1 else "0" for y in range(count))
        for x in range(count)
    )


@cache
def _operators(count: int, code: int) -> tuple[str, ...]:
    inner = [OPERATORS[code >> 2 * (count - 2 - v) & 3] for v in range(1, count - 1)]
    return ("input", *inner, "output")


def _parts(cell: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    count = cell >> 31
    return _rows(count, cell >> 10 & (1 << 21) - 1), _operators(count, cell & 1023)


def unpack(cell: int) -> tuple[list[list[int]], list[str]]:
    """Return matrix and operators of a cell by its number: the inverse of `pack`."""
    rows, operators = _parts(cell)
    return [[int(entry) for entry in row] for row in rows], list(operators)


def text(cell: int) -> str:
    """Return the spelling of a cell by its number."""
    rows, operators = _parts(cell)
    return "/".join(rows) + "|" + ",".join(operators)


def _numbers(row: Value) -> list[int]:
    if not isinstance(row, list):
        raise ValueError("the matrix must be a list of rows")
    if not all(isinstance(entry, int) for entry in row):
        raise ValueError("the matrix must hold numbers")
    return [entry for entry in row if isinstance(entry, int)]


def _from_literals(whole: str) -> tuple[list[list[int]], list[str]]:
    call = _CALL.fullmatch(whole)
    positional, keywords = arguments(call[1] if call else whole)
    named = {**dict(zip(("matrix", "ops"), positional, strict=False)), **keywords}
    if len(positional) > 2 or set(named) != {"matrix", "ops"}:
        raise ValueError("expected a matrix and a list of operators")
    matrix, operators = named["matrix"], named["ops"]
    if not isinstance(matrix, list) or not isinstance(operators, list):
        raise ValueError("matrix and operators must be lists")
    return [_numbers(row) for row in matrix], [str(operator) for operator in operators]


def parse(spelling: str) -> int:
    """Return the number of a cell by its spelling.

    Raises:
        UnsupportedSourceError: It is not a cell; the message names the wrong part.
    """
    whole = clean(_SPACE, spelling, _FORM)
    if "[" in whole:
        try:
            matrix, operators = _from_literals(whole)
        except ValueError as error:
            raise bad_cell(_SPACE, f"{error}; a cell looks like {_FORM}") from None
        return pack(matrix, operators)
    rows, bar, names = whole.partition("|")
    if not bar:
        raise bad_cell(_SPACE, f"a cell looks like {_FORM}, not {shown(whole)}")
    lines = ["".join(row.split()) for row in rows.split("/")]
    if any(set(line) - {"0", "1"} for line in lines):
        raise bad_cell(_SPACE, f"rows of the matrix hold 0 and 1, as {_FORM}, not {shown(rows)}")
    matrix = [[int(entry) for entry in line] for line in lines]
    return pack(matrix, [name.strip() for name in names.split(",")])


@cache
def cells() -> NDArray[np.uint64]:
    """Return one cell of each of the 423,624 isomorphism classes: uint64[423624], ascending.

    Each is the first of its class in the benchmark's own enumeration. This matters: if channels do
    not divide evenly, the first vertices are wider.
    """
    found = _core.nasbench101_cells()
    found.flags.writeable = False  # shared by all callers
    return found


def _generate(
    numbers: Sequence[int] | NDArray[np.integer], *, whole: bool, num_threads: int
) -> GraphBatch:
    numbers = np.ascontiguousarray(numbers, np.uint64)
    result = _core.nasbench101_networks(numbers, whole=whole, num_threads=num_threads)
    shape = (1, 3, 32, 32) if whole else (1, 128, 32, 32)
    return as_batch(result, map(text, numbers.tolist()), _SPACE, shape)


def networks(numbers: Sequence[int] | NDArray[np.integer], *, num_threads: int = 1) -> GraphBatch:
    """Generate raw graphs of the networks of cells by number.

    Raises:
        ValueError: A number is not a cell.
    """
    return _generate(numbers, whole=True, num_threads=num_threads)


def modules(numbers: Sequence[int] | NDArray[np.integer], *, num_threads: int = 1) -> GraphBatch:
    """Generate raw graphs of single modules: the first module, with 128 channels in and out.

    Raises:
        ValueError: A number is not a cell.
    """
    return _generate(numbers, whole=False, num_threads=num_threads)


def batches(*, batch_size: int = 1024, num_threads: int = 1) -> Iterator[GraphBatch]:
    """Yield the networks of all cells in order, in batches."""
    numbers = cells()
    for begin in range(0, len(numbers), batch_size):
        yield networks(numbers[begin : begin + batch_size], num_threads=num_threads)


def load(spelling: str) -> ArchGraph:
    """Generate the raw graph of one cell's network.

    Raises:
        UnsupportedSourceError: The text is not a cell.
    """
    return networks([parse(spelling)])[0]
