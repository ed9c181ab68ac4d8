"""A network as letters, and what depends on what: the ground on which blocks are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from narfast import attributes, operators
from narfast.graph import ArchGraph

__all__ = ["DOWN", "UP", "WORK", "Network", "Unit", "main_operators"]

# One letter for each operator: the alphabet in which the shapes of blocks are written below.
# Lower case and "." stand for what does not shape a block.
_LETTER_OF_OPERATOR = {
    "conv": "C",
    "deform_conv": "C",
    "nas/sep_conv": "C",
    "nas/dil_conv": "C",
    "conv_transpose": "U",
    "resize": "U",
    "pixel_shuffle": "U",
    "max_unpool": "U",
    "fold": "U",
    "pixel_unshuffle": "S",
    "unfold": "S",
    "max_pool": "S",
    "avg_pool": "S",
    "lp_pool": "S",
    "linear": "P",
    "bilinear": "P",
    "matmul": "M",
    "einsum": "M",
    "attention": "T",
    "softmax": "X",
    "global_avg_pool": "G",
    "global_max_pool": "G",
    "adaptive_avg_pool": "G",
    "adaptive_max_pool": "G",
    "mean": "G",
    "concat": "K",
    "add": "+",
    "mul": "*",
    "affine": "*",
    "topk": "Q",
    "fft": "F",
    "cumsum": "Z",
    "embedding": "E",
    "input": "I",
}
_LETTER_OF_CATEGORY = {"normalization": "N", "activation": "A", "recurrent": "R", "source": "I"}
WORK = frozenset("PDCVUTMRSFQ")  # a residual branch without any of these is arithmetic
DOWN, UP = frozenset("SV"), frozenset("U")
_LONGEST_SEARCH = 600  # nodes looked at to see whether one value depends on another
_LONGEST_CHAIN = 24  # operators on one of parallel branches


@cache
def _letter(op: int, attr: int) -> str:
    info = operators.by_id(op)
    letter = _LETTER_OF_OPERATOR.get(info.name) or _LETTER_OF_CATEGORY.get(info.category, ".")
    if letter == "M" and attributes.value("param_operand", attr):
        return "P"
    if letter == "C":
        if attributes.value("groups", attr) > 2:
            return "D"
        if attributes.value("stride", attr):
            return "V"
        if attributes.value("kernel", attr) == 1:
            return "P"
    return letter


@dataclass(eq=False)
class Unit:
    """A block before equal neighbours are joined; `role` is a letter of `_LAYERS` or empty."""

    nodes: list[int]
    name: str = ""
    role: str = ""
    fork: int = -1  # the node whose value both branches read
    join: int = -1  # the node that unites them
    shortcut: list[int] = field(default_factory=list)
    parts: int = 1


class Network:
    """One graph: inputs and readers of each node without repeats, and the letter of each."""

    def __init__(self, graph: ArchGraph) -> None:
        self.graph = graph
        self.size = graph.num_nodes
        self.op = graph.op.tolist()
        ptr, src = graph.in_ptr.tolist(), graph.in_src.tolist()
        self.inputs = [list(dict.fromkeys(src[a:b])) for a, b in pairwise(ptr)]
        self.readers: list[list[int]] = [[] for _ in range(self.size)]
        for node, sources in enumerate(self.inputs):
            for source in sources:
                self.readers[source].append(node)
        self.letters = "".join(map(_letter, self.op, graph.attr.tolist()))
        self.names = graph.op_names()
        self.fork_of: dict[int, int] = {}  # of the joins found so far

    def depends(self, node: int, on: int) -> bool:
        """Whether a value is computed from another; false where the search is too long."""
        walk = node
        while walk > on and self.inputs[walk]:
            walk = max(self.inputs[walk])
        if walk == on:
            return True
        seen, stack = {node}, [node]
        while stack and len(seen) < _LONGEST_SEARCH:
            for source in self.inputs[stack.pop()]:
                if source == on:
                    return True
                if source > on and source not in seen:
                    seen.add(source)
                    stack.append(source)
        return False

    def chain(self, node: int) -> list[int]:
        """Return a value and what it is computed from, while that is one value."""
        result = [node]
        while len(result) < _LONGEST_CHAIN:
            if node in self.fork_of:
                node = self.fork_of[node]
            elif len(self.inputs[node]) == 1:
                node = self.inputs[node][0]
            else:
                break
            result.append(node)
        return result

    def ends(self, nodes: list[int]) -> bool:
        """Whether nothing else reads a piece."""
        inside = set(nodes)
        return all(inside.issuperset(self.readers[node]) for node in nodes)

    def shape(self, unit: Unit) -> set[str]:
        """Return the letters of a unit."""
        return self.shape_of(unit.nodes)

    def shape_of(self, nodes: Iterable[int]) -> set[str]:
        """Return the letters of some nodes."""
        return {self.letters[node] for node in nodes}


def main_operators(names: Sequence[str]) -> str:
    """Name a piece by its operators: those that do work first, at most three."""
    ranks = {"convolution": 0, "linear": 0, "attention": 0, "recurrent": 0, "source": 3}
    ranks |= {"pooling": 1, "normalization": 1, "activation": 1, "spatial": 1, "layout": 3}
    counts = Counter(names)
    rank = {name: ranks.get(operators.by_name(name).category, 2) for name in counts}
    best = min(rank.values())
    kept = [name for name in counts if rank[name] <= max(best, 1)][:3]
    return "+".join(name.removeprefix("unknown/") for name in kept)
