"""Networks as plain JSON values, for messages between processes and for journals."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.graph import ArchGraph, GraphMeta
from narfast.hyperparameters import Hyperparameters

__all__ = ["pack_graph", "unpack_graph"]

_ARRAYS = {"op": "<u2", "attr": "<u4", "in_ptr": "<i8", "in_src": "<i4"}
_EXACT = {"ptr": "<i8", "key": "|u1", "value": "<i8"}


def pack_graph(identifier: str, graph: ArchGraph) -> dict[str, Any]:
    """Encode a network as plain JSON values."""
    packed = {"id": identifier, "meta": asdict(graph.meta), "arrays": _pack(graph, _ARRAYS)}
    if graph.hyperparameters is not None:
        packed["hyperparameters"] = {
            "arrays": _pack(graph.hyperparameters, _EXACT),
            "texts": list(graph.hyperparameters.texts),
            "network": graph.hyperparameters.network,
        }
    return packed


def unpack_graph(value: Mapping[str, Any]) -> tuple[str, ArchGraph]:
    """Decode the result of `pack_graph`."""
    meta = dict(value["meta"])
    if meta["input_shape"] is not None:
        meta["input_shape"] = tuple(meta["input_shape"])
    meta["input_shapes"] = tuple(map(tuple, meta.get("input_shapes", ())))
    arrays = _unpack(value["arrays"], _ARRAYS)
    graph = ArchGraph(
        arrays["op"], arrays["attr"], arrays["in_ptr"], arrays["in_src"], GraphMeta(**meta)
    )
    packed = value.get("hyperparameters")
    if packed is None:
        return str(value["id"]), graph
    columns = _unpack(packed["arrays"], _EXACT)
    exact = Hyperparameters(
        columns["ptr"],
        columns["key"],
        columns["value"],
        tuple(packed["texts"]),
        str(packed.get("network", "")),
    )
    return str(value["id"]), replace(graph, hyperparameters=exact)


def _pack(holder: object, dtypes: Mapping[str, str]) -> dict[str, str]:
    packed = {}
    for name, dtype in dtypes.items():
        raw = np.ascontiguousarray(getattr(holder, name)).astype(dtype).tobytes()
        packed[name] = base64.b64encode(zlib.compress(raw, 1)).decode("ascii")
    return packed


def _unpack(packed: Mapping[str, str], dtypes: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    return {
        name: np.frombuffer(zlib.decompress(base64.b64decode(packed[name])), dtype=dtype).astype(
            dtype[1:]
        )
        for name, dtype in dtypes.items()
    }
