"""Reads a network's graph from PyTorch's autograd graph: every grad_fn is one operator.

The traversal is iterative, so networks may be arbitrarily deep.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from narfast import operators
from narfast.sources._nodes import NodeList, operator_of
from narfast.sources.torch_trace.attributes import (
    BINARY,
    Fields,
    KeptArguments,
    Operand,
    Shape,
    describe,
)
from narfast.sources.torch_trace.flops import flops

__all__ = ["walk"]

_WITH_PRODUCT = {"Addcmul": "mul", "Addcdiv": "div"}
_PARTS = frozenset({"Split", "SplitWithSizes", "Slice", "Select", "Unbind", "Index"})
_SUFFIX = re.compile(r"Backward\d*$")
_GENERATED = re.compile(r"^GeneratedBackwardFor_[A-Za-z0-9]+_(?P<op>\w+?)_default$")
# Argument order of the operators that _torchvision_compat declares; their nodes keep arguments.
_DEFORM_CONV = [
    "input",
    "weight",
    "offset",
    "mask",
    "bias",
    "stride_h",
    "stride_w",
    "pad_h",
    "pad_w",
    "dilation_h",
    "dilation_w",
    "groups",
]


def _signed(value: Any) -> Any:
    """Decode a negative axis, which autograd saves as an unsigned 64-bit number."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 63:
        return value - (1 << 64)
    return value


class _SavedFields:
    """The saved fields of an autograd node, and the notes about it."""

    def __init__(self, node: Any, note: dict[str, Any]) -> None:
        self._node = node
        self._note = note

    def value(self, name: str) -> Any:
        if name in self._note:
            return self._note[name]
        try:
            value = getattr(self._node, f"_saved_{name}", None)
        except RuntimeError:  # a saved tensor that an in-place operator has changed
            return None
        if isinstance(value, (tuple, list)):
            return tuple(_signed(v) for v in value)
        return None if isinstance(value, torch.Tensor) else _signed(value)

    def shape(self, name: str) -> Shape | None:
        if name == "output":
            metadata = self._node._input_metadata
            return tuple(int(s) for s in metadata[0].shape) if metadata else None
        sizes = getattr(self._node, f"_saved_{name}_sym_sizes", None)
        if sizes is None:
            try:
                saved = getattr(self._node, f"_saved_{name}", None)
            except RuntimeError:
                return None
            sizes = saved.shape if isinstance(saved, torch.Tensor) else None
        return None if sizes is None else tuple(int(s) for s in sizes)


def _post_order(roots: Iterable[Any]) -> list[Any]:
    """Return the autograd nodes behind `roots`; each follows the nodes that it uses."""
    order: list[Any] = []
    state: dict[Any, bool] = {}
    for root in roots:
        stack = [root]
        while stack:
            node = stack[-1]
            if node not in state:
                state[node] = False
                if getattr(node, "narfast_op", None) != "input":
                    stack.extend(
                        n
                        for n, _ in reversed(node.next_functions)
                        if n is not None and n not in state
                    )
            else:
                stack.pop()
                if not state[node]:
                    state[node] = True
                    order.append(node)
    return order


def _constant_kind(elements: int) -> Operand:
    if elements < 0:
        return Operand.NONE
    return Operand.SCALAR if elements <= 1 else Operand.PARAM


def _operand_kinds(
    op: str, kinds: list[Operand], fields: _SavedFields, note: dict[str, Any]
) -> list[Operand]:
    """Determine the kinds of arguments without gradient, for operators where they matter."""
    if op not in BINARY or len(kinds) != 2:
        return kinds
    noted = note.get("operands", ())
    filled = list(kinds)
    for i, kind in enumerate(kinds):
        if kind is not Operand.NONE:
            continue
        if len(noted) == 2 and noted[i] != 0:
            filled[i] = _constant_kind(noted[i])
        else:
            # The derivative of a product saves the other factor: its shape tells the kind.
            shape = fields.shape("other" if i == 1 else "self")
            filled[i] = _constant_kind(math.prod(shape or ()))
    return filled


