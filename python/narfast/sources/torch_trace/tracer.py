"""`trace`: reads the graph of any `torch.nn.Module` without allocating its weights.

The module is copied to the meta device and run once on shapes alone; PyTorch's autograd graph gives
the network's graph. If that fails, other strategies are tried in turn.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from narfast.errors import TraceError, UnsupportedSourceError
from narfast.graph import ArchGraph, GraphMeta, build_graph
from narfast.sources._nodes import NodeList
from narfast.sources._quiet import quiet
from narfast.sources.torch_trace.autograd import walk
from narfast.sources.torch_trace.capture import CaptureMode, InputMarker, mark_data
from narfast.sources.torch_trace.dispatch import DispatchRecorder
from narfast.sources.torch_trace.functions import functions_opened
from narfast.sources.torch_trace.known_values import KnownValues, value_or_meta
from narfast.sources.torch_trace.module_copy import (
    as_call,
    copy_module,
    map_tensors,
    on_meta,
    output_tensors,
    real_module,
    real_weights,
)

__all__ = ["trace"]

_REAL_LIMIT = 2_000_000_000  # parameters; above this, a real run would need too much memory


class _NoGraphError(Exception):
    """The outputs of a run do not depend on its inputs, as far as a strategy can see."""


def _marked(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return mark_data(tensor)
    leaf = tensor.detach().requires_grad_()
    marked: torch.Tensor = InputMarker.apply(leaf)  # type: ignore[no-untyped-call]
    return marked


def _run_autograd(module: nn.Module, call: tuple[Any, Any]) -> NodeList:
    """Run the module with gradients and traverse the graph from its outputs."""
    args, kwargs = map_tensors(call, _marked)
    mode = CaptureMode()
    with mode, mode.followed(module):
        out = module(*args, **kwargs)
    nodes = walk(output_tensors(out), mode.notes)
    if not nodes.outputs:
        raise _NoGraphError("no output depends on the input through differentiable operators")
    return nodes


def _autograd(
    module: nn.Module, call: tuple[Any, Any], copy: bool
) -> tuple[NodeList, dict[int, int]]:
    own, parameters = copy_module(module, value_or_meta, copy_it=copy)
    with KnownValues():
        return _run_autograd(own, map_tensors(call, value_or_meta)), parameters


def _bf16(module: nn.Module, call: tuple[Any, Any], copy: bool) -> tuple[NodeList, dict[int, int]]:
    """Trace in half precision: some networks cast to it in one part and expect it everywhere."""

    def place(tensor: torch.Tensor) -> torch.Tensor:
        moved = on_meta(tensor)
        return moved.to(torch.bfloat16) if moved.is_floating_point() else moved

    own, parameters = copy_module(module, place)
    return _run_autograd(own, map_tensors(call, place)), parameters


def _fake(module: nn.Module, call: tuple[Any, Any], copy: bool) -> tuple[NodeList, dict[int, int]]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def place(tensor: torch.Tensor) -> torch.Tensor:
        with mode:
            return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")

    own, parameters = copy_module(module, place)
    inputs = map_tensors(call, place)
    with mode:
        return _run_autograd(own, inputs), parameters


def _dispatch(
    module: nn.Module, call: tuple[Any, Any], copy: bool
) -> tuple[NodeList, dict[int, int]]:
    own, parameters = copy_module(module, on_meta)
    args, kwargs = map_tensors(call, lambda t: on_meta(t).clone())
    recorder = DispatchRecorder(parameters)
    for tensor in output_tensors((args, kwargs)):
        recorder.input(tensor)
    with torch.no_grad(), recorder.mode, recorder.mode.followed(own), recorder:
        out = own(*args, **kwargs)
    for tensor in output_tensors(out):
        recorder.output(tensor)
    if not recorder.nodes.outputs:
        raise _NoGraphError("no output depends on the input")
    return recorder.nodes, parameters


def _real(module: nn.Module, call: tuple[Any, Any], copy: bool) -> tuple[NodeList, dict[int, int]]:
    size = sum(p.numel() for p in module.parameters())
    if size > _REAL_LIMIT:
        raise _NoGraphError(f"{size:,} parameters are too many for a run with real weights")
    torch.manual_seed(0)
    own, parameters = real_module(module)
    inputs = map_tensors(call, real_weights)
    return _run_autograd(own, inputs), parameters


_Strategy = Callable[[nn.Module, tuple[Any, Any], bool], tuple[NodeList, dict[int, int]]]
_STRATEGIES: dict[str, _Strategy] = {
    "autograd": _autograd,
    "bf16": _bf16,
    "fake": _fake,
    "dispatch": _dispatch,
    "real": _real,
}


def _reason(error: BaseException) -> str:
    """Return the first line of an error, shortened."""
    text = str(error).strip().splitlines()
    line = text[0] if text else ""
    line = line if len(line) <= 120 else line[:117] + "..."
    return f"{type(error).__name__}: {line}" if not isinstance(error, _NoGraphError) else line


def _input_shapes(call: tuple[Any, Any]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(tensor.shape) for tensor in output_tensors(call))


def trace(
    module: nn.Module,
    example_inputs: Any,
    *,
    name: str | None = None,
    source: str = "torch",
    family: str | None = None,
    task: str | None = None,
    copy: bool = True,
) -> ArchGraph:
    """Read the raw graph of a module.

    Args:
        module: Any module, on any device; it is not changed (mode, device, gradients, hooks).
        example_inputs: A tensor; a tuple or list of arguments; or a dict of keyword arguments.
            Only shapes and types matter, unless the module must be run for real.
        name: Name to record; the class name by default.
        source: Library or kind of source to record.
        family: Family label to record.
        task: Task label to record.
        copy: False permits changes to the module, which saves the copy.

    Returns:
        The graph before canonicalization. ``meta.trace_kind`` is the strategy that worked:
        ``autograd`` (shapes only), ``bf16`` (the same in half precision), ``fake`` (PyTorch's fake
        tensors), ``dispatch`` (recorded operator calls, without gradients) or ``real`` (a run on
        the CPU). ``meta.untraced`` counts parameter tensors that no recorded operator uses.

    Raises:
        UnsupportedSourceError: `module` is not a `torch.nn.Module`.
        TraceError: No strategy worked; the message has the reason of each.
    """
    if not isinstance(module, nn.Module):
        raise UnsupportedSourceError(
            f"trace needs a torch.nn.Module, got {type(module).__name__}: "
            "use narfast.load for names and files"
        )
    module = getattr(module, "_orig_mod", module)  # torch.compile wraps the network
    call = as_call(example_inputs)
    name = name or type(module).__name__
    parameters = list(module.parameters())
    reasons: list[str] = []
    with (
        warnings.catch_warnings(),
        # Fake tensors log their failures at length, although another strategy is tried.
        quiet("torch._subclasses.fake_tensor"),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.random.fork_rng(devices=[]),
    ):
        warnings.simplefilter("ignore")
        for kind, strategy in _STRATEGIES.items():
            try:
                nodes, own = strategy(module, call, copy)
            except (Exception, SystemExit) as error:  # a module may even end the program
                reasons.append(f"{kind}: {_reason(error)}")
                continue
            if nodes.unknown and own.keys() - nodes.reached:  # a custom function may hide them
                with contextlib.suppress(Exception, SystemExit), functions_opened():
                    again, owned = strategy(module, call, copy)
                    if len(again.reached) > len(nodes.reached):
                        nodes, own = again, owned
            shapes = _input_shapes(call)
            meta = GraphMeta(
                name=name,
                source=source,
                trace_kind=kind,
                family=family,
                task=task,
                params=sum(p.numel() for p in parameters),
                flops=nodes.flops or None,
                input_shape=shapes[0] if shapes else None,
                input_shapes=shapes,
                unknown_ops=dict(sorted(nodes.unknown.items())),
                untraced=len(own.keys() - nodes.reached),
            )
            return build_graph(
                nodes.op, nodes.attr, nodes.inputs, nodes.outputs, meta, hyperparameters=nodes.exact
            )
    raise TraceError(f"{name} could not be traced ({'; '.join(reasons)})")
