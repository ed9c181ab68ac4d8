"""The torch model as a peer of the core: what encoded on the CPU before the core did."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from narfast.encoder.storage import Weights
from narfast.nn.collate import collate_motifs
from narfast.nn.inference import TorchInference
from narfast.nn.inputs import MinedBatch, node_tensors

__all__ = ["CachingTorch"]


class CachingTorch(TorchInference):
    """Keeps the vectors of motifs between calls, as narfast did when torch encoded.

    So each distinct motif of a collection is encoded once, by both sides of a comparison.
    """

    def __init__(self, weights: Weights, device: str | torch.device = "cpu") -> None:
        super().__init__(weights, device)
        self._known: dict[bytes, Tensor] = {}

    def clear(self) -> None:
        self._known.clear()

    def _embed_motifs(self, mined: MinedBatch) -> Tensor:
        keys = [row.tobytes() for row in mined.unique.motif_id]
        missing = np.array([i for i, key in enumerate(keys) if key not in self._known], np.int64)
        if len(missing):
            rows = mined.unique.representative[missing]
            nodes = collate_motifs(mined.graphs, mined.macros, rows)
            tensors = node_tensors(nodes, self._rows, device=self.device)
            vectors = self.model.embed_motifs(*tensors)
            self._known.update(zip([keys[i] for i in missing], vectors, strict=True))
        return torch.stack([self._known[key] for key in keys])
