"""Networks around classes of PyTorch Geometric, built as in its documentation and examples.

These classes have no weights that the examples do not have. The artificial graphs for inputs are
here too: their shape is not part of a design.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import nn

NODES = 24
_STEPS = (1, 2, 5)  # every node has an edge to the nodes at these distances


def edges() -> torch.Tensor:
    """Return a graph: int64[2, edges]."""
    pairs = [(i, (i + step) % NODES) for step in _STEPS for i in range(NODES)]
    return torch.tensor(pairs).t().contiguous()


def features(width: int, rows: int = NODES) -> torch.Tensor:
    """Return node features on the meta device."""
    return torch.empty(rows, width, device="meta")


def edge_features(width: int) -> torch.Tensor:
    """Return edge features on the meta device."""
    return features(width, NODES * len(_STEPS))


def one_graph() -> torch.Tensor:
    """Return the graph of each node: all belong to the first."""
    return torch.zeros(NODES, dtype=torch.int64)


ATOMS = 5


def molecule() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return atomic numbers, positions and molecule of a few atoms."""
    places = torch.arange(3.0 * ATOMS).view(ATOMS, 3).sin()
    numbers = torch.tensor([6, 1, 1, 1, 8])
    return numbers, places, torch.zeros(ATOMS, dtype=torch.int64)


def atom_pairs() -> torch.Tensor:
    """Return all pairs of different atoms: int64[2, pairs]."""
    pairs = [(j, i) for i in range(ATOMS) for j in range(ATOMS) if i != j]
    return torch.tensor(pairs).t().contiguous()


def _atom_triplets() -> tuple[torch.Tensor, ...]:
    """Return (i, j, idx_i, idx_j, idx_k, idx_kj, idx_ji) of all paths k -> j -> i."""
    source, target = atom_pairs().tolist()
    found = [
        (target[ji], source[ji], source[kj], kj, ji)
        for ji in range(len(source))
        for kj in range(len(source))
        if target[kj] == source[ji] and source[kj] != target[ji]
    ]
    columns = [torch.tensor(column) for column in zip(*found, strict=True)]
    return (torch.tensor(target), torch.tensor(source), *columns)


class AllPairs(nn.Module):
    """Pairs of atoms and their distances: the input graph of `SchNet`."""

    def forward(self, pos: torch.Tensor, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return edges and their lengths."""
        row, column = atom_pairs().to(pos.device)
        return torch.stack([row, column]), (pos[row] - pos[column]).norm(dim=-1)


class WithNeighbours(nn.Module):
    """A network of molecules whose neighbour search is replaced.

    The library's own search needs compiled extensions; its result is not part of a design.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @contextmanager
    def _search(self, pos: torch.Tensor) -> Iterator[None]:
        module = sys.modules[type(self.network).__module__]
        pairs = atom_pairs().to(pos.device)
        triplets = tuple(t.to(pos.device) for t in _atom_triplets())
        with ExitStack() as replaced:
            for name, found in (("radius_graph", pairs), ("triplets", triplets)):
                if hasattr(module, name):
                    search = mock.Mock(return_value=found)
                    replaced.enter_context(mock.patch.object(module, name, search))
            yield

    def forward(self, *molecule: torch.Tensor) -> Any:
        """Return the network's output for atomic numbers, positions and molecules."""
        with self._search(molecule[1]):
            return self.network(*molecule)


class DeeperGCN(nn.Module):
    """`DeepGCNLayer`s as in the library's ogbn_proteins_deepgcn.py."""

    def __init__(self, layers: int, block: str, width: int = 64) -> None:
        super().__init__()
        from torch_geometric.nn import DeepGCNLayer, GENConv

        self.node_encoder = nn.Linear(8, width)
        self.edge_encoder = nn.Linear(8, width)
        self.layers = nn.ModuleList(
            DeepGCNLayer(
                GENConv(width, width, learn_t=True, num_layers=2, norm="layer"),
                nn.LayerNorm(width),
                nn.ReLU(),
                block=block,
                dropout=0.1,
            )
            for _ in range(layers)
        )
        self.lin = nn.Linear(width, 112)

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor, edge_attr: torch.Tensor) -> Any:
        """Return scores of every node."""
        first: Any = self.layers[0]
        edge_attr = self.edge_encoder(edge_attr)
        x = first.conv(self.node_encoder(x), edge_index, edge_attr)
        for layer in list(self.layers)[1:]:
            x = layer(x, edge_index, edge_attr)
        return self.lin(first.act(first.norm(x)))


