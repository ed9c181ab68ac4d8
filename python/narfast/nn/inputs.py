"""From ragged arrays to the tensors of the model: mining, collation, vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narfast import motifs as motifs_module
from narfast import operators
from narfast.graph import GraphBatch
from narfast.motifs import MacroBatch
from narfast.nn.collate import (
    NodeMiniBatch,
    UniqueMotifs,
    collate_macros,
    motif_multiplicity,
    unique_motifs,
)
from narfast.nn.layers import GraphTensors
from narfast.nn.model import ArchitectureModel
from narfast.structural_features import LabelIdf

__all__ = [
    "MacroTensors",
    "MinedBatch",
    "OperatorRows",
    "StructuralTensors",
    "macro_tensors",
    "mine_batch",
    "node_tensors",
    "store_idf",
    "structural_tensors",
]


class OperatorRows:
    """Maps operator ids of the current table to rows of a stored vocabulary, by name.

    An operator outside the vocabulary gets the row of ``unknown/<category>``, or row 0 if that is
    missing too. So an encoder stays valid when the table grows.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        row = {name: i + 1 for i, name in enumerate(vocabulary)}
        self.table: NDArray[np.int64] = np.array(
            [
                row.get(info.name, row.get(f"unknown/{info.category}", 0))
                for info in operators.table()
            ],
            dtype=np.int64,
        )

    def __call__(self, op: NDArray[np.uint16]) -> NDArray[np.int64]:
        """Map operator ids uint16[n] to rows int64[n]."""
        rows: NDArray[np.int64] = self.table[op]
        return rows


@dataclass(frozen=True)
class MinedBatch:
    """Graphs with everything that is computed from them without weights.

    Attributes:
        graphs: The operator graphs.
        macros: Their macro graphs.
        unique: The distinct motifs among all instances.
        size: int64[I], operators of each instance.
        multiplicity: int64[I], instances of the same motif in the same network.
    """

    graphs: GraphBatch
    macros: MacroBatch
    unique: UniqueMotifs
    size: NDArray[np.int64]
    multiplicity: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.macros.instance_ptr) - 1


def mine_batch(graphs: GraphBatch, *, miner: str, num_threads: int = 1) -> MinedBatch:
    """Mine motifs, coarsen, and find the distinct motifs.

    In addition to the methods of `narfast.motifs.mine` there is ``whole``: every network is one
    motif, so the motif encoder is a graph neural network on the operators.
    """
    if miner == "whole":
        found = motifs_module.mine(graphs, method="fixed_count", count=1, num_threads=num_threads)
    else:
        found = motifs_module.mine(graphs, method=miner, num_threads=num_threads)  # type: ignore[arg-type]
    macros = motifs_module.coarsen(graphs, found, num_threads=num_threads)
    unique = unique_motifs(macros.motif_id)
    return MinedBatch(
        graphs=graphs,
        macros=macros,
        unique=unique,
        size=np.diff(macros.member_ptr),
        multiplicity=motif_multiplicity(macros.instance_ptr, unique.inverse),
    )


def node_tensors(
    nodes: NodeMiniBatch, rows: OperatorRows, *, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor, GraphTensors]:
    """Return vocabulary rows int64[n], attributes int64[n] and structure of collated subgraphs."""
    return (
        torch.from_numpy(rows(nodes.op)).to(device),
        torch.from_numpy(nodes.attr.astype(np.int64)).to(device),
        GraphTensors.from_csr(nodes.in_ptr, nodes.in_src, nodes.segment_ptr, device=device),
    )


@dataclass(frozen=True)
class MacroTensors:
    """Macro graphs of S networks as tensors for the model.

    Attributes:
        motif: int64[n], the distinct motif (``MinedBatch.unique``) of each macro node.
        size: int64[n], operators of each macro node.
        multiplicity: int64[n].
        graph: Structure; one segment is one network.
    """

    motif: Tensor
    size: Tensor
    multiplicity: Tensor
    graph: GraphTensors


def macro_tensors(
    mined: MinedBatch, networks: NDArray[np.int64], *, device: torch.device | str = "cpu"
) -> MacroTensors:
    """Collate the macro graphs of chosen networks."""
    batch = collate_macros(mined.macros, networks)
    return MacroTensors(
        motif=torch.from_numpy(mined.unique.inverse[batch.instance]).to(device),
        size=torch.from_numpy(mined.size[batch.instance]).to(device),
        multiplicity=torch.from_numpy(mined.multiplicity[batch.instance]).to(device),
        graph=GraphTensors.from_csr(batch.in_ptr, batch.in_src, batch.segment_ptr, device=device),
    )


@dataclass(frozen=True)
class StructuralTensors:
    """Structural features of S networks.

    Attributes:
        vector: float[S, wide_dim], random projections; None without structural features.
        axes: float[S, wide_axes], coordinates of listed labels; None if there are none.
    """

    vector: Tensor | None = None
    axes: Tensor | None = None


def structural_tensors(
    model: ArchitectureModel,
    idf: LabelIdf | None,
    graphs: GraphBatch,
    table: Tensor,
    *,
    num_threads: int = 1,
) -> StructuralTensors:
    """Compute the structural features of networks, on the device of ``table``.

    Args:
        model: An encoder.
        idf: Its labels; None without structural features.
        graphs: The networks.
        table: ``model.wide_axes`` as float.
        num_threads: Threads across networks; 0 for all cores.
    """
    if idf is None:
        return StructuralTensors()
    vectors, counts = idf.features(graphs, model.config.wide_dim, num_threads=num_threads)
    vector = torch.from_numpy(vectors).to(table.device)
    if not model.config.wide_axes:
        return StructuralTensors(vector)
    arrays = (counts.ptr, counts.row, counts.weight)
    tensors = (torch.from_numpy(array).to(table.device) for array in arrays)
    return StructuralTensors(vector, model.project(table, *tensors))


def store_idf(model: ArchitectureModel, idf: LabelIdf, axes: NDArray[np.float32]) -> None:
    """Write the fitted structural features into the buffers of a model."""
    model.wide_label.copy_(torch.from_numpy(idf.label.view(np.int64)))
    model.wide_block.copy_(torch.from_numpy(idf.block))
    model.wide_idf.copy_(torch.from_numpy(idf.idf))
    model.wide_axes.copy_(torch.from_numpy(axes))
