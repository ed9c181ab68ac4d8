"""Macro encoder: one vector for each network, from its macro graph of motif vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from narfast.encoder_config import LayerKind, ReadoutKind
from narfast.nn.layers import GraphTensors, Readout, make_layer

__all__ = ["MacroEncoder"]


class MacroEncoder(nn.Module):
    """Graph layers over motif vectors (with size and multiplicity), then readouts.

    With ``node_scalars``, each macro node also has log(1 + number of its operators) and log(1 +
    occurrences of its motif in the network). One linear map merges the readouts, or two with a
    hidden width of ``merge_dim``.
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
        merge_dim: int = 0,
        extra_dim: int = 0,
    ) -> None:
        super().__init__()
        self.node_scalars = node_scalars
        widths = [motif_dim + (2 if node_scalars else 0)] + [dim] * num_layers
        self.layers = nn.ModuleList(
            make_layer(layer, a, b, dropout=dropout) for a, b in pairwise(widths)
        )
        self.readout = Readout(readouts)
        read_dim = dim * len(readouts) + extra_dim
        self.merge: nn.Module
        if merge_dim:
            self.merge = nn.Sequential(
                nn.LayerNorm(read_dim),
                nn.Linear(read_dim, merge_dim),
                nn.GELU(),
                nn.Linear(merge_dim, out_dim),
            )
        else:
            plain = read_dim == out_dim and len(readouts) == 1
            self.merge = nn.Identity() if plain else nn.Linear(read_dim, out_dim)

    def forward(
        self,
        motif_vectors: Tensor,
        size: Tensor,
        multiplicity: Tensor,
        graph: GraphTensors,
        extra: Tensor | None = None,
    ) -> Tensor:
        """Encode S networks.

        Args:
            motif_vectors: float[n, motif_dim], one row for each macro node.
            size: int64[n], operators in each macro node.
            multiplicity: int64[n], instances of the same motif in the same network.
            graph: Structure; one segment is one network.
            extra: float[S, extra_dim], concatenated to the readouts; None if ``extra_dim`` is 0.

        Returns:
            float[S, out_dim], not normalised.
        """
        x = motif_vectors
        if self.node_scalars:
            scalars = torch.log1p(torch.stack([size, multiplicity], dim=1).to(x.dtype))
            x = torch.cat([x, scalars], dim=1)
        for layer in self.layers:
            x = layer(x, graph)
        read = self.readout(x, graph.segment_ptr)
        vectors: Tensor = self.merge(read if extra is None else torch.cat([read, extra], dim=-1))
        return vectors
