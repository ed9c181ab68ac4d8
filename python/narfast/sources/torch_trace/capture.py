"""Captures facts that PyTorch's autograd graph lacks, at the level of Python calls.

Attention and recurrent layers become one node for every kernel that PyTorch may choose (on the meta
device it chooses decompositions). Constants and integer data are distinguished, and parts that a
network runs without gradients stay visible.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from narfast.sources.torch_trace.flops import attention_flops

__all__ = ["CaptureMode", "InputMarker", "Opaque", "mark_data"]

_DATA = "_narfast_data"
_RECURRENT = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn", "rnn_relu": "rnn"}
_BINARY = frozenset(
    [
        "add",
        "add_",
        "sub",
        "sub_",
        "mul",
        "mul_",
        "div",
        "div_",
        "true_divide",
        "__add__",
        "__radd__",
        "__iadd__",
        "__sub__",
        "__rsub__",
        "__isub__",
        "__mul__",
        "__rmul__",
        "__imul__",
        "__truediv__",
        "__itruediv__",
        "__pow__",
        "pow",
        "maximum",
        "minimum",
        "rsub",
        "subtract",
        "multiply",
        "divide",
    ]
)
_OVERWRITING = frozenset({"copy_", "fill_", "zero_", "index_put_", "scatter_", "set_"})
# These depend only on a tensor's shape: the result is a constant.
_SHAPE_ONLY = frozenset(
    [
        "zeros_like",
        "ones_like",
        "full_like",
        "empty_like",
        "rand_like",
        "randn_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
        "new_tensor",
    ]
)


_NORM = {
    True: ("input", "weight", "bias"),  # torch.batch_norm and its like
    False: ("input", "running_mean", "running_var", "weight", "bias"),
}
_LAYER_NORM = ("input", "normalized_shape", "weight", "bias")
_GROUP_NORM = ("input", "num_groups", "weight", "bias")
_INSTANCE_NORM = {
    True: ("input", "weight", "bias", "running_mean", "running_var", "use_input_stats"),
    False: ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats"),
}
# Argument names by operator: torch and torch.nn.functional differ.
_SHORTCUTS: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "batch_norm": lambda func: _NORM[isinstance(func, BuiltinFunctionType)],
    "layer_norm": lambda func: _LAYER_NORM,
    "group_norm": lambda func: _GROUP_NORM,
    "instance_norm": lambda func: _INSTANCE_NORM[isinstance(func, BuiltinFunctionType)],
    "linear": lambda func: ("input", "weight", "bias"),
    **dict.fromkeys(
        ("relu", "gelu", "silu", "mish", "hardswish", "hardsigmoid"),
        lambda func: ("input", "inplace"),
    ),
}

# Interpolations that PyTorch computes in Python on meta: (input, output_size, align_corners,
# scale_factors).
_INTERPOLATIONS = frozenset(
    {"upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"}
)


def mark_data(tensor: torch.Tensor) -> torch.Tensor:
    """Mark a tensor without gradient as computed from the network's input; return it."""
    setattr(tensor, _DATA, True)
    return tensor


def is_data(tensor: torch.Tensor) -> bool:
    """Whether a tensor is known to be computed from the network's input."""
    return tensor.requires_grad or getattr(tensor, _DATA, False)


class InputMarker(torch.autograd.Function):
    """Identity whose autograd node represents an input of the network."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        """Return a new tensor, so that in-place operators may follow."""
        ctx.narfast_op = "input"
        return tensor.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Raise RuntimeError: traced networks are never trained."""
        raise RuntimeError("a traced network has no backward pass")


