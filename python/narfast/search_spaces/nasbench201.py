"""NAS-Bench-201 (Dong and Yang, ICLR 2020): 15,625 cells in the spelling of the benchmark.

A cell has four nodes; an edge from each node to every later one carries one of five operators.
Nodes are separated by ``+``, edges by ``|``, and ``~0`` names the node that an edge comes from::

    |nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|

The network: a stem of 16 channels, three stages of five cells, residual blocks between them that
halve the sides, and a classifier.

A ``none`` edge contributes nothing to the sum at its target. It is left out, and with it everything
that depends only on such edges. The benchmark's own code multiplies by zero and adds; a trace would
show a connection that the network does not have. If nothing reaches the output of the cell, the
output is the cell's input times zero, as in the benchmark: without it, the network would not be
connected. Canonicalization drops factors, so such a network has the structure of stem, reductions
and classifier alone. Other cells that compute the same are not merged: equality is that of the
network's structure, not isomorphism of the cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from narfast import _core
from narfast.graph import ArchGraph, GraphBatch
from narfast.search_spaces._networks import as_batch
from narfast.search_spaces._text import bad_cell, check_operator, clean, shown

__all__ = ["NUM_CELLS", "OPERATORS", "batches", "load", "networks", "parse", "text"]

OPERATORS: tuple[str, ...] = _core.NASBENCH201_OPERATORS
NUM_CELLS = 15_625

_SPACE = "nasbench201"
_NODES = 4
_FORM = "|OP~0|+|OP~0|OP~1|+|OP~0|OP~1|OP~2|"


def text(cell: int) -> str:
    """Return the spelling of a cell by its number.

    The digits of the number in base 5 are positions in `OPERATORS`; the first edge is the most
    significant digit.
    """
    if not 0 <= cell < NUM_CELLS:
        raise ValueError(f"cell {cell} is not one of {NUM_CELLS:,}, numbered from 0")
    digits = iter(np.base_repr(cell, 5).zfill(6))
    nodes = [
        "".join(f"|{OPERATORS[int(next(digits))]}~{source}" for source in range(target))
        for target in range(1, _NODES)
    ]
    return "|+".join(nodes) + "|"


def parse(spelling: str) -> int:
    """Return the number of a cell by its spelling.

    Raises:
        UnsupportedSourceError: It is not a cell; the message names the wrong part.
    """
    whole = clean(_SPACE, spelling, _FORM)
    nodes = whole.split("+")
    if len(nodes) != _NODES - 1:
        raise bad_cell(_SPACE, f"a cell has 3 nodes, as {_FORM}, this has {len(nodes)}")
    cell = 0
    for target, node in enumerate(nodes, start=1):
        node = node.strip()
        edges = node[1:-1].split("|")
        if len(node) < 2 or node[0] != "|" or node[-1] != "|" or len(edges) != target:
            raise bad_cell(
                _SPACE,
                f"node {target} must be {target} edge(s) between bars, as {_FORM}, "
                f"not {shown(node)}",
            )
        for source, edge in enumerate(edges):
            operator, tilde, origin = edge.strip().partition("~")
            if not tilde or origin != str(source):
                raise bad_cell(
                    _SPACE, f"edge {source} of node {target} must end in ~{source}: {shown(edge)}"
                )
            check_operator(_SPACE, operator, OPERATORS)
            cell = cell * len(OPERATORS) + OPERATORS.index(operator)
    return cell


def networks(cells: Sequence[int] | NDArray[np.integer], *, num_threads: int = 1) -> GraphBatch:
    """Generate raw graphs of the networks of cells by number.

    Raises:
        ValueError: A number is out of range.
    """
    numbers = np.asarray(cells)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= NUM_CELLS):
        raise ValueError(f"cells are numbered from 0 to {NUM_CELLS - 1:,}")
    result = _core.nasbench201_networks(
        np.ascontiguousarray(numbers, np.int32), num_threads=num_threads
    )
    return as_batch(result, map(text, numbers.tolist()), _SPACE, (1, 3, 32, 32))


def batches(*, batch_size: int = 1024, num_threads: int = 1) -> Iterator[GraphBatch]:
    """Yield the networks of all cells in order, in batches."""
    for begin in range(0, NUM_CELLS, batch_size):
        cells = np.arange(begin, min(begin + batch_size, NUM_CELLS))
        yield networks(cells, num_threads=num_threads)


def load(spelling: str) -> ArchGraph:
    """Generate the raw graph of one cell's network.

    Raises:
        UnsupportedSourceError: The text is not a cell.
    """
    return networks([parse(spelling)])[0]
