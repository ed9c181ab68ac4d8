"""Encoding stored graphs beside PyTorch Geometric's GCN on the same graphs, in one run.

The peer has the sizes of the paper's baseline: three layers of 512, three of 256, mean pooling.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from narfast import operators
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.graph import GraphBatch
from narfast.zoo import Zoo

GRAPHS, BATCH = 256, 64

pytestmark = [
    pytest.mark.benchmark(group="encode 256 networks of the zoo"),
    pytest.mark.filterwarnings("ignore"),  # of PyTorch Geometric
]


class Gcn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        from torch_geometric.nn import GCNConv, global_mean_pool

        widths = [len(operators.table()), 512, 512, 512, 256, 256, 256]
        self.layers = nn.ModuleList(map(GCNConv, widths[:-1], widths[1:]))
        self.pool = global_mean_pool

    def forward(self, x, edge_index, batch):
        for layer in self.layers:
            x = torch.relu(layer(x, edge_index))
        return self.pool(x, batch)


@pytest.fixture(scope="module")
def graphs():
    zoo = Zoo.open("default")
    rows = np.random.default_rng(0).choice(len(zoo), GRAPHS, replace=False)
    return [zoo[int(row)].graph for row in rows]


@pytest.fixture(scope="module")
def batches(graphs):
    """The graphs as PyTorch Geometric takes them, both edge directions, made beforehand."""
    from torch_geometric.data import Batch, Data

    items = []
    for graph in graphs:
        target = torch.from_numpy(np.repeat(np.arange(graph.num_nodes), np.diff(graph.in_ptr)))
        edges = torch.stack([torch.from_numpy(graph.in_src.astype(np.int64)), target])
        op = torch.from_numpy(graph.op.astype(np.int64))
        x = nn.functional.one_hot(op, len(operators.table())).float()
        items.append(Data(x=x, edge_index=torch.cat([edges, edges.flip(0)], dim=1)))
    return [Batch.from_data_list(items[i : i + BATCH]) for i in range(0, len(items), BATCH)]


@pytest.mark.slow
def test_pyg_gcn(benchmark, batches):
    torch.manual_seed(0)
    model = Gcn().eval()

    def encode():
        with torch.inference_mode():
            return torch.cat([model(b.x, b.edge_index, b.batch) for b in batches])

    vectors = benchmark.pedantic(encode, rounds=3, warmup_rounds=1)
    assert vectors.shape == (GRAPHS, 256)


def test_narfast(benchmark, graphs):
    encoder = ArchitectureEncoder.from_pretrained("default")
    batch = GraphBatch.from_graphs(graphs)
    vectors = benchmark.pedantic(
        lambda: encoder.encode(batch, num_threads=1),
        setup=encoder.motif_cache.clear,
        rounds=20,
        warmup_rounds=1,
    )
    encoder.motif_cache.clear()
    np.testing.assert_array_equal(vectors, np.stack([encoder.encode(graph) for graph in graphs]))
