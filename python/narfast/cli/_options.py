"""Options, encoders, output and progress that the commands of ``narfast`` share."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narfast.sources.registry import accepted

if TYPE_CHECKING:
    from narfast.cli._render import UpdateBar
    from narfast.encoder.encoder import ArchitectureEncoder

__all__ = [
    "EncoderOption",
    "IndexThreads",
    "Json",
    "Memory",
    "OptionalSource",
    "Source",
    "Timeout",
    "ZooDir",
    "ZooOption",
    "bar",
    "open_encoder",
    "print_json",
    "resolve_encoder_path",
    "status",
]


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
ZooOption = Annotated[
    str, typer.Option("--zoo", metavar="DIR", help="A zoo folder; the shipped one by default.")
]
_SOURCE = typer.Argument(metavar="SOURCE", help=f"{accepted(objects=False)}. A Python file is run.")
Source = Annotated[str, _SOURCE]
OptionalSource = Annotated[str | None, _SOURCE]
ZooDir = Annotated[Path, typer.Argument(metavar="DIR", help="A zoo folder.")]
EncoderOption = Annotated[
    str,
    typer.Option(metavar="DIR", help="An encoder folder; the shipped one by default."),
]


Timeout = Annotated[float, typer.Option(min=0.1, help="Time limit per network, in seconds.")]
Memory = Annotated[float, typer.Option(min=0.1, max=1e6, help="Memory limit per network, in GB.")]
IndexThreads = Annotated[
    int,
    typer.Option(
        min=1,
        max=1024,
        help="Threads for building the index of a zoo above 100,000 structures. With one thread, "
        "the same zoo gives the same index file.",
    ),
]


def open_encoder(source: str) -> ArchitectureEncoder:
    """Open an encoder; the import happens here, so that other commands start fast."""
    from narfast.encoder.encoder import ArchitectureEncoder

    return ArchitectureEncoder.from_pretrained(source)


def resolve_encoder_path(encoder: str) -> str:
    """Return the encoder's path in a form that is valid in every working directory."""
    return encoder if encoder == "default" else str(Path(encoder).resolve())


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def status(text: str) -> contextlib.AbstractContextManager[None]:
    """Show a spinner during work of unknown length."""
    if sys.stderr is None or not sys.stderr.isatty():  # rich takes time to import
        return contextlib.nullcontext()
    from narfast.cli._render import spinner

    return spinner(text)


def bar(verb: str, unit: str) -> contextlib.AbstractContextManager[UpdateBar]:
    """Show a progress bar with the time left."""
    from narfast.cli._render import progress_bar

    return progress_bar(verb, unit)
