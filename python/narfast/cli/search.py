"""``narfast search`` and ``narfast inspect``: similar networks, and the parts of one network."""

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
    """Find the networks of a zoo that are most similar to SOURCE, and the motifs they share.

    Networks of the same structure have equal operators and connections; their widths and exact
    kernel sizes may differ. Beside the score of each hit stands how close it is: as a word, and as
    the share of the zoo's networks whose nearest neighbour is no closer.
    """
    from narfast.retrieval import search as find

    with status(f"searching for {source}"):
        result = find(source, zoo, k, family=family, max_params=max_params)
    if as_json:
        print_json(result.to_json())
        return
    if not result.hits:
        typer.echo("no network of the zoo passes the filters", err=True)
        return
    result.print()


def inspect(source: Source, zoo: ZooOption = "default", as_json: Json = False) -> None:
    """Show the parts of SOURCE: operators, motifs with counts, macro graph.

    The structural hash ignores widths and exact kernel sizes.
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
