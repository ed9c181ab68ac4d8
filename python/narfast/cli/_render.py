"""Output of the ``narfast`` command for people: tables, and progress with the time left."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from narfast._tables import cell, make_table, print_table, short_count, stdout_console

if TYPE_CHECKING:
    from narfast.block_search import ZooMotif
    from narfast.evaluation import Report
    from narfast.explain import NetworkSummary

__all__ = [
    "UpdateBar",
    "print_errors",
    "print_motifs",
    "print_report",
    "print_summary",
    "print_zoo_info",
    "progress_bar",
    "spinner",
]


class UpdateBar(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Show how many items are done, the total if it is known, and a note."""


_MOTIF_ROWS = 20
_BLOCKS = 8  # at each end of a long list
_INPUTS = 12  # maximum number of input shapes shown
_REPORT_EVERY = 10.0  # seconds between progress lines if stderr is not a terminal


def print_summary(summary: NetworkSummary) -> None:
    """Print one network: facts, operators, motifs, macro graph."""
    console = stdout_console()
    facts = Table.grid(padding=(0, 2))
    shapes = [" × ".join(map(str, shape)) or "scalar" for shape in summary.input_shapes]
    more = f", … ({len(shapes) - _INPUTS} more)" if len(shapes) > _INPUTS else ""
    unknown = sum(summary.unknown_ops.values())
    rows = {
        "network": cell(summary.name or "–"),
        "source": cell(summary.source or "–") + f" (trace: {escape(summary.trace_kind or '–')})",
        "family, task": cell(f"{summary.family or '–'}, {summary.task or '–'}"),
        "parameters": short_count(summary.params),
        "inputs" if len(shapes) > 1 else "input": (", ".join(shapes[:_INPUTS]) or "–") + more,
        "graph": f"{summary.nodes} operators, {summary.edges} edges",
        "blocks": escape(_listed_blocks(summary.blocks)),
        "macro graph": f"{summary.macro_nodes} motif instances, {summary.macro_edges} edges",
        "structural hash": f"{summary.structural_hash} (widths and exact kernels do not count)",
    }
    if unknown:
        listed = ", ".join(f"{count}× {name}" for name, count in summary.unknown_ops.items())
        rows["unknown operators"] = escape(listed)
    if summary.untraced:
        rows["not traced"] = f"{summary.untraced} parameter tensors"
    for key, value in rows.items():
        facts.add_row(f"[bold]{key}[/bold]", value)
    console.print(facts)
    top = [f"{count}× {escape(name)}" for name, count in summary.operators.items()]
    console.print("\n[bold]operators[/bold]  " + ", ".join(top[:_MOTIF_ROWS]))
    console.print()
    table = make_table("Motifs, largest share first")
    table.add_column("#", justify="right")
    table.add_column("motif")
    table.add_column("size", justify="right")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right")
    table.add_column("operators", overflow="fold")
    for place, motif in enumerate(summary.motifs[:_MOTIF_ROWS], 1):
        share = motif.size * motif.count / max(1, summary.nodes)
        table.add_row(
            str(place),
            motif.motif_id[:8],
            str(motif.size),
            str(motif.count),
            f"{share:.0%}",
            escape(motif.operators),
        )
    if len(summary.motifs) > _MOTIF_ROWS:
        table.caption = f"and {len(summary.motifs) - _MOTIF_ROWS} smaller motifs"
    console.print(table)


def _listed_blocks(blocks: Sequence[tuple[str, int]]) -> str:
    words = [name if count == 1 else f"{name} ×{count}" for name, count in blocks]
    if len(words) > 2 * _BLOCKS:
        words = [*words[:_BLOCKS], f"… ({len(words) - 2 * _BLOCKS} more)", *words[-_BLOCKS:]]
    return " | ".join(words)


def print_motifs(motifs: Sequence[ZooMotif]) -> None:
    """Print the most widespread blocks of a zoo."""
    table = make_table("The most widespread blocks, those of most families first")
    table.add_column("motif")
    table.add_column("name", overflow="fold")
    for column in ("families", "networks", "times", "size"):
        table.add_column(column, justify="right")
    table.add_column("operators", overflow="fold")
    for motif in motifs:
        table.add_row(
            motif.motif_id[:8],
            cell(motif.name),
            f"{motif.families:,}",
            f"{motif.networks:,}",
            f"{motif.count:,}",
            str(motif.size),
            escape(motif.operators),
        )
    print_table(stdout_console(), table)


