"""The values a zoo holds: one `Architecture` per name, one `Structure` row per distinct graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from narfast.errors import InvalidGraphError

__all__ = ["Architecture", "GraphArrays", "by_structure"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """One named network. Networks of equal `structural_hash` share one graph in the zoo.

    Attributes:
        id: unique in the zoo, ``source:name``.
        name: the library's own name, or the file's.
        source: library or kind of source, such as ``timm``.
        family: family label, such as ``resnet``; empty when not known.
        task: such as ``image-classification``; empty when not known.
        params: number of parameters; -1 when not known.
        flops: multiply-adds of one forward pass; -1 when not known.
        input_shape: shape of the traced input, without names.
        trace_kind: how the graph was obtained.
        nodes: operators of the canonical graph.
        edges: edges of the canonical graph.
        structural_hash: 32 hexadecimal digits.
        untraced: parts that no trace reached.
        unknown_ops: spellings of operators outside the table, with counts.
    """

    id: str
    name: str
    source: str
    family: str = ""
    task: str = ""
    params: int = -1
    flops: int = -1
    input_shape: tuple[int, ...] = ()
    trace_kind: str = ""
    nodes: int = 0
    edges: int = 0
    structural_hash: str = ""
    untraced: int = 0
    unknown_ops: Mapping[str, int] = field(default_factory=dict)


def by_structure(records: Sequence[Architecture]) -> dict[str, list[Architecture]]:
    """Group records by structural hash, in the zoo's row order.

    Within a group the representative comes first (shortest name, then alphabetical); groups are
    ordered by their representative's id, so that rows depend only on the set of records.
    """
    groups: dict[str, list[Architecture]] = {}
    for record in records:
        groups.setdefault(record.structural_hash, []).append(record)
    for group in groups.values():
        group.sort(key=lambda record: (len(record.name), record.name, record.source, record.id))
    return dict(sorted(groups.items(), key=lambda item: item[1][0].id))


@dataclass(frozen=True)
class GraphArrays:
    """The arrays of one canonical graph (see `narfast.graph.ArchGraph`), without metadata.

    Attributes:
        op: uint16[N] operator ids.
        attr: uint32[N] packed attributes.
        in_ptr: int64[N+1] offsets into ``in_src``.
        in_src: int32[E] in-neighbours in argument order, each smaller than its node.
    """

    op: NDArray[np.uint16]
    attr: NDArray[np.uint32]
    in_ptr: NDArray[np.int64]
    in_src: NDArray[np.int32]

    def relative(self) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
        """Return in-degrees uint16[N] and distances int32[E] from each node to its in-neighbours.

        Equal blocks have equal distances wherever they stand, so this form compresses well.
        """
        degrees = np.diff(self.in_ptr)
        targets = np.repeat(np.arange(len(self.op), dtype=np.int64), degrees)
        if len(degrees) and int(degrees.max()) > 0xFFFF:
            raise InvalidGraphError(
                f"a node has {int(degrees.max())} inputs, a zoo stores up to 65535 per node; "
                "leave this network out"
            )
        return degrees.astype(np.uint16), (targets - self.in_src).astype(np.int32)

    @classmethod
    def from_relative(
        cls,
        op: NDArray[np.uint16],
        attr: NDArray[np.uint32],
        degrees: NDArray[np.uint16],
        distances: NDArray[np.int32],
    ) -> GraphArrays:
        """Undo `relative`.

        Raises:
            ValueError: lengths disagree, or an edge does not come from an earlier node.
        """
        if not len(op) == len(attr) == len(degrees):
            raise ValueError("arrays of one graph differ in length")
        in_ptr = np.zeros(len(op) + 1, dtype=np.int64)
        np.cumsum(degrees, out=in_ptr[1:], dtype=np.int64)
        if in_ptr[-1] != len(distances):
            raise ValueError("in-degrees do not add up to the number of edges")
        targets = np.repeat(np.arange(len(op), dtype=np.int64), degrees)
        sources = targets - distances
        if len(sources) and (int(sources.min()) < 0 or int(distances.min()) < 1):
            raise ValueError("an edge does not come from an earlier node")
        return cls(
            np.ascontiguousarray(op),
            np.ascontiguousarray(attr),
            in_ptr,
            np.ascontiguousarray(sources, dtype=np.int32),
        )
