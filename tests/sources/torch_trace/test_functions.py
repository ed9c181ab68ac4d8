"""Custom autograd functions: seen through while a network is traced, and left as they are."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from narfast.graph import canonicalize
from narfast.sources.torch_trace.functions import functions_opened
from narfast.sources.torch_trace.tracer import trace

TOKENS = torch.zeros(2, 5, 32)


class Doubled(torch.autograd.Function):
    """Both ways of writing a custom function: the context given to ``forward``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Module) -> Tensor:
        ctx.save_for_backward(x)
        ctx.mark_non_differentiable(x)
        with torch.no_grad():
            return torch.relu(layer(x)) * 2 if ctx.needs_input_grad[0] else x


class DoubledApart(torch.autograd.Function):
    """And set up apart from it."""

    @staticmethod
    def forward(x: Tensor, layer: nn.Module) -> Tensor:
        return torch.relu(layer(x)) * 2

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])


@pytest.mark.parametrize("function", [Doubled, DoubledApart])
def test_custom_functions_are_seen_through_where_they_hide_parameters(function: Any) -> None:
    class Reversible(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(32, 32)

        def forward(self, x: Tensor) -> Tensor:
            return function.apply(torch.tanh(x), self.layer).sigmoid()

    graph = trace(Reversible(), TOKENS)
    assert canonicalize(graph).op_names() == ["input", "tanh", "linear", "relu", "sigmoid"]
    assert (graph.meta.untraced, graph.meta.unknown_ops) == (0, {})


applied = Doubled.apply  # as PyTorch's documentation has it


def test_custom_functions_are_seen_through_by_a_name_of_their_own() -> None:
    class Reversible(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(32, 32)

        def forward(self, x: Tensor) -> Tensor:
            return applied(torch.tanh(x), self.layer)

    graph = canonicalize(trace(Reversible(), TOKENS))
    assert graph.op_names() == ["input", "tanh", "linear", "relu"]


class HundredTimes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0] * 100


def test_custom_functions_keep_their_gradients_in_other_threads_and_afterwards() -> None:
    def gradient() -> float:
        x = torch.ones(1, requires_grad=True)
        HundredTimes.apply(x).backward()
        assert x.grad is not None
        return float(x.grad)

    inside, leave = threading.Event(), threading.Event()

    def open_them() -> None:
        with functions_opened():
            inside.set()
            leave.wait(30)

    other = threading.Thread(target=open_them)
    with functions_opened():
        other.start()
        inside.wait(30)
        assert (
            not HundredTimes.apply(torch.ones(1, requires_grad=True))
            .grad_fn.name()
            .startswith("HundredTimes")
        )
    assert gradient() == 100  # the other thread still has them open
    leave.set()
    other.join()
    assert gradient() == 100
    assert "apply" not in vars(torch.autograd.function._SingleLevelFunction)
