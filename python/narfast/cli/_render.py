"""What the ``narfast`` command shows to people: tables, and progress with the time left."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape, render
from rich.table import Table

if TYPE_CHECKING:
    from narfast.encoder.calibration import Relation
    from narfast.evaluation import Report
    from narfast.explain import NetworkSummary, SharedMotif
    from narfast.graph import ArchGraph
    from narfast.zoo import Hit

__all__ = [
    "UpdateBar",
    "print_errors",
    "print_hits",
    "print_report",
    "print_summary",
    "print_zoo_info",
    "progress_bar",
    "short_count",
    "spinner",
]


class UpdateBar(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Show how many are done, of how many if that is known, and a note beside them."""


_MOTIF_ROWS = 20
_INPUTS = 12  # whose shapes are shown
_SHARED_ROWS = 8
_SHARED_HITS = 5
_LEVEL = "operators and connections are equal, widths and exact kernel sizes may differ"
_LAID_OUT = 200  # rows of a table that rich lays out
_MARKUP = re.compile(r"[\[\\\n]")
_REPORT_EVERY = 10.0  # seconds between progress lines where no bar can be drawn


def short_count(value: int | None) -> str:
    """Write a large number as people do: 25557032 -> 25.6M."""
    if value is None:
        return "–"
    for limit, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return str(value)


def print_hits(
    query: ArchGraph,
    hits: Sequence[Hit],
    relations: Sequence[Relation | None],
    shared: Sequence[Sequence[SharedMotif]],
) -> None:
    """Show the hits, and below them the motifs that the query has in common with the best."""
    console = _console()
    title = query.meta.name or "query"
    table = _table(f"Networks most like {escape(title)} ({query.num_nodes} operators)")
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    words = [None if relation is None else relation.word for relation in relations]
    percentiles = [None if relation is None else relation.percentile for relation in relations]
    measured = any(percentile is not None for percentile in percentiles)
    if any(words):
        table.add_column("relation")
    if measured:
        table.add_column("closer than", justify="right")
    table.add_column("name", overflow="fold")
    for column in ("family", "library"):
        table.add_column(column, overflow="fold")
    table.add_column("params", justify="right")
    for place, (hit, word, percentile) in enumerate(zip(hits, words, percentiles, strict=True), 1):
        others = len(hit.ids) - 1
        table.add_row(
            str(place),
            f"{hit.score:.4f}",
            *([word or "–"] if any(words) else []),
            *(["–" if percentile is None else f"{percentile:.1f} %"] if measured else []),
            escape(hit.name) + (f" [dim]+{others} more[/dim]" if others else ""),
            escape(hit.family or "–"),
            escape(hit.source),
            short_count(hit.params),
        )
    notes = {
        "closer than: share of nearest neighbours in the zoo of the calibration": measured,
        f"same structure: {_LEVEL}": "same structure" in words,
        f"more: names of the same structure; {_LEVEL}": "same structure" not in words
        and any(len(hit.ids) > 1 for hit in hits),
        "shares blocks: the score is low, yet blocks in common make up a tenth of one or the "
        "other": "shares blocks" in words,
    }
    _print(console, table)
    for note, applies in notes.items():
        if applies:
            console.print(note, style="dim italic")
    _print_shared(console, hits, shared)


def _print_shared(
    console: Console, hits: Sequence[Hit], shared: Sequence[Sequence[SharedMotif]]
) -> None:
    table = _table("Why: motifs shared with the best hits (times in the query / in each hit)")
    table.add_column("motif")
    table.add_column("size", justify="right")
    table.add_column("query", justify="right")
    best = list(zip(hits, shared, strict=True))[:_SHARED_HITS]
    for place in range(1, len(best) + 1):
        table.add_column(f"#{place}", justify="right")
    table.add_column("operators", overflow="fold")
    weight: dict[str, int] = {}
    sample: dict[str, SharedMotif] = {}
    query_count: dict[str, int] = {}
    for _, motifs in best:
        for motif in motifs:
            gain = motif.size * min(motif.count, motif.query_count)
            weight[motif.motif_id] = weight.get(motif.motif_id, 0) + gain
            sample[motif.motif_id] = motif
            # What is left of the query to compare without attributes differs from hit to hit.
            query_count[motif.motif_id] = max(motif.query_count, query_count.get(motif.motif_id, 0))
    counts = [{motif.motif_id: motif.count for motif in motifs} for _, motifs in best]
    rows = sorted(sample, key=lambda key: (-weight[key], key))
    for key in rows[:_SHARED_ROWS]:
        motif = sample[key]
        table.add_row(
            ("" if motif.exact else "≈ ") + key[:8],
            str(motif.size),
            str(query_count[key]),
            *(str(found.get(key, "")) for found in counts),
            escape(motif.operators),
        )
    if not all(sample[key].exact for key in rows[:_SHARED_ROWS]):
        table.caption = "≈ the same operators with other attributes (widths, kernels, groups)"
        table.caption_justify = "left"
    if rows:
        console.print(table)
    elif hits:
        console.print("The query shares no motif with the best hits.")


