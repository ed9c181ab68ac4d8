"""`search`: from any source to the most similar networks, with the motifs that they share.

The command line, the demo and search services all call this function.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from narfast._printing import Printable
from narfast.encoder.calibration import Calibration, Relation, shares_blocks
from narfast.explain import SharedMotif, shared_motifs
from narfast.graph import ArchGraph
from narfast.storage.records import NetworkRecord
from narfast.zoo.entries import Hit
from narfast.zoo.networks import read_network
from narfast.zoo.zoo import Query, Zoo

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["SearchResult", "relations_of", "search"]

_SHARED_ROWS = 8
_SHARED_HITS = 5
_LEVEL = "operators and connections are equal, widths and exact kernel sizes may differ"
_SENTENCES = 2  # of the differences of a hit


@dataclass(frozen=True, kw_only=True)
class SearchResult(Printable):
    """The result of a search, best first; the sequences have one element per hit.

    Attributes:
        query: the canonical graph of the query; None for a bare vector.
        hits: networks of the zoo.
        relations: meaning of the scores; None if the zoo's encoder has no thresholds.
        shared_motifs: motifs that query and hit have in common, largest share first.
        graphs: canonical graphs of the hits; empty for a bare vector.
    """

    query: ArchGraph | None
    hits: tuple[Hit, ...]
    relations: tuple[Relation | None, ...]
    shared_motifs: tuple[tuple[SharedMotif, ...], ...]
    graphs: tuple[ArchGraph, ...] = ()

    def to_json(self) -> list[dict[str, Any]]:
        """Return the hits as plain JSON values, as ``narfast search --json`` prints them."""
        return [
            {
                **hit.to_json(),
                "relation": None if relation is None else relation.word,
                "percentile": None if relation is None else relation.percentile,
                "shared_motifs": [motif.to_json() for motif in motifs],
            }
            for hit, relation, motifs in zip(
                self.hits, self.relations, self.shared_motifs, strict=True
            )
        ]

    def _show(self, console: Console) -> None:
        _print_hits(console, self)


def search(
    query: Query,
    zoo: Zoo | str | os.PathLike[str] = "default",
    k: int = 10,
    *,
    family: str | None = None,
    max_params: int | None = None,
    where: Callable[[NetworkRecord], bool] | None = None,
    allow: Collection[str] | None = None,
) -> SearchResult:
    """Find the networks of a zoo that are most similar to a network, and the motifs they share.

    A Python file (``my_model.py:build``) is read in a separate process.

    Args:
        query: anything that `narfast.load` reads, an id of the zoo, a canonical graph, or a vector
            of the zoo's encoder, float [dim].
        zoo: an open zoo, its folder, or ``"default"`` for the one that ships with narfast.
        k: number of hits.
        family: only networks of this family.
        max_params: only networks with a known parameter count of at most this.
        where: only structures with a name for which this is true.
        allow: names of the kinds of sources that may be read; see `narfast.load`.

    Returns:
        At most ``k`` hits, best first.

    Raises:
        NarfastError: the query cannot be read or is not allowed, there is no such zoo or family,
            or ``k`` < 1.

    Example:
        >>> search("zoo:timm:resnet50", k=1).hits[0].name
        'resnet50'
    """
    opened = zoo if isinstance(zoo, Zoo) else Zoo.open(zoo)
    if family is not None:
        opened.check_family(family)
    graph: ArchGraph | None = None
    if isinstance(query, np.ndarray):
        vector: Query = query
    else:
        vector = graph = read_network(query, opened, allow=allow)
    hits = tuple(opened.search(vector, k, where=_filter(family, max_params, where)))
    shared: Sequence[Sequence[SharedMotif]] = [()] * len(hits)
    graphs: tuple[ArchGraph, ...] = ()
    if graph is not None and hits:
        graphs = tuple(opened.graphs_at([opened[hit.structural_hash].row for hit in hits]))
        shared = shared_motifs(graph, graphs)
    return SearchResult(
        query=graph,
        hits=hits,
        graphs=graphs,
        relations=tuple(relations_of(opened, graph, hits, shared)),
        shared_motifs=tuple(map(tuple, shared)),
    )


def relations_of(
    zoo: Zoo,
    query: ArchGraph | None,
    hits: Sequence[Hit],
    shared: Sequence[Sequence[SharedMotif]],
) -> list[Relation | None]:
    """Say what the scores of hits mean; None if the zoo's encoder has no thresholds.

    Args:
        zoo: the searched zoo.
        query: the graph of the query; None for a vector.
        hits: the hits.
        shared: the motifs that each hit shares with the query.
    """
    stamp = zoo.manifest.encoder or {}
    calibration = Calibration.load(str(stamp.get("source", "default")))
    if calibration is None:
        return [None] * len(hits)
    own = None if query is None else query.structural_hash
    nodes = 0 if query is None else query.num_nodes
    return [
        Relation(
            calibration.word(
                hit.score,
                same_structure=hit.structural_hash == own,
                shares_blocks=bool(motifs) and shares_blocks(nodes, hit.nodes, motifs),
            ),
            calibration.percentile(hit.score),
        )
        for hit, motifs in zip(hits, shared, strict=True)
    ]


def _filter(
    family: str | None, max_params: int | None, where: Callable[[NetworkRecord], bool] | None
) -> Callable[[NetworkRecord], bool] | None:
    if family is None and max_params is None:
        return where

    def keep(record: NetworkRecord) -> bool:
        if family is not None and record.family != family:
            return False
        if max_params is not None and (record.params is None or record.params > max_params):
            return False
        return where is None or where(record)

    return keep


def _print_hits(console: Console, result: SearchResult) -> None:

    from narfast._tables import cell, make_table, print_table, short_count

    query, hits, relations = result.query, result.hits, result.relations
    title = "a vector"
    if query is not None:
        title = f"{cell(query.meta.name or 'query')} ({query.num_nodes} operators)"
    table = make_table(f"Networks most like {title}")
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    words = [None if relation is None else relation.word for relation in relations]
    percentiles = [None if relation is None else relation.percentile for relation in relations]
    measured = any(percentile is not None for percentile in percentiles)
    if any(words):
        table.add_column("relation")
    if measured:
        table.add_column("closer than", justify="right")
    table.add_column("name", overflow="fold")
    for column in ("family", "library"):
        table.add_column(column, overflow="fold")
    table.add_column("params", justify="right")
    for place, (hit, word, percentile) in enumerate(zip(hits, words, percentiles, strict=True), 1):
        others = len(hit.ids) - 1
        table.add_row(
            str(place),
            f"{hit.score:.4f}",
            *([word or "–"] if any(words) else []),
            *(["–" if percentile is None else f"{percentile:.1f} %"] if measured else []),
            cell(hit.name) + (f" [dim]+{others} more[/dim]" if others else ""),
            cell(hit.family or "–"),
            cell(hit.source),
            short_count(hit.params),
        )
    notes = {
        "closer than: share of nearest neighbours in the zoo of the calibration": measured,
        f"same structure: {_LEVEL}": "same structure" in words,
        f"more: names of the same structure; {_LEVEL}": "same structure" not in words
        and any(len(hit.ids) > 1 for hit in hits),
        "shares blocks: the score is low, yet blocks in common make up a tenth of one or the "
        "other": "shares blocks" in words,
    }
    print_table(console, table)
    for note, applies in notes.items():
        if applies:
            console.print(note, style="dim italic")
    if query is not None:
        _print_strips(console, result)
        _print_shared(console, hits, result.shared_motifs)


def _print_strips(console: Console, result: SearchResult) -> None:
    """Print the query and its best hits as lines of blocks, equal blocks under each other."""
    from narfast.comparison import compare_graphs
    from narfast.comparison.strips import print_strips

    if result.query is None or not result.graphs:
        return
    pairs = [compare_graphs(result.query, graph) for graph in result.graphs[:_SHARED_HITS]]
    hits = zip(itertools.count(1), result.hits[: len(pairs)], strict=False)
    console.print()
    print_strips(
        console, pairs, ["query", *(f"{place} {hit.name}" for place, hit in hits)], most=_SENTENCES
    )
    console.print()


def _print_shared(
    console: Console, hits: Sequence[Hit], shared: Sequence[Sequence[SharedMotif]]
) -> None:
    from rich.markup import escape

    from narfast._tables import make_table

    table = make_table("Why: motifs shared with the best hits (times in the query / in each hit)")
    table.add_column("motif")
    table.add_column("size", justify="right")
    table.add_column("query", justify="right")
    best = list(zip(hits, shared, strict=True))[:_SHARED_HITS]
    for place in range(1, len(best) + 1):
        table.add_column(f"#{place}", justify="right")
    table.add_column("operators", overflow="fold")
    weight: dict[str, int] = {}
    sample: dict[str, SharedMotif] = {}
    query_count: dict[str, int] = {}
    for _, motifs in best:
        for motif in motifs:
            gain = motif.size * min(motif.count, motif.query_count)
            weight[motif.motif_id] = weight.get(motif.motif_id, 0) + gain
            sample[motif.motif_id] = motif
            # The motifs left for a comparison without attributes differ from hit to hit.
            query_count[motif.motif_id] = max(motif.query_count, query_count.get(motif.motif_id, 0))
    counts = [{motif.motif_id: motif.count for motif in motifs} for _, motifs in best]
    rows = sorted(sample, key=lambda key: (-weight[key], key))
    for key in rows[:_SHARED_ROWS]:
        motif = sample[key]
        table.add_row(
            ("" if motif.exact else "≈ ") + key[:8],
            str(motif.size),
            str(query_count[key]),
            *(str(found.get(key, "")) for found in counts),
            escape(motif.operators),
        )
    if not all(sample[key].exact for key in rows[:_SHARED_ROWS]):
        table.caption = "≈ the same operators with other attributes (widths, kernels, groups)"
        table.caption_justify = "left"
    if rows:
        console.print(table)
    elif hits:
        console.print("The query shares no motif with the best hits.")
