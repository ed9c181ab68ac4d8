"""Networks as plain JSON values, for messages between processes and for journals."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from narfast.graph import ArchGraph, GraphMeta

__all__ = ["pack_graph", "unpack_graph"]

_ARRAYS = (("op", "<u2"), ("attr", "<u4"), ("in_ptr", "<i8"), ("in_src", "<i4"))


def pack_graph(identifier: str, graph: ArchGraph) -> dict[str, Any]:
    """Encode a network as plain JSON values."""
    arrays = {}
    for name, dtype in _ARRAYS:
        raw = np.ascontiguousarray(getattr(graph, name)).astype(dtype).tobytes()
        arrays[name] = base64.b64encode(zlib.compress(raw, 1)).decode("ascii")
    return {"id": identifier, "meta": asdict(graph.meta), "arrays": arrays}


def unpack_graph(value: Mapping[str, Any]) -> tuple[str, ArchGraph]:
    """Decode the result of `pack_graph`."""
    meta = dict(value["meta"])
    if meta["input_shape"] is not None:
        meta["input_shape"] = tuple(meta["input_shape"])
    meta["input_shapes"] = tuple(map(tuple, meta.get("input_shapes", ())))
    op, attr, in_ptr, in_src = (
        np.frombuffer(zlib.decompress(base64.b64decode(value["arrays"][name])), dtype=dtype).astype(
            dtype[1:]
        )
        for name, dtype in _ARRAYS
    )
    graph = ArchGraph(op, attr, in_ptr, in_src, meta=GraphMeta(**meta))
    return str(value["id"]), graph
