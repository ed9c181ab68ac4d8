"""The ``narfast`` command: parses, calls the library, prints. Heavy modules are imported late.

stdout has only results; bars, notes and errors go to stderr. A user's mistake gives one line and
exit code 2, Ctrl-C gives 130, SIGTERM 143.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from narfast._version import __version__
from narfast.cli._process import (
    INTERRUPTED,
    TERMINATED,
    Commands,
    Terminated,
    end_on_sigterm,
    repair_standard_streams,
)
from narfast.cli.compare import compare
from narfast.cli.draw import draw
from narfast.cli.encode import encode
from narfast.cli.evaluate import evaluate
from narfast.cli.pretrain import pretrain
from narfast.cli.search import inspect, motifs, search
from narfast.cli.situate import situate
from narfast.cli.zoo import zoo_app

__all__ = ["app", "main"]

app = typer.Typer(
    name="narfast",
    cls=Commands,
    help="Find the networks whose designs are most alike, and see why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    search,
    inspect,
    compare,
    situate,
    draw,
    motifs,
    encode,
    pretrain,
    evaluate,
):
    app.command()(command)
app.add_typer(zoo_app, name="zoo")


def main() -> None:
    """Run the command line; the entry point of the ``narfast`` script."""
    repair_standard_streams()
    try:
        end_on_sigterm()
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Terminated:
        sys.exit(TERMINATED)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"narfast {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.getLogger("narfast").handlers[:] = [handler]
