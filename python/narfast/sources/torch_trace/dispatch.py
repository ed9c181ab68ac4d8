"""Records ATen operator calls, for networks that autograd cannot follow.

The identity of tensors links the operators. As in the autograd graph, only operators with
floating-point results become nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from narfast import operators
from narfast.sources._nodes import NodeList, operator_of
from narfast.sources.torch_trace.attributes import KeptArguments, Operand, Shape, describe
from narfast.sources.torch_trace.capture import CaptureMode
from narfast.sources.torch_trace.flops import flops

__all__ = ["DispatchRecorder"]


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _flat(value)
        else:
            yield value


class _CallFields:
    """The arguments of an ATen call, by the names of its schema."""

    def __init__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = [argument.name for argument in func._schema.arguments]
        self._values = {**dict(zip(names, args, strict=False)), **kwargs}

    def value(self, name: str) -> Any:
        value = self._values.get(name)
        if isinstance(value, torch.Tensor):
            return None
        return tuple(value) if isinstance(value, list) else value

    def shape(self, name: str) -> Shape | None:
        value = self._values.get(name)
        return tuple(value.shape) if isinstance(value, torch.Tensor) else None


class DispatchRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects a `NodeList` while active.

    Args:
        parameters: By ``id``: number of elements of each parameter.

    Attributes:
        nodes: The collected nodes.
        mode: Records what does not go through ATen, and knows which module runs.
    """

    def __init__(self, parameters: dict[int, int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes = NodeList()
        self.mode = CaptureMode(self.record)
        self._parameters = parameters
        self._node_of: dict[int, int] = {}
        self._kind: dict[int, Operand] = {}
        self._alive: list[torch.Tensor] = []  # an id is unique only while its tensor exists

    def input(self, tensor: torch.Tensor) -> None:
        """Declare an input of the network."""
        if tensor.is_floating_point():
            self._set(tensor, self.nodes.append(operators.by_name("input").id, 0, []))
        else:
            self._kind[id(tensor)] = Operand.DATA
            self._alive.append(tensor)

    def output(self, tensor: torch.Tensor) -> None:
        """Declare an output of the network."""
        if id(tensor) in self._node_of:
            self.nodes.outputs.append(self._node_of[id(tensor)])

    def record(
        self,
        op: str,
        outputs: list[torch.Tensor],
        operands: list[torch.Tensor],
        fields: dict[str, Any],
    ) -> None:
        """Add an operator that did not go through ATen, by its named arguments."""
        self.nodes.reached.update(id(t) for t in operands if id(t) in self._parameters)
        edges = [self._node_of[id(t)] for t in operands if id(t) in self._node_of]
        exact = describe(op, KeptArguments(fields), op, []).exact
        number = self.nodes.append(operators.by_name(op).id, 0, edges, exact)
        self._locate(number, operands)
        self.nodes.flops += fields.get("flops", 0)
        for tensor in outputs:
            self._set(tensor, number)

    def _locate(self, number: int, operands: list[torch.Tensor]) -> None:
        params = sum(self._parameters.get(id(t), 0) for t in operands)
        self.nodes.exact[number] |= {"params": params or None, "path": self.mode.path}

    def _set(self, tensor: torch.Tensor, number: int) -> None:
        self._node_of[id(tensor)] = number
        self._kind[id(tensor)] = Operand.DATA
        self._alive.append(tensor)

    def _kind_of(self, tensor: torch.Tensor) -> Operand:
        kind = self._kind.get(id(tensor))
        if kind is not None:
            return kind
        return Operand.SCALAR if tensor.numel() <= 1 else Operand.PARAM

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run and record one ATen call."""
        kwargs = kwargs or {}
        tensors = [a for a in _flat((*args, *kwargs.values())) if isinstance(a, torch.Tensor)]
        kinds = [self._kind_of(t) for t in tensors]
        numbers = [self._node_of.get(id(t)) for t in tensors]
        floats = [t.is_floating_point() for t in tensors]
        if any(f and n is not None for f, n in zip(floats, numbers, strict=True)):
            # Integer operands beside data are only positions.
            numbers = [n if f else None for f, n in zip(floats, numbers, strict=True)]
        out = func(*args, **kwargs)
        results = [t for t in _flat((out,)) if isinstance(t, torch.Tensor)]
        self._alive.extend(results)
        self.nodes.reached.update(id(t) for t in tensors if id(t) in self._parameters)
        spelling = func._schema.name.rpartition("::")[2]
        floating = [t for t in results if t.is_floating_point()]
        if Operand.DATA not in kinds or spelling in ("zeros_like", "ones_like", "full_like"):
            scalar = bool(kinds) and all(k is Operand.SCALAR for k in kinds)
            for tensor in results:
                if tensors and id(tensor) not in self._node_of:
                    self._kind[id(tensor)] = Operand.SCALAR if scalar else Operand.PARAM
        elif not floating:
            for tensor in results:
                self._kind[id(tensor)] = Operand.DATA
                if spelling == "_to_copy" and numbers[0] is not None:
                    self._node_of[id(tensor)] = numbers[0]  # rounded; may become float again
        else:
            number = self._append(func, spelling, args, kwargs, kinds, numbers)
            self._locate(number, tensors)
            for tensor in floating:
                self._set(tensor, number)
        return out

    def _append(
        self,
        func: Any,
        spelling: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        kinds: list[Operand],
        numbers: list[int | None],
    ) -> int:
        if operators.lookup("aten", spelling) is None:
            spelling = spelling.rstrip("_")
        op = operator_of("aten", spelling, self.nodes.unknown)
        fields = _CallFields(func, args, kwargs)
        described = describe(op, fields, spelling, kinds)
        if op == "embedding":
            return self.nodes.append(operators.by_name(op).id, 0, [], described.exact)
        self.nodes.flops += flops(described.op, fields)
        order = range(len(kinds)) if described.order is None else described.order
        edges = [n for n in (numbers[i] for i in order) if n is not None]
        return self.nodes.append(
            operators.by_name(described.op).id, described.attr, edges, described.exact
        )
