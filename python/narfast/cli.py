"""The ``narfast`` command. Parses, calls the library, prints; everything heavy is imported late.

stdout holds only results; bars, notes and errors go to stderr. A user's mistake is one line and
exit code 2, Ctrl-C is 130.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import narfast
from narfast.errors import NarfastError

if TYPE_CHECKING:
    from narfast.cli_tables import UpdateBar
    from narfast.encoder import ArchitectureEncoder
    from narfast.zoo import Architecture, Zoo
__all__ = ["app", "main"]


class ExportFormat(StrEnum):
    """What ``zoo export`` writes."""

    PARQUET = "parquet"
    CSV = "csv"


class EncodeEngine(StrEnum):
    """Where ``encode`` runs."""

    LOCAL = "local"
    RAY = "ray"


_BAD_INPUT = 2
_INTERRUPTED = 130


class _Commands(TyperGroup):
    """Turns what a user can cause into one line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except NarfastError as error:
            raise _exit(str(error)) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(_INTERRUPTED) from None
        except BrokenPipeError:
            # The reader (head, less) has gone: no one is left to be told.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as error:
            if error.errno is None:
                raise
            raise _exit(_system_error(error)) from None
        except MemoryError:
            raise _exit("out of memory; use fewer or smaller networks at a time") from None


app = typer.Typer(
    name="narfast",
    cls=_Commands,
    help="Find the networks whose designs are most alike, and see why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
zoo_app = typer.Typer(
    help="Build, extend, describe and check zoos.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(zoo_app, name="zoo")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
_ZooOption = Annotated[
    str, typer.Option("--zoo", metavar="DIR", help="A zoo folder; the shipped one by default.")
]
_Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="timm:NAME, torchvision:NAME, zoo:ID, an ONNX file, an NNRetrieval record.json, "
        "or my_model.py:build (which runs that file).",
    ),
]
_ZooDir = Annotated[Path, typer.Argument(metavar="DIR", help="A zoo folder.")]
_EncoderOption = Annotated[
    str,
    typer.Option(metavar="DIR", help="An encoder folder; the shipped one by default."),
]


_Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds that one network may take.")]
_Memory = Annotated[float, typer.Option(min=0.1, max=1e6, help="GB that one network may take.")]


def main() -> None:
    """Run the command line; the entry point of the ``narfast`` script."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"narfast {narfast.__version__}")
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


@app.command()
def search(
    source: _Source,
    k: Annotated[int, typer.Option("-k", min=1, help="Hits to show.")] = 10,
    zoo: _ZooOption = "default",
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    max_params: Annotated[
        int | None, typer.Option(min=0, help="Only networks with at most this many parameters.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Find the networks of a zoo that are most like SOURCE, and the motifs they share."""
    from narfast.calibration import relations_of
    from narfast.cli_tables import print_hits
    from narfast.explain import shared_motifs
    from narfast.zoo import Zoo

    opened = Zoo.open(zoo)
    if family is not None:
        _check_family(opened, family)
    with _status(f"reading {source}"):
        query = opened.load(source)
    with _status("searching"):
        hits = opened.search(query, k, where=_filter(family, max_params))
        graphs = [opened[hit.structural_hash].graph for hit in hits]
        shared = shared_motifs(query, graphs) if hits else []
    relations = relations_of(opened, query, hits)
    if as_json:
        _print_json(
            [
                {
                    **hit.to_json(),
                    "relation": relation,
                    "shared_motifs": [motif.to_json() for motif in motifs],
                }
                for hit, relation, motifs in zip(hits, relations, shared, strict=True)
            ]
        )
    else:
        if not hits:
            typer.echo("no network of the zoo passes the filters", err=True)
        print_hits(query, hits, relations, shared)


@app.command()
def inspect(source: _Source, zoo: _ZooOption = "default", as_json: _Json = False) -> None:
    """Show what SOURCE consists of: operators, motifs with counts, macro graph."""
    from narfast.cli_tables import print_summary
    from narfast.explain import summarize

    with _status(f"reading {source}"):
        graph = _load(source, zoo)
        summary = summarize(graph)
    if as_json:
        _print_json(summary.to_json())
    else:
        print_summary(summary)


