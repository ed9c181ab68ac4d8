"""``narfast pretrain``: train an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narfast.cli._options import ZooOption
from narfast.errors import NarfastError

__all__ = ["pretrain"]


def pretrain(
    config: Annotated[
        Path, typer.Option("-c", "--config", metavar="FILE", help="Settings, in TOML.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where the encoder goes.")
    ],
    zoo: ZooOption = "default",
    resume: Annotated[bool, typer.Option(help="Continue from the last checkpoint.")] = True,
) -> None:
    """Train an encoder on the networks of a zoo."""
    from narfast._optional import require

    require("torch", "numba", "ir_measures", by="training an encoder", extra="train")
    from narfast.training.run import PretrainConfig, check_output, run
    from narfast.zoo import Zoo

    settings = PretrainConfig.from_toml(config)
    check_output(output, settings, resume=resume)
    opened = Zoo.open(zoo)
    split = settings.data.split()
    entries = [entry for entry in opened if entry.family]
    held_out = {i for i, e in enumerate(entries) if split.holds_out(e.families, e.sources)}
    try:
        run(
            settings,
            [entry.graph for entry in entries],
            [entry.family for entry in entries],
            output,
            held_out=held_out,
            libraries=[entry.source for entry in entries],
            resume=resume,
        )
    except ValueError as error:  # too few networks, or settings that contradict each other
        raise NarfastError(str(error)) from error
    typer.echo(f"{output}: encoder written; use it with 'narfast zoo embed'", err=True)
