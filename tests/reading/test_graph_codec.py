"""Networks as messages between processes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from narfast.graph import GraphMeta
from narfast.hyperparameters import Hyperparameters
from narfast.reading.graph_codec import pack_graph, unpack_graph
from networks import network

META = GraphMeta(
    name="net", params=3, input_shape=(1, -1), input_shapes=((1, -1), (2,)), unknown_ops={"x": 2}
)


@pytest.mark.parametrize("network_id", ["", "fake:net"])
@pytest.mark.parametrize("known", [True, False])
def test_a_network_arrives_as_it_was(known: bool, network_id: str) -> None:
    graph = replace(network("vit", 2), meta=META)
    if known:
        rows = [{"params": 2**40 + n, "path": "ü.0"} if n else {} for n in range(graph.num_nodes)]
        exact = replace(Hyperparameters.from_rows(rows), network=network_id)
        graph = replace(graph, hyperparameters=exact)
    name, again = unpack_graph(json.loads(json.dumps(pack_graph("id", graph))))
    assert (name, again.meta) == ("id", META)
    assert again.same_structure(graph)
    if not known:
        assert again.hyperparameters is None
        return
    assert again.hyperparameters is not None
    assert again.hyperparameters.texts == exact.texts
    assert again.hyperparameters.network == network_id
    for field in ("ptr", "key", "value"):
        one, other = getattr(exact, field), getattr(again.hyperparameters, field)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_messages_of_older_workers_have_none() -> None:
    graph = network("vgg", 2)
    message = pack_graph("id", graph)
    assert "hyperparameters" not in message
    assert unpack_graph(message)[1].hyperparameters is None
