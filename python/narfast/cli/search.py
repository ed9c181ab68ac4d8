"""``narfast search`` and ``narfast inspect``: what is like a network, and what a network is."""

from __future__ import annotations

from typing import Annotated

import typer

from narfast.cli._options import Json, Source, ZooOption, print_json, status

__all__ = ["inspect", "search"]


def search(
    source: Source,
    k: Annotated[int, typer.Option("-k", min=1, help="Hits to show.")] = 10,
    zoo: ZooOption = "default",
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    max_params: Annotated[
        int | None, typer.Option(min=0, help="Only networks with at most this many parameters.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the networks of a zoo that are most like SOURCE, and the motifs they share.

    Networks of the same structure have equal operators and connections at the level of bins: their
    widths and exact kernel sizes may differ. How close a hit is stands beside its score, as a word
    and as the share of the zoo's networks that have no nearer neighbour.
    """
    from narfast.retrieval import search as find

    with status(f"searching for {source}"):
        result = find(source, zoo, k, family=family, max_params=max_params)
    if as_json:
        print_json(result.to_json())
        return
    if not result.hits:
        typer.echo("no network of the zoo passes the filters", err=True)
    result.print()


def inspect(source: Source, zoo: ZooOption = "default", as_json: Json = False) -> None:
    """Show what SOURCE consists of: operators, motifs with counts, macro graph.

    The structural hash is equal for networks that differ in widths or exact kernel sizes alone.
    """
    from narfast.cli._render import print_summary
    from narfast.explain import summarize
    from narfast.reading.isolation import isolated
    from narfast.sources.loader import load
    from narfast.zoo import Zoo

    with status(f"reading {source}"):
        stored = source.startswith("zoo:")
        graph = Zoo.open(zoo).load(source) if stored else load(isolated(source))
        summary = summarize(graph)
    if as_json:
        print_json(summary.to_json())
    else:
        print_summary(summary)
