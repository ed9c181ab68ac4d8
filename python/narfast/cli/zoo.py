"""The commands ``narfast zoo ...``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narfast.cli._options import (
    EncoderOption,
    IndexThreads,
    Json,
    Memory,
    Timeout,
    ZooDir,
    bar,
    open_encoder,
    print_json,
    resolve_encoder_path,
    status,
)
from narfast.cli._process import failure
from narfast.errors import NarfastError
from narfast.sources.registry import LISTED

if TYPE_CHECKING:
    from narfast.graph import ArchGraph

__all__ = ["zoo_app"]


class ExportFormat(StrEnum):
    """What ``zoo export`` writes."""

    PARQUET = "parquet"
    CSV = "csv"


zoo_app = typer.Typer(
    help="Build, extend, describe and check zoos.\n\nA zoo stores each structure once, with all "
    "its names. Networks of the same structure have equal operators and connections; their widths "
    "and exact kernel sizes may differ.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@zoo_app.command("build")
def zoo_build(
    directory: ZooDir,
    source: Annotated[
        list[str],
        typer.Option("--source", help=f"{', '.join(LISTED)}, or all for all of them; repeatable."),
    ],
    workers: Annotated[int, typer.Option(min=1, help="Processes that read networks.")] = 2,
    timeout: Timeout = 60.0,
    memory: Memory = 8.0,
    embed: Annotated[bool, typer.Option(help="Compute embeddings too.")] = True,
    encoder: EncoderOption = "default",
    index_threads: IndexThreads = 1,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Discard the results of an earlier, stopped run.")
    ] = False,
    keep_journal: Annotated[
        bool, typer.Option("--keep-journal", help="Keep the traced graphs for a quick rebuild.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build a zoo of all networks of some libraries; continues an earlier, stopped run."""
    from narfast.cli._render import print_errors, print_zoo_info
    from narfast.zoo.builder import build_zoo, identifiers_of

    with status("listing networks"):
        identifiers = [name for library in source for name in identifiers_of(library)]
        model = open_encoder(encoder) if embed else None
    with bar("reading", "networks") as reading, bar("embedding", "structures") as embedding:
        report = build_zoo(
            directory,
            identifiers,
            encoder=model,
            encoder_source=resolve_encoder_path(encoder),
            workers=workers,
            timeout=timeout,
            memory=int(memory * 1e9),
            index_threads=index_threads,
            fresh=fresh,
            keep_journal=keep_journal,
            on_network=lambda done, total, _: reading(done, total, _memory_note()),
            on_embedded=embedding,
        )
    errors = [(failure.id, failure.reason) for failure in report.failures]
    print_errors(errors)
    info = report.zoo.info()
    if as_json:
        here, worker = report.memory
        memory_json = {"bytes_here": here, "bytes_in_largest_worker": worker}
        print_json(
            {**info, "errors": dict(errors), "resumed": report.resumed, "memory": memory_json}
        )
    else:
        print_zoo_info(info)


@zoo_app.command("add")
def zoo_add(
    directory: ZooDir,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="As for search.")],
    as_json: Json = False,
) -> None:
    """Add networks to a zoo, or create one; sources that cannot be read are listed."""
    from narfast.cli._render import print_errors
    from narfast.reading.isolation import isolated
    from narfast.zoo.zoo import add_networks

    readable: list[str | ArchGraph] = []
    errors: list[tuple[str, str]] = []
    for source in sources:
        try:
            readable.append(isolated(source))
        except NarfastError as error:
            errors.append((source, str(error)))
    with bar("adding", "networks") as progress:
        zoo, report = add_networks(directory, readable, progress=progress)
    errors += report.errors
    print_errors(errors)
    if zoo is None or not report.added:
        raise failure("none of the sources could be read; see the table above")
    if as_json:
        print_json(
            {
                "added": list(report.added),
                "new_structures": report.new_structures,
                "errors": dict(errors),
                "checksum": zoo.checksum,
            }
        )
    else:
        typer.echo(
            f"{directory}: added {len(report.added)} names, {report.new_structures} of them new "
            f"structures; {len(zoo)} structures in all"
        )


@zoo_app.command("info")
def zoo_info(
    directory: Annotated[str, typer.Argument(metavar="[DIR]")] = "default", as_json: Json = False
) -> None:
    """Show the contents of a zoo."""
    from narfast.cli._render import print_zoo_info
    from narfast.zoo import Zoo

    info = Zoo.open(directory).info()
    if as_json:
        print_json(info)
    else:
        print_zoo_info(info)


@zoo_app.command("errors")
def zoo_errors(
    directory: Annotated[str, typer.Argument(metavar="[DIR]")] = "default", as_json: Json = False
) -> None:
    """List the networks that the build of a zoo could not read, and why."""
    from narfast.cli._render import print_errors
    from narfast.zoo import Zoo

    errors = [(failure.id, failure.reason) for failure in Zoo.open(directory).errors]
    if as_json:
        print_json(dict(errors))
    elif errors:
        print_errors(errors, stderr=False)
    else:
        typer.echo(f"{directory}: every network was read", err=True)


@zoo_app.command("verify")
def zoo_verify(
    directory: Annotated[str, typer.Argument(metavar="[DIR]")] = "default", as_json: Json = False
) -> None:
    """Check every file of a zoo against its manifest, and every graph against its hash."""
    from narfast.zoo import Zoo

    zoo = Zoo.open(directory)
    with status("checking"):
        problems = zoo.verify()
    if as_json:
        print_json({"path": str(zoo.directory), "whole": not problems, "problems": problems})
    elif not problems:
        typer.echo(f"{zoo.directory}: whole, {len(zoo)} structures, checksum {zoo.checksum[:16]}")
    if problems:
        for problem in problems[:-1]:
            typer.echo(f"error: {problem}", err=True)
        raise failure(problems[-1])


@zoo_app.command("export")
def zoo_export(
    directory: Annotated[str, typer.Argument(metavar="[DIR]")] = "default",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="zoo.parquet or zoo.csv by default.")
    ] = None,
    format: Annotated[ExportFormat, typer.Option(help="csv has no graphs.")] = ExportFormat.PARQUET,
) -> None:
    """Write a zoo as one table: a row per name, with graph and embedding."""
    from narfast.zoo import Zoo
    from narfast.zoo.export import export_zoo

    zoo = Zoo.open(directory)
    path = output or Path(f"{zoo.directory.name}.{format.value}")
    with bar("writing", "names") as progress:
        rows = export_zoo(zoo, path, format.value, progress=progress)
    typer.echo(f"{path}: {rows:,} names of {len(zoo):,} structures", err=True)


@zoo_app.command("embed")
def zoo_embed(
    directory: ZooDir, encoder: EncoderOption = "default", index_threads: IndexThreads = 1
) -> None:
    """Recompute the embeddings of a zoo with an encoder; its graphs do not change."""
    from narfast.zoo import Zoo

    zoo = Zoo.open(directory)
    with bar("embedding", "structures") as progress:
        zoo.embed(
            open_encoder(encoder),
            source=resolve_encoder_path(encoder),
            index_threads=index_threads,
            progress=progress,
        )
    typer.echo(f"{directory}: {len(zoo)} structures embedded", err=True)


def _memory_note() -> str:
    from narfast.reading.worker_pool import memory_in_use

    here, worker = memory_in_use()
    return f"{here / 1e9:.1f} GB here, {worker / 1e9:.1f} GB in the largest worker"
