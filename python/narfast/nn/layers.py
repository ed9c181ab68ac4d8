"""Graph layers and readouts, and the tensors of a mini-batch that they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narfast.encoder_config import GAT_HEADS, LayerKind, ReadoutKind
from narfast.nn.collate import transpose_csr
from narfast.nn.scatter import (
    gather_csr,
    neighbor_sum,
    segment_max,
    segment_mean,
    segment_sum,
    weighted_neighbor_sum,
)

__all__ = [
    "BidirectionalLayer",
    "GatLayer",
    "GcnLayer",
    "GraphTensors",
    "Readout",
    "make_layer",
]


@dataclass(frozen=True)
class GraphTensors:
    """Structure of a mini-batch of n nodes, e edges and S segments, with both edge directions.

    Attributes:
        in_ptr: int64[n + 1], offsets into ``in_src`` by destination.
        in_src: int64[e], sources.
        out_ptr: int64[n + 1], offsets into ``out_dst`` by source.
        out_dst: int64[e], destinations.
        segment_ptr: int64[S + 1], node range of each segment.
    """

    in_ptr: Tensor
    in_src: Tensor
    out_ptr: Tensor
    out_dst: Tensor
    segment_ptr: Tensor

    @classmethod
    def from_csr(
        cls,
        in_ptr: NDArray[np.int64],
        in_src: NDArray[np.int64],
        segment_ptr: NDArray[np.int64],
        *,
        device: torch.device | str = "cpu",
    ) -> GraphTensors:
        """Add the outgoing side to a mini-batch of `narfast.nn.collate` and move it to a device."""
        out_ptr, out_dst, _ = transpose_csr(in_ptr, in_src)
        arrays = (in_ptr, in_src, out_ptr, out_dst, segment_ptr)
        return cls(*(torch.from_numpy(a).to(device) for a in arrays))

    def sum_in(self, x: Tensor) -> Tensor:
        """Sum the features float[n, d] of each node's in-neighbours."""
        return neighbor_sum(x, self.in_ptr, self.in_src, (self.out_ptr, self.out_dst))

    def sum_out(self, x: Tensor) -> Tensor:
        """Sum the features float[n, d] of each node's out-neighbours."""
        return neighbor_sum(x, self.out_ptr, self.out_dst, (self.in_ptr, self.in_src))

    @cached_property
    def neighbors_and_self(self) -> tuple[Tensor, Tensor]:
        """Offsets int64[n + 1] and nodes int64[2 e + n]: all neighbours, and the node itself."""
        place = torch.arange(len(self.in_ptr), device=self.in_ptr.device)
        node = place[:-1]
        degrees = (self.in_degree(), self.out_degree())
        receiver = torch.cat([*(node.repeat_interleave(degree) for degree in degrees), node])
        sender = torch.cat([self.in_src, self.out_dst, node])
        return self.in_ptr + self.out_ptr + place, sender[receiver.argsort(stable=True)]

    def in_degree(self) -> Tensor:
        """int64[n]."""
        return self.in_ptr[1:] - self.in_ptr[:-1]

    def out_degree(self) -> Tensor:
        """int64[n]."""
        return self.out_ptr[1:] - self.out_ptr[:-1]


class GcnLayer(nn.Module):
    """Graph convolution of Kipf and Welling: symmetric normalisation, self loops, then ReLU.

    Edges count in both directions: the method was defined for undirected graphs.
    """

    def __init__(self, in_dim: int, out_dim: int, *, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, out_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, graph: GraphTensors) -> Tensor:
        """Map float[n, in_dim] to float[n, out_dim]."""
        degree = 1 + graph.in_degree() + graph.out_degree()
        scale = degree.to(x.dtype).rsqrt().unsqueeze(-1)
        h = self.linear(x) * scale
        h = (h + graph.sum_in(h) + graph.sum_out(h)) * scale
        dropped: Tensor = self.dropout(torch.relu(h))
        return dropped


