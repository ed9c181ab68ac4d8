"""What is asked of a search: which networks are queries, what they search in, what is relevant.

A protocol is a function from a zoo to settings, registered in `PROTOCOLS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfast.splits import Split, standard_split
from narfast.zoo.zoo import Zoo

__all__ = ["PROTOCOLS", "Setting"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One retrieval task over the rows of a zoo.

    Attributes:
        name: such as ``timm``.
        description: one line for people.
        queries: int64[q] rows that are searched for.
        database: int64[n] rows that are searched in, a query's own row among them or not.
        relevant: per query, the rows that should come first, without the query itself.
        families: per query, the family whose mean it counts in.
        candidates: bool [q, n], which rows of the database a query may find; None for all.
    """

    name: str
    description: str
    queries: NDArray[np.int64]
    database: NDArray[np.int64]
    relevant: tuple[NDArray[np.int64], ...]
    families: tuple[str, ...]
    candidates: NDArray[np.bool_] | None = None


Protocol = Callable[[Zoo], Sequence[Setting]]


def same_family(zoo: Zoo, rows: Sequence[int], *, name: str, description: str) -> Setting:
    """Each of ``rows`` is searched for among the others; relevant are those that share a family.

    A structure that several families offer (one design published twice) belongs to each of them.
    Rows are distinct structures, so a query has no twins; families of one structure ask nothing.
    """
    entries = [zoo[row] for row in rows]
    members: dict[str, list[int]] = {}
    for entry in entries:
        for family in entry.families:
            members.setdefault(family, []).append(entry.row)
    queries, relevant, families = [], [], []
    for entry in entries:
        others = {row for family in entry.families for row in members[family]} - {entry.row}
        if others:
            queries.append(entry.row)
            relevant.append(np.array(sorted(others), dtype=np.int64))
            families.append(entry.family or "")
    return Setting(
        name=name,
        description=description,
        queries=np.array(queries, dtype=np.int64),
        database=np.array(list(rows), dtype=np.int64),
        relevant=tuple(relevant),
        families=tuple(families),
    )


def paper_real(zoo: Zoo) -> list[Setting]:
    """Each timm network among the other timm networks, and each network among the whole zoo."""
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


def heldout_family(
    zoo: Zoo, split: Split | None = None, *, validation: bool = False
) -> list[Setting]:
    """Queries of families that training never saw, among the whole zoo.

    Args:
        zoo: the networks.
        split: what is held out; `standard_split` when None.
        validation: ask for the validation families instead, as one does while choosing settings.
    """
    split = split or standard_split()
    families = split.validation_families if validation else split.test_families
    queries, relevant, named = [], [], []
    members = _members(zoo)
    for entry in zoo:
        own = sorted(entry.families & families)
        others = {row for family in own for row in members[family]} - {entry.row}
        if others:
            queries.append(entry.row)
            relevant.append(np.array(sorted(others), dtype=np.int64))
            named.append(entry.family if entry.family in own else own[0])
    return [
        Setting(
            name="heldout-families",
            description="families that training never saw, among the whole zoo",
            queries=np.array(queries, dtype=np.int64),
            database=np.arange(len(zoo), dtype=np.int64),
            relevant=tuple(relevant),
            families=tuple(named),
        )
    ]


def cross_library(
    zoo: Zoo, split: Split | None = None, *, validation: bool = False
) -> list[Setting]:
    """Networks of libraries that training never saw; relevant is the same family elsewhere.

    What a query's own library alone offers is no candidate: it is neither wanted nor wrong.

    Args:
        zoo: the networks.
        split: what is held out; `standard_split` when None.
        validation: ask for the validation libraries instead.
    """
    split = split or standard_split()
    libraries = sorted(split.validation_libraries if validation else split.test_libraries)
    members = _members(zoo)
    asked: dict[str, list[tuple[int, NDArray[np.int64], str]]] = {}
    for library in libraries:
        elsewhere = {entry.row for entry in zoo if entry.sources - {library}}
        for entry in zoo:
            found = {row for family in entry.families for row in members[family]} & elsewhere
            if library in entry.sources and found - {entry.row}:
                rows = np.array(sorted(found - {entry.row}), dtype=np.int64)
                asked.setdefault(library, []).append((entry.row, rows, entry.family or ""))

    def setting(name: str, description: str, chosen: Sequence[str]) -> Setting:
        asks = [(library, *ask) for library in chosen for ask in asked.get(library, ())]
        candidates = {
            library: np.array([bool(entry.sources - {library}) for entry in zoo])
            for library in chosen
        }
        return Setting(
            name=name,
            description=description,
            queries=np.array([row for _, row, _, _ in asks], dtype=np.int64),
            database=np.arange(len(zoo), dtype=np.int64),
            relevant=tuple(rows for _, _, rows, _ in asks),
            families=tuple(family for *_, family in asks),
            candidates=np.array([candidates[library] for library, *_ in asks]).reshape(
                len(asks), len(zoo)
            ),
        )

    apart = [
        setting(library, f"networks of {library}, same family in another library", [library])
        for library in asked
    ]
    together = "networks of libraries that training never saw, same family in another library"
    return [setting("all", together, libraries), *apart]


def size_ladder(zoo: Zoo) -> list[Setting]:
    """One size of a line of models is searched for; relevant are its other sizes."""
    sizes: dict[tuple[str, str, str | None], dict[str, set[int]]] = {}
    lines: list[set[tuple[tuple[str, str, str | None], str]]] = []
    for entry in zoo:
        lines.append(set())
        for record in entry.records:
            if record.family and record.size:
                line = (record.source, record.family, record.subfamily)
                sizes.setdefault(line, {}).setdefault(record.size, set()).add(entry.row)
                lines[-1].add((line, record.size))
    queries, relevant, families = [], [], []
    for entry in zoo:
        others = {
            row
            for line, size in lines[entry.row]
            for other, rows in sizes[line].items()
            if other != size
            for row in rows
        } - {entry.row}
        if others:
            queries.append(entry.row)
            relevant.append(np.array(sorted(others), dtype=np.int64))
            families.append(entry.family or "")
    return [
        Setting(
            name="sizes",
            description="one size of a line of models; relevant are its other sizes",
            queries=np.array(queries, dtype=np.int64),
            database=np.arange(len(zoo), dtype=np.int64),
            relevant=tuple(relevant),
            families=tuple(families),
        )
    ]


def _members(zoo: Zoo) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for entry in zoo:
        for family in entry.families:
            members.setdefault(family, []).append(entry.row)
    return members


PROTOCOLS: dict[str, Protocol] = {
    "paper-real": paper_real,
    "heldout-family": heldout_family,
    "cross-library": cross_library,
    "size-ladder": size_ladder,
}
