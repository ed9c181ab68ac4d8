"""`situate`: from any source to its place among the networks of a zoo."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from narfast._printing import Printable
from narfast._version import __version__
from narfast.comparison import compare_graphs
from narfast.errors import NarfastError
from narfast.index import normalize
from narfast.retrieval import search
from narfast.situating.findings import FamilyCall, Findings, Neighbour, Novelty, RareParts
from narfast.situating.neighbourhood import Neighbourhood
from narfast.situating.reference import KNOWN, LabelledVectors, Nearest, Reference
from narfast.zoo.additions import Source
from narfast.zoo.zoo import Zoo

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Situation", "situate"]

_COMPARED = 3  # neighbours whose differences are told


class Situation(Findings, Printable):
    """The place of a network among those of a zoo; see `Findings` for what it holds."""

    def to_html(self) -> str:
        """Return one HTML page that works offline, as ``narfast situate --html`` writes it."""
        from narfast.situating.page import page

        return page(self)

    def _show(self, console: Console) -> None:
        from narfast.situating.report import print_situation

        print_situation(console, self)


def situate(
    query: Source,
    zoo: Zoo | str | os.PathLike[str] = "default",
    *,
    neighbours: int = 24,
    allow: Collection[str] | None = None,
) -> Situation:
    """Say where a design stands among the networks of a zoo.

    Structures equal to the query are left out everywhere, so that a network of the zoo is seen as
    if it were new. A Python file (``my_model.py:build``) is read in a separate process.

    Args:
        query: anything that `narfast.load` reads, an id of the zoo, or a canonical graph.
        zoo: an open zoo, its folder, or ``"default"`` for the one that ships with narfast.
        neighbours: how many of the nearest networks to show; a small zoo has fewer.
        allow: names of the kinds of sources that may be read; see `narfast.load`.

    Raises:
        NarfastError: the query cannot be read, is not allowed or is a bare vector, there is no such
            zoo, it has no vectors or no other network, or ``neighbours`` < 1.

    Example:
        >>> situate("zoo:timm:seresnet50").call.family
        'resnet'
    """
    if isinstance(query, np.ndarray):
        raise NarfastError(
            "a vector cannot be situated: what is rare needs a graph; name a network"
        )
    if neighbours < 1:
        raise NarfastError(f"neighbours must be at least 1, got {neighbours}")
    opened = zoo if isinstance(zoo, Zoo) else Zoo.open(zoo)
    networks = LabelledVectors.of(opened)
    found = search(query, opened, neighbours + 1, allow=allow)
    graph = found.query
    assert graph is not None  # a source, not a vector
    own = opened.find(graph.structural_hash)
    kept = [
        place
        for place, hit in enumerate(found.hits)
        if hit.structural_hash != graph.structural_hash
    ][:neighbours]
    if not kept:
        raise NarfastError(
            f"{opened.directory}: no other network to compare with; add some with 'narfast zoo add'"
        )
    near = tuple(
        Neighbour(
            place=number,
            hit=found.hits[place],
            relation=found.relations[place],
            version=opened.manifest.versions.get(found.hits[place].source),
        )
        for number, place in enumerate(kept, 1)
    )
    vector = normalize(opened.vector(graph)[None])[0]
    rows = [opened[neighbour.hit.structural_hash].row for neighbour in near]
    others = None if own is None else networks.others(own.row)
    nearest = networks.nearest(networks.vectors @ vector, others)
    reference = Reference.of(opened, networks)
    stamp = opened.manifest.encoder or {}
    return Situation(
        query=graph,
        known_as=() if own is None else tuple(record.id for record in own.records),
        neighbours=near,
        call=_call(nearest, reference),
        novelty=_novelty(nearest, reference),
        rare=RareParts.of(graph, opened),
        map=Neighbourhood.of(np.concatenate([vector[None], networks.vectors[rows]])),
        comparisons=tuple(compare_graphs(graph, found.graphs[p]) for p in kept[:_COMPARED]),
        made_with={
            "narfast": __version__,
            "zoo": opened.checksum[:12],
            "encoder": str(stamp.get("fingerprint", ""))[:12],
        },
    )


def _call(nearest: Nearest, reference: Reference) -> FamilyCall:
    confidence = round(reference.confidence(nearest), 4)
    return FamilyCall(
        family=nearest.family if confidence >= KNOWN else None,
        nearest=nearest.family,
        confidence=confidence,
    )


def _novelty(nearest: Nearest, reference: Reference) -> Novelty:
    bounds, shares = reference.histogram(nearest.novelty)
    return Novelty(
        percentile=reference.percentile(nearest.novelty),
        distance=round(nearest.novelty, 6),
        bounds=tuple(bounds.round(6).tolist()),
        shares=tuple(shares.round(6).tolist()),
    )
