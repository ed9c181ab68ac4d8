"""Small made-up networks for tests of the learning layer: a few families, several sizes each."""

from __future__ import annotations

from collections.abc import Sequence

from narfast import operators
from narfast.graph import ArchGraph, GraphMeta, build_graph

BLOCKS: dict[str, Sequence[str]] = {
    "resnet": ("conv", "batch_norm", "relu", "conv", "batch_norm", "add"),
    "vit": ("layer_norm", "attention", "add", "layer_norm", "linear", "gelu", "linear", "add"),
    "vgg": ("conv", "relu", "conv", "relu", "max_pool"),
    "mobilenet": ("conv", "batch_norm", "relu6", "conv", "batch_norm", "relu6", "add"),
    "mixer": ("layer_norm", "permute", "linear", "silu", "linear", "permute", "add"),
}


def network(family: str, repeats: int, *, stem: str = "conv") -> ArchGraph:
    """``repeats`` blocks in a row; ``add`` joins what entered its block."""
    op, inputs = ["input", stem], [[], [0]]
    for _ in range(repeats):
        entry = len(op) - 1
        for name in BLOCKS[family]:
            inputs.append([len(op) - 1, entry] if name == "add" else [len(op) - 1])
            op.append(name)
            entry = len(op) - 1 if name == "add" else entry
    op += ["global_avg_pool", "linear"]
    inputs += [[len(op) - 3], [len(op) - 2]]
    return build_graph(
        [operators.by_name(name).id for name in op],
        [operators.pack_attributes(kernel=3) if name == "conv" else 0 for name in op],
        inputs,
        [len(op) - 1],
        GraphMeta(name=f"{family}{repeats}", family=family),
    )


def tiny_zoo(sizes: Sequence[int] = (2, 3, 4, 5)) -> tuple[list[ArchGraph], list[str]]:
    """Every family in every size, with labels."""
    graphs = [network(family, size) for family in BLOCKS for size in sizes]
    return graphs, [str(graph.meta.family) for graph in graphs]
