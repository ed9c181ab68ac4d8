"""A graph under construction, for the readers of PyTorch's operators. Does not import torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from narfast import operators

__all__ = ["NodeList", "operator_of"]

_MAX_SPELLING = 80  # characters of an unknown operator's spelling that are kept


@dataclass
class NodeList:
    """A graph under construction: one entry per node, in any topological order.

    Attributes:
        op: Operator ids.
        attr: Packed attributes.
        inputs: In-neighbours in argument order.
        outputs: Nodes that the network returns.
        unknown: Spellings outside the operator table, with counts.
        flops: Floating-point operations of all nodes with a known number.
        reached: ``id`` of every parameter that an operator uses.
    """

    op: list[int] = field(default_factory=list)
    attr: list[int] = field(default_factory=list)
    inputs: list[list[int]] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    flops: int = 0
    reached: set[int] = field(default_factory=set)

    def append(self, op: int, attr: int, inputs: list[int]) -> int:
        """Adds a node and returns its number."""
        self.op.append(op)
        self.attr.append(attr)
        self.inputs.append(inputs)
        return len(self.op) - 1


def operator_of(frontend: operators.Frontend, spelling: str, unknown: Counter[str]) -> str:
    """Return the canonical operator of a spelling; count unknown spellings."""
    info = operators.lookup(frontend, spelling)
    if info is not None:
        return info.name
    unknown[spelling[:_MAX_SPELLING]] += 1
    return operators.unknown().name
