"""Operators that torch.export keeps whole and autograd decomposes: einsum."""

from __future__ import annotations

from collections.abc import Sequence

from narfast import _core, operators
from narfast.errors import InvalidGraphError
from narfast.sources._nodes import NodeList
from narfast.sources.torch_trace.attributes import Operand, Shape, describe

__all__ = ["einsum"]


class _Arguments:
    """Named arguments of a decomposed part: axes as numbers, shapes as tuples."""

    def __init__(self, rank: int, dims: Shape = ()) -> None:
        self._dims = dims
        self._shape = (1,) * rank

    def value(self, name: str) -> Shape | None:
        return self._dims if name in ("dims", "dim") else None

    def shape(self, name: str) -> Shape | None:
        return self._shape if name in ("self", "mat2") else None


def einsum(
    nodes: NodeList, equation: str, operands: Sequence[tuple[int | None, Operand, Shape]]
) -> int:
    """Add the parts of an einsum; return the number of the last node.

    Raises:
        InvalidGraphError: The equation does not fit its operands.
    """
    steps = _core.einsum_steps(equation, [list(shape) for _, _, shape in operands])
    if steps is None:
        raise InvalidGraphError(
            f"einsum {equation[:100]!r} does not fit operands of ranks "
            f"{[len(shape) for _, _, shape in operands[:20]]}"
        )
    values = [(node, kind) for node, kind, _ in operands]
    for op, left, right, axes in steps:
        used = [values[place] for place in (left, right) if place >= 0]
        if all(node is None for node, _ in used):
            values.append((None, Operand.PARAM))  # a result of constants is a constant
            continue
        arguments = _Arguments(3 if op == "matmul" else max(axes, default=-1) + 1, tuple(axes))
        spelling = "bmm" if op == "matmul" else op
        described = describe(op, arguments, spelling, [kind for _, kind in used])
        order = range(len(used)) if described.order is None else described.order
        edges = [node for node in (used[i][0] for i in order) if node is not None]
        number = nodes.append(operators.by_name(described.op).id, described.attr, edges)
        values.append((number, Operand.DATA))
    number_of_last = values[-1][0]
    if number_of_last is None:
        raise InvalidGraphError(f"einsum {equation[:100]!r} of constants only")
    return number_of_last
