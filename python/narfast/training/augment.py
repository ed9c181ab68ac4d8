"""Random small edits of operator graphs that imitate differences between exporters and code bases.

The habits of a converter are systematic: an extra reshape follows *every* convolution, not just one
of them. So most edits are drawn once for each operator of a network and applied to all its nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast.encoder_config import ATTRIBUTE_FIELDS
from narfast.graph import GraphBatch
from narfast.nn._kernel import kernel

__all__ = ["AugmentConfig", "augment"]

# A converter may drop or fold operators of these categories without changing the design.
_LIGHT = ("elementwise", "layout", "indexing")

# Operators that converters insert, and whether they have a scalar operand.
_INSERTED = (
    ("mul", True),
    ("add", True),
    ("permute", False),
    ("slice", False),
    ("reshape", False),
    ("cast", False),
    ("clip", False),
    ("concat", False),
)


@dataclass(frozen=True)
class AugmentConfig:
    """Probabilities of the edits; with all at zero, graphs do not change.

    Attributes:
        drop_node: A node with one input is removed.
        drop_kind: All nodes of a light operator (elementwise, layout, indexing) with one input are
            removed from a network.
        insert_node: An operator that converters insert follows a node.
        insert_kind: The same after every node of one operator in a network.
        clear_field: One attribute field of one operator is unknown in the whole network.
        mask_operator: One operator is unknown (but not its category) in the whole network.
    """

    drop_node: float = 0.0
    drop_kind: float = 0.0
    insert_node: float = 0.0
    insert_kind: float = 0.0
    clear_field: float = 0.0
    mask_operator: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"augment.{name} must be a probability, not {value!r}")


def augment(graphs: GraphBatch, config: AugmentConfig, *, seed: int) -> GraphBatch:
    """Edit every graph of a batch.

    Args:
        graphs: Valid graphs.
        config: Probabilities of the edits.
        seed: The same seed gives the same edits on every machine.

    Returns:
        Valid graphs in the same order; node order stays topological.
    """
    table = operators.table()
    light = np.array([info.category in _LIGHT for info in table])
    masked = np.array([operators.unknown(info.category).id for info in table], dtype=np.uint16)
    inserted = np.array([operators.by_name(name).id for name, _ in _INSERTED], dtype=np.uint16)
    scalar = operators.pack_attributes(scalar_operand=True)
    inserted_attr = np.array([scalar if s else 0 for _, s in _INSERTED], dtype=np.uint32)
    fields = np.array([(2**bits - 1) << at for _, at, bits in ATTRIBUTE_FIELDS], dtype=np.uint32)
    chances = np.array(
        [
            config.drop_node,
            config.drop_kind,
            config.insert_node,
            config.insert_kind,
            config.clear_field,
            config.mask_operator,
        ]
    )
    arrays: tuple[NDArray[Any], ...] = _augment(
        graphs.op,
        graphs.attr,
        graphs.node_ptr,
        graphs.in_ptr,
        graphs.in_src,
        light,
        masked,
        inserted,
        inserted_attr,
        fields,
        chances,
        np.uint64(seed % 2**64),
    )
    op, attr, node_ptr, in_ptr, in_src = arrays
    return GraphBatch(
        op=op, attr=attr, node_ptr=node_ptr, in_ptr=in_ptr, in_src=in_src, metas=graphs.metas
    )


@kernel
def _bits(seed: Any, a: int, b: int, purpose: int) -> Any:
    z = seed + np.uint64(purpose) * np.uint64(0x9E3779B97F4A7C15)
    for part in (np.uint64(a), np.uint64(b)):
        z = z ^ (part + np.uint64(0x632BE59BD9B4E019))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return z


@kernel
def _happens(chance: float, seed: Any, a: int, b: int, purpose: int) -> bool:
    draw = float(_bits(seed, a, b, purpose) >> np.uint64(11)) / 9007199254740992.0
    return draw < chance


@kernel
def _augment(
    op: Any,
    attr: Any,
    node_ptr: Any,
    in_ptr: Any,
    in_src: Any,
    light: Any,
    masked: Any,
    inserted: Any,
    inserted_attr: Any,
    fields: Any,
    chances: Any,
    seed: Any,
) -> Any:
    num_graphs = len(node_ptr) - 1
    # At most one node is inserted after each node.
    new_op = np.empty(2 * len(op), dtype=op.dtype)
    new_attr = np.empty(2 * len(op), dtype=attr.dtype)
    new_ptr = np.zeros(2 * len(op) + 1, dtype=np.int64)
    new_src = np.empty(len(in_src) + len(op), dtype=in_src.dtype)
    new_node_ptr = np.zeros(num_graphs + 1, dtype=np.int64)
    stands_for = np.empty(len(op), dtype=np.int64)  # old node -> new local node with its value
    nodes = 0
    edges = 0
    for g in range(num_graphs):
        base = node_ptr[g]
        new_base = nodes
        for v in range(base, node_ptr[g + 1]):
            kind = op[v]
            degree = in_ptr[v + 1] - in_ptr[v]
            if degree == 1 and (
                _happens(chances[0], seed, g, v - base, 1)
                or (light[kind] and _happens(chances[1], seed, g, kind, 2))
            ):
                stands_for[v] = stands_for[base + in_src[in_ptr[v]]]
                continue
            detail = attr[v]
            if _happens(chances[4], seed, g, kind, 3):
                field = _bits(seed, g, kind, 4) % np.uint64(len(fields))
                detail = detail & ~fields[field]
            new_op[nodes] = masked[kind] if _happens(chances[5], seed, g, kind, 5) else kind
            new_attr[nodes] = detail
            for e in range(in_ptr[v], in_ptr[v + 1]):
                new_src[edges] = stands_for[base + in_src[e]]
                edges += 1
            nodes += 1
            new_ptr[nodes] = edges
            everywhere = _happens(chances[3], seed, g, kind, 6)
            if everywhere or _happens(chances[2], seed, g, v - base, 7):
                chooser = kind if everywhere else v - base
                choice = _bits(seed, g, chooser, 8) % np.uint64(len(inserted))
                new_op[nodes] = inserted[choice]
                new_attr[nodes] = inserted_attr[choice]
                new_src[edges] = nodes - 1 - new_base
                edges += 1
                nodes += 1
                new_ptr[nodes] = edges
            stands_for[v] = nodes - 1 - new_base
        new_node_ptr[g + 1] = nodes
    return (
        new_op[:nodes].copy(),
        new_attr[:nodes].copy(),
        new_node_ptr,
        new_ptr[: nodes + 1].copy(),
        new_src[:edges].copy(),
    )
