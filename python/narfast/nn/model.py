"""The whole encoder as a torch module: motif encoder, macro encoder, structural features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from narfast.encoder_config import EncoderConfig
from narfast.nn.features import NodeFeatures, OneHotFeatures
from narfast.nn.layers import GraphTensors
from narfast.nn.macro_encoder import MacroEncoder
from narfast.nn.motif_encoder import MotifEncoder

__all__ = ["ArchitectureModel"]


class ArchitectureModel(nn.Module):
    """Weights of an encoder; `narfast.nn.inference` uses and `narfast.training` trains them.

    Parameters and settings named ``wide_*`` belong to the structural features.
    """

    # Labels of structural features (int64[V] has the bits of uint64), and values of each label.
    wide_label: Tensor
    wide_block: Tensor
    wide_idf: Tensor
    wide_axes: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        num_operators = 1 + len(config.operators)
        features = (
            OneHotFeatures(num_operators)
            if config.features == "one_hot"
            else NodeFeatures(num_operators, config.feature_dim, config.attribute_fields)
        )
        self.motif = MotifEncoder(
            features,
            layer=config.layer,
            dim=config.motif_dim,
            num_layers=config.motif_layers,
            readouts=config.motif_readouts,
            dropout=config.dropout,
        )
        self.macro = MacroEncoder(
            config.motif_dim,
            layer=config.layer,
            dim=config.macro_dim,
            num_layers=config.macro_layers,
            readouts=config.macro_readouts,
            dropout=config.dropout,
            out_dim=config.deep_dim,
            node_scalars=config.node_scalars,
            merge_dim=config.merge_dim,
            extra_dim=config.wide_axes,
        )
        if config.wide_dim:
            size = config.wide_size
            self.register_buffer("wide_label", torch.zeros(size, dtype=torch.int64))
            self.register_buffer("wide_block", torch.zeros(size, dtype=torch.uint8))
            self.register_buffer("wide_idf", torch.zeros(size))
            # Half precision: it is the largest tensor, and rounding it changes no ranking.
            self.register_buffer(
                "wide_axes", torch.zeros(size, config.wide_axes, dtype=torch.float16)
            )

    def embed_motifs(self, op: Tensor, attr: Tensor, graph: GraphTensors) -> Tensor:
        """Compute vectors float[S, motif_dim] of S motifs; see ``MotifEncoder.forward``."""
        vectors: Tensor = self.motif(op, attr, graph)
        return vectors

    def embed_networks(
        self,
        motif_vectors: Tensor,
        size: Tensor,
        multiplicity: Tensor,
        graph: GraphTensors,
        axes: Tensor | None,
    ) -> Tensor:
        """Compute deep vectors float[S, deep_dim] of S networks.

        ``axes`` are float[S, wide_axes] coordinates from ``project``; None if ``wide_axes`` is 0.
        See ``MacroEncoder.forward`` for the other arguments.
        """
        extra = None
        if axes is not None:
            extra = nn.functional.normalize(axes, dim=-1) * math.sqrt(axes.shape[-1])
        vectors: Tensor = self.macro(motif_vectors, size, multiplicity, graph, extra)
        return vectors

    @staticmethod
    def project(table: Tensor, ptr: Tensor, row: Tensor, weight: Tensor) -> Tensor:
        """Project sparse label weights (``LabelCounts``) of S networks to coordinates.

        Args:
            table: float[V, wide_axes].
            ptr: int64[S + 1], offsets into the other two.
            row: int64[K], rows of ``table``.
            weight: float[K].

        Returns:
            float[S, wide_axes].
        """
        if len(row) == 0:
            return weight.new_zeros((len(ptr) - 1, table.shape[1]))
        return nn.functional.embedding_bag(
            row,
            table,
            ptr,
            mode="sum",
            per_sample_weights=weight,
            include_last_offset=True,
        )

    def join(self, deep: Tensor, structural: Tensor | None) -> Tensor:
        """Compute the final vectors of S networks.

        Args:
            deep: float[S, deep_dim] of ``embed_networks``.
            structural: float[S, wide_dim] of ``LabelIdf.features``; None without structural
                features.

        Returns:
            float[S, dim]. With structural features, both parts have fixed lengths, so that the
            cosine is their weighted mean. Without them, ``deep`` is returned unchanged.
        """
        if structural is None:
            return deep
        share = self.config.wide_share
        return torch.cat(
            [
                math.sqrt(1 - share) * nn.functional.normalize(deep, dim=-1),
                math.sqrt(share) * nn.functional.normalize(structural, dim=-1),
            ],
            dim=-1,
        )
