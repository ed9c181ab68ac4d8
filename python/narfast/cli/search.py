"""``narfast search``, ``inspect`` and ``motifs``: similar networks, and what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from narfast.cli._options import Json, OptionalSource, Source, ZooOption, print_json, status
from narfast.errors import NarfastError

if TYPE_CHECKING:
    from narfast.block_search import Level

__all__ = ["inspect", "motifs", "search"]


def search(
    source: OptionalSource = None,
    block: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Instead of SOURCE: find the networks that have this block. SPEC is a motif by "
            "the id that 'narfast inspect' prints, a part of a network (timm:resnet50#motif:1, "
            "timm:resnet50#layer1.0), or a source that has just the block.",
        ),
    ] = None,
    level: Annotated[
        str,
        typer.Option(
            help="With --block: how exactly operators must agree. exact: in all attributes; "
            "shapes: kernel, stride, dilation, widths and heads may differ; operators: all "
            "attributes may differ; auto: the first of these with a hit."
        ),
    ] = "auto",
    k: Annotated[int, typer.Option("-k", min=1, help="Hits to show.")] = 10,
    zoo: ZooOption = "default",
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    max_params: Annotated[
        int | None, typer.Option(min=0, help="Only networks with at most this many parameters.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the networks of a zoo that are most similar to SOURCE, or that have a block.

    With SOURCE, the motifs that each hit shares with it are shown; with --block, the number of
    occurrences of the block and where they begin.

    Networks of the same structure have equal operators and connections; their widths and exact
    kernel sizes may differ. Beside the score of each hit stands how close it is: as a word, and as
    the share of the zoo's networks whose nearest neighbour is no closer.
    """
    if block is not None:
        if source is not None or max_params is not None:
            other = "SOURCE" if source is not None else "--max-params"
            raise NarfastError(f"--block and {other} do not go together; leave one of them out")
        _search_block(block, zoo, k, level, family, as_json)
        return
    if source is None:
        raise NarfastError("nothing to search for; name a SOURCE, or a block with --block")
    if level != "auto":
        raise NarfastError("--level needs --block; leave it out")
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


def _search_block(
    block: str, zoo: str, k: int, level: str, family: str | None, as_json: bool
) -> None:
    from narfast.block_search import find_blocks

    with status(f"searching for {block}"):
        result = find_blocks(
            block, zoo, level=cast("Level", level), k=k, family=family, num_threads=0
        )
    if as_json:
        print_json(result.to_json())
    else:
        result.print()


def motifs(
    family: Annotated[str | None, typer.Option(help="Only blocks of this family.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Blocks to show.")] = 20,
    min_size: Annotated[
        int, typer.Option(min=1, help="Operators that a block must have at least.")
    ] = 4,
    zoo: ZooOption = "default",
    as_json: Json = False,
) -> None:
    """List the blocks that most families of a zoo have in common.

    A block is named after the family that it fits best: whose networks have it, and few others.
    """
    from narfast.block_search import widespread_motifs
    from narfast.cli._render import print_motifs
    from narfast.zoo import Zoo

    with status("looking through the zoo"):
        found = widespread_motifs(Zoo.open(zoo), k=k, family=family, min_size=min_size)
    if as_json:
        print_json([motif.to_json() for motif in found])
        return
    if not found:
        typer.echo("no block of this size", err=True)
        return
    print_motifs(found)


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
