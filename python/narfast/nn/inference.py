"""Inference with the torch model, for CUDA; on the CPU it is the oracle of the core.

The core and the Numba kernels prepare a batch; the model computes its vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narfast.nn.collate import collate_motifs
from narfast.nn.inputs import (
    MinedBatch,
    OperatorRows,
    macro_tensors,
    mine_batch,
    node_tensors,
    structural_tensors,
)
from narfast.nn.model import ArchitectureModel

if TYPE_CHECKING:
    from narfast.encoder_config import EncoderConfig
    from narfast.graph import GraphBatch
    from narfast.structural_features import LabelIdf

__all__ = ["TorchInference"]


class TorchInference:
    """An encoder on a device of torch."""

    def __init__(
        self,
        config: EncoderConfig,
        tensors: Mapping[str, NDArray[Any]],
        label_idf: LabelIdf | None,
        device: str | torch.device,
    ) -> None:
        """Put weights on a device.

        Args:
            config: Settings that fix the shape of the model.
            tensors: Its state, by name.
            label_idf: The labels of structural features, None if the encoder has none.
            device: Where to compute.
        """
        self.device = torch.device(device)
        model = ArchitectureModel(config)
        model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in tensors.items()})
        self.model = model.to(self.device).eval().requires_grad_(False)
        self._rows = OperatorRows(config.operators)
        self._idf = label_idf
        axes = self.model.wide_axes.float() if config.wide_dim else torch.empty(0)
        self._axes = axes.to(self.device)

    def encode(
        self, graphs: GraphBatch, *, normalize: bool = True, num_threads: int = 0
    ) -> NDArray[np.float32]:
        """Compute vectors float32[G, dim] of networks."""
        with torch.inference_mode():
            vectors = self._encode(graphs, num_threads)
            if normalize:
                vectors = torch.nn.functional.normalize(vectors, dim=-1)
            array: NDArray[np.float32] = vectors.cpu().numpy()
        return array

    def _encode(self, graphs: GraphBatch, num_threads: int) -> Tensor:
        config = self.model.config
        mined = mine_batch(graphs, miner=config.miner, num_threads=num_threads)
        table = self._embed_motifs(mined)
        macro = macro_tensors(mined, np.arange(len(mined)), device=self.device)
        structural = structural_tensors(
            self.model, self._idf, graphs, self._axes, num_threads=num_threads
        )
        deep = self.model.embed_networks(
            table.index_select(0, macro.motif),
            macro.size,
            macro.multiplicity,
            macro.graph,
            structural.axes,
        )
        return self.model.join(deep, structural.vector)

    def _embed_motifs(self, mined: MinedBatch) -> Tensor:
        """Compute vectors float[U, motif_dim] of the distinct motifs."""
        nodes = collate_motifs(mined.graphs, mined.macros, mined.unique.representative)
        return self.model.embed_motifs(*node_tensors(nodes, self._rows, device=self.device))