def print_summary(summary: NetworkSummary) -> None:
    """Show one network: facts, operators, motifs, macro graph."""
    console = _console()
    facts = Table.grid(padding=(0, 2))
    shapes = [" × ".join(map(str, shape)) or "scalar" for shape in summary.input_shapes]
    more = f", … ({len(shapes) - _INPUTS} more)" if len(shapes) > _INPUTS else ""
    unknown = sum(summary.unknown_ops.values())
    rows = {
        "network": escape(summary.name or "–"),
        "source": escape(summary.source or "–") + f" (trace: {escape(summary.trace_kind or '–')})",
        "family, task": escape(f"{summary.family or '–'}, {summary.task or '–'}"),
        "parameters": short_count(summary.params),
        "inputs" if len(shapes) > 1 else "input": (", ".join(shapes[:_INPUTS]) or "–") + more,
        "graph": f"{summary.nodes} operators, {summary.edges} edges",
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
    table = _table("Motifs, largest share first")
    table.add_column("motif")
    table.add_column("size", justify="right")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right")
    table.add_column("operators", overflow="fold")
    for motif in summary.motifs[:_MOTIF_ROWS]:
        share = motif.size * motif.count / max(1, summary.nodes)
        table.add_row(
            motif.motif_id[:8],
            str(motif.size),
            str(motif.count),
            f"{share:.0%}",
            escape(motif.operators),
        )
    if len(summary.motifs) > _MOTIF_ROWS:
        table.caption = f"and {len(summary.motifs) - _MOTIF_ROWS} smaller motifs"
    console.print(table)


def print_zoo_info(info: Mapping[str, Any]) -> None:
    """Show what a zoo holds."""
    console = _console()
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
    table = _table("")
    for column in ("source", "version", "names", "distinct structures"):
        table.add_column(column, justify="left" if column in ("source", "version") else "right")
    for source, names in info["by_source"].items():
        version = info["versions"].get(source, "")
        distinct = info["distinct_by_source"][source]
        table.add_row(escape(source), escape(version), f"{names:,}", f"{distinct:,}")
    console.print(table)


def _largest(counts: Mapping[str, int], limit: int) -> str:
    shown = [f"{escape(name or '(none)')} {count:,}" for name, count in counts.items()]
    return ", ".join(shown[:limit]) + (", …" if len(shown) > limit else "")


def print_report(report: Report) -> None:
    """Show every method's metrics side by side, one table per setting."""
    console = _console()
    for result in report.results:
        cutoffs = ["20", "50", "100"]
        facts = result.to_json()
        table = _table(
            f"{report.protocol}: {escape(result.setting.description)}\n"
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
        uncertain = _table("at 20: mean with its 95 % interval, and the mean over families")
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
    """Show what could not be read, or the first of it; ``of`` is then how many there are."""
    if not errors:
        return
    of = len(errors) if of is None else of
    some = "" if of == len(errors) else f", the first {len(errors)} are"
    console = Console(stderr=True, highlight=False, emoji=False) if stderr else _console()
    table = _table(f"{of} could not be read{some}")
    table.add_column("source", overflow="fold")
    table.add_column("reason", overflow="fold")
    for source, reason in errors:
        table.add_row(escape(source), escape(reason))
    _print(console, table)


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
    """Show progress with the time left on stderr, from the first call of what is yielded on.

    What is yielded takes how many are done, of how many, and a note to show beside them. Where
    stderr is no terminal, a line every few seconds takes the bar's place.
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
    begun = 0

    def update(done: int, total: int | None, note: str = "") -> None:
        nonlocal task, last, first, begun
        now = time.monotonic()
        if task is None:
            progress.start()
            task = progress.add_task(verb, total=total, completed=max(0, done - 1), note=note)
            first, begun = now, done
        progress.update(task, completed=done, total=total, note=note)
        if not console.is_terminal and now - last >= _REPORT_EVERY and done > begun:
            line = f"{verb}: {done} {unit}"
            if total is not None:
                left = (now - first) / (done - begun) * (total - done)
                line = f"{verb}: {done} of {total} {unit}, about {left:.0f} s left"
            print(f"{line}, {note}" if note else line, file=sys.stderr, flush=True)
            last = now

    try:
        yield update
    finally:
        progress.stop()


def _console() -> Console:
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal and console.width < 120:
        console = Console(
            highlight=False, emoji=False, width=120
        )  # a file or pipe has no edge to wrap at
    return console


def _print(console: Console, table: Table) -> None:
    """Print a table; a long one, whose layout by rich takes a millisecond a row, as plain text."""
    if table.row_count <= _LAID_OUT:
        console.print(table)
        return
    columns = []
    for column in table.columns:
        cells = [_plain_text(str(cell)) for cell in (column.header, *column.cells)]
        lengths = list(map(cell_len, cells))
        width = max(lengths)
        pads = [" " * (width - length) for length in lengths]
        right = column.justify == "right"
        columns.append([p + c if right else c + p for c, p in zip(cells, pads, strict=True)])
    lines = ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
    console.file.write("\n".join((_plain_text(str(table.title)), *lines)) + "\n")


def _plain_text(markup: str) -> str:
    if not _MARKUP.search(markup):
        return markup
    return " ".join(render(markup, emoji=False).plain.split("\n"))


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
