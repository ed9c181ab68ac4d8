"""What a situation consists of: neighbours, the family called, novelty, rare parts, sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from narfast._core import MAX_PATTERN_NODES
from narfast.block_search import PieceFrequency, document_frequency
from narfast.block_search.index import Level
from narfast.comparison import Comparison
from narfast.encoder.calibration import Relation
from narfast.errors import printable
from narfast.graph import ArchGraph
from narfast.situating.neighbourhood import Neighbourhood
from narfast.zoo.entries import Hit
from narfast.zoo.zoo import Zoo

__all__ = ["FamilyCall", "Findings", "Neighbour", "Novelty", "RareParts"]

_RARE = 0.01  # part of the networks that have a rare operator, n-gram or block
_LISTED = 10  # rare pieces of each kind
_FAMILIES = 4  # that `paragraph` names
_BLOCKS: Level = "shapes"  # a depthwise convolution is another block, other widths are not
_PIECES: Level = "operators"


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A network near the query.

    Attributes:
        place: from 1 on, the nearest first; also its number on the map.
        hit: the network.
        relation: meaning of its score; None if the zoo's encoder has no thresholds.
        version: version of the library that it was read from, where the zoo knows one.
    """

    place: int
    hit: Hit
    relation: Relation | None
    version: str | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "place": self.place,
            **self.hit.to_json(),
            "relation": None if self.relation is None else self.relation.word,
            "percentile": None if self.relation is None else self.relation.percentile,
            "version": self.version,
        }


@dataclass(frozen=True, kw_only=True)
class FamilyCall:
    """The family that a network is thought to be of.

    Attributes:
        family: None if the network is more likely of none of the zoo's families.
        nearest: family of the nearest network; None if the zoo knows no families.
        confidence: probability that `nearest` is right, 0 to 1.
    """

    family: str | None
    nearest: str | None
    confidence: float

    def __str__(self) -> str:
        if self.family is not None:
            return f"{self.family}, confidence {self.confidence:.2f}"
        if self.nearest is None:
            return "unknown: the zoo knows no families"
        return (
            f"none of the known families; nearest {self.nearest}, confidence {self.confidence:.2f}"
        )


@dataclass(frozen=True, kw_only=True)
class Novelty:
    """How far a network is from all others.

    Attributes:
        percentile: percentage of the networks of the zoo that are nearer to the nearest network
            outside their own family than the query is to its nearest network; each family weighs
            the same. None in a zoo with a single family.
        distance: one minus the cosine to the nearest network.
        bounds: edges of the bins of `shares`, from distance 0 on.
        shares: the distribution behind the percentile, as shares of all families.
    """

    percentile: float | None
    distance: float
    bounds: tuple[float, ...]
    shares: tuple[float, ...]

    def __str__(self) -> str:
        if self.percentile is None:
            return f"not known in a zoo with a single family; distance {self.distance:.4f}"
        return (
            f"{self.percentile:.1f} of 100: farther from its nearest network ({self.distance:.4f}) "
            f"than {self.percentile:.1f} % are from other families"
        )


