"""The design of one PyTorch operator: its canonical operator and packed attributes.

All tracing strategies share these rules. PyTorch names the saved fields of an autograd node after
the arguments of its ATen operator, so one reader of named arguments (`Fields`) is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from narfast import operators

__all__ = ["BINARY", "Described", "Fields", "KeptArguments", "Operand", "Shape", "describe"]

Shape = tuple[int, ...]


class Operand(Enum):
    """The origin of an argument."""

    DATA = "data"  # computed from the network's input
    PARAM = "param"  # weights, or computed only from weights and constants; several elements
    SCALAR = "scalar"  # a constant of one element
    NONE = "none"  # missing, or not part of the design


class Fields(Protocol):
    """The arguments of an operator call, by the names of the ATen schema."""

    def value(self, name: str) -> Any:
        """Return a number, tuple or string; None if it is unknown."""

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a tensor argument or of the result ("output"); None if unknown."""


class KeptArguments:
    """Arguments that an operator keeps; shapes are tuples, all other sequences lists."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments

    def value(self, name: str) -> Any:
        """Return an argument that is not a shape."""
        value = self._arguments.get(name)
        if isinstance(value, list):
            return tuple(value)
        return None if isinstance(value, tuple) else value

    def shape(self, name: str) -> Shape | None:
        """Return an argument that is a shape."""
        value = self._arguments.get(name)
        return value if isinstance(value, tuple) else None


@dataclass(frozen=True)
class Described:
    """The design of an operator call.

    Attributes:
        op: Canonical operator.
        attr: Packed attributes.
        order: Data operands in argument order; None if they are all operands.
        exact: Hyperparameters by name (`narfast.hyperparameters`); None is unknown.
    """

    op: str
    attr: int = 0
    order: tuple[int, ...] | None = None
    exact: Mapping[str, Any] = field(default_factory=dict)


BINARY = frozenset({"add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder"})
"""Operators of two operands, one of which may be a constant."""

_ORDERED = frozenset({"sub", "div", "pow"})
# Channels first or last, and (rank 3) batch or sequence first.
_LAYOUT_PERMUTES = frozenset(
    {(0, 2, 3, 1), (0, 3, 1, 2), (0, 2, 3, 4, 1), (0, 4, 1, 2, 3), (1, 0, 2)}
)
_POOLS = frozenset({"max_pool", "avg_pool", "lp_pool"})
_GLOBAL = {"max_pool": "global_max_pool", "avg_pool": "global_avg_pool"}  # with one window


def _sides(value: Any) -> Shape:
    if value is None:
        return ()
    return (int(value),) if isinstance(value, int) else tuple(int(v) for v in value)


def _largest(value: Any) -> int:
    return max(_sides(value), default=0)


def _per_side(value: Any, rank: int) -> Shape | None:
    """Return one number for each side; None for other values, such as ``padding="same"``."""
    if isinstance(value, int):
        return (value,) * rank
    if isinstance(value, tuple) and all(isinstance(side, int) for side in value):
        return value * rank if len(value) == 1 else value or None
    return None


def _conv(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    transposed = bool(fields.value("transposed")) or "transpose" in spelling
    op = "conv_transpose" if transposed else "conv"
    weight = fields.shape("weight")
    if weight is None or len(weight) < 3:
        return Described(op)
    groups = int(fields.value("groups") or 1)
    kernel = weight[2:]
    first, second = weight[0], weight[1] * groups
    channels: dict[str, Any] = {
        "in_channels": first if transposed else second,
        "out_channels": second if transposed else first,
    }
    attr = operators.pack_attributes(
        kernel=max(kernel),
        stride=_largest(fields.value("stride")),
        dilation=_largest(fields.value("dilation")),
        groups=groups,
        spatial_rank=len(kernel),
        square=len(set(kernel)) == 1,
        **channels,
    )
    exact = {"kernel": kernel, "groups": groups, **channels}
    for name in ("stride", "padding", "dilation"):
        exact[name] = _per_side(fields.value(name), len(kernel))
    return Described(op, attr, exact=exact)


def _matrix_shape(fields: Fields) -> Shape | None:
    for name in ("mat2", "batch2"):
        shape = fields.shape(name)
        if shape is not None and len(shape) >= 2:
            return shape
    weight = fields.shape("weight")
    return None if weight is None or len(weight) < 2 else (weight[-1], weight[-2])


def _matmul(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    # addmm and baddbmm take the added term first; linear takes (input, weight, bias).
    first = 1 if spelling in ("Addmm", "Baddbmm", "addmm", "baddbmm") else 0
    pair = [i for i in (first, first + 1) if i < len(kinds)]
    added = [i for i in range(len(kinds)) if i not in pair and kinds[i] is Operand.DATA]
    data = [i for i in pair if kinds[i] is Operand.DATA]
    order = tuple(data + added)
    if len(pair) == 2 and kinds[pair[0]] is Operand.DATA and kinds[pair[1]] is Operand.PARAM:
        shape = _matrix_shape(fields)
        if shape is None or len(shape) == 2:  # a stack of matrices is not a dense layer
            inside, outside = shape or (0, 0)
            channels: dict[str, Any] = {"in_channels": inside, "out_channels": outside}
            attr = operators.pack_attributes(**channels)
            return Described("linear", attr, order, channels if shape else {})
    if len(data) == 1 and len(pair) == 2:
        constant_first = kinds[pair[0]] is not Operand.DATA
        attr = operators.pack_attributes(param_operand=True, constant_first=constant_first)
        return Described("matmul", attr, order)
    return Described("matmul", 0, order)


def _constant_class(op: str, fields: Fields) -> int:
    if op == "pow":
        exponent = fields.value("exponent")
        known = {2: 1, 0.5: 2, 3: 3}
        return known.get(exponent, 0) if isinstance(exponent, (int, float)) else 0
    return 0


def _elementwise(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    kinds = list(kinds)
    order = tuple(i for i, kind in enumerate(kinds) if kind is Operand.DATA)
    reverse = spelling in ("Rsub", "rsub")
    if reverse:
        order = order[::-1]
    if len(order) != 1:
        return Described(op, 0, order)
    # One data operand: the other operand is a constant; if it is not listed, a Python number.
    if len(kinds) == 1:
        other, first = Operand.SCALAR, reverse or (op == "pow" and _scalar_base(fields))
    else:
        position = 1 - order[0] if order[0] < 2 else 0
        other, first = kinds[position], (position == 0) != reverse
    attr = operators.pack_attributes(
        param_operand=other is Operand.PARAM,
        scalar_operand=other is Operand.SCALAR,
        constant_first=first and op in _ORDERED,
        constant_class=_constant_class(op, fields),
    )
    return Described(op, attr, order)


def _scalar_base(fields: Fields) -> bool:
    return isinstance(fields.value("self"), (int, float))


def _pool(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    kernel = _sides(fields.value("kernel_size"))
    rank = next((r for r in (1, 2, 3) if f"{r}d" in spelling.lower()), 0)
    if len(kernel) == 1:
        kernel *= rank or 1
    shape = fields.shape("self") or ()
    if op in _GLOBAL and kernel and len(shape) > len(kernel):
        sizes = shape[-len(kernel) :]
        covered = all(side >= size for side, size in zip(kernel, sizes, strict=True))
        if covered and not any(_sides(fields.value("padding"))):
            return Described(_GLOBAL[op])
    stride = _sides(fields.value("stride")) or kernel  # an empty stride means the window size
    attr = operators.pack_attributes(
        kernel=max(kernel, default=0),
        stride=max(stride, default=0),
        dilation=_largest(fields.value("dilation")),
        spatial_rank=rank or len(kernel),
        square=len(set(kernel)) <= 1,
    )
    exact: dict[str, Any] = {"kernel": kernel or None, "stride": _per_side(stride, len(kernel))}
    for name in ("padding", "dilation"):
        exact[name] = _per_side(fields.value(name), len(kernel))
    return Described(op, attr, exact=exact)


def _pad(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    # Code for any input size pads by nothing if the size fits.
    sides = _sides(fields.value("pad")) or _sides(fields.value("padding"))
    if sides and not any(sides):
        return Described("identity")
    # PyTorch lists pairs from the last side to the first.
    pairs = tuple(zip(sides[::2], sides[1::2], strict=False))[::-1]
    return Described(op, exact={"padding": tuple(map(max, pairs)) or None})


def _adaptive_pool(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    rank = next((r for r in (1, 2, 3) if f"{r}d" in spelling.lower()), 2)
    whole = fields.shape("self")
    size = _sides(fields.value("output_size"))
    if len(size) == 1:
        size *= rank
    if not size:
        result = fields.shape("result1") or ()
        size = result[-rank:]
    space = () if whole is None else whole[-rank:]
    if len(size) == rank and all(s == 1 for s in size):
        return Described(op.replace("adaptive", "global"))
    if len(space) == len(size) == rank:
        if space == size:
            return Described("identity")
        if all(a % b == 0 for a, b in zip(space, size, strict=True)):
            # As exporters write it: a plain pool; window and stride are the quotient.
            kernel = tuple(a // b for a, b in zip(space, size, strict=True))
            attr = operators.pack_attributes(
                kernel=max(kernel),
                stride=max(kernel),
                spatial_rank=rank,
                square=len(set(kernel)) == 1,
            )
            return Described(
                op.replace("adaptive_", ""), attr, exact={"kernel": kernel, "stride": kernel}
            )
    exact: dict[str, Any] = {"output_size": _per_side(size, rank)}
    return Described(op, operators.pack_attributes(spatial_rank=rank), exact=exact)


def _axes(fields: Fields) -> tuple[tuple[int, ...], int]:
    """Return the reduced axes (from the front if the rank is known) and the rank, 0 if unknown."""
    shape = fields.shape("self") or fields.shape("result")
    rank = len(shape) if shape is not None else 0
    axes = _sides(fields.value("dim"))
    return tuple(sorted(a + rank if a < 0 else a for a in axes)), rank


def _is_last(axes: tuple[int, ...], rank: int) -> bool:
    return axes == ((rank - 1,) if rank else (-1,))


def _reduction(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    axes, rank = _axes(fields)
    space: set[tuple[int, ...]] = set()
    if rank >= 3:
        inner = rank - 2
        space = {tuple(range(2, rank)), tuple(range(1, 1 + inner))}
        if rank == 3:
            space = {(1,)}
    attr = operators.pack_attributes(last_axis=_is_last(axes, rank), space_axes=axes in space)
    exact: dict[str, Any] = {"axes": axes or None}
    shape = fields.shape("self")
    if op == "mean" and shape and axes:  # of a normalization written out, if it is in one
        exact["norm_size"] = math.prod(shape[axis] for axis in axes)
    return Described(op, attr, exact=exact)


def _softmax(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    axes, rank = _axes(fields)
    last = _is_last(axes, rank)
    exact: dict[str, Any] = {"axes": axes or None}
    if last and rank == 4:  # scores of attention: (batch, heads, queries, keys)
        exact["heads"] = (fields.shape("self") or fields.shape("result") or ())[1]
    return Described(op, operators.pack_attributes(last_axis=last), exact=exact)


def _attention(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    query, key = fields.shape("query"), fields.shape("key")
    if query is None or len(query) < 2:
        return Described(op)
    exact = {"head_size": query[-1]}
    if len(query) >= 4:
        exact["heads"] = query[-3]
        if key is not None and len(key) == len(query) and key[-3] != query[-3]:
            exact["key_heads"] = key[-3]
    return Described(op, exact=exact)


def _norm(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    sizes = _per_side(fields.value("normalized_shape"), 1) or fields.shape("weight")
    groups = fields.value("num_groups") or fields.value("group")
    exact = {"norm_size": math.prod(sizes) if sizes else None}
    if op == "group_norm" and isinstance(groups, int):
        exact["norm_groups"] = groups
    return Described(op, exact=exact)


def _leaky_relu(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    slope = fields.value("negative_slope")
    return Described(op, exact={"slope": slope if isinstance(slope, (int, float)) else None})


def _resize(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    sides = fields.value("output_size") or fields.value("sides")
    return Described(op, exact={"output_size": _per_side(sides, 1)})


def _embedding(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    table, rows = fields.shape("weight"), fields.value("weight_sym_argsize_0")
    result = fields.shape("output")
    if table is not None and len(table) == 2:
        return Described(op, exact={"in_channels": table[0], "out_channels": table[1]})
    width = result[-1] if result else None
    return Described(op, exact={"in_channels": rows, "out_channels": width})


def _recurrent(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    names = ("in_channels", "out_channels")
    return Described(op, exact={name: fields.value(name) for name in names})


def _permute(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    dims = _sides(fields.value("dims"))
    shape = fields.shape("output") or fields.shape("self") or ()
    pair = tuple(fields.value(name) for name in ("dim0", "dim1"))
    if not dims and shape and all(isinstance(d, int) for d in pair):
        swapped = list(range(len(shape)))
        first, second = (d % len(shape) for d in pair)
        swapped[first], swapped[second] = second, first
        dims = tuple(swapped)
    dims = tuple(d % len(dims) for d in dims)
    return Described(op, operators.pack_attributes(layout_permute=dims in _LAYOUT_PERMUTES))


def _clip(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    low, high = (
        fields.value(a) if fields.value(a) is not None else fields.value(b)
        for a, b in (("min", "min_val"), ("max", "max_val"))
    )
    return Described(op, operators.pack_attributes(constant_class=int(low == 0 and high == 6)))


def _slice(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    shape = fields.shape("self")
    dim, start, end = (fields.value(name) for name in ("dim", "start", "end"))
    if shape and spelling in ("Slice", "slice") and isinstance(dim, int):
        size = shape[dim]
        whole = (start in (None, 0)) and (end is None or end >= size)
        if whole and fields.value("step") in (None, 1):
            return Described("identity")
    return Described(op)


def _gather(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    # Indexing one fixed position is a slice of length one.
    return Described("slice" if fields.value("picked") == 1 else op)


def _deform_conv(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    weight = fields.shape("weight")
    if weight is None or len(weight) != 4:
        return Described(op)
    groups = int(fields.value("groups") or 1)
    channels: dict[str, Any] = {"in_channels": weight[1] * groups, "out_channels": weight[0]}
    pairs = {
        name: tuple(_largest(fields.value(f"{short}_{side}")) for side in "hw")
        for name, short in (("stride", "stride"), ("padding", "pad"), ("dilation", "dilation"))
    }
    attr = operators.pack_attributes(
        kernel=max(weight[2:]),
        stride=max(pairs["stride"]),
        dilation=max(pairs["dilation"]),
        groups=groups,
        spatial_rank=2,
        square=weight[2] == weight[3],
        **channels,
    )
    return Described(op, attr, exact={"kernel": weight[2:], "groups": groups, **pairs, **channels})


def _concat(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    # A learned token among the pieces does not show in the other operands.
    constant = any(kind in (Operand.PARAM, Operand.SCALAR) for kind in kinds)
    order = tuple(i for i, kind in enumerate(kinds) if kind is Operand.DATA)
    return Described(op, operators.pack_attributes(param_operand=constant), order)


_Rule = Callable[[str, Fields, str, Sequence[Operand]], Described]
_RULES: dict[str, _Rule] = {
    "conv": _conv,
    "conv_transpose": _conv,
    "matmul": _matmul,
    "linear": _matmul,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "permute": _permute,
    "clip": _clip,
    "concat": _concat,
    "slice": _slice,
    "gather": _gather,
    "deform_conv": _deform_conv,
    "pad": _pad,
    "attention": _attention,
    "leaky_relu": _leaky_relu,
    "resize": _resize,
    "embedding": _embedding,
    "adaptive_avg_pool": _adaptive_pool,
    "adaptive_max_pool": _adaptive_pool,
    **dict.fromkeys(BINARY, _elementwise),
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(("lstm", "gru", "rnn"), _recurrent),
    **dict.fromkeys(("batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm"), _norm),
}
_AXIS_REDUCTIONS = frozenset(
    {"mean", "sum", "max", "min", "prod", "variance", "norm", "logsumexp", "argmax"}
)


def describe(op: str, fields: Fields, spelling: str, kinds: Sequence[Operand]) -> Described:
    """Describe one operator call.

    Args:
        op: Canonical operator of `spelling` in the table.
        fields: The call's arguments.
        spelling: The operator's name in autograd or ATen.
        kinds: Origin of each tensor argument, in argument order.

    Returns:
        The design; attributes may refine the operator (a product with a weight is ``linear``).
    """
    rule = _RULES.get(op) or (_reduction if op in _AXIS_REDUCTIONS else None)
    return Described(op) if rule is None else rule(op, fields, spelling, kinds)
