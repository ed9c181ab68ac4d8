"""Results of a zoo: its entries, and the hits of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narfast.graph import ArchGraph
from narfast.storage.records import NetworkRecord

if TYPE_CHECKING:
    from narfast.storage.stored_zoo import StoredZoo

__all__ = ["Hit", "ZooEntry"]


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One structure found by a search.

    Attributes:
        id: id of the first name that the filter accepts; `name`, `family`, `source`, `task` and
            `params` belong to that name.
        names: all names of the structure, `name` first.
        ids: the ids of all names; two libraries with one name give two ids.
        score: cosine between query and network, at most 1.
        nodes: operators of the canonical graph.
    """

    id: str
    name: str
    names: tuple[str, ...]
    family: str | None
    source: str
    score: float
    params: int | None
    structural_hash: str
    task: str | None
    nodes: int
    ids: tuple[str, ...]

    @classmethod
    def of(cls, records: Sequence[NetworkRecord], score: float) -> Hit:
        """Describe a structure by its records; the first one is shown."""
        first = records[0]
        return cls(
            id=first.id,
            name=first.name,
            names=_names(records),
            family=first.family,
            source=first.source,
            score=min(score, 1.0),
            params=first.params,
            structural_hash=first.structural_hash,
            task=first.task,
            nodes=first.nodes,
            ids=tuple(record.id for record in records),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "names": list(self.names), "ids": list(self.ids)}


class ZooEntry:
    """One distinct structure of a zoo: facts of its representative, all names, its graph."""

    __slots__ = ("_stored", "records", "row")

    def __init__(self, stored: StoredZoo, row: int, records: tuple[NetworkRecord, ...]) -> None:
        """Describe a row of a zoo by its records, the representative first."""
        self._stored = stored
        self.row = row
        self.records = records

    @property
    def record(self) -> NetworkRecord:
        """All stored facts of the representative."""
        return self.records[0]

    @property
    def id(self) -> str:
        """Id of the representative name."""
        return self.record.id

    @property
    def name(self) -> str:
        """The representative name."""
        return self.record.name

    @property
    def names(self) -> tuple[str, ...]:
        """All names of this structure, the representative first."""
        return _names(self.records)

    @property
    def source(self) -> str:
        """Library or kind of source of the representative."""
        return self.record.source

    @property
    def task(self) -> str | None:
        """Task of the representative."""
        return self.record.task

    @property
    def coarse_class(self) -> str | None:
        """Class derived from its operators, such as ``convolutional``."""
        return self.record.coarse_class

    @property
    def params(self) -> int | None:
        """Number of parameters of the representative."""
        return self.record.params

    @property
    def nodes(self) -> int:
        """Operators of the canonical graph."""
        return self.record.nodes

    @property
    def edges(self) -> int:
        """Edges of the canonical graph."""
        return self.record.edges

    @property
    def group(self) -> str | None:
        """The library's own word for its group of models."""
        return self.record.group

    @property
    def subfamily(self) -> str | None:
        """Line of models within the family."""
        return self.record.subfamily

    @property
    def size(self) -> str | None:
        """Size, as the name spells it."""
        return self.record.size

    @property
    def flops(self) -> int | None:
        """Floating-point operations of one forward pass."""
        return self.record.flops

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Shape of the traced input."""
        return self.record.input_shape

    @property
    def trace_kind(self) -> str:
        """How the graph was obtained."""
        return self.record.trace_kind

    @property
    def untraced(self) -> int:
        """Parameter tensors that no traced operator used."""
        return self.record.untraced

    @property
    def unknown_ops(self) -> Mapping[str, int]:
        """Spellings of operators outside the table, with counts."""
        return self.record.unknown_ops

    @property
    def family(self) -> str | None:
        """The family of most of its names."""
        return self._stored.family_of(self.row)

    @property
    def families(self) -> frozenset[str]:
        """The families of all its names."""
        return frozenset(record.family for record in self.records if record.family)

    @property
    def sources(self) -> frozenset[str]:
        """Every library that offers this structure."""
        return frozenset(record.source for record in self.records)

    @property
    def structural_hash(self) -> str:
        """Hash of the canonical graph."""
        return self.records[0].structural_hash

    @property
    def graph(self) -> ArchGraph:
        """The canonical graph, with the representative's metadata (arrays are shared views)."""
        return replace(self._stored.graphs[self.row], meta=self.record.graph_meta())

    @property
    def embedding(self) -> NDArray[np.float32]:
        """Its vector, float32 [dim] (a shared view)."""
        row: NDArray[np.float32] = self._stored.embeddings[self.row]
        return row

    def __repr__(self) -> str:
        others = len(self.records) - 1
        return f"ZooEntry({self.id!r}" + (f" and {others} other names)" if others else ")")


def _names(records: Sequence[NetworkRecord]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.name for record in records))
