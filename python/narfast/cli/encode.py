"""``narfast encode``: a table of the vectors of many networks."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from narfast.cli._options import (
    EncoderOption,
    Memory,
    Timeout,
    ZooOption,
    bar,
    resolve_encoder_path,
)
from narfast.cli._process import failure
from narfast.errors import NarfastError

__all__ = ["encode"]


class EncodeEngine(StrEnum):
    """Where ``encode`` runs."""

    LOCAL = "local"
    RAY = "ray"


def encode(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.parquet", help="The table to write.")
    ],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="As for search, a zoo folder, or a collection: zoo:all, nasbench101:all, "
            "nasbench201:all.",
        ),
    ] = None,
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Sources, one per line (- for stdin), or a .parquet or .csv table with a column "
            "'source'; repeatable.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Keep the results of an earlier run.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes and threads.")] = 1,
    timeout: Timeout = 60.0,
    memory: Memory = 8.0,
    motif_cache: Annotated[
        str | None,
        typer.Option("--motif-cache", metavar="DIR", help="Keep motif vectors for later runs."),
    ] = None,
    engine: Annotated[EncodeEngine, typer.Option(help="Where to run.")] = EncodeEngine.LOCAL,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="ADDRESS",
            envvar="RAY_ADDRESS",
            help="A running Ray cluster, or auto. By default, Ray is started on this machine.",
        ),
    ] = None,
    encoder: EncoderOption = "default",
    zoo: ZooOption = "default",
) -> None:
    """Write the vectors of many networks to a parquet file; unreadable sources are listed."""
    from narfast.bulk import Inputs, ReadingLimits, encode_to_parquet, open_engine
    from narfast.cli._render import print_errors

    if not sources and not lists:
        raise NarfastError("no sources; name some, or a file that lists them with --from")
    if motif_cache == "":
        raise NarfastError("--motif-cache: the name is empty; name a folder, or leave it out")
    typed = context.get_parameter_source("ray_address")
    if typed is not None and typed.name == "COMMANDLINE" and engine is not EncodeEngine.RAY:
        raise NarfastError(
            f"--ray-address {ray_address}: not used by --engine {engine.value}; add --engine ray, "
            "or leave it out"
        )
    limits = ReadingLimits(timeout=timeout, memory=int(memory * 1e9))
    opened = open_engine(
        engine.value,
        resolve_encoder_path(encoder),
        workers=workers,
        limits=limits,
        motif_cache=None if motif_cache is None else Path(motif_cache),
        address=ray_address or None,
    )
    inputs = Inputs(sources or (), lists or (), zoo)
    with opened as chosen, bar("encoding", "networks") as progress:
        report = encode_to_parquet(inputs, output, chosen, resume=resume, progress=progress)
    print_errors(report.errors, of=report.failed)
    if not report.rows:
        stays = f"; {output} stays as it was" if report.kept else ""
        raise failure(f"none of the sources could be read; see the table above{stays}")
    kept = f" ({report.resumed} sources done by an earlier run)" if report.resumed else ""
    typer.echo(f"{output}: {report.rows} networks, {report.failed} errors{kept}", err=True)
