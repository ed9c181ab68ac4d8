"""The ``narfast`` command. Parses, calls the library, prints; everything heavy is imported late.

stdout holds only results; bars, notes and errors go to stderr. A user's mistake is one line and
exit code 2, Ctrl-C is 130, SIGTERM 143.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import narfast
from narfast._files import open_regular, replacing
from narfast._version import __version__
from narfast.cli._options import (
    INTERRUPTED,
    TERMINATED,
    Commands,
    EncoderOption,
    Json,
    Memory,
    Source,
    Terminated,
    Timeout,
    ZooOption,
    bar,
    end_on_sigterm,
    failure,
    isolated,
    lasting,
    open_encoder,
    print_json,
    repair_standard_streams,
    status,
)
from narfast.cli.zoo import zoo_app
from narfast.errors import MissingDependencyError, NarfastError

if TYPE_CHECKING:
    from narfast.evaluation import Report
    from narfast.zoo import Architecture, Zoo

__all__ = ["app", "main"]


class EncodeEngine(StrEnum):
    """Where ``encode`` runs."""

    LOCAL = "local"
    RAY = "ray"


app = typer.Typer(
    name="narfast",
    cls=Commands,
    help="Find the networks whose designs are most alike, and see why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
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


@app.command()
def search(
    source: Source,
    k: Annotated[int, typer.Option("-k", min=1, help="Hits to show.")] = 10,
    zoo: ZooOption = "default",
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    max_params: Annotated[
        int | None, typer.Option(min=0, help="Only networks with at most this many parameters.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the networks of a zoo that are most like SOURCE, and the motifs they share.

    Networks of the same structure have equal operators and connections at the level of bins: their
    widths and exact kernel sizes may differ. How close a hit is stands beside its score, as a word
    and as the share of the zoo's networks that have no nearer neighbour.
    """
    from narfast.zoo import Zoo

    opened = Zoo.open(zoo)
    if family is not None:
        _check_family(opened, family)
    with status(f"reading {source}"):
        query = opened.load(source if opened.find(source) else isolated(source))
    # Imported now: a source that cannot be read is told at once.
    from narfast.encoder.calibration import relations_of
    from narfast.explain import shared_motifs

    with status("searching"):
        hits = opened.search(query, k, where=_filter(family, max_params))
        graphs = list(opened.graphs_at([opened[hit.structural_hash].row for hit in hits]))
        shared = shared_motifs(query, graphs) if hits else []
    relations = relations_of(opened, query, hits, shared)
    if as_json:
        print_json(
            [
                {
                    **hit.to_json(),
                    "relation": None if relation is None else relation.word,
                    "percentile": None if relation is None else relation.percentile,
                    "shared_motifs": [motif.to_json() for motif in motifs],
                }
                for hit, relation, motifs in zip(hits, relations, shared, strict=True)
            ]
        )
    else:
        from narfast.cli._render import print_hits

        if not hits:
            typer.echo("no network of the zoo passes the filters", err=True)
        print_hits(query, hits, relations, shared)


@app.command()
def inspect(source: Source, zoo: ZooOption = "default", as_json: Json = False) -> None:
    """Show what SOURCE consists of: operators, motifs with counts, macro graph.

    The structural hash is equal for networks that differ in widths or exact kernel sizes alone.
    """
    from narfast.cli._render import print_summary
    from narfast.explain import summarize

    with status(f"reading {source}"):
        graph = _load(source, zoo)
        summary = summarize(graph)
    if as_json:
        print_json(summary.to_json())
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
    timeout: Timeout = 60.0,
    memory: Memory = 8.0,
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
    encoder: EncoderOption = "default",
    zoo: ZooOption = "default",
) -> None:
    """Write the vectors of many networks to a parquet file; bad ones are listed, never fatal."""
    from narfast.bulk import Inputs, ReadingLimits, encode_to_parquet, open_engine
    from narfast.cli._render import print_errors

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
        lasting(encoder),
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


@app.command()
def pretrain(
    config: Annotated[Path, typer.Option("-c", "--config", help="A TOML file.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR")],
    zoo: ZooOption = "default",
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = True,
) -> None:
    """Train an encoder on the networks of a zoo."""
    from narfast._optional import require

    require("torch", "numba", by="training an encoder")
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
    typer.echo(f"{output}: encoder written; 'narfast zoo embed' puts it to use", err=True)


@app.command()
def evaluate(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="Such as paper-real, or all of them: all.")
    ],
    zoo: ZooOption = "default",
    seed: Annotated[int, typer.Option(min=0, help="Of tie-breaking and bootstrap.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write a JSON file for each protocol."),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Rank by another encoder too; repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD",
            help="Run this method and the shipped encoder alone; with -o the others that the file "
            "has are kept; repeatable.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how well each method finds what a protocol calls relevant."""
    from narfast.cli._render import print_report
    from narfast.evaluation import PROTOCOLS
    from narfast.evaluation import evaluate as run
    from narfast.evaluation.methods import SHIPPED, by_encoder, methods_for
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
        methods[name] = by_encoder(open_encoder(folder))
    for name in only or ():
        if name not in methods:
            raise NarfastError(
                f"--only {name}: no such method; choose from {', '.join(map(repr, methods))}"
            )
    if only:
        methods = {name: methods[name] for name in methods if name in {*only, SHIPPED}}
    reports = []
    try:
        for name in sorted(PROTOCOLS) if protocol == "all" else [protocol]:
            try:
                with bar(f"evaluating {name}", "runs") as progress:
                    report = run(name, opened, methods=methods, seed=seed, progress=progress)
            except NarfastError as error:
                if protocol != "all" or isinstance(error, MissingDependencyError):
                    raise
                typer.echo(f"{name} is left out: {error}", err=True)
                continue
            reports.append(report)
            if output is not None:
                output.mkdir(parents=True, exist_ok=True)
                path = output / f"{name.replace('-', '_')}.json"
                value = _kept_and_new(path, report) if only else report.to_json()
                with replacing(path) as stream:
                    stream.write((json.dumps(value, indent=1) + "\n").encode())
            if not as_json:
                print_report(report)
                sys.stdout.flush()
    finally:  # a run that is stopped, too, has an answer: the protocols that are done
        if as_json and reports:
            values = [report.to_json() for report in reports]
            print_json(values if protocol == "all" else values[0])
    if not reports:
        raise failure("no protocol can be run on this zoo; see the reasons above")


def _kept_and_new(path: Path, report: Report) -> dict[str, Any]:
    """A report with the other methods of the file that it goes to."""
    from narfast.evaluation.report import merged

    if not path.exists():
        return report.to_json()
    with open_regular(path) as stream:
        data = stream.read()
    try:
        return merged(json.loads(data), report)
    except (ValueError, RecursionError, NarfastError) as error:
        reason = str(error) if isinstance(error, NarfastError) else "not a JSON file"
        raise NarfastError(
            f"{path}: {reason}; choose another folder, or run without --only to replace it"
        ) from None


def _load(source: str, zoo: str) -> Any:
    """Read a source; ``zoo:ID`` is looked up in a zoo, all else is read anew."""
    if source.startswith("zoo:"):
        from narfast.zoo import Zoo

        return Zoo.open(zoo).load(source)
    return narfast.load(isolated(source))


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
