"""``narfast draw``: a network as a picture, or as one line of blocks in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narfast.cli._options import Source, ZooOption, status
from narfast.errors import NarfastError, printable

if TYPE_CHECKING:
    from narfast.blocks import BlockView
    from narfast.drawing.svg import Open

__all__ = ["draw"]

_DIGITS = 9  # of the number of a block


def draw(
    source: Source,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="net.svg for a figure, net.html for one file whose blocks fold and unfold. "
            "Without it, the blocks are listed.",
        ),
    ] = None,
    opened: Annotated[
        list[str] | None,
        typer.Option(
            "--open",
            metavar="BLOCK",
            help="A block to show with its operators: its number or its name, or all; repeatable.",
        ),
    ] = None,
    zoo: ZooOption = "default",
) -> None:
    """Draw SOURCE as the blocks that people name, with their repeats and connections."""
    from narfast._files import replace_file
    from narfast.blocks import blocks_of
    from narfast.reading.isolation import isolated
    from narfast.sources.loader import load
    from narfast.zoo import Zoo

    if output is not None and output.suffix.lower() not in (".svg", ".html"):
        raise NarfastError(
            f"{printable(str(output))}: unknown kind of picture; name a file that ends in .svg or "
            ".html"
        )
    with status(f"reading {source}"):
        stored = source.startswith("zoo:")
        graph = Zoo.open(zoo).load(source) if stored else load(isolated(source))
        view = blocks_of(graph)
    chosen = _chosen(view, opened or [])
    if output is None:
        _print_blocks(view)
        return
    if output.suffix.lower() == ".svg":
        from narfast.drawing.svg import draw as draw_svg

        text = draw_svg(view, open=chosen)
    else:
        from narfast.drawing.html import draw_html

        text = draw_html(view, open=chosen)
    replace_file(output, text.encode())
    typer.echo(f"{output}: {len(view)} blocks, {graph.num_nodes} operators", err=True)


def _chosen(view: BlockView, words: list[str]) -> Open:
    """Return the blocks that numbers and names mean."""
    if "all" in words:
        return "all"
    found: set[int] = set()
    for word in words:
        named = {i for i, block in enumerate(view.blocks) if block.name == word}
        if word.isdecimal() and word.isascii() and len(word) <= _DIGITS:
            named |= {int(word)} & set(range(len(view.blocks)))
        if not named:
            raise NarfastError(
                f"--open {printable(word)}: no such block; 'narfast draw' without -o lists the "
                f"blocks, numbered 0 to {len(view.blocks) - 1}"
            )
        found |= named
    return tuple(sorted(found))


def _print_blocks(view: BlockView) -> None:
    from rich.markup import escape

    from narfast._tables import make_table, print_table, stdout_console
    from narfast.drawing.strip import has_color, strip

    console = stdout_console()
    console.print(strip(view, width=console.width, color=has_color(console)))
    table = make_table("")
    for column in ("block", "name", "times", "operators", "kind", "reads"):
        right = column in ("block", "times", "operators")
        table.add_column(column, justify="right" if right else "left")
    for number, block in enumerate(view.blocks):
        table.add_row(
            str(number),
            escape(block.name),
            str(block.count),
            str(len(block.instances[-1])),
            block.kind,
            ", ".join(map(str, block.inputs)),
        )
    print_table(console, table)
