"""Copies modules and inputs for tracing, to another device and without their weights.

The caller's module is never changed: traces run on a copy. Its parameters are replaced during the
copying, so no weight is ever duplicated.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = [
    "as_call",
    "copy_module",
    "map_tensors",
    "on_meta",
    "output_tensors",
    "real_module",
    "real_weights",
]

Place = Callable[[torch.Tensor], torch.Tensor]


def on_meta(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor of the same shape, strides and type without storage."""
    if tensor.device.type == "meta" and not tensor.requires_grad and tensor.is_leaf:
        return tensor
    return torch.empty_like(tensor, device="meta", requires_grad=False)


class _DeepcopyPlaced(TorchFunctionMode):
    """While active, deep copies also place tensors that are not registered on a module."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__name__", "") == "__deepcopy__":
            tensor, memo = args[0], args[1]
            placed = self._place(tensor.detach())
            memo[id(tensor)] = placed
            return placed
        return func(*args, **(kwargs or {}))


def _parameter(parameter: nn.Parameter, place: Place) -> nn.Parameter:
    floating = parameter.is_floating_point() or parameter.is_complex()
    # Frozen weights are part of the design too: every weight gets a gradient.
    return nn.Parameter(place(parameter.detach()), requires_grad=floating)


def copy_module(
    module: nn.Module, place: Place, *, copy_it: bool = True
) -> tuple[nn.Module, dict[int, int]]:
    """Copy a module in eval mode; apply `place` to each of its tensors.

    Args:
        module: Not changed, unless `copy_it` is false.
        place: Returns the replacement of each parameter, buffer and plain tensor attribute.
        copy_it: False changes tensors and mode of the module in place.

    Returns:
        The copy, and the number of elements of each parameter by its ``id``.
    """
    if copy_it:
        memo: dict[int, Any] = {id(p): _parameter(p, place) for p in module.parameters()}
        memo.update((id(b), place(b.detach())) for b in module.buffers())
        with _DeepcopyPlaced(place):
            module = copy.deepcopy(module, memo)
    else:
        replaced: dict[int, nn.Parameter] = {}
        for part in module.modules():
            for name, parameter in part._parameters.items():
                if parameter is not None:
                    if id(parameter) not in replaced:
                        replaced[id(parameter)] = _parameter(parameter, place)
                    part._parameters[name] = replaced[id(parameter)]
            for name, buffer in part._buffers.items():
                if buffer is not None:
                    part._buffers[name] = place(buffer)
    module.eval()
    for part in module.modules():
        # Memory does not matter here, and an in-place activation on a view is hard to recognise.
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    return module, {id(p): p.numel() for p in module.parameters()}


def real_module(module: nn.Module) -> tuple[nn.Module, dict[int, int]]:
    """Return a copy on the CPU that can run, with the module's own weights or artificial ones.

    Artificial weights give activations of ordinary size, and detectors boxes near their anchors.
    """
    missing = {
        name
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if tensor.is_meta and name.endswith(("bias", "mean"))
    }
    own, parameters = copy_module(module, real_weights)
    with torch.no_grad():
        for name, tensor in (*own.named_parameters(), *own.named_buffers()):
            if name in missing:
                tensor.zero_()
    return own, parameters


def real_weights(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor with storage on the CPU: a copy, or artificial numbers if it has none.

    Matrices are random, scaled so that activations do not explode. Vectors are ones, which suits
    variances and scales.
    """
    if tensor.device.type != "meta":
        copied: torch.Tensor = tensor.detach().to("cpu", copy=True)
        return copied
    if tensor.is_floating_point() and tensor.dim() > 1:
        fan_in = max(1, tensor.numel() // max(1, tensor.shape[0]))
        scale: float = 0.5 * fan_in**-0.5
        return torch.randn(tensor.shape, dtype=torch.float32) * scale
    if tensor.is_floating_point():
        return torch.ones(tensor.shape, dtype=torch.float32)
    return torch.zeros(tensor.shape, dtype=tensor.dtype)


def map_tensors(value: Any, place: Place) -> Any:
    """Return the same nest of tuples, lists and dicts with every tensor replaced."""
    if isinstance(value, torch.Tensor):
        return place(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(v, place) for v in value))
    if isinstance(value, (tuple, list)):
        return type(value)(map_tensors(v, place) for v in value)
    if isinstance(value, dict):
        return type(value)((k, map_tensors(v, place)) for k, v in value.items())
    return value


def as_call(example_inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call: one tensor, several in a tuple or list, or keywords."""
    if isinstance(example_inputs, dict):
        return (), dict(example_inputs)
    if isinstance(example_inputs, (tuple, list)) and not hasattr(example_inputs, "_fields"):
        return tuple(example_inputs), {}
    return (example_inputs,), {}


def output_tensors(value: Any) -> list[torch.Tensor]:
    """Return every tensor in a network's output: in containers, dataclasses or output objects."""
    found: list[torch.Tensor] = []
    seen: set[int] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, torch.Tensor):
            found.append(item)
            continue
        if id(item) in seen or item is None or isinstance(item, (str, bytes, int, float)):
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, (tuple, list)):
            stack.extend(reversed(item))
        elif dataclasses.is_dataclass(item) and not isinstance(item, type):
            stack.extend(getattr(item, f.name) for f in reversed(dataclasses.fields(item)))
        elif not isinstance(item, (nn.Module, torch.dtype, torch.device)):
            stack.extend(reversed(list(getattr(item, "__dict__", {}).values())))
    return found
