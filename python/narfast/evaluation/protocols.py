"""Protocols: which networks are queries, which are the database, and which are relevant.

A protocol is a function from a zoo to tasks, registered in `PROTOCOLS`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narfast._data import DATA
from narfast.graph import GraphBatch, canonicalize, structural_hash
from narfast.search_spaces import darts
from narfast.taxonomy.splits import Split, standard_split
from narfast.zoo.zoo import Zoo

__all__ = ["EXPORTS", "PROTOCOLS", "RetrievalQuery", "RetrievalTask"]

EXPORTS = DATA / "exports"
"""A zoo of networks read from ONNX exports, ``exporter:id``, which
`benchmarks/studies/onnx_exports.py` makes."""

# The networks of `paper_nas`: number of genotypes, and of variants of each.
_GENOTYPES, _VARIANTS, _NAS_SEED = 60, 25, 0


@dataclass(frozen=True)
class RetrievalQuery:
    """One query.

    Attributes:
        row: row of the query.
        relevant: rows that should come first, without the query itself.
        family: family in whose mean the query counts.
    """

    row: int
    relevant: Collection[int]
    family: str


@dataclass(frozen=True, kw_only=True)
class RetrievalTask:
    """One retrieval task over the rows of a zoo.

    Attributes:
        name: such as ``timm``.
        description: one line for people.
        queries: int64[q], rows of the queries.
        database: int64[n], rows of the database; it may contain the query's own row.
        relevant: per query, the rows that should come first, without the query itself.
        families: per query, the family in whose mean it counts.
        candidates: bool [q, n], rows of the database that a query may find; None for all.
        extra: canonical graphs that the zoo does not have; their rows follow those of the zoo.
    """

    name: str
    description: str
    queries: NDArray[np.int64]
    database: NDArray[np.int64]
    relevant: tuple[NDArray[np.int64], ...]
    families: tuple[str, ...]
    candidates: NDArray[np.bool_] | None = None
    extra: GraphBatch | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        name: str,
        description: str,
        queries: Iterable[RetrievalQuery],
        database: Iterable[int],
        *,
        candidates: NDArray[np.bool_] | None = None,
        extra: GraphBatch | None = None,
    ) -> RetrievalTask:
        """Collect queries; those without relevant rows are left out."""
        queries = [query for query in queries if query.relevant]
        return cls(
            name=name,
            description=description,
            queries=np.array([query.row for query in queries], dtype=np.int64),
            database=np.array(list(database), dtype=np.int64),
            relevant=tuple(np.array(sorted(query.relevant), dtype=np.int64) for query in queries),
            families=tuple(query.family for query in queries),
            candidates=candidates,
            extra=extra,
        )


Protocol = Callable[[Zoo], Sequence[RetrievalTask]]


def same_family(zoo: Zoo, rows: Sequence[int], *, name: str, description: str) -> RetrievalTask:
    """Search for each of ``rows`` among the others; networks of the same family are relevant.

    A structure with names in several families (one design published twice) belongs to each of
    them. Rows are distinct structures, so no other row has the structure of the query. A family
    with one structure has no query.
    """
    members = _members(zoo, rows)
    queries = (
        RetrievalQuery(row, _sharing(members, zoo[row].families) - {row}, zoo[row].family or "")
        for row in rows
    )
    return RetrievalTask.of(name, description, queries, rows)


def paper_real(zoo: Zoo) -> list[RetrievalTask]:
    """Search for each timm network among the other timm networks, and for each in the whole zoo."""
    timm = [entry.row for entry in zoo if "timm" in entry.sources]
    return [
        same_family(
            zoo, timm, name="timm", description="each timm network among the others, same family"
        ),
        same_family(
            zoo,
            range(len(zoo)),
            name="whole-zoo",
            description="each network of the zoo among the others, same family",
        ),
    ]


def paper_nas(zoo: Zoo) -> list[RetrievalTask]:
    """Search for networks of the DARTS space; those from the same genotype are relevant.

    Sixty genotypes are drawn at random. Each has 24 variants in which one to three of the 16 edges
    have another operator or read another state. The zoo is not used.
    """
    raw, parents = darts.relatives(_GENOTYPES, _VARIANTS, seed=_NAS_SEED)
    graphs = canonicalize(raw)
    # Edits may give equal structures: keep the first of them.
    kept = np.sort(np.unique(structural_hash(graphs), axis=0, return_index=True)[1]).tolist()
    members: dict[int, list[int]] = {}
    for row, place in enumerate(kept, len(zoo)):
        members.setdefault(parents[place], []).append(row)
    queries = [
        RetrievalQuery(row, {*rows} - {row}, f"genotype {parent}")
        for parent, rows in members.items()
        for row in rows
    ]
    return [
        RetrievalTask.of(
            "darts",
            "DARTS networks, same genotype before up to three edits",
            queries,
            range(len(zoo), len(zoo) + len(kept)),
            extra=GraphBatch.from_graphs([graphs[place] for place in kept]),
        )
    ]


def heldout_family(
    zoo: Zoo, split: Split | None = None, *, validation: bool = False
) -> list[RetrievalTask]:
    """Search for networks of held-out families in the whole zoo.

    Args:
        zoo: the networks.
        split: the held-out families; `standard_split` when None.
        validation: use the validation families, for choosing settings, not the test families.
    """
    split = split or standard_split()
    families = split.validation_families if validation else split.test_families
    members = _members(zoo, range(len(zoo)))
    queries = []
    for entry in zoo:
        own = sorted(entry.families & families)
        if own:
            named = entry.family if entry.family in own else own[0]
            queries.append(
                RetrievalQuery(entry.row, _sharing(members, own) - {entry.row}, named or "")
            )
    description = "families that training never saw, among the whole zoo"
    return [RetrievalTask.of("heldout-families", description, queries, range(len(zoo)))]


def cross_library(
    zoo: Zoo, split: Split | None = None, *, validation: bool = False
) -> list[RetrievalTask]:
    """Search for networks of held-out libraries; the same family in other libraries is relevant.

    Structures that only the query's own library has are not candidates: they are neither wanted
    nor wrong.

    Args:
        zoo: the networks.
        split: the held-out libraries; `standard_split` when None.
        validation: use the validation libraries instead of the test libraries.
    """
    split = split or standard_split()
    libraries = sorted(split.validation_libraries if validation else split.test_libraries)
    members = _members(zoo, range(len(zoo)))
    queries: dict[str, list[RetrievalQuery]] = {}
    elsewhere: dict[str, NDArray[np.bool_]] = {}
    for library in libraries:
        elsewhere[library] = np.array([bool(entry.sources - {library}) for entry in zoo])
        found = [
            RetrievalQuery(
                entry.row,
                {
                    row
                    for row in _sharing(members, entry.families) - {entry.row}
                    if elsewhere[library][row]
                },
                entry.family or "",
            )
            for entry in zoo
            if library in entry.sources
        ]
        queries[library] = [query for query in found if query.relevant]

    def task(name: str, description: str, chosen: Sequence[str]) -> RetrievalTask:
        candidates = [elsewhere[library] for library in chosen for _ in queries[library]]
        return RetrievalTask.of(
            name,
            description,
            [query for library in chosen for query in queries[library]],
            range(len(zoo)),
            candidates=np.array(candidates, dtype=np.bool_).reshape(-1, len(zoo)),
        )

    apart = [
        task(library, f"networks of {library}, same family in another library", [library])
        for library in libraries
        if queries[library]
    ]
    together = "networks of libraries that training never saw, same family in another library"
    return [task("all", together, libraries), *apart]


def cross_format(zoo: Zoo, exports: Path = EXPORTS) -> list[RetrievalTask]:
    """Search for ONNX exports of networks of the zoo; only the exported structure is relevant.

    Args:
        zoo: the networks.
        exports: a zoo of exports; networks outside ``zoo`` are not queries.
    """
    read = Zoo.open(exports)
    queries: dict[str, list[RetrievalQuery]] = {}
    for row, entry in enumerate(read, len(zoo)):
        for record in entry.records:
            exporter, _, identifier = record.id.partition(":")
            if identifier in zoo:
                target = zoo[identifier]
                query = RetrievalQuery(row, {target.row}, target.family or "")
                queries.setdefault(exporter, []).append(query)

    def task(name: str, description: str, chosen: Sequence[RetrievalQuery]) -> RetrievalTask:
        return RetrievalTask.of(name, description, chosen, range(len(zoo)), extra=read.graphs)

    both = [query for exporter in sorted(queries) for query in queries[exporter]]
    return [
        task("exports", "ONNX exports; relevant is the structure that was exported", both),
        *(task(name, f"exports by the {name} exporter", queries[name]) for name in sorted(queries)),
    ]


def size_ladder(zoo: Zoo) -> list[RetrievalTask]:
    """Search for one size of a line of models; its other sizes are relevant."""
    sizes: dict[tuple[str, str, str | None], dict[str, set[int]]] = {}
    lines: list[set[tuple[tuple[str, str, str | None], str]]] = []
    for entry in zoo:
        lines.append(set())
        for record in entry.records:
            if record.family and record.size:
                line = (record.source, record.family, record.subfamily)
                sizes.setdefault(line, {}).setdefault(record.size, set()).add(entry.row)
                lines[-1].add((line, record.size))
    queries = []
    for entry in zoo:
        others = {
            row
            for line, size in lines[entry.row]
            for other, rows in sizes[line].items()
            if other != size
            for row in rows
        }
        queries.append(RetrievalQuery(entry.row, others - {entry.row}, entry.family or ""))
    description = "one size of a line of models; relevant are its other sizes"
    return [RetrievalTask.of("sizes", description, queries, range(len(zoo)))]


def _members(zoo: Zoo, rows: Iterable[int]) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for row in rows:
        for family in zoo[row].families:
            members.setdefault(family, []).append(row)
    return members


def _sharing(members: Mapping[str, list[int]], families: Iterable[str]) -> set[int]:
    return {row for family in families for row in members[family]}


PROTOCOLS: dict[str, Protocol] = {
    "paper-real": paper_real,
    "paper-nas": paper_nas,
    "heldout-family": heldout_family,
    "cross-library": cross_library,
    "cross-format": cross_format,
    "size-ladder": size_ladder,
}


def __getattr__(name: str) -> object:
    """Return former names, with a warning."""
    current = {"Ask": RetrievalQuery, "Setting": RetrievalTask}.get(name)
    if current is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{__name__}.{name} is now {current.__name__}", DeprecationWarning, stacklevel=2)
    return current
