"""The whole encoder as one torch module: motif encoder, macro encoder, and the wide part."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, get_args

import torch
from torch import Tensor, nn

from narfast.motifs import MiningMethod
from narfast.nn.features import ATTRIBUTE_FIELDS, FeatureKind, NodeFeatures, OneHotFeatures
from narfast.nn.layers import GAT_HEADS, GraphTensors, LayerKind, ReadoutKind
from narfast.nn.macro_encoder import MacroEncoder
from narfast.nn.motif_encoder import MotifEncoder

__all__ = ["ArchitectureModel", "EncoderConfig"]

_MAX_WIDTH = 1 << 14
_MAX_LAYERS = 64


@dataclass(frozen=True)
class EncoderConfig:
    """Everything that fixes the shape of an encoder.

    Attributes:
        miner: Method of ``narfast.motifs.mine``, or ``whole``: each network is one motif.
        features: ``one_hot`` operators as in the paper, or learnt operator and attribute vectors.
        operators: The vocabulary, by name; row 0 of every table is for operators not in it.
        attribute_fields: (name, first bit, bits) of the packed attributes.
        layer: Kind of graph layer.
        feature_dim: Width of learnt node features.
        motif_dim: Width of motif layers and motif vectors.
        motif_layers: Graph layers inside a motif.
        motif_readouts: Summaries of a motif.
        macro_dim: Width of macro layers.
        macro_layers: Graph layers over a macro graph.
        macro_readouts: Summaries of a network.
        node_scalars: Whether macro nodes carry log size and log multiplicity.
        dropout: Probability, in training only.
        deep_dim: Width of the graph neural network's vector.
        merge_dim: Hidden width between the readouts of a network and its vector; 0 for none.
        wide_dim: Width of the wide (training-free) part; 0 for none.
        wide_hops: Rounds of refinement of the wide part.
        wide_grams: Operators in the longest run that the wide part counts; below 2 for none.
        wide_size: Labels whose rarity the wide part knows.
        wide_axes: Principal axes of those labels that the deep vector is made from too; 0 for none.
        wide_share: Part of the cosine that the wide part decides, in [0, 1].
    """

    miner: str = "repeats"
    features: FeatureKind = "embedding"
    operators: tuple[str, ...] = ()
    attribute_fields: tuple[tuple[str, int, int], ...] = ATTRIBUTE_FIELDS
    layer: LayerKind = "bidirectional"
    feature_dim: int = 64
    motif_dim: int = 128
    motif_layers: int = 3
    motif_readouts: tuple[ReadoutKind, ...] = ("mean", "sum_log", "max")
    macro_dim: int = 128
    macro_layers: int = 3
    macro_readouts: tuple[ReadoutKind, ...] = ("mean", "sum_log", "max")
    node_scalars: bool = True
    dropout: float = 0.1
    deep_dim: int = 128
    merge_dim: int = 0
    wide_dim: int = 0
    wide_hops: int = 1
    wide_grams: int = 1
    wide_size: int = 0
    wide_axes: int = 0
    wide_share: float = 0.0

    def __post_init__(self) -> None:
        for name in ("feature_dim", "motif_dim", "macro_dim", "deep_dim"):
            _check_range(name, getattr(self, name), 1, _MAX_WIDTH)
        for name in ("motif_layers", "macro_layers"):
            _check_range(name, getattr(self, name), 1, _MAX_LAYERS)
        _check_range("merge_dim", self.merge_dim, 0, _MAX_WIDTH)
        _check_range("wide_dim", self.wide_dim, 0, _MAX_WIDTH)
        _check_range("wide_axes", self.wide_axes, 0, _MAX_WIDTH)
        _check_range("wide_hops", self.wide_hops, 0, 8)
        _check_range("wide_grams", self.wide_grams, 0, 8)
        _check_range("wide_size", self.wide_size, 0, 1 << 24)
        _check_range("dropout", self.dropout, 0.0, 1.0)
        _check_range("wide_share", self.wide_share, 0.0, 1.0)
        for name, choices in (
            ("miner", (*get_args(MiningMethod), "whole")),
            ("features", get_args(FeatureKind)),
            ("layer", get_args(LayerKind)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, not {getattr(self, name)!r}")
        if self.layer == "gat" and (self.motif_dim % GAT_HEADS or self.macro_dim % GAT_HEADS):
            raise ValueError(f"motif_dim and macro_dim must be multiples of {GAT_HEADS} for gat")
        for name in ("motif_readouts", "macro_readouts"):
            kinds = getattr(self, name)
            if not kinds or not set(kinds) <= set(get_args(ReadoutKind)):
                raise ValueError(f"{name} must be some of {get_args(ReadoutKind)}, not {kinds!r}")
        for _, shift, bits in self.attribute_fields:
            _check_range("attribute_fields shift", shift, 0, 31)
            _check_range("attribute_fields bits", bits, 1, 8)
        if bool(self.wide_dim) != bool(self.wide_share):
            raise ValueError("wide_dim and wide_share must both be zero or both be above zero")
        if self.wide_axes and not self.wide_dim:
            raise ValueError("wide_axes needs a wide_dim above zero")

    @property
    def dim(self) -> int:
        """Width of the final vector."""
        return self.deep_dim + self.wide_dim

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderConfig:
        """Read plain (JSON or TOML) values.

        Raises:
            ValueError: An unknown key, or a value of the wrong type or out of range.
        """
        known = {f.name: f for f in fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown encoder setting {unknown[0]!r}; known: {sorted(known)}")
        converted: dict[str, Any] = {}
        for name, value in values.items():
            default = known[name].default
            if isinstance(default, tuple):
                if not isinstance(value, (list, tuple)):
                    raise ValueError(f"{name} must be a list, not {value!r}")
                value = tuple(tuple(v) if isinstance(v, (list, tuple)) else v for v in value)
            elif isinstance(default, float) and type(value) is int:
                value = float(value)
            elif type(value) is not type(default):
                raise ValueError(f"{name} must be {type(default).__name__}, not {value!r}")
            converted[name] = value
        try:
            return cls(**converted)
        except TypeError as error:
            raise ValueError(str(error)) from error


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not (isinstance(value, (int, float)) and low <= value <= high):
        raise ValueError(f"{name} must lie in [{low}, {high}], not {value!r}")


class ArchitectureModel(nn.Module):
    """Weights of an encoder; ``narfast.encoder`` feeds it and ``narfast.pretrain`` trains it."""

    # Labels of the wide part, int64[V] holding the bits of uint64, and what belongs to them.
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
            # Half precision: it is the largest tensor, and its third digit changes no ranking.
            self.register_buffer(
                "wide_axes", torch.zeros(size, config.wide_axes, dtype=torch.float16)
            )

    def embed_motifs(self, op: Tensor, attr: Tensor, graph: GraphTensors) -> Tensor:
        """Vectors float[S, motif_dim] of S motifs; see ``MotifEncoder.forward``."""
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
        """Deep vectors float[S, deep_dim] of S networks.

        ``axes`` are the float[S, wide_axes] coordinates of ``project``, None where ``wide_axes`` is
        0. See ``MacroEncoder.forward`` for the rest.
        """
        extra = None
        if axes is not None:
            extra = nn.functional.normalize(axes, dim=-1) * math.sqrt(axes.shape[-1])
        vectors: Tensor = self.macro(motif_vectors, size, multiplicity, graph, extra)
        return vectors

    @staticmethod
    def project(table: Tensor, ptr: Tensor, row: Tensor, weight: Tensor) -> Tensor:
        """Coordinates of sparse label weights (``LabelCounts``) of S networks.

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

    def join(self, deep: Tensor, wide: Tensor | None) -> Tensor:
        """The final vectors of S networks.

        Args:
            deep: float[S, deep_dim] of ``embed_networks``.
            wide: float[S, wide_dim] of ``LabelRarity.vectors``, None without a wide part.

        Returns:
            float[S, dim]. With a wide part both parts have fixed lengths, so that the cosine is
            their weighted mean; without one ``deep`` as it is.
        """
        if wide is None:
            return deep
        share = self.config.wide_share
        return torch.cat(
            [
                math.sqrt(1 - share) * nn.functional.normalize(deep, dim=-1),
                math.sqrt(share) * nn.functional.normalize(wide, dim=-1),
            ],
            dim=-1,
        )
