"""Two compared networks as files of Model Explorer, a graph viewer: graphs, and the map of nodes.

Node ids are numbers of operators. Reference: the JSON graph format and the sync navigation mapping
(a JSON object from node ids on the left to node ids on the right) of google-ai-edge/model-explorer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from narfast._files import replace_file
from narfast.blocks import BlockView
from narfast.comparison.comparison import Comparison
from narfast.errors import printable
from narfast.labels import exact_of, label

__all__ = ["write_model_explorer"]


def write_model_explorer(comparison: Comparison, directory: Path) -> list[Path]:
    """Write ``a.json``, ``b.json`` and ``mapping.json``; create the folder.

    Raises:
        OSError: a file cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    mapping = {str(a): str(b) for a, b in comparison.alignment.pairs.tolist()}
    contents = {
        "a.json": _graph(comparison.pairing.a, "a"),
        "b.json": _graph(comparison.pairing.b, "b"),
        "mapping.json": mapping,
    }
    for name, content in contents.items():
        replace_file(directory / name, json.dumps(content, ensure_ascii=False).encode())
    return [directory / name for name in contents]


def _graph(view: BlockView, side: str) -> dict[str, Any]:
    namespace = [""] * view.graph.num_nodes
    for number, block in enumerate(view.blocks):
        for repetition, nodes in enumerate(block.instances):
            last = f"/{repetition}" if block.count > 1 else ""
            for node in nodes.tolist():
                namespace[node] = f"{number} {block.name.replace('/', ' ')}{last}"
    name = printable(view.graph.meta.name or side)
    return {
        "label": name,
        "graphs": [
            {
                "id": name,
                "nodes": [_node(view, node, namespace[node]) for node in range(len(namespace))],
            }
        ],
    }


def _node(view: BlockView, node: int, namespace: str) -> dict[str, Any]:
    exact = exact_of(view.graph, node)
    return {
        "id": str(node),
        "label": label(view.graph, node, widths=False),
        "namespace": namespace,
        "attrs": [{"key": key, "value": str(value)} for key, value in exact.items()],
        "incomingEdges": [
            {
                "sourceNodeId": str(source),
                "sourceNodeOutputId": "0",
                "targetNodeInputId": str(place),
            }
            for place, source in enumerate(view.graph.inputs(node).tolist())
        ],
    }
