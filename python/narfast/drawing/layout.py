"""Where nodes and edges of a layered drawing stand: the core's layout with names for its arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfast import _core

__all__ = ["Layout", "layered_layout"]


@dataclass(frozen=True, eq=False)
class Layout:
    """A layered drawing; x grows to the right, y downwards, both from 0.

    Attributes:
        layer: int32[N], layer of each node; every edge leads to a higher one.
        place: int32[N], rank of each node among the nodes of its layer.
        x: float64[N], centre of each node.
        y: float64[N], centre of each node.
        route_ptr: int64[E + 1], offsets of every edge into the points that it passes.
        route_x: float64[P], points between the ends of edges.
        route_y: float64[P].
        bridge: bool[E], edges too long for points, to be drawn at the side.
        crossings: of all edges but bridges.
        width: of the drawing.
        height: of the drawing.
    """

    layer: NDArray[np.int32]
    place: NDArray[np.int32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    route_ptr: NDArray[np.int64]
    route_x: NDArray[np.float64]
    route_y: NDArray[np.float64]
    bridge: NDArray[np.bool_]
    crossings: int
    width: float
    height: float

    def route(self, edge: int) -> list[tuple[float, float]]:
        """Return the points that an edge passes between its ends."""
        begin, end = int(self.route_ptr[edge]), int(self.route_ptr[edge + 1])
        xs, ys = self.route_x[begin:end].tolist(), self.route_y[begin:end].tolist()
        return list(zip(xs, ys, strict=True))


def layered_layout(
    in_ptr: NDArray[np.int64],
    in_src: NDArray[np.int32],
    widths: NDArray[np.float64],
    heights: NDArray[np.float64],
    *,
    node_gap: float = 24.0,
    layer_gap: float = 32.0,
    sweeps: int = 48,
) -> Layout:
    """Lay out a graph in layers, from top to bottom.

    Args:
        in_ptr: int64[N + 1], offsets of every node into `in_src`.
        in_src: int32[E], in-neighbours; each stands before the node that reads it.
        widths: float64[N], of the nodes.
        heights: float64[N], of the nodes.
        node_gap: Least distance of two nodes in a layer.
        layer_gap: Distance of two layers.
        sweeps: At most so many sweeps against crossings.

    Raises:
        InvalidGraphError: If an edge does not lead to a higher node number.
        ValueError: If sizes are missing, negative or not finite.
    """
    found = _core.layered_layout(
        in_ptr, in_src, widths, heights, node_gap=node_gap, layer_gap=layer_gap, sweeps=sweeps
    )
    return Layout(*found[:7], found[7].astype(bool), *found[8:])
