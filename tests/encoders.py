"""Small encoders with made-up weights: the same numbers on every machine, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.encoder_config import GAT_HEADS, EncoderConfig
from narfast.graph import ArchGraph, GraphBatch
from narfast.structural_features import LabelIdf, principal_axes
from networks import tiny_zoo

GRAPHS, _ = tiny_zoo()

KINDS: dict[str, dict[str, Any]] = {
    "bidirectional": {},
    "plain": {"structural": False, "node_scalars": False, "macro_readouts": ("mean",)},
    "one_hot_gcn": {"layer": "gcn", "features": "one_hot", "miner": "whole"},
    "gat": {"layer": "gat", "merge_dim": 20},
    "repeats": {"miner": "repeats", "motif_readouts": ("max",), "wide_axes": 0},
}
"""Settings that between them use every kind of layer, feature and readout."""


def shapes(config: EncoderConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the float tensors of an encoder."""
    vocabulary = 1 + len(config.operators)
    width = vocabulary
    if config.features == "embedding":
        width = config.feature_dim
        yield "motif.features.operator.weight", (vocabulary, width)
        values = sum(2**bits for _, _, bits in config.attribute_fields)
        yield "motif.features.attribute.table.weight", (values, width)
    macro = config.motif_dim + (2 if config.node_scalars else 0)
    for level, first, dim, count in (
        ("motif", width, config.motif_dim, config.motif_layers),
        ("macro", macro, config.macro_dim, config.macro_layers),
    ):
        for layer in range(count):
            name, inner = f"{level}.layers.{layer}", first if layer == 0 else dim
            if config.layer == "bidirectional":
                for part in ("own", "incoming", "outgoing"):
                    yield f"{name}.{part}.weight", (dim, inner)
                yield from ((f"{name}.{part}", (dim,)) for part in ("own.bias", "norm.bias"))
                yield f"{name}.norm.weight", (dim,)
            else:
                yield f"{name}.linear.weight", (dim, inner)
                if config.layer == "gcn":
                    yield f"{name}.linear.bias", (dim,)
                else:
                    yield f"{name}.bias", (dim,)
                    for part in ("source", "target"):
                        yield f"{name}.{part}", (GAT_HEADS, dim // GAT_HEADS)
    read = config.motif_dim * len(config.motif_readouts)
    if len(config.motif_readouts) > 1:
        yield "motif.merge.weight", (config.motif_dim, read)
        yield "motif.merge.bias", (config.motif_dim,)
    read = config.macro_dim * len(config.macro_readouts) + config.wide_axes
    if config.merge_dim:
        yield from ((f"macro.merge.0.{part}", (read,)) for part in ("weight", "bias"))
        yield "macro.merge.1.weight", (config.merge_dim, read)
        yield "macro.merge.1.bias", (config.merge_dim,)
        yield "macro.merge.3.weight", (config.deep_dim, config.merge_dim)
        yield "macro.merge.3.bias", (config.deep_dim,)
    elif read != config.deep_dim or len(config.macro_readouts) > 1:
        yield "macro.merge.weight", (config.deep_dim, read)
        yield "macro.merge.bias", (config.deep_dim,)


def make_tensors(config: EncoderConfig, *, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Float weights of about the size that training begins with."""
    rng = np.random.default_rng(seed)
    return {
        name: ((rng.random(shape) * 2 - 1) * 1.7 * shape[-1] ** -0.5).astype(np.float32)
        for name, shape in shapes(config)
    }


def make_encoder(
    *,
    structural: bool = True,
    seed: int = 0,
    graphs: list[ArchGraph] = GRAPHS,
    wide_axes: int = 4,
    **settings: Any,
) -> ArchitectureEncoder:
    """An encoder with made-up weights, and structural features fitted to ``graphs``."""
    tensors: dict[str, NDArray[Any]] = {}
    fitted: dict[str, Any] = {}
    if structural:
        batch = GraphBatch.from_graphs(graphs)
        idf = LabelIdf.fit(batch, hops=1, size=500)
        fitted = {"wide_dim": 8, "wide_axes": wide_axes, "wide_share": 0.5}
        fitted["wide_size"] = len(idf.label)
        _, counts = idf.features(batch, 0)
        axes = principal_axes(counts, len(idf.label), wide_axes)
        tensors = {
            "wide_label": idf.label.view(np.int64),
            "wide_block": idf.block,
            "wide_idf": idf.idf,
            "wide_axes": axes.astype(np.float16),
        }
    shape = {"feature_dim": 8, "motif_dim": 16, "macro_dim": 16, "deep_dim": 12, **settings}
    vocabulary = tuple(info.name for info in operators.table())
    config = EncoderConfig(operators=vocabulary, **fitted, **shape)
    tensors.update(make_tensors(config, seed=seed))
    return ArchitectureEncoder(config, tensors, training={"note": "random"})
