"""``narfast compare``: what distinguishes networks, in sentences, tables and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narfast.cli._options import Json, ZooOption, print_json, status
from narfast.errors import NarfastError, printable
from narfast.sources.registry import accepted

if TYPE_CHECKING:
    from narfast.comparison import Comparison
    from narfast.graph import ArchGraph

__all__ = ["compare"]


def compare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="A B...",
            help=f"Two networks or more: {accepted(objects=False)}. A Python file is run.",
        ),
    ],
    svg: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a figure of two networks side by side."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write one file whose blocks open side by side."),
    ] = None,
    model_explorer: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write both graphs and the map of their nodes for Model Explorer."
        ),
    ] = None,
    zoo: ZooOption = "default",
    as_json: Json = False,
) -> None:
    """Say what distinguishes network B from network A: blocks, operators, widths.

    Operators are matched by structure, not by name, so networks of other libraries, exporters and
    depths are comparable. Of more than two networks, the facts and the similarities are shown.
    """
    from narfast.comparison import compare_graphs
    from narfast.zoo import Zoo
    from narfast.zoo.networks import read_network

    if len(sources) < 2:
        raise NarfastError("compare takes two networks or more, as in: compare A B")
    outputs = {".svg": svg, ".html": html}
    for suffix, output in outputs.items():
        if output is not None and output.suffix.lower() != suffix:
            raise NarfastError(f"{printable(str(output))}: name a file that ends in {suffix}")
    if len(sources) > 2 and any(path is not None for path in (svg, html, model_explorer)):
        raise NarfastError("--svg, --html and --model-explorer take two networks")
    opened = Zoo.open(zoo)
    with status(f"reading {', '.join(sources)}"):
        graphs = [read_network(source, opened, exact=True) for source in sources]
    if len(graphs) > 2:
        _many(graphs, as_json=as_json)
        return
    comparison = compare_graphs(*graphs)
    _write(comparison, svg, html, model_explorer)
    if as_json:
        print_json(comparison.to_json())
    else:
        comparison.print()


def _write(
    comparison: Comparison, svg: Path | None, html: Path | None, model_explorer: Path | None
) -> None:
    """Write the pictures and files that were asked for."""
    from narfast._files import replace_file
    from narfast.drawing.pair import Correspondence

    same = Correspondence(comparison.block_map, comparison.alignment.to_b)
    if svg is not None:
        from narfast.drawing.pair import draw_pair

        replace_file(svg, draw_pair(*comparison.views, same).encode())
        typer.echo(f"{svg}: written", err=True)
    if html is not None:
        from narfast.drawing.html import draw_pair_html

        replace_file(html, draw_pair_html(*comparison.views, same).encode())
        typer.echo(f"{html}: written", err=True)
    if model_explorer is not None:
        from narfast.comparison.model_explorer import write_model_explorer

        paths = write_model_explorer(comparison, model_explorer)
        typer.echo(", ".join(map(str, paths)) + ": written", err=True)


def _many(graphs: list[ArchGraph], *, as_json: bool) -> None:
    """Show facts and similarities of several networks."""
    from narfast.blocks import blocks_of
    from narfast.cli._options import open_encoder
    from narfast.comparison.facts import FACTS, facts_of

    names = [printable(graph.meta.name or f"network {i}") for i, graph in enumerate(graphs, 1)]
    sheets = [facts_of(blocks_of(graph)) for graph in graphs]
    vectors = open_encoder("default").encode(graphs)
    similarity = (vectors @ vectors.T).tolist()
    if as_json:
        facts: list[dict[str, Any]] = [
            {"what": what, "values": [sheet.get(what, "") for sheet in sheets]}
            for what in FACTS
            if any(what in sheet for sheet in sheets)
        ]
        print_json({"networks": names, "facts": facts, "similarity": similarity})
        return
    from rich.markup import escape

    from narfast._tables import make_table, print_table, stdout_console

    console = stdout_console()
    table = make_table("")
    for column in ("", *names):
        table.add_column(escape(column), overflow="fold")
    for what in FACTS:
        if any(what in sheet for sheet in sheets):
            table.add_row(what, *(escape(sheet.get(what, "–")) for sheet in sheets))
    print_table(console, table)
    table = make_table("Similarity of the designs")
    for column in ("", *names):
        table.add_column(escape(column), justify="right" if column else "left")
    for name, row in zip(names, similarity, strict=True):
        table.add_row(escape(name), *(f"{score:.4f}" for score in row))
    print_table(console, table)
