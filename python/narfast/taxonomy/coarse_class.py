"""The coarse class of a network, determined by its operators and never by its name."""

from __future__ import annotations

from functools import cache

import numpy as np

from narfast import attributes, operators
from narfast.graph import ArchGraph

__all__ = ["COARSE_CLASSES", "coarse_class"]

COARSE_CLASSES = (
    "convolutional",
    "attention",
    "hybrid",
    "recurrent",
    "graph",
    "mlp",
    "other",
)

_MAJORITY = 0.9
_GROUPED = 2  # a convolution with at least this field value is grouped or depthwise


@cache
def _ids(*names: str) -> tuple[int, ...]:
    return tuple(operators.by_name(name).id for name in names)


def coarse_class(graph: ArchGraph) -> str:
    """Return the coarse class of a canonical graph, one of `COARSE_CLASSES`.

    The class depends on the operators that mix positions: attention, convolutions over a
    neighbourhood, and recurrences. Strided dense convolutions are ignored: networks of every kind
    use them for patch embedding and downsampling. One kind with nine tenths of the count gives the
    class; otherwise the network is a hybrid. State-space layers (a short causal convolution before
    a discretised recurrence) are recurrent. In networks without any mixing, gathers and scatters
    along edges make a graph network, and linear layers alone an MLP.
    """
    op = graph.op
    convolution = np.isin(op, _ids("conv", "conv_transpose", "deform_conv", "nas/sep_conv"))
    kernel = attributes.field("kernel").of(graph.attr) > 1
    strided = attributes.field("stride").of(graph.attr) > 0
    downsampling = strided & (attributes.field("groups").of(graph.attr) < _GROUPED)
    convolutions = int((convolution & kernel & ~downsampling).sum())
    attention = int((op == _ids("attention")[0]).sum()) + _unfused_attention(graph)
    recurrent = int(np.isin(op, _ids("lstm", "gru", "rnn")).sum())
    discretisations = int(np.isin(op, _ids("softplus")).sum())
    if discretisations and discretisations >= convolutions / 2:
        recurrent, convolutions = recurrent + discretisations, 0
    counts = {"convolutional": convolutions, "attention": attention, "recurrent": recurrent}
    total = sum(counts.values())
    if total:
        largest = max(counts, key=lambda name: counts[name])
        return largest if counts[largest] >= _MAJORITY * total else "hybrid"
    if np.isin(op, _ids("scatter")).any() and np.isin(op, _ids("gather")).any():
        return "graph"
    if np.isin(op, _ids("fft", "cdist", "grid_sample")).any():
        return "other"
    linear = int(np.isin(op, _ids("linear")).sum())
    if int((convolution & kernel).sum()) > linear:
        return "convolutional"  # only downsampling convolutions
    return "mlp" if linear else "other"


def _unfused_attention(graph: ArchGraph) -> int:
    """Count softmaxes whose result weighs values in a product: attention that was not fused."""
    weights = graph.op == _ids("softmax")[0]
    through = np.isin(graph.op, _ids("permute", "slice", "split", "where", "mul"))
    products = np.flatnonzero(np.isin(graph.op, _ids("matmul", "einsum"))).tolist()
    found: set[int] = set()
    for product in products:
        for source in graph.inputs(product).tolist():
            behind = graph.inputs(source).tolist() if through[source] else [source]
            found.update(node for node in behind if weights[node])
    return len(found)
