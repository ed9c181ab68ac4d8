"""``narfast evaluate``: how well each method finds the networks that a protocol calls relevant."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narfast._files import open_regular, replacing
from narfast.cli._options import Json, ZooOption, bar, open_encoder, print_json
from narfast.cli._process import failure
from narfast.errors import MissingDependencyError, NarfastError

if TYPE_CHECKING:
    from narfast.evaluation import Report

__all__ = ["evaluate"]


def evaluate(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="Such as paper-real, or all of them: all.")
    ],
    zoo: ZooOption = "default",
    seed: Annotated[int, typer.Option(min=0, help="For tie-breaking and bootstrap.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write a JSON file for each protocol."),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Evaluate another encoder too; repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD",
            help="Run only this method and the shipped encoder; with -o, the file keeps its other "
            "methods; repeatable.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how well each method finds the networks that a protocol calls relevant."""
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
    finally:  # a stopped run prints the protocols that are done
        if as_json and reports:
            values = [report.to_json() for report in reports]
            print_json(values if protocol == "all" else values[0])
    if not reports:
        raise failure("no protocol can be run on this zoo; see the reasons above")


def _kept_and_new(path: Path, report: Report) -> dict[str, Any]:
    """Merge a report with the other methods in the file that it will replace."""
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
