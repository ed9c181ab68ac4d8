"""Rows of a zoo's tables: named networks, some of which share a structure, and failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from narfast.graph import ArchGraph, GraphMeta
from narfast.taxonomy.coarse_class import coarse_class
from narfast.taxonomy.families import classify

__all__ = ["NetworkRecord", "by_structure", "rows_by_structure"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkRecord:
    """One named network.

    Attributes:
        id: unique in the zoo, ``library:name``.
        name: name in the library, or of the file.
        source: library or kind of source, such as ``timm``.
        family: in the vocabulary that all libraries share, such as ``resnet``, or None.
        subfamily: line of models within the family, such as ``seresnet``, or None.
        size: as the name spells it, such as ``50`` or ``base``, or None.
        group: the library's own name for its group of models, or None.
        coarse_class: such as ``convolutional``, derived from the operators (see
            `narfast.taxonomy.coarse_class`); None in zoos of format 1.
        task: such as ``image-classification``, or None.
        params: number of parameters, or None.
        flops: floating-point operations of one forward pass, or None.
        input_shape: shape of the traced input, or None.
        trace_kind: how the graph was obtained.
        nodes: operators of the canonical graph.
        edges: edges of the canonical graph.
        structural_hash: of the canonical graph, 32 hexadecimal digits.
        untraced: parameter tensors that no traced operator used.
        unknown_ops: spellings of operators outside the table, with counts.
    """

    id: str
    name: str
    source: str
    family: str | None = None
    subfamily: str | None = None
    size: str | None = None
    group: str | None = None
    coarse_class: str | None = None
    task: str | None = None
    params: int | None = None
    flops: int | None = None
    input_shape: tuple[int, ...] | None = None
    trace_kind: str = ""
    nodes: int
    edges: int
    structural_hash: str
    untraced: int = 0
    unknown_ops: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, identifier: str, graph: ArchGraph) -> NetworkRecord:
        """Describe a canonical graph; its metadata or the identifier give name and library."""
        prefix, _, rest = identifier.partition(":")
        meta = graph.meta
        name, source = meta.name or rest or identifier, meta.source or prefix
        labels = None if meta.group is None else classify(source, meta.group, name)
        return cls(
            id=identifier,
            name=name,
            source=source,
            family=labels.family if labels else meta.family,
            subfamily=labels.subfamily if labels else None,
            size=labels.size if labels else None,
            group=meta.group,
            coarse_class=coarse_class(graph),
            task=meta.task,
            params=meta.params,
            flops=meta.flops,
            input_shape=meta.input_shape,
            trace_kind=meta.trace_kind,
            nodes=graph.num_nodes,
            edges=graph.num_edges,
            structural_hash=graph.structural_hash,
            untraced=meta.untraced,
            unknown_ops=dict(meta.unknown_ops),
        )

    def graph_meta(self) -> GraphMeta:
        """Return the metadata in the form that a graph carries."""
        return GraphMeta(
            name=self.name,
            source=self.source,
            trace_kind=self.trace_kind,
            family=self.family,
            group=self.group,
            task=self.task,
            params=self.params,
            flops=self.flops,
            input_shape=self.input_shape,
            unknown_ops=dict(self.unknown_ops),
            untraced=self.untraced,
        )


def by_structure(records: Iterable[NetworkRecord]) -> dict[str, tuple[NetworkRecord, ...]]:
    """Group records by structural hash, in the zoo's row order (see `rows_by_structure`)."""
    known = list(records)
    rows = rows_by_structure(
        [record.structural_hash for record in known],
        [record.name for record in known],
        [record.source for record in known],
        [record.id for record in known],
    )
    return {structure: tuple(known[i] for i in group) for structure, group in rows.items()}


def rows_by_structure(
    hashes: Sequence[str], names: Sequence[str], sources: Sequence[str], ids: Sequence[str]
) -> dict[str, list[int]]:
    """Group the positions of records by structural hash, in the zoo's row order.

    Within a group, the representative comes first (shortest name, then alphabetical). Groups are
    ordered by the id of their representative, so rows depend only on the set of records.
    """
    groups: dict[str, list[int]] = {}
    for position, structure in enumerate(hashes):
        groups.setdefault(structure, []).append(position)
    for group in groups.values():
        if len(group) > 1:
            group.sort(key=lambda i: (len(names[i]), names[i], sources[i], ids[i]))
    return dict(sorted(groups.items(), key=lambda item: ids[item[1][0]]))
