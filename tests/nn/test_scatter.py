"""Message passing primitives against a loop, gradients included.

Where torch_scatter can be imported its results are compared too; its CUDA branch cannot be reached
without a GPU and is skipped with that reason.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from narfast.nn import scatter
from narfast.nn.collate import transpose_csr

PTR = torch.tensor([0, 2, 2, 5, 6])


def values(rows: int, *, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(rows, 3, dtype=torch.float64, requires_grad=True)


def looped(x: Tensor, groups: list[list[int]], reduce: str) -> Tensor:
    out = []
    for group in groups:
        if not group:
            out.append(torch.zeros(x.shape[1], dtype=x.dtype) + 0 * x.sum())
        elif reduce == "max":
            out.append(x[group].max(dim=0).values)
        else:
            out.append(x[group].sum(dim=0) / (len(group) if reduce == "mean" else 1))
    return torch.stack(out)


def agree(fast: Tensor, slow: Tensor, x: Tensor) -> None:
    torch.testing.assert_close(fast, slow)
    weight = torch.linspace(-1, 2, fast.numel(), dtype=fast.dtype).view_as(fast)
    (fast_grad,) = torch.autograd.grad((fast * weight).sum(), x, retain_graph=True)
    (slow_grad,) = torch.autograd.grad((slow * weight).sum(), x)
    torch.testing.assert_close(fast_grad, slow_grad)


@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
def test_segments(reduce: str) -> None:
    x = values(6)
    groups = [list(range(a, b)) for a, b in zip(PTR[:-1].tolist(), PTR[1:].tolist(), strict=True)]
    fast: Callable[..., Tensor] = getattr(scatter, f"segment_{reduce}")
    agree(fast(x, PTR), looped(x, groups, reduce), x)


def test_gather() -> None:
    x = values(4)
    agree(scatter.gather_csr(x, PTR), x[[0, 0, 2, 2, 2, 3]], x)


def test_neighbors() -> None:
    in_ptr = torch.tensor([0, 0, 1, 3, 6])
    in_src = torch.tensor([0, 1, 1, 0, 2, 1])
    out_ptr, out_dst, _ = map(torch.from_numpy, transpose_csr(in_ptr.numpy(), in_src.numpy()))
    x = values(4)
    groups = [in_src[in_ptr[v] : in_ptr[v + 1]].tolist() for v in range(4)]
    agree(scatter.neighbor_sum(x, in_ptr, in_src, (out_ptr, out_dst)), looped(x, groups, "sum"), x)


def test_weighted_neighbors() -> None:
    index = torch.tensor([3, 0, 3, 1, 0, 3])
    x = values(8).view(4, 2, 3)
    weight = torch.linspace(-1, 2, 12, dtype=torch.float64).view(6, 2).requires_grad_()
    for leaf in (x, weight):
        rows = [
            sum(
                (x[index[e]] * weight[e].unsqueeze(-1) for e in range(PTR[v], PTR[v + 1])),
                torch.zeros(2, 3, dtype=torch.float64),
            )
            for v in range(4)
        ]
        agree(scatter.weighted_neighbor_sum(x, PTR, index, weight), torch.stack(rows), leaf)


def test_nothing_to_add() -> None:
    x = torch.empty(0, 3, dtype=torch.float64, requires_grad=True)
    ptr = torch.zeros(3, dtype=torch.int64)
    for fast in (scatter.segment_sum, scatter.segment_mean, scatter.segment_max):
        result = fast(x, ptr)
        assert result.tolist() == [[0.0] * 3] * 2
        assert torch.autograd.grad(result.sum(), x)[0].shape == (0, 3)
    y = values(2)
    none = torch.empty(0, dtype=torch.int64)
    result = scatter.neighbor_sum(y, ptr, none, (ptr, none))
    assert result.tolist() == [[0.0] * 3] * 2
    assert torch.autograd.grad(result.sum(), y)[0].tolist() == [[0.0] * 3] * 2


def test_agrees_with_torch_scatter() -> None:
    library = pytest.importorskip(
        "torch_scatter", reason="torch_scatter is not installed; the loops above are the oracle"
    )
    x = values(6)
    for reduce in ("sum", "mean", "max"):
        torch.testing.assert_close(
            getattr(scatter, f"segment_{reduce}")(x, PTR),
            library.segment_csr(x, PTR, reduce=reduce),
        )
    rows = scatter.segment_sum(x, PTR)
    torch.testing.assert_close(scatter.gather_csr(rows, PTR), library.gather_csr(rows, PTR))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the CUDA branch needs a GPU")
def test_cuda_equals_cpu() -> None:
    x = values(6).detach().float()
    for fast in (scatter.segment_sum, scatter.segment_mean, scatter.segment_max):
        torch.testing.assert_close(fast(x.cuda(), PTR.cuda()).cpu(), fast(x, PTR))
