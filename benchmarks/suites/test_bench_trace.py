"""Tracing a network beside torch.export, and hashing its structure beside networkx, in one run."""

from __future__ import annotations

import networkx
import pytest
import torch

import narfast
from narfast.graph import GraphBatch, structural_hash
from narfast.sources.loader import library
from narfast.sources.torch_trace.module_copy import as_call, map_tensors, on_meta

NETWORKS = ["timm:resnet50", "timm:vit_base_patch16_224", "timm:efficientnet_b0"]


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    prefix, _, name = request.param.partition(":")
    module, inputs = library(prefix).build(name)
    return module.eval(), inputs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.benchmark(group="trace a network")
def test_torch_export(benchmark, network):
    module, inputs = network
    args, kwargs = as_call(map_tensors(inputs, on_meta))
    program = benchmark.pedantic(
        lambda: torch.export.export(module.to("meta"), args, kwargs), rounds=3, warmup_rounds=1
    )
    assert len(program.graph.nodes) > 100


@pytest.mark.benchmark(group="trace a network")
def test_narfast(benchmark, network):
    module, inputs = network
    graph = benchmark.pedantic(lambda: narfast.trace(module, inputs), rounds=5, warmup_rounds=1)
    assert graph.num_nodes > 100


@pytest.fixture(scope="module")
def graph():
    return narfast.load("timm:resnet50")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.benchmark(group="hash a structure, ResNet-50")
def test_networkx_wl_hash(benchmark, graph):
    directed = networkx.DiGraph()
    for node, name in enumerate(graph.op_names()):
        directed.add_node(node, label=f"{name} {graph.attr[node]}")
        directed.add_edges_from((int(source), node) for source in graph.inputs(node))
    digest = benchmark(
        lambda: networkx.weisfeiler_lehman_graph_hash(directed, node_attr="label", iterations=3)
    )
    assert len(digest) == 32


@pytest.mark.benchmark(group="hash a structure, ResNet-50")
def test_structural_hash(benchmark, graph):
    batch = GraphBatch.from_graphs([graph])
    assert benchmark(structural_hash, batch).shape == (1, 2)
