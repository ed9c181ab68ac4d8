"""Operators that torch.export keeps whole and autograd shows in parts: einsum.

The parts, and their order, are those that PyTorch itself computes with.
"""

from __future__ import annotations

from collections.abc import Sequence

from narfast import operators
from narfast.errors import InvalidGraphError
from narfast.frontends._attributes import Operand, Shape, describe
from narfast.frontends._autograd import NodeList

__all__ = ["einsum"]

_Term = tuple[int | None, Operand, dict[str, int]]  # node, kind, size of each label
_LONGEST_EQUATION = 1_000


class _Arguments:
    """Named arguments of a part: axes as numbers, shapes as tuples."""

    def __init__(self, dims: Shape = (), shape: Shape | None = None) -> None:
        self._dims = dims
        self._shape = shape

    def value(self, name: str) -> Shape | None:
        return self._dims if name in ("dims", "dim") else None

    def shape(self, name: str) -> Shape | None:
        return self._shape if name in ("self", "mat2") else None


def _labels(equation: str, ranks: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """Labels of every operand and of the result; an ellipsis becomes labels of its own."""
    if len(equation) > _LONGEST_EQUATION:
        raise InvalidGraphError("an einsum of more than 1,000 characters")
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise InvalidGraphError(f"einsum {equation!r} of {len(ranks)} operands")
    widest = 0
    for term, rank in zip(terms, ranks, strict=True):
        if "..." in term:
            widest = max(widest, rank - len(term.replace("...", "")))
    hidden = [f"...{i}" for i in range(widest)]

    def spread(term: str, count: int) -> list[str]:
        before, dots, after = term.partition("...")
        own = hidden[len(hidden) - count :] if dots and count > 0 else []
        return [*before, *own, *after]

    operands = []
    for term, rank in zip(terms, ranks, strict=True):
        labels = spread(term, rank - len(term.replace("...", "")))
        if len(labels) != rank:
            raise InvalidGraphError(f"einsum {equation!r} with an operand of rank {rank}")
        operands.append(labels)
    if arrow:
        return operands, spread(right, widest)
    flat = [label for labels in operands for label in labels if len(label) == 1]
    return operands, [*hidden, *sorted(label for label in set(flat) if flat.count(label) == 1)]


class _Builder:
    """Adds parts; a constant stays a constant whatever is done to it."""

    def __init__(self, nodes: NodeList, order: list[str]) -> None:
        self.nodes = nodes
        self.order = order  # all labels: those of the result, then the contracted ones

    def add(self, op: str, node: int | None, dims: Shape = ()) -> int | None:
        if node is None:
            return None
        described = describe(op, _Arguments(dims, (1,) * len(self.order)), op, [Operand.DATA])
        return self.nodes.append(operators.by_name(op).id, described.attr, [node])

    def permute(self, node: int | None, before: Sequence[str], after: Sequence[str]) -> int | None:
        return self.add("permute", node, tuple(before.index(label) for label in after))

    def product(self, op: str, left: _Term, right: _Term) -> int | None:
        kinds = [left[1], right[1]]
        if Operand.DATA not in kinds:
            return None
        spelling = "bmm" if op == "matmul" else op
        described = describe(op, _Arguments((), (1, 1, 1)), spelling, kinds)
        pair = (left[0], right[0])
        order = range(2) if described.order is None else described.order
        edges = [n for n in (pair[i] for i in order) if n is not None]
        return self.nodes.append(operators.by_name(described.op).id, described.attr, edges)


def _merged(left: dict[str, int], right: dict[str, int], order: Sequence[str]) -> dict[str, int]:
    return {
        label: max(left.get(label, 1), right.get(label, 1))
        for label in order
        if label in left or label in right
    }


def _pair(builder: _Builder, left: _Term, right: _Term, summed: set[str]) -> _Term:
    """Multiplies two operands and sums over the labels that no later one needs."""
    order = builder.order
    kind = Operand.DATA if Operand.DATA in (left[1], right[1]) else Operand.PARAM
    sizes = _merged(left[2], right[2], order)
    if not summed:
        return builder.product("mul", left, right), kind, sizes
    wide = [{label for label in term[2] if term[2][label] > 1} for term in (left, right)]
    kept = [label for label in order if label not in summed]
    both = [label for label in kept if label in wide[0] and label in wide[1]]
    own = [[label for label in kept if label in w and label not in both] for w in wide]
    parts = [left, right]
    if own[0] and own[1] and order.index(own[1][-1]) < order.index(own[0][-1]):
        parts, own = parts[::-1], own[::-1]
    inner = [label for label in order if label in summed]
    rest = [label for label in order if label not in {*both, *own[0], *own[1], *inner}]
    first = [*both, *own[0], *inner, *own[1], *rest]
    second = [*both, *inner, *own[1], *own[0], *rest]
    shaped = []
    for (node, own_kind, labels), target in zip(parts, (first, second), strict=True):
        permuted = builder.permute(node, order, target)
        shaped.append((builder.add("reshape", permuted), own_kind, labels))
    number = builder.add("reshape", builder.product("matmul", shaped[0], shaped[1]))
    after = [*both, *own[0], *inner, *own[1], *rest]
    number = builder.permute(number, after, order)
    return number, kind, {label: size for label, size in sizes.items() if label not in summed}


def einsum(
    nodes: NodeList, equation: str, operands: Sequence[tuple[int | None, Operand, Shape]]
) -> int:
    """Adds the parts of an einsum and returns the number of the last.

    Raises:
        InvalidGraphError: The equation does not fit its operands.
    """
    labels, result = _labels(equation, [len(shape) for _, _, shape in operands])
    contracted = dict.fromkeys(label for own in labels for label in own if label not in result)
    builder = _Builder(nodes, [*dict.fromkeys(result), *contracted])
    terms: list[_Term] = []
    for (node, kind, shape), own in zip(operands, labels, strict=True):
        missing = [label for label in builder.order if label not in own]
        for _ in missing:
            node = builder.add("squeeze", node)
        node = builder.permute(node, [*own, *missing], builder.order)
        terms.append((node, kind, dict(zip(own, shape, strict=True))))
    term = terms[0]
    if len(terms) == 1 and contracted:
        rank = len(builder.order)
        dims = tuple(range(rank - len(contracted), rank))
        term = (builder.add("sum", term[0], dims), term[1], term[2])
    for i, other in enumerate(terms[1:], 1):
        later = {label for _, _, sizes in terms[i + 1 :] for label in sizes}
        here = {label for label in contracted if label in term[2] or label in other[2]}
        term = _pair(builder, term, other, here - later)
    whole = len(terms) == 1 or not contracted
    number = term[0] if whole else builder.add("reshape", term[0])
    if number is None:
        raise InvalidGraphError(f"einsum {equation!r} of constants only")
    return number
