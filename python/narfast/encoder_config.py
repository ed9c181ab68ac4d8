"""EncoderConfig: all settings that fix the shape of an encoder. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from narfast import attributes
from narfast.motifs import MiningMethod

__all__ = [
    "ATTRIBUTE_FIELDS",
    "GAT_HEADS",
    "EncoderConfig",
    "FeatureKind",
    "LayerKind",
    "ReadoutKind",
]

FeatureKind = Literal["one_hot", "embedding"]
LayerKind = Literal["gcn", "gat", "bidirectional"]
ReadoutKind = Literal["mean", "sum_log", "max"]

GAT_HEADS = 4
"""Attention heads of a graph attention layer; the layer's width is a multiple of it."""

_GROUPED = {
    "constant_operand": ("param_operand", "scalar_operand", "constant_first"),
    "axis": ("last_axis", "space_axes", "layout_permute"),
    "constant": ("constant_class",),
}
"""Fields that the encoder reads as one field."""

ATTRIBUTE_FIELDS: tuple[tuple[str, int, int], ...] = tuple(
    (name, *attributes.joined(*_GROUPED.get(name, (name,))))
    for name in (
        "kernel",
        "stride",
        "groups",
        "dilation",
        "channel_ratio",
        "heads",
        "rank",
        "non_square",
        *_GROUPED,
    )
)
"""(name, first bit, bits) of the packed attributes. An encoder stores the list that it was trained
with."""

_MAX_WIDTH = 1 << 14
_MAX_LAYERS = 64


@dataclass(frozen=True)
class EncoderConfig:
    """All settings that fix the shape of an encoder.

    Settings and tensors named ``wide_*`` belong to the structural features; files keep that name.

    Attributes:
        miner: Method of ``narfast.motifs.mine``, or ``whole``: each network is one motif.
        features: ``one_hot`` operators as in the paper, or learned operator and attribute vectors.
        operators: The vocabulary, by name; row 0 of every table is for operators outside it.
        attribute_fields: (name, first bit, bits) of the packed attributes.
        layer: Kind of graph layer.
        feature_dim: Width of learned node features.
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
        wide_dim: Width of the projected structural features (training-free); 0 for none.
        wide_hops: Rounds of Weisfeiler-Leman refinement.
        wide_grams: Longest n-grams of operators that are counted; below 2 for none.
        wide_size: Number of labels with a known inverse document frequency.
        wide_axes: Principal axes of these labels as further input of the deep vector; 0 for none.
        wide_share: Weight of the structural features in the cosine, in [0, 1].
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
        if not all(isinstance(name, str) for name in self.operators):
            raise ValueError("operators must be texts")
        if len(set(self.operators)) < len(self.operators):
            raise ValueError("operators must be distinct")
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


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not (isinstance(value, (int, float)) and low <= value <= high):
        raise ValueError(f"{name} must lie in [{low}, {high}], not {value!r}")