@app.command()
def encode(
    context: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.parquet")],
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
            help="Sources, one on a line (- for stdin), or a .parquet or .csv table with a column "
            "'source'; repeatable.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Keep what an earlier run did.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes and threads.")] = 1,
    timeout: _Timeout = 60.0,
    memory: _Memory = 8.0,
    motif_cache: Annotated[
        str | None,
        typer.Option("--motif-cache", metavar="DIR", help="Keep vectors of motifs for later runs."),
    ] = None,
    engine: Annotated[EncodeEngine, typer.Option(help="Where to run.")] = EncodeEngine.LOCAL,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="ADDRESS",
            envvar="RAY_ADDRESS",
            help="A running Ray cluster, or auto; else Ray is started here.",
        ),
    ] = None,
    encoder: _EncoderOption = "default",
    zoo: _ZooOption = "default",
) -> None:
    """Write the vectors of many networks to a parquet file; bad ones are listed, never fatal."""
    from narfast.bulk import Inputs, ReadingLimits, encode_to_parquet, open_engine
    from narfast.cli_tables import print_errors

    if not sources and not lists:
        raise NarfastError("no sources; name some, or a file that lists them with --from")
    if motif_cache == "":
        raise NarfastError("--motif-cache: its name is empty; name a folder, or leave it out")
    typed = context.get_parameter_source("ray_address")
    if typed is not None and typed.name == "COMMANDLINE" and engine is not EncodeEngine.RAY:
        raise NarfastError(
            f"--ray-address {ray_address}: not used by --engine {engine.value}; add --engine ray, "
            "or leave it out"
        )
    limits = ReadingLimits(timeout=timeout, memory=int(memory * 1e9))
    opened = open_engine(
        engine.value,
        _lasting(encoder),
        workers=workers,
        limits=limits,
        motif_cache=None if motif_cache is None else Path(motif_cache),
        address=ray_address or None,
    )
    inputs = Inputs(sources or (), lists or (), zoo)
    with opened as chosen, _bar("encoding", "networks") as progress:
        report = encode_to_parquet(inputs, output, chosen, resume=resume, progress=progress)
    print_errors(report.errors, of=report.failed)
    if not report.rows:
        stays = f"; {output} stays as it was" if report.kept else ""
        raise _exit(f"none of the sources could be read; see the table above{stays}")
    kept = f" ({report.resumed} sources done by an earlier run)" if report.resumed else ""
    typer.echo(f"{output}: {report.rows} networks, {report.failed} errors{kept}", err=True)


