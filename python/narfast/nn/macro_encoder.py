"""Macro encoder: one vector for each network, from its macro graph of motif vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from narfast.nn.layers import GraphTensors, LayerKind, Readout, ReadoutKind, make_layer

__all__ = ["MacroEncoder"]


class MacroEncoder(nn.Module):
    """Graph layers over motif vectors (with size and multiplicity beside them), then readouts.

    With ``node_scalars`` each macro node also carries log(1 + operators in it) and log(1 + how
    often its motif occurs in the network).
    """

    def __init__(
        self,
        motif_dim: int,
        *,
        layer: LayerKind,
        dim: int,
        num_layers: int,
        readouts: Sequence[ReadoutKind],
        dropout: float,
        out_dim: int,
        node_scalars: bool,
    ) -> None:
        super().__init__()
        self.node_scalars = node_scalars
        widths = [motif_dim + (2 if node_scalars else 0)] + [dim] * num_layers
        self.layers = nn.ModuleList(
            make_layer(layer, a, b, dropout=dropout) for a, b in pairwise(widths)
        )
        self.readout = Readout(readouts)
        merge = len(readouts) > 1 or out_dim != dim
        self.merge = nn.Linear(dim * len(readouts), out_dim) if merge else nn.Identity()

    def forward(
        self, motif_vectors: Tensor, size: Tensor, multiplicity: Tensor, graph: GraphTensors
    ) -> Tensor:
        """Encode S networks.

        Args:
            motif_vectors: float[n, motif_dim], one row for each macro node.
            size: int64[n], operators in each macro node.
            multiplicity: int64[n], instances of the same motif in the same network.
            graph: Structure; one segment is one network.

        Returns:
            float[S, out_dim], not normalised.
        """
        x = motif_vectors
        if self.node_scalars:
            scalars = torch.log1p(torch.stack([size, multiplicity], dim=1).to(x.dtype))
            x = torch.cat([x, scalars], dim=1)
        for layer in self.layers:
            x = layer(x, graph)
        vectors: Tensor = self.merge(self.readout(x, graph.segment_ptr))
        return vectors