def print_zoo_info(info: Mapping[str, Any]) -> None:
    """Print the contents of a zoo."""
    console = stdout_console()
    encoder = info["encoder"]
    facts = Table.grid(padding=(0, 2))
    rows = {
        "zoo": escape(str(info["path"])),
        "structures": f"{info['distinct']:,} distinct (widths and exact kernels do not count), "
        f"{info['names']:,} names",
        "not read": f"{info['errors']:,}: see 'narfast zoo errors'" if info["errors"] else "",
        "families": f"{len(info['by_family']):,}, largest " + _largest(info["by_family"], 12),
        "tasks": _largest(info["by_task"], 12),
        "classes": _largest(info["by_coarse_class"], 12),
        "encoder": f"{encoder['fingerprint'][:12]}, {encoder['dim']} dimensions"
        if encoder
        else "none yet: run 'narfast zoo embed'",
        "size": f"{info['bytes'] / 1e6:.1f} MB",
        "checksum": info["checksum"],
    }
    for key, value in rows.items():
        if value:
            facts.add_row(f"[bold]{key}[/bold]", value)
    console.print(facts)
    table = make_table("")
    for column in ("source", "version", "names", "distinct structures"):
        table.add_column(column, justify="left" if column in ("source", "version") else "right")
    for source, names in info["by_source"].items():
        version = info["versions"].get(source, "")
        distinct = info["distinct_by_source"][source]
        table.add_row(cell(source), cell(version), f"{names:,}", f"{distinct:,}")
    console.print(table)


def _largest(counts: Mapping[str, int], limit: int) -> str:
    shown = [f"{cell(name or '(none)')} {count:,}" for name, count in counts.items()]
    return ", ".join(shown[:limit]) + (", …" if len(shown) > limit else "")


def print_report(report: Report) -> None:
    """Print the metrics of all methods side by side, one table per task."""
    console = stdout_console()
    for result in report.results:
        cutoffs = ["20", "50", "100"]
        facts = result.to_json()
        table = make_table(
            f"{report.protocol}: {escape(result.task.description)}\n"
            f"{facts['queries']} queries, {facts['families']} families, "
            f"{facts['database']} structures"
        )
        table.add_column("method")
        for measure in ("MRR", "MAP", "NDCG"):
            for cut in cutoffs:
                table.add_column(f"{measure}@{cut}", justify="right", no_wrap=True)
        best = {
            (measure, cut): max(m[measure][cut].mean for m in result.methods.values())
            for measure in ("mrr", "map", "ndcg")
            for cut in cutoffs
        }
        for name, measures in result.methods.items():
            cells = []
            for (measure, cut), top in best.items():
                mean = measures[measure][cut].mean
                text = _fraction(mean)
                cells.append(f"[bold]{text}[/bold]" if mean == top else text)
            table.add_row(escape(name), *cells)
        console.print(table)
        uncertain = make_table("at 20: mean with its 95 % interval, and the mean over families")
        uncertain.add_column("method", no_wrap=True)
        for measure in ("MRR", "MAP", "NDCG"):
            uncertain.add_column(measure, justify="right", no_wrap=True)
            uncertain.add_column("by family", justify="right", no_wrap=True)
        for name, measures in result.methods.items():
            cells = []
            for measure in ("mrr", "map", "ndcg"):
                metric = measures[measure]["20"]
                cells.append(_interval(metric.mean, metric.low, metric.high))
                cells.append(_interval(metric.family_mean, metric.family_low, metric.family_high))
            uncertain.add_row(escape(name), *map(escape, cells))
        console.print(uncertain)
    console.print(f"seed {report.seed}, zoo {report.zoo[:16]}", style="dim")


def _fraction(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _interval(mean: float, low: float, high: float) -> str:
    return f"{_fraction(mean)} {_fraction(low)}–{_fraction(high)}"


def print_errors(
    errors: Sequence[tuple[str, str]], *, of: int | None = None, stderr: bool = True
) -> None:
    """Print the sources that could not be read.

    ``of`` is their total number if ``errors`` has only the first of them.
    """
    if not errors:
        return
    of = len(errors) if of is None else of
    some = "" if of == len(errors) else f", the first {len(errors)} are"
    console = Console(stderr=True, highlight=False, emoji=False) if stderr else stdout_console()
    table = make_table(f"{of} could not be read{some}")
    table.add_column("source", overflow="fold")
    table.add_column("reason", overflow="fold")
    for source, reason in errors:
        table.add_row(cell(source), escape(reason))
    print_table(console, table)


@contextlib.contextmanager
def spinner(text: str) -> Iterator[None]:
    """Show a spinner on an interactive stderr while the body runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(escape(text)):
        yield


@contextlib.contextmanager
def progress_bar(verb: str, unit: str) -> Iterator[UpdateBar]:
    """Yield a function that shows progress with the time left on stderr, from its first call on.

    The function takes the number of finished items, the total, and a note to show beside them. If
    stderr is not a terminal, it prints a line every few seconds instead of a bar.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False, emoji=False)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        disable=not console.is_terminal,
    )
    task: Any = None
    first = last = time.monotonic()
    first_done = 0

    def update(done: int, total: int | None, note: str = "") -> None:
        nonlocal task, last, first, first_done
        now = time.monotonic()
        if task is None:
            progress.start()
            task = progress.add_task(verb, total=total, completed=max(0, done - 1), note=note)
            first, first_done = now, done
        progress.update(task, completed=done, total=total, note=note)
        if not console.is_terminal and now - last >= _REPORT_EVERY and done > first_done:
            line = f"{verb}: {done} {unit}"
            if total is not None:
                left = (now - first) / (done - first_done) * (total - done)
                line = f"{verb}: {done} of {total} {unit}, about {left:.0f} s left"
            print(f"{line}, {note}" if note else line, file=sys.stderr, flush=True)
            last = now

    try:
        yield update
    finally:
        progress.stop()