@dataclass(frozen=True, kw_only=True)
class RareParts:
    """What few networks have, or none; the rarest first. The query's own structure does not count.

    Attributes:
        networks: structures that were looked at.
        blocks: motifs that no network of the zoo has, whatever their widths, kernels and strides.
        operators: operators that one network in a hundred has, or fewer; at most ten.
        ngrams: edges and paths of two edges that as few have, by the names of operators; at most
            ten.
    """

    networks: int
    blocks: tuple[PieceFrequency, ...]
    operators: tuple[PieceFrequency, ...]
    ngrams: tuple[PieceFrequency, ...]

    @classmethod
    def of(cls, graph: ArchGraph, zoo: Zoo) -> RareParts:
        """Look a network up in a zoo."""
        own = graph.structural_hash
        blocks = document_frequency(graph, zoo, level=_BLOCKS, without_structure=own).motifs
        found = document_frequency(graph, zoo, level=_PIECES, without_structure=own)
        limit = _RARE * found.networks
        return cls(
            networks=found.networks,
            blocks=tuple(p for p in blocks if not p.networks and p.size <= MAX_PATTERN_NODES),
            operators=tuple(p for p in found.operators if p.networks <= limit)[:_LISTED],
            ngrams=tuple(p for p in found.ngrams if p.networks <= limit)[:_LISTED],
        )

    def __bool__(self) -> bool:
        return bool(self.blocks or self.operators or self.ngrams)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """What is known of the place of a network among those of a zoo.

    Attributes:
        query: its canonical graph.
        known_as: ids under which the zoo has the same structure; it is not among the neighbours.
        neighbours: the nearest networks, best first.
        call: the family called.
        novelty: how far the network is from all others.
        rare: what few others have, or none.
        map: the query and its neighbours in the order of `neighbours`.
        comparisons: the query beside the nearest neighbours.
        made_with: versions of narfast, zoo and encoder.
    """

    query: ArchGraph
    known_as: tuple[str, ...]
    neighbours: tuple[Neighbour, ...]
    call: FamilyCall
    novelty: Novelty
    rare: RareParts
    map: Neighbourhood
    comparisons: tuple[Comparison, ...]
    made_with: dict[str, str]

    @property
    def name(self) -> str:
        """Return the name of the query."""
        return printable(self.query.meta.name or "query")

    def families(self) -> list[tuple[str | None, list[Neighbour]]]:
        """Return the neighbours by family, the family of the nearest one first."""
        groups: dict[str | None, list[Neighbour]] = {}
        for neighbour in self.neighbours:
            groups.setdefault(neighbour.hit.family, []).append(neighbour)
        return list(groups.items())

    def paragraph(self) -> str:
        """Return the situation in a few sentences, for a text on related work."""
        counts = Counter(neighbour.hit.family or "no family" for neighbour in self.neighbours)
        nearest = self.neighbours[0].hit
        shown = [f"{name} ({count})" for name, count in counts.most_common(_FAMILIES)]
        if len(counts) > _FAMILIES:
            shown.append("and others")
        families = ", ".join(shown) if len(counts) > 1 else next(iter(counts))
        of_families = f"of the {'families' if len(counts) > 1 else 'family'} {families}"
        call = self.call
        likely = (
            f"(confidence {call.confidence:.2f}{'' if call.family else f' for {call.nearest}'})"
        )
        if call.nearest is None:
            kind, of_families = "The zoo knows no families", "of no known family"
        elif call.family is None:
            kind = f"It is of none of the known families {likely}"
        else:
            kind = f"It is of the family {call.family} {likely}"
        novelty = self.novelty.percentile
        novel = "" if novelty is None else f", its novelty is {novelty:.1f} of 100"
        blocks, count = len(self.rare.blocks), len(self.neighbours)
        occur = f"{blocks} of its blocks occur" if blocks > 1 else "one of its blocks occurs"
        unseen = f"; {occur} in no other network" if blocks else ""
        near = f"nearest {count} are" if count > 1 else "nearest is"
        version = ", ".join(f"{name} {value}" for name, value in self.made_with.items())
        return (
            f"Of {self.rare.networks:,} networks the nearest to {self.name} is "
            f"{printable(nearest.name)} (cosine {nearest.score:.4f}); the {near} "
            f"{printable(of_families)}. {printable(kind)}{novel}{unseen}. ({version})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, as ``narfast situate --json`` prints them."""
        return {
            "query": {
                "name": self.query.meta.name,
                "structural_hash": self.query.structural_hash,
                "nodes": self.query.num_nodes,
                "known_as": list(self.known_as),
            },
            "neighbours": [neighbour.to_json() for neighbour in self.neighbours],
            "family": self.call.family,
            "confidence": self.call.confidence,
            "nearest_family": self.call.nearest,
            "novelty": self.novelty.percentile,
            "novelty_distance": self.novelty.distance,
            "novelty_histogram": {
                "bounds": list(self.novelty.bounds),
                "shares": list(self.novelty.shares),
            },
            "rare": self.rare.to_json(),
            "map": {
                "positions": self.map.positions.tolist(),
                "tree": [list(edge) for edge in self.map.tree],
                "similarity": self.map.similarity.round(6).tolist(),
            },
            "differences": [
                {
                    "id": neighbour.hit.id,
                    "verdict": comparison.verdict,
                    "differences": [asdict(each) for each in comparison.differences],
                }
                for neighbour, comparison in zip(self.neighbours, self.comparisons, strict=False)
            ],
            "text": self.paragraph(),
            "made_with": self.made_with,
        }
