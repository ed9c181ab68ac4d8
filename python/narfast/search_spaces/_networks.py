"""Converts arrays of the C++ generators to batches of graphs with metadata."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from narfast.graph import GraphBatch, GraphMeta
from narfast.hyperparameters import Hyperparameters

__all__ = ["as_batch"]

BatchArrays = tuple[
    NDArray[np.uint16], NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]
]
ExactArrays = tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]


def as_batch(
    result: tuple[BatchArrays, ExactArrays, NDArray[np.int64], NDArray[np.int64]],
    names: Iterable[str],
    space: str,
    input_shape: tuple[int, ...],
) -> GraphBatch:
    """Convert the result of a generator to a batch.

    Args:
        result: (batch arrays, hyperparameters, parameters, operations).
        names: One name per network.
        space: Recorded as source and family.
        input_shape: Shape of the input, equal for all.
    """
    arrays, exact, params, flops = result
    metas = tuple(
        GraphMeta(
            name=name,
            source=space,
            trace_kind="generated",
            group=space,
            family=space,
            task="image-classification",
            params=own_params,
            flops=own_flops,
            input_shape=input_shape,
        )
        for name, own_params, own_flops in zip(names, params.tolist(), flops.tolist(), strict=True)
    )
    batch = GraphBatch(*arrays, metas)
    return replace(batch, hyperparameters=tuple(Hyperparameters.separated(exact, batch.node_ptr)))