def walk(outputs: Sequence[torch.Tensor], notes: dict[Any, dict[str, Any]]) -> NodeList:
    """Convert the autograd graph behind `outputs` to nodes.

    Args:
        outputs: The network's outputs; tensors without gradient are skipped.
        notes: The notes of `CaptureMode`, by autograd node.

    Returns:
        The nodes; `outputs` is empty if no output depends on the network's input.
    """
    result = NodeList()
    roots = [t.grad_fn for t in outputs if t.grad_fn is not None]
    number: dict[Any, int] = {}  # of nodes that depend on data
    elements: dict[Any, int] = {}  # of the parameters behind other nodes
    kind: dict[Any, Operand] = {}
    source = operators.by_name("input").id
    for node in _post_order(roots):
        variable = getattr(node, "variable", None)
        own = getattr(node, "narfast_op", None)
        if own == "input":
            number[node], kind[node] = result.append(source, 0, []), Operand.DATA
            continue
        if variable is not None:
            result.reached.add(id(variable))
            kind[node] = _constant_kind(variable.numel())
            elements[node] = variable.numel()
            continue
        spelling = _SUFFIX.sub("", node.name().rpartition("::")[2])
        operands = [n for n, _ in node.next_functions]
        kinds = [Operand.NONE if n is None else kind[n] for n in operands]
        note = notes.get(node, {})
        params = sum(elements.get(operand, 0) for operand in operands)
        if spelling in _WITH_PRODUCT and Operand.DATA in kinds:
            kind[node] = Operand.DATA
            number[node] = _add_product(result, spelling, operands, kinds, number)
            result.exact[number[node]] |= {"params": params or None, "path": note.get("path")}
            continue
        is_embedding = spelling.startswith("Embedding") and not note.get("constant", False)
        if Operand.DATA not in kinds and not is_embedding:
            shape = _SavedFields(node, {}).shape("output")
            given = [k for k in kinds if k is not Operand.NONE]
            scalar = bool(given) and all(k is Operand.SCALAR for k in given)
            picked = shape is not None and math.prod(shape) == 1  # for example, one of many weights
            kind[node] = Operand.SCALAR if scalar or picked else Operand.PARAM
            taken = spelling in _PARTS and shape is not None
            elements[node] = min(params, math.prod(shape or ())) if taken else params
            continue
        kind[node] = Operand.DATA
        number[node] = _append(result, node, spelling, own, operands, kinds, note, number)
        result.exact[number[node]] |= {"params": params or None, "path": note.get("path")}
    result.spread_paths()
    result.outputs = [number[node] for node in roots if kind[node] is Operand.DATA]
    return result


def _add_product(
    result: NodeList,
    spelling: str,
    operands: list[Any],
    kinds: list[Operand],
    number: dict[Any, int],
) -> int:
    """Add self + first * second as two nodes, as other spellings have it."""

    def node(op: str, edges: list[int], kinds: list[Operand]) -> int:
        described = describe(op, KeptArguments({}), op, kinds)
        return result.append(
            operators.by_name(described.op).id, described.attr, edges, described.exact
        )

    kinds = [Operand.PARAM if k is Operand.NONE else k for k in kinds]
    data = [number[o] for o, k in zip(operands[1:], kinds[1:], strict=True) if k is Operand.DATA]
    product, product_kind = [], Operand.PARAM
    if data:
        product, product_kind = [node(_WITH_PRODUCT[spelling], data, kinds[1:])], Operand.DATA
    first = [number[operands[0]]] if kinds[0] is Operand.DATA else []
    return node("add", first + product, [kinds[0], product_kind])


def _append(
    result: NodeList,
    node: Any,
    spelling: str,
    own: str | None,
    operands: list[Any],
    kinds: list[Operand],
    note: dict[str, Any],
    number: dict[Any, int],
) -> int:
    generated = _GENERATED.match(spelling)
    fields: Fields = (saved := _SavedFields(node, note))
    if own is not None:
        op = own
        spelling, fields = own, KeptArguments(node.narfast_fields)
    elif generated is not None:
        spelling = generated["op"]
        op = operator_of("aten", spelling, result.unknown)
        arguments = getattr(node, "narfast_arguments", ())
        fields = KeptArguments(dict(zip(_DEFORM_CONV, arguments, strict=False)))
    else:
        if "in_place" in note:
            spelling = note["in_place"]
        frontend: operators.Frontend = "aten" if "in_place" in note else "autograd"
        op = operator_of(frontend, spelling, result.unknown)
        kinds = _operand_kinds(op, kinds, saved, note)
    described = describe(op, fields, spelling, kinds)
    result.flops += flops(described.op, fields)
    order = range(len(operands)) if described.order is None else described.order
    edges = [number[operands[i]] for i in order if kinds[i] is Operand.DATA]
    return result.append(operators.by_name(described.op).id, described.attr, edges, described.exact)