class Opaque(torch.autograd.Function):
    """One node with outputs of given shapes: `apply(op, fields, shapes, *operands)`.

    The node keeps `fields`, the named arguments that determine its attributes.
    """

    @staticmethod
    def forward(
        ctx: Any,
        op: str,
        fields: dict[str, Any],
        shapes: list[tuple[int, ...]],
        *operands: torch.Tensor | None,
    ) -> tuple[torch.Tensor, ...]:
        """Return outputs of the shapes; their values do not matter."""
        ctx.narfast_op = op
        ctx.narfast_fields = fields
        first = operands[0]
        assert first is not None
        return tuple(first.new_zeros(shape) for shape in shapes)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Raise RuntimeError: traced networks are never trained."""
        raise RuntimeError("a traced network has no backward pass")


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    stack = [values]
    while stack:
        value = stack.pop()
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            stack.extend(value)
        elif isinstance(value, dict):
            stack.extend(value.values())


def _apply(*arguments: Any) -> tuple[torch.Tensor, ...]:
    outputs: tuple[torch.Tensor, ...] = Opaque.apply(*arguments)  # type: ignore[no-untyped-call]
    return outputs


@cache
def _without_override(function: FunctionType) -> FunctionType:
    """Return a PyTorch function without its override hook, so that its body is captured."""
    plain = dict.fromkeys(
        ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"),
        lambda *_: False,
    )
    clone = FunctionType(
        function.__code__,
        {**function.__globals__, **plain},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    clone.__kwdefaults__ = function.__kwdefaults__
    return clone


class CaptureMode(TorchFunctionMode):
    """Runs a network and captures its calls.

    Attributes:
        notes: By autograd node: facts that the node does not save. ``operands``: number of elements
            of each argument without gradient, or -1 for data; ``picked``: number of fixed
            positions that an indexing reads; ``constant``: an embedding of fixed indices;
            ``output_size`` of an adaptive pool; ``in_place``: the operator of a CopySlices node;
            ``path`` of the module that runs it.
        record: Called for opaque operators if there is no autograd graph:
            ``record(op, outputs, operands, fields)``.
    """

    def __init__(
        self,
        record: Callable[[str, list[torch.Tensor], list[torch.Tensor], dict[str, Any]], None]
        | None = None,
    ) -> None:
        super().__init__()
        self.notes: dict[Any, dict[str, Any]] = {}
        self.record = record
        self._paths = [""]

    @property
    def path(self) -> str:
        """Path of the module that is running, in a module that is `followed`."""
        return self._paths[-1]

    @contextlib.contextmanager
    def followed(self, module: nn.Module) -> Iterator[None]:
        """Keep `path` up to date while `module` runs."""
        names = {id(part): name for name, part in module.named_modules()}

        def enter(part: nn.Module, _: Any) -> None:
            self._paths.append(names.get(id(part), self.path))

        def leave(*_: Any) -> None:
            self._paths.pop()

        hooks = torch.nn.modules.module
        handles = [
            hooks.register_module_forward_pre_hook(enter),
            hooks.register_module_forward_hook(leave, always_call=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Handle one call of PyTorch's Python interface."""
        out = self._run(func, args, kwargs or {})
        if self.record is None:
            results = out if isinstance(out, (tuple, list)) else (out,)
            for tensor in results:
                if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
                    self.notes.setdefault(tensor.grad_fn, {}).setdefault("path", self.path)
        return out

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__name__", "")
        if name == "scaled_dot_product_attention":
            return self._attention(*args, **kwargs)
        if name in ("multi_head_attention_forward", "interpolate"):
            with self:
                return _without_override(func)(*args, **kwargs)
        if name in _SHORTCUTS and self.record is None:
            return self._shortcut(name, func, args, kwargs)
        if name in _INTERPOLATIONS and self.record is None and args[0].requires_grad:
            return self._resize(*args, **kwargs)
        if name in _RECURRENT and len(args) >= 7:
            return self._recurrent(_RECURRENT[name], func, args, kwargs)
        if self.record is None:
            if name == "_set_grad_enabled":
                return None  # parts that run without gradients are part of the design
            if name == "detach" and args[0].requires_grad:
                return args[0]
            if name == "embedding":
                args = _learnt(args)
        out = func(*args, **kwargs)
        if isinstance(out, torch.Tensor) and out.requires_grad:
            self._note(name, out, args, kwargs)
        elif isinstance(out, (torch.Tensor, tuple, list)) and name not in _SHAPE_ONLY:
            self._spread(out, args, kwargs)
        return out

    def _spread(self, out: Any, args: Any, kwargs: Any) -> None:
        """Mark results without gradient as data if an argument is data."""
        results = [t for t in _tensors(out) if not t.requires_grad]
        if results and any(is_data(t) for t in _tensors((args, kwargs))):
            for tensor in results:
                mark_data(tensor)

    def _note(self, name: str, out: torch.Tensor, args: Any, kwargs: Any) -> None:
        if self.record is not None:
            return
        note: dict[str, Any] = {}
        if name in _BINARY and len(args) >= 2:
            note["operands"] = tuple(_elements(a) for a in args[:2])
            if name in ("__radd__", "__rsub__", "__rmul__", "rsub"):
                note["operands"] = note["operands"][::-1]
        elif name in ("__getitem__", "index_select", "gather", "take_along_dim"):
            indices = [t for t in _tensors((args[1:], kwargs)) if not t.requires_grad]
            if len(indices) == 1 and not is_data(indices[0]):
                note["picked"] = indices[0].numel()
        elif name == "embedding":
            # F.embedding(input, weight) and torch.embedding(weight, indices) both end here.
            indices = [t for t in _tensors(args) if not t.is_floating_point()]
            note["constant"] = bool(indices) and not any(is_data(t) for t in indices)
        elif name.startswith("adaptive_avg_pool") and len(args) >= 2:
            note["output_size"] = args[1]
        base = out._base
        if base is not None and base.numel() == out.numel() and _computes_in_place(name):
            # In place on a reshaped view: PyTorch shows a copy into the base, not the operator.
            self.notes.setdefault(base.grad_fn, {}).update(note, in_place=name.rstrip("_"))
            return
        if note:
            self.notes.setdefault(out.grad_fn, {}).update(note)

    def _opaque(
        self,
        op: str,
        shapes: list[tuple[int, ...]],
        operands: list[torch.Tensor],
        **fields: Any,
    ) -> tuple[torch.Tensor, ...]:
        if self.record is not None:
            outputs = tuple(operands[0].new_zeros(shape) for shape in shapes)
            self.record(op, list(outputs), operands, fields)
            return outputs
        return _apply(op, fields, shapes, *operands)

    def _shortcut(self, name: str, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Add one node for an operator whose shapes PyTorch computes slowly in Python."""
        named = {**dict(zip(_SHORTCUTS[name](func), args, strict=False)), **kwargs}
        data, weight, bias = named["input"], named.get("weight"), named.get("bias")
        plain = named.get("inplace") is not True and named.get("use_input_stats", True)
        if not isinstance(data, torch.Tensor) or not data.requires_grad or not plain:
            return func(*args, **kwargs)  # an instance norm with stored statistics is a batch norm
        shape = tuple(data.shape)
        fields = {"input": shape, "num_groups": named.get("num_groups")}
        if weight is not None:
            fields["weight"] = tuple(weight.shape)
        if name == "linear":
            if weight is None or weight.dim() != 2 or shape[-1] != weight.shape[1]:
                return func(*args, **kwargs)  # raises PyTorch's own error
            shape = (*shape[:-1], weight.shape[0])
        return _apply(name, fields, [shape], data, weight, bias)[0]

    def _resize(
        self,
        data: torch.Tensor,
        output_size: Sequence[int] | None,
        align_corners: bool,
        scale_factors: Sequence[float] | None = None,
    ) -> torch.Tensor:
        old = data.shape[2:]
        new = output_size or [int(n * s) for n, s in zip(old, scale_factors or (), strict=True)]
        return self._opaque("resize", [(*data.shape[:2], *new)], [data], sides=list(new))[0]

    def _attention(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        *_: Any,
        **__: Any,
    ) -> torch.Tensor:
        shapes = (t.shape[:-3] for t in (query, key, value))
        batch: Any = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
        shape = (*batch, *query.shape[-3:-1], value.shape[-1])
        if query.dim() < 3:
            shape = (*query.shape[:-1], value.shape[-1])
        operands = [query, key, value]
        if attn_mask is not None and attn_mask.requires_grad:
            operands.append(attn_mask)
        flops = attention_flops((*batch, *query.shape[-3:]), key.shape, value.shape)
        fields = {"flops": flops, "query": tuple(query.shape), "key": tuple(key.shape)}
        return self._opaque("attention", [shape], operands, **fields)[0]

    def _recurrent(self, op: str, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Add one node per layer, as other formats do."""
        if isinstance(args[3], bool):
            data, state, weights = args[:3]
            layers, bidirectional = args[4], args[7]
        else:  # packed sequences: (data, batch sizes, state, weights, ...)
            data, _, state, weights = args[:4]
            layers, bidirectional = args[5], args[8]
        states = list(state) if isinstance(state, (tuple, list)) else [state]
        initial = [s for s in states if s.requires_grad]
        width = states[0].shape[-1] * (2 if bidirectional else 1)
        per_layer = max(1, len(weights) // layers)
        out, final = data, states
        for layer in range(layers):
            own = list(weights[layer * per_layer : (layer + 1) * per_layer])
            shapes = [(*out.shape[:-1], width), *(tuple(s.shape) for s in states)]
            products = sum(w.numel() for w in own if w.dim() == 2)
            flops = 2 * products * math.prod(out.shape[:-1])
            fields = {"flops": flops, "in_channels": out.shape[-1], "out_channels": width}
            out, *final = self._opaque(op, shapes, [out, *initial, *own], **fields)
        return (out, *final)


def _learnt(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give a table without gradient, such as a codebook in a buffer, a gradient."""
    if len(args) < 2 or not all(isinstance(a, torch.Tensor) for a in args[:2]):
        return args
    indices, table = args[:2]
    if table.requires_grad or not table.is_floating_point() or not is_data(indices):
        return args
    return (indices, table.detach().requires_grad_(), *args[2:])


def _computes_in_place(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__") and name not in _OVERWRITING


def _elements(value: Any) -> int:
    """Return the elements of a constant argument; 0 for one on the graph, -1 for other data."""
    if not isinstance(value, torch.Tensor):
        return 1
    if value.requires_grad:
        return 0
    return -1 if is_data(value) else value.numel()