class _ReversibleBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        from torch_geometric.nn import SAGEConv

        self.norm = nn.LayerNorm(width)
        self.conv = SAGEConv(width, width)

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> Any:
        return self.conv(self.norm(x).relu(), edge_index)


class ReversibleGNN(nn.Module):
    """`GroupAddRev` layers as in the library's rev_gnn.py, but without recomputation."""

    def __init__(self, layers: int, width: int = 160, groups: int = 2) -> None:
        super().__init__()
        from torch_geometric.nn import GroupAddRev

        self.lin1 = nn.Linear(100, width)
        self.lin2 = nn.Linear(width, 47)
        self.norm = nn.LayerNorm(width)
        self.convs = nn.ModuleList(
            GroupAddRev(_ReversibleBlock(width // groups), num_groups=groups, disable=True)
            for _ in range(layers)
        )

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> Any:
        """Return scores of every node."""
        x = self.lin1(x)
        for conv in self.convs:
            x = conv(x, edge_index)
        return self.lin2(self.norm(x).relu())


class GraphEncoder(nn.Module):
    """The encoders of the library's autoencoder.py and argva_node_clustering.py."""

    def __init__(self, width: int, *, hidden: int | None, variational: bool) -> None:
        super().__init__()
        from torch_geometric.nn import GCNConv

        self.first = None if hidden is None else GCNConv(1433, hidden)
        self.heads = nn.ModuleList(
            GCNConv(1433 if hidden is None else hidden, width) for _ in range(1 + variational)
        )

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> Any:
        """Return embeddings of nodes; mean and log deviation if variational."""
        if self.first is not None:
            x = self.first(x, edge_index).relu()
        results = [head(x, edge_index) for head in self.heads]
        return results[0] if len(results) == 1 else tuple(results)


class Autoencoder(nn.Module):
    """An autoencoder of the library with all its parts: encoder, decoder, discriminator."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> Any:
        """Return probabilities of edges, deviations if variational, discriminator outputs."""
        latent = self.model.encode(x, edge_index)
        results = [self.model.decode(latent, edge_index)]
        if hasattr(self.model, "__logstd__"):  # only training samples from it
            results.append(self.model.__logstd__)
        if hasattr(self.model, "discriminator"):
            results.append(self.model.discriminator(latent))
        return results


class FromEmbeddings(nn.Module):
    """`LightGCN`, whose own embedding table is its only input besides the graph."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, table: torch.Tensor, edge_index: torch.Tensor) -> Any:
        """Return scores of the edges for given embeddings."""
        values = {"embedding.weight": table}
        return torch.func.functional_call(self.model, values, (edge_index,))


class OnData(nn.Module):
    """Calls a network that takes one `Data` object with the object's tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **tensors: torch.Tensor) -> Any:
        """Return the network's output."""
        from torch_geometric.data import Data

        return self.model(Data(**tensors))


class PReluGCN(nn.Module):
    """The encoder of the library's infomax_transductive.py."""

    def __init__(self, width: int) -> None:
        super().__init__()
        from torch_geometric.nn import GCNConv

        self.conv = GCNConv(1433, width)
        self.prelu = nn.PReLU(width)

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> Any:
        """Return embeddings of nodes."""
        return self.prelu(self.conv(x, edge_index))


class Discriminator(nn.Module):
    """The discriminator of the library's argva_node_clustering.py."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, width),
        )

    def forward(self, x: torch.Tensor) -> Any:
        """Return one score per number."""
        return self.layers(x)
