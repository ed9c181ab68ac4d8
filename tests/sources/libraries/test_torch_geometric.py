"""The networks of PyTorch Geometric: message passing comes out as gather and scatter."""

from __future__ import annotations

from collections import Counter

import pytest

import narfast
from narfast.errors import UnsupportedSourceError
from narfast.sources.loader import library, load_raw

SOURCE = library("torch_geometric")
# What a number of layers must show as, per layer or in all.
OPERATORS = {
    "GCN-2_layers": {"linear": 2, "gather": 2, "scatter": 2, "relu": 1},
    "GCN-3_layers-jk_lstm": {"scatter": 3, "lstm": 1, "softmax": 1},
    "GCN-3_layers-jk_max": {"scatter": 3, "max": 1},
    "GraphSAGE-3_layers-jk_cat": {"scatter": 3, "linear": 7, "concat": 1},
    "GAT-2_layers": {"leaky_relu": 2, "exp": 2},  # a softmax over the edges of each node
    "PNA-2_layers": {"scatter": 10},  # mean, least, most, and two means for the deviation
    "GroupAddRev-7_layers": {"layer_norm": 15, "scatter": 14},
    "DeepGCNLayer-28_res+": {"layer_norm": 56},  # one in each layer and one in its network
    "SchNet-add": {"scatter": 7},  # six interactions and the readout
    "Polynormer-local": {"scatter": 7},
    "Polynormer-local-local_attn": {"scatter": 21},  # a softmax over edges needs two more
    "GAE": {"gather": 4, "scatter": 2, "sigmoid": 1},
}


@pytest.mark.slow
def test_names_are_documented_and_sorted() -> None:
    names = SOURCE.list_names()
    assert names == sorted(set(names))
    assert len(names) >= 120
    groups = {SOURCE.labels(name)[0] for name in names}
    assert {"GCN", "GATv2", "SchNet", "DimeNetPlusPlus", "ViSNet", "SGFormer"} <= groups


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str) -> None:
    graph = narfast.load(f"torch_geometric:{name}")
    found = Counter(graph.op_names())
    assert {op: found[op] for op in OPERATORS[name]} == OPERATORS[name]
    assert graph.meta.unknown_ops == {}
    assert graph.meta.group == SOURCE.labels(name)[0]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["GAT-2_layers", "SGFormer-add", "GraphUNet", "Polynormer-local"])
def test_variants_differ(first: str) -> None:
    others = {
        "GAT-2_layers": "GATv2-2_layers",
        "SGFormer-add": "SGFormer-cat",
        "GraphUNet": "GraphUNet-concat",
        "Polynormer-local": "Polynormer-global",
    }
    pair = [narfast.load(f"torch_geometric:{n}").structural_hash for n in (first, others[first])]
    assert len(set(pair)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ViSNet", "GNNFF", "AttentiveFP", "LightGCN-2_layers"])
def test_networks_that_are_wrapped(name: str) -> None:
    """Molecules without the library's compiled search, tables of embeddings as inputs."""
    first, second = (load_raw(f"torch_geometric:{name}") for _ in range(2))
    assert first.same_structure(second)
    assert first.num_nodes > 10
    assert first.meta.params is not None
    assert "input" in first.op_names()


@pytest.mark.slow
def test_the_search_for_neighbours_is_put_back() -> None:
    load_raw("torch_geometric:ViSNet")  # imports the library as narfast does
    from torch_geometric.nn.models import visnet

    search = visnet.radius_graph
    load_raw("torch_geometric:ViSNet")
    assert visnet.radius_graph is search


@pytest.mark.slow
def test_parts_that_are_not_reached_are_counted() -> None:
    assert load_raw("torch_geometric:VGAE").meta.untraced == 0
    assert load_raw("torch_geometric:Polynormer-global").meta.untraced == 4  # the local head


def test_unknown_name() -> None:
    with pytest.raises(UnsupportedSourceError, match="did you mean"):
        narfast.load("torch_geometric:GCN-2_layer")