class GatLayer(nn.Module):
    """Graph attention of Velickovic et al. (2018): heads side by side, self loops, then ELU.

    Edges count in both directions, as in `GcnLayer`.
    """

    def __init__(self, in_dim: int, out_dim: int, *, dropout: float) -> None:
        super().__init__()
        if out_dim % GAT_HEADS:
            raise ValueError(f"the width of a gat layer must be a multiple of {GAT_HEADS}")
        self.heads = heads = GAT_HEADS
        self.linear = nn.Linear(in_dim, out_dim, bias=False)
        self.source = nn.Parameter(torch.empty(heads, out_dim // heads))
        self.target = nn.Parameter(torch.empty(heads, out_dim // heads))
        self.bias = nn.Parameter(torch.zeros(out_dim))
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.source)
        nn.init.xavier_uniform_(self.target)

    def forward(self, x: Tensor, graph: GraphTensors) -> Tensor:
        """Map float[n, in_dim] to float[n, out_dim]."""
        h = self.linear(x).unflatten(-1, (self.heads, -1))  # [n, heads, d]
        score_source, score_target = (h * self.source).sum(-1), (h * self.target).sum(-1)
        ptr, source = graph.neighbors_and_self
        score = nn.functional.leaky_relu(score_source[source] + gather_csr(score_target, ptr), 0.2)
        highest = segment_max(score.detach(), ptr)
        weight = (score - gather_csr(highest, ptr)).exp()
        weight = self.dropout(weight / gather_csr(segment_sum(weight, ptr), ptr))
        summed = weighted_neighbor_sum(h, ptr, source, weight).flatten(1)
        result: Tensor = nn.functional.elu(summed + self.bias)
        return result


class BidirectionalLayer(nn.Module):
    """Own features, mean of in-neighbours and mean of out-neighbours, each with its own weights.

    Direction matters in an operator graph: a normalisation before a convolution is another design
    than one after it. The layer is residual if its input and output have the same width.
    """

    def __init__(self, in_dim: int, out_dim: int, *, dropout: float) -> None:
        super().__init__()
        self.own = nn.Linear(in_dim, out_dim)
        self.incoming = nn.Linear(in_dim, out_dim, bias=False)
        self.outgoing = nn.Linear(in_dim, out_dim, bias=False)
        self.norm = nn.LayerNorm(out_dim)
        self.dropout = nn.Dropout(dropout)
        self.residual = in_dim == out_dim

    def forward(self, x: Tensor, graph: GraphTensors) -> Tensor:
        """Map float[n, in_dim] to float[n, out_dim]."""
        sources = graph.in_degree().clamp(min=1).to(x.dtype).unsqueeze(-1)
        targets = graph.out_degree().clamp(min=1).to(x.dtype).unsqueeze(-1)
        h: Tensor = (
            self.own(x)
            + self.incoming(graph.sum_in(x) / sources)
            + self.outgoing(graph.sum_out(x) / targets)
        )
        h = self.dropout(nn.functional.gelu(self.norm(h)))
        return x + h if self.residual else h


def make_layer(kind: LayerKind, in_dim: int, out_dim: int, *, dropout: float) -> nn.Module:
    """Build the layer that a configuration names."""
    if kind == "gcn":
        return GcnLayer(in_dim, out_dim, dropout=dropout)
    if kind == "gat":
        return GatLayer(in_dim, out_dim, dropout=dropout)
    return BidirectionalLayer(in_dim, out_dim, dropout=dropout)


class Readout(nn.Module):
    """Several summaries of each segment, concatenated.

    ``mean`` describes a typical node, ``max`` what occurs at all, and ``sum_log`` (logarithm of the
    sum of the positive parts) how much of it there is.
    """

    def __init__(self, kinds: Sequence[ReadoutKind]) -> None:
        super().__init__()
        unknown = set(kinds) - set(get_args(ReadoutKind))
        if unknown or not kinds:
            raise ValueError(f"readouts must be some of {get_args(ReadoutKind)}, not {kinds}")
        self.kinds = tuple(kinds)

    def forward(self, x: Tensor, segment_ptr: Tensor) -> Tensor:
        """Map float[n, d] and S segments to float[S, d * number of kinds]."""
        parts = []
        for kind in self.kinds:
            if kind == "mean":
                parts.append(segment_mean(x, segment_ptr))
            elif kind == "max":
                parts.append(segment_max(x, segment_ptr))
            else:
                parts.append(torch.log1p(segment_sum(torch.relu(x), segment_ptr)))
        return torch.cat(parts, dim=-1)
