"""A graph under construction, for the readers of PyTorch's operators. Does not import torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
        exact: Hyperparameters by name (`narfast.hyperparameters`); None is unknown.
        outputs: Nodes that the network returns.
        unknown: Spellings outside the operator table, with counts.
        flops: Floating-point operations of all nodes with a known number.
        reached: ``id`` of every parameter that an operator uses.
    """

    op: list[int] = field(default_factory=list)
    attr: list[int] = field(default_factory=list)
    inputs: list[list[int]] = field(default_factory=list)
    exact: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    flops: int = 0
    reached: set[int] = field(default_factory=set)

    def append(
        self, op: int, attr: int, inputs: list[int], exact: Mapping[str, Any] | None = None
    ) -> int:
        """Adds a node and returns its number."""
        self.op.append(op)
        self.attr.append(attr)
        self.inputs.append(inputs)
        self.exact.append(dict(exact or {}))
        return len(self.op) - 1

    def spread_paths(self) -> None:
        """Give nodes without a module path that of their first reader."""
        for node in range(len(self.op) - 1, -1, -1):
            path = self.exact[node].get("path")
            for source in self.inputs[node] if path is not None else ():
                if self.inputs[source] and self.exact[source].get("path") is None:
                    self.exact[source]["path"] = path


def operator_of(frontend: operators.Frontend, spelling: str, unknown: Counter[str]) -> str:
    """Return the canonical operator of a spelling; count unknown spellings."""
    info = operators.lookup(frontend, spelling)
    if info is not None:
        return info.name
    unknown[spelling[:_MAX_SPELLING]] += 1
    return operators.unknown().name