@zoo_app.command("build")
def zoo_build(
    directory: _ZooDir,
    source: Annotated[
        list[str],
        typer.Option("--source", help="A library such as timm, darts, or all; repeatable."),
    ],
    workers: Annotated[int, typer.Option(min=1, help="Processes that read networks.")] = 2,
    timeout: _Timeout = 60.0,
    memory: _Memory = 8.0,
    embed: Annotated[bool, typer.Option(help="Make embeddings too.")] = True,
    encoder: _EncoderOption = "default",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what an earlier, stopped run left.")
    ] = False,
    keep_journal: Annotated[
        bool, typer.Option("--keep-journal", help="Keep the traced graphs for a quick rebuild.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Build a zoo of all networks of some libraries; goes on where an earlier run stopped."""
    from narfast.cli_tables import print_errors, print_zoo_info
    from narfast.zoo.builder import build_zoo, identifiers_of

    with _status("listing networks"):
        identifiers = [name for library in source for name in identifiers_of(library)]
        model = _encoder(encoder) if embed else None
    with _bar("reading", "networks") as reading, _bar("embedding", "structures") as embedding:
        report = build_zoo(
            directory,
            identifiers,
            encoder=model,
            encoder_source=_lasting(encoder),
            workers=workers,
            timeout=timeout,
            memory=int(memory * 1e9),
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
        _print_json(
            {**info, "errors": dict(errors), "resumed": report.resumed, "memory": memory_json}
        )
    else:
        print_zoo_info(info)


@zoo_app.command("add")
def zoo_add(
    directory: _ZooDir,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="As for search.")],
    as_json: _Json = False,
) -> None:
    """Add networks to a zoo; sources that fail are listed, never fatal."""
    from narfast.cli_tables import print_errors
    from narfast.zoo import Zoo

    zoo = Zoo.open(directory)
    with _bar("adding", "networks") as progress:
        report = zoo.add(sources, progress=progress)
    print_errors(report.errors)
    if not report.added:
        raise _exit("none of the sources could be read; see the table above")
    if as_json:
        _print_json(
            {
                "added": list(report.added),
                "new_structures": report.new_structures,
                "errors": dict(report.errors),
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
    directory: Annotated[str, typer.Argument(metavar="[DIR]")] = "default", as_json: _Json = False
) -> None:
    """Show what a zoo holds."""
    from narfast.cli_tables import print_zoo_info
    from narfast.zoo import Zoo

    info = Zoo.open(directory).info()
    if as_json:
        _print_json(info)
    else:
        print_zoo_info(info)


@zoo_app.command("errors")
def zoo_errors(
    directory: Annotated[str, typer.Argument(metavar="[DIR]")] = "default", as_json: _Json = False
) -> None:
    """List the networks that the build of a zoo could not read, and why."""
    from narfast.cli_tables import print_errors
    from narfast.zoo import Zoo

    errors = [(failure.id, failure.reason) for failure in Zoo.open(directory).errors]
    if as_json:
        _print_json(dict(errors))
    elif errors:
        print_errors(errors, stderr=False)
    else:
        typer.echo(f"{directory}: every network was read", err=True)


@zoo_app.command("verify")
def zoo_verify(
    directory: Annotated[str, typer.Argument(metavar="[DIR]")] = "default", as_json: _Json = False
) -> None:
    """Check every file of a zoo against its manifest, and every graph against its hash."""
    from narfast.zoo import Zoo

    zoo = Zoo.open(directory)
    with _status("checking"):
        problems = zoo.verify()
    if as_json:
        _print_json({"path": str(zoo.directory), "whole": not problems, "problems": problems})
    elif not problems:
        typer.echo(f"{zoo.directory}: whole, {len(zoo)} structures, checksum {zoo.checksum[:16]}")
    if problems:
        for problem in problems[:-1]:
            typer.echo(f"error: {problem}", err=True)
        raise _exit(problems[-1])


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
    with _bar("writing", "names") as progress:
        rows = export_zoo(zoo, path, format.value, progress=progress)
    typer.echo(f"{path}: {rows:,} names of {len(zoo):,} structures", err=True)


@zoo_app.command("embed")
def zoo_embed(directory: _ZooDir, encoder: _EncoderOption = "default") -> None:
    """Make the embeddings of a zoo again with an encoder; its graphs stay as they are."""
    from narfast.zoo import Zoo

    zoo = Zoo.open(directory)
    with _bar("embedding", "structures") as progress:
        zoo.embed(_encoder(encoder), source=_lasting(encoder), progress=progress)
    typer.echo(f"{directory}: {len(zoo)} structures embedded", err=True)


@app.command()
def pretrain(
    config: Annotated[Path, typer.Option("-c", "--config", help="A TOML file.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR")],
    zoo: _ZooOption = "default",
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = True,
) -> None:
    """Train an encoder on the networks of a zoo."""
    from narfast.pretrain import PretrainConfig, check_output, run
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
    typer.echo(f"{output}: encoder written; 'narfast zoo embed' puts it to use", err=True)


@app.command()
def evaluate(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="Such as paper-real, or all of them: all.")
    ],
    zoo: _ZooOption = "default",
    seed: Annotated[int, typer.Option(min=0, help="Of tie-breaking and bootstrap.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write a JSON file for each protocol."),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Rank by another encoder too; repeatable."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Measure how well each method finds what a protocol calls relevant."""
    from narfast.cli_tables import print_report
    from narfast.evaluation import PROTOCOLS
    from narfast.evaluation import evaluate as run
    from narfast.evaluation.methods import by_encoder, methods_for
    from narfast.zoo import Zoo

    opened = Zoo.open(zoo)
    methods = methods_for(opened)
    for named in encoder or ():
        name, equals, folder = named.partition("=")
        if not (name and equals and folder):
            raise NarfastError(f"--encoder {named}: say NAME=DIR, such as mine=out/encoder")
        if name in methods:
            raise NarfastError(
                f"--encoder {named}: there is a method {name!r}; choose another name"
            )
        methods[name] = by_encoder(_encoder(folder))
    reports = []
    for name in sorted(PROTOCOLS) if protocol == "all" else [protocol]:
        try:
            with _bar(f"evaluating {name}", "runs") as progress:
                report = run(name, opened, methods=methods, seed=seed, progress=progress)
        except NarfastError as error:
            if protocol != "all":
                raise
            typer.echo(f"{name} is left out: {error}", err=True)
            continue
        reports.append(report)
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            path = output / f"{name.replace('-', '_')}.json"
            path.write_text(json.dumps(reports[-1].to_json(), indent=1) + "\n", encoding="utf-8")
        if not as_json:
            print_report(reports[-1])
    if not reports:
        raise _exit("no protocol can be run on this zoo; see the reasons above")
    if as_json:
        values = [report.to_json() for report in reports]
        _print_json(values if protocol == "all" else values[0])


def _load(source: str, zoo: str) -> Any:
    """Read a source; ``zoo:ID`` is looked up in a zoo, all else is read anew."""
    if source.startswith("zoo:"):
        from narfast.zoo import Zoo

        return Zoo.open(zoo).load(source)
    return narfast.load(source)


def _encoder(source: str) -> ArchitectureEncoder:
    from narfast.encoder import ArchitectureEncoder

    return ArchitectureEncoder.from_pretrained(source)


def _lasting(encoder: str) -> str:
    """Return a name of an encoder that holds in every working folder."""
    return encoder if encoder == "default" else str(Path(encoder).resolve())


def _filter(family: str | None, max_params: int | None) -> Callable[[Architecture], bool] | None:
    if family is None and max_params is None:
        return None

    def keep(record: Architecture) -> bool:
        if family is not None and record.family != family:
            return False
        return max_params is None or (record.params is not None and record.params <= max_params)

    return keep


def _check_family(zoo: Zoo, family: str) -> None:
    known = sorted({record.family for record in zoo.records if record.family})
    if family not in known:
        import difflib

        close = difflib.get_close_matches(family, known, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "see 'narfast zoo info'"
        raise NarfastError(f"{family}: no such family in the zoo {zoo.directory}; {hint}")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def _exit(message: str) -> typer.Exit:
    line = " ".join(message.split())
    typer.echo(f"error: {line}", err=True)
    return typer.Exit(_BAD_INPUT)


_REMEDIES = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "check its permissions or choose another place",
    errno.EPERM: "check its permissions or choose another place",
    errno.ENOENT: "check the path",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "give a folder, not a file",
}


def _system_error(error: OSError) -> str:
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0)
    reason = (error.strerror or "system error").lower()
    return f"{where}{reason}" + (f"; {remedy}" if remedy else "")


def _status(text: str) -> contextlib.AbstractContextManager[None]:
    from narfast.cli_tables import spinner

    return spinner(text)


def _memory_note() -> str:
    from narfast.zoo.workers import memory_in_use

    here, worker = memory_in_use()
    return f"{here / 1e9:.1f} GB here, {worker / 1e9:.1f} GB in the largest worker"


def _bar(verb: str, unit: str) -> contextlib.AbstractContextManager[UpdateBar]:
    from narfast.cli_tables import progress_bar

    return progress_bar(verb, unit)
