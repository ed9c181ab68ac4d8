"""Motif encoder: one vector for each motif, from its operators and inner edges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from narfast.encoder_config import LayerKind, ReadoutKind
from narfast.nn.features import NodeFeatures, OneHotFeatures
from narfast.nn.layers import GraphTensors, Readout, make_layer

__all__ = ["MotifEncoder"]


class MotifEncoder(nn.Module):
    """Features, graph layers, readouts, and a linear map that merges several readouts."""

    def __init__(
        self,
        features: NodeFeatures | OneHotFeatures,
        *,
        layer: LayerKind,
        dim: int,
        num_layers: int,
        readouts: Sequence[ReadoutKind],
        dropout: float,
    ) -> None:
        super().__init__()
        self.features = features
        widths = [features.dim] + [dim] * num_layers
        self.layers = nn.ModuleList(
            make_layer(layer, a, b, dropout=dropout) for a, b in pairwise(widths)
        )
        self.readout = Readout(readouts)
        merge = len(readouts) > 1
        self.merge = nn.Linear(dim * len(readouts), dim) if merge else nn.Identity()

    def forward(self, op: Tensor, attr: Tensor, graph: GraphTensors) -> Tensor:
        """Encode S motifs.

        Args:
            op: int64[n], vocabulary rows.
            attr: int64[n], packed attributes.
            graph: Structure; one segment is one motif.

        Returns:
            float[S, dim].
        """
        x = self.features(op, attr)
        for layer in self.layers:
            x = layer(x, graph)
        vectors: Tensor = self.merge(self.readout(x, graph.segment_ptr))
        return vectors
