"""``narfast situate``: where a design stands among the networks of a zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narfast.cli._options import Json, Source, ZooOption, print_json, status
from narfast.errors import NarfastError, printable

__all__ = ["situate"]


def situate(
    source: Source,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours to show.")] = 24,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write one page that works offline, with a map."),
    ] = None,
    zoo: ZooOption = "default",
    as_json: Json = False,
) -> None:
    """Say where SOURCE stands: neighbours by family, family, novelty, what few others have.

    Structures equal to SOURCE are left out, so that a network of the zoo is seen as if it were new.
    Novelty is a percentile: the share of networks that are nearer to other families than SOURCE is
    to its nearest network.
    """
    from narfast._files import replace_file
    from narfast.situating import situate as find

    if html is not None and html.suffix.lower() != ".html":
        raise NarfastError(f"{printable(str(html))}: name a file that ends in .html")
    with status(f"situating {source}"):
        situation = find(source, zoo, neighbours=k)
    if html is not None:
        replace_file(html, situation.to_html().encode())
        typer.echo(f"{html}: written", err=True)
    if as_json:
        print_json(situation.to_json())
    else:
        situation.print()
