"""The fact sheet of one network: size, blocks, widths, norms, activations, attention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from narfast import attributes, operators
from narfast._tables import short_count
from narfast.blocks import Block, BlockView
from narfast.hyperparameters import NAMES
from narfast.labels import exact_of, label

__all__ = ["ENDS", "FACTS", "facts_of", "layers_of", "stage_widths"]

ENDS = ("stem", "embedding", "head")
"""Names of the blocks that the body of a network stands between."""

_WEIGHTED = ("convolution", "linear", "recurrent")  # categories that count as depth
_STAGES = 12  # widths that are listed
_STEM_LAYERS = 5
_LEARNT = {"add": "learnt embedding", "concat": "class token"}  # with a learnt operand, at the ends
_FUSED = NAMES.index("fused")


def facts_of(view: BlockView) -> dict[str, str]:
    """Describe a network in short texts, by the names in `FACTS`; what does not apply is absent."""
    found = {name: describe(view) for name, describe in FACTS.items()}
    return {name: text for name, text in found.items() if text}


def _parameters(view: BlockView) -> str:
    params = view.graph.meta.params
    return "" if params is None else short_count(params)


def _flops(view: BlockView) -> str:
    flops = view.graph.meta.flops
    return "" if flops is None else short_count(flops)


def _operators(view: BlockView) -> str:
    return f"{view.graph.num_nodes:,}"


def _depth(view: BlockView) -> str:
    """Layers with weights on the longest path."""
    graph = view.graph
    weighted = np.isin([operators.by_id(op).category for op in graph.op.tolist()], _WEIGHTED)
    depth = weighted.astype(np.int64)
    for node in range(graph.num_nodes):
        inputs = graph.inputs(node)
        if len(inputs):
            depth[node] += depth[inputs].max()
    return f"{depth.max(initial=0)} layers with weights"


def _blocks(view: BlockView) -> str:
    runs: dict[str, list[int]] = {}
    for block in view.blocks:
        runs.setdefault(block.name, []).append(block.count)
    body = {name: counts for name, counts in runs.items() if sum(counts) > 1}
    return "; ".join(f"{name} ×{', ×'.join(map(str, counts))}" for name, counts in body.items())


def stage_widths(view: BlockView) -> list[int]:
    """Return the output channels of each block between stem and head, equal neighbours joined."""
    if view.graph.hyperparameters is None:
        return []
    width = view.graph.hyperparameters.first("out_channels")
    widths: list[int] = []
    for block in view.blocks:
        known = width[block.instances[-1]]
        known = known[known > 0]
        if not len(known) or block.name in ENDS:
            continue
        if not widths or widths[-1] != known[-1]:
            widths.append(int(known[-1]))
    return widths


def _widths(view: BlockView) -> str:
    widths = stage_widths(view)
    more = ", …" if len(widths) > _STAGES else ""
    return ", ".join(map(str, widths[:_STAGES])) + more


def _counted(view: BlockView, category: str) -> Counter[str]:
    graph = view.graph
    names = [operators.by_id(op) for op in graph.op.tolist()]
    counts = Counter(info.name for info in names if info.category == category)
    if category == "normalization" and graph.hyperparameters is not None:
        exact = graph.hyperparameters
        swallowed = exact.value[exact.key == _FUSED]
        counts.update(operators.by_id(op).name for op in swallowed.tolist())
    return counts


def _norms(view: BlockView) -> str:
    return _listed(_counted(view, "normalization"))


def _activations(view: BlockView) -> str:
    counts = _counted(view, "activation")
    return _listed(counts)


def _listed(counts: Counter[str]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} ×{count}" for name, count in ordered)


def _attention(view: BlockView) -> str:
    graph = view.graph
    attention = np.flatnonzero(graph.op == operators.by_name("attention").id).tolist()
    if not attention:
        return ""
    kinds: Counter[str] = Counter()
    for node in attention:
        inputs = graph.inputs(node).tolist()
        exact = exact_of(graph, node)
        words = ["attention"]
        if "heads" in exact:
            words = [f"{exact['heads']} heads"]
        if "key_heads" in exact:
            words.append(f"{exact['key_heads']} of keys")
        if "head_size" in exact:
            words.append(f"of {exact['head_size']}")
        rotary = operators.by_name("rotary_embedding").id
        if any(graph.op[source] == rotary for source in inputs):
            words.append("rotary")
        kinds[" ".join(words)] += 1
    return _listed(kinds)


def _stem(view: BlockView) -> str:
    return _end(view, "stem", "embedding")


def _head(view: BlockView) -> str:
    return _end(view, "head")


def _end(view: BlockView, *names: str) -> str:
    return next((layers_of(view, block) for block in view.blocks if block.name in names), "")


def layers_of(view: BlockView, block: Block, *, exact: bool = True) -> str:
    """List the layers of a block that people name: ``conv 7x7 /2, 3→64; max_pool 3x3 /2``."""
    nodes = [node for node in block.nodes.tolist() if _shown(view, node)]
    more = "; …" if len(nodes) > _STEM_LAYERS else ""
    words = []
    for node in nodes[:_STEM_LAYERS]:
        name = operators.by_id(int(view.graph.op[node])).name
        words.append(_LEARNT.get(name) or label(view.graph, node, exact=exact))
    return "; ".join(words) + more


def _shown(view: BlockView, node: int) -> bool:
    info = operators.by_id(int(view.graph.op[node]))
    if info.name in _LEARNT:
        return attributes.value("param_operand", int(view.graph.attr[node])) == 1
    named = (*_WEIGHTED, "attention", "pooling", "normalization")
    return info.category in named or info.name == "embedding"


FACTS: dict[str, Callable[[BlockView], str]] = {
    "parameters": _parameters,
    "operations": _flops,
    "operators": _operators,
    "depth": _depth,
    "blocks": _blocks,
    "widths": _widths,
    "norms": _norms,
    "activations": _activations,
    "attention": _attention,
    "stem": _stem,
    "head": _head,
}
"""Names of the facts, in order."""
