"""Integers and masks that keep their values while all other tensors have only a shape.

Token ids, grids and masks steer a network: how many images there are, which tokens stand for them,
which are padding. On the meta device these values are unknown. So such tensors stay on the CPU, and
go to meta only when they meet weights or activations.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from narfast.sources.torch_trace.module_copy import on_meta

__all__ = ["KnownValues", "keeps_value", "value_or_meta"]

_FACTORIES = frozenset(
    ["arange", "zeros", "ones", "full", "tensor", "as_tensor", "empty", "eye", "tril", "randint"]
)
_LIKE = frozenset({"new_zeros", "new_ones", "new_full", "new_tensor", "new_empty"})
_UNSET = frozenset({"empty", "new_empty"})
_MOVES = frozenset({"to", "type_as", "cpu"})
_INDEXING = frozenset({"__getitem__", "__setitem__"})
_INTEGERS = frozenset({torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool})
_MAX_ELEMENTS = 1 << 22  # elements; larger integer tensors do not steer a network


def value_or_meta(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor that steers a network; of any other tensor, return only the shape."""
    return tensor.detach().clone() if keeps_value(tensor) else on_meta(tensor)


def keeps_value(tensor: torch.Tensor) -> bool:
    """Whether a tensor is small integer data with known values."""
    return (
        tensor.dtype in _INTEGERS
        and tensor.device.type == "cpu"
        and type(tensor) is torch.Tensor
        and tensor.numel() <= _MAX_ELEMENTS
    )


def _is_meta(device: Any) -> bool:
    return device is not None and torch.device(device).type == "meta"


class KnownValues(TorchFunctionMode):
    """Lets known values on the CPU and other tensors on meta meet in one network."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run one call of PyTorch's Python interface with its operands on one device."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return func(*args, **kwargs)
        if name in _FACTORIES and _is_meta(kwargs.get("device")):
            if _makes_values(name, args, kwargs):
                kwargs = {**kwargs, "device": "cpu"}
        elif name in _LIKE and kwargs.get("dtype") in _INTEGERS and args[0].is_meta:
            kwargs = {**kwargs, "device": "cpu"}
        elif name in _MOVES:
            dtype, device = _move(args, kwargs)
            if name == "cpu":
                device = "cpu"
            moved = args[0]
            # Known values stay on the CPU; unknown values cannot leave meta.
            stays = (
                moved.device.type == "cpu" and device == "meta" and moved.numel() <= _MAX_ELEMENTS
            )
            if stays or (moved.is_meta and device == "cpu"):
                return moved if dtype is moved.dtype else moved.to(dtype)
        elif name == "nonzero" and args[0].is_meta:
            return torch.nonzero(torch.ones(args[0].shape, dtype=torch.bool), **kwargs)
        elif name == "where" and len(args) == 1 and args[0].is_meta:
            return torch.nonzero(torch.ones(args[0].shape, dtype=torch.bool), as_tuple=True)
        elif name in _INDEXING and args[0].is_meta:
            args = (args[0], _all_true(args[1]), *args[2:])
        found: list[torch.Tensor] = []
        _collect((args, kwargs.values()), found)
        if any(t.is_meta for t in found) and any(not t.is_meta and t.dim() > 0 for t in found):
            index = name in _INDEXING
            args = tuple(_to_meta(a, index) for a in args)
            kwargs = {k: _to_meta(v, index) for k, v in kwargs.items()}
        out = func(*args, **kwargs)
        if name in _UNSET and keeps_value(out):
            out.zero_()  # uninitialized memory must not steer a network
        return out


def _makes_values(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    dtype = kwargs.get("dtype")
    if name == "ones" and math.prod(_shape(args, kwargs)) <= _MAX_ELEMENTS:
        return True  # masks without padding, of any type
    if dtype is not None:
        return dtype in _INTEGERS
    if name == "randint":
        return True
    if name == "arange":
        ends = (*args, *(kwargs.get(k, 0) for k in ("start", "end", "step")))
        return not any(isinstance(a, float) for a in ends)
    if name == "full":
        return isinstance(kwargs.get("fill_value", args[1] if len(args) > 1 else 0.0), int)
    if name in ("tensor", "as_tensor"):
        value = args[0] if args else kwargs.get("data")
        while isinstance(value, (list, tuple)) and value:
            value = value[0]
        return isinstance(value, int) or (isinstance(value, torch.Tensor) and keeps_value(value))
    return False


def _shape(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, ...]:
    size = args or (kwargs.get("size", ()),)
    return tuple(size[0]) if isinstance(size[0], (tuple, list)) else size


def _move(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[torch.dtype, str | None]:
    """Return (type, kind of device) that a call of ``to``, ``cpu`` or ``type_as`` asks for."""
    given = (*args[1:], kwargs.get("device"), kwargs.get("dtype"), kwargs.get("other"))
    dtype, device = args[0].dtype, None
    for value in given:
        if isinstance(value, torch.Tensor):
            dtype, device = value.dtype, value.device.type
        elif isinstance(value, torch.dtype):
            dtype = value
        elif isinstance(value, (str, torch.device)):
            device = torch.device(value).type
    return dtype, device


def _all_true(index: Any) -> Any:
    """Replace masks of unknown values in an index by all-true ones: nothing is padding."""
    if isinstance(index, torch.Tensor) and index.is_meta and index.dtype is torch.bool:
        return torch.ones(index.shape, dtype=torch.bool)
    if isinstance(index, tuple):
        return tuple(_all_true(i) for i in index)
    return index


def _collect(values: Any, found: list[torch.Tensor]) -> None:
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif value.__class__ in (tuple, list) or value.__class__ is _VALUES:
            _collect(value, found)


_VALUES: type = type({}.values())


def _to_meta(value: Any, index: bool) -> Any:
    if isinstance(value, torch.Tensor):
        if value.is_meta or value.dim() == 0:
            return value
        if index and value.dtype in (torch.bool, torch.uint8):
            # The mask is known, so the number of its positions is; on meta it would not be.
            places = tuple(i.to("meta") for i in torch.nonzero(value, as_tuple=True))
            return places if len(places) != 1 else places[0]
        return value.to("meta")
    if value.__class__ in (tuple, list):
        items: list[Any] = []
        for item in value:
            moved = _to_meta(item, index)
            spread = index and isinstance(item, torch.Tensor) and isinstance(moved, tuple)
            items.extend(moved) if spread else items.append(moved)
        return type(value)(items)
    return value
