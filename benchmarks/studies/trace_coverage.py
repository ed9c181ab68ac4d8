"""How many networks of a library load, and how fast: one table per library.

    python benchmarks/studies/trace_coverage.py timm torchvision [--every N] [--json FILE]
    python benchmarks/studies/trace_coverage.py --journal ZOO.journal [--json FILE] [--table]

A network's time is what `narfast.load` would take before canonicalization: building it without
weights and tracing it. Importing the library is not counted; one network is loaded beforehand as a
warm-up. Processor time (one thread) is given beside wall time, which other work on the machine
inflates. Every failure is listed with its reason.

``--journal`` reads what ``narfast zoo build --keep-journal`` noted of every network instead:
processor time in its worker, the first network of a worker left out since it imports the library.
``--table`` writes the table of docs/results.md.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import platform
import statistics
import sys
import time
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from narfast.errors import NarfastError
from narfast.reading.graph_codec import unpack_graph
from narfast.sources.loader import library, load_raw
from narfast.sources.registry import LIBRARIES, library_version

BEGIN, END = (
    "<!-- tracing: made by benchmarks/studies/trace_coverage.py -->",
    "<!-- tracing ends -->",
)


@dataclass(frozen=True)
class Row:
    name: str
    wall_s: float
    cpu_s: float
    nodes: int
    trace_kind: str
    untraced: int
    unknown_ops: dict[str, int]
    error: str = ""


def failed(name: str, reason: str) -> Row:
    return Row(name, 0.0, 0.0, 0, "", 0, {}, reason)


def measure(source: str, name: str) -> Row:
    start, cpu = time.perf_counter(), time.process_time()
    try:
        graph = load_raw(f"{source}:{name}")
    except NarfastError as error:
        return failed(name, str(error))
    seconds, processor = time.perf_counter() - start, time.process_time() - cpu
    meta = graph.meta
    return Row(
        name,
        seconds,
        processor,
        graph.num_nodes,
        meta.trace_kind,
        meta.untraced,
        meta.unknown_ops,
    )


def from_journal(path: Path) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            value = json.loads(line)["line"]
            identifier = value.get("id") or value.get("failed")
            if identifier is None:
                continue
            source, _, name = identifier.partition(":")
            if "failed" in value:
                row = failed(name, value["reason"])
            else:
                meta, seconds = value["meta"], value["seconds"]
                nodes = unpack_graph(value)[1].num_nodes
                unknown = meta["unknown_ops"]
                row = Row(name, 0.0, seconds, nodes, meta["trace_kind"], meta["untraced"], unknown)
            rows.setdefault(source, []).append(row)
    return rows


def summarize(source: str, rows: list[Row]) -> dict[str, Any]:
    loaded = [r for r in rows if not r.error]
    unknown: collections.Counter[str] = collections.Counter()
    for row in loaded:
        unknown.update(row.unknown_ops)
    times = {}
    for what in ("wall_s", "cpu_s"):
        values = sorted(getattr(r, what) for r in loaded if getattr(r, what))
        if not values:
            continue
        low, high = values[len(values) // 10], values[-1 - len(values) // 10]
        times[what] = {"median": statistics.median(values), "p10": low, "p90": high}
    slowest = sorted(loaded, key=lambda r: -r.cpu_s)[:10]
    types: dict[str, bool] = {}
    if source == "transformers":
        from narfast.sources.libraries.transformers.catalog import entries

        for row in rows:
            model_type = entries()[row.name].model_type
            types[model_type] = types.get(model_type, False) or not row.error
    return {
        "version": library_version(source),
        "model_types": len(types),
        "model_types_loaded": sum(types.values()),
        "names": len(rows),
        "loaded": len(loaded),
        "trace_kinds": dict(collections.Counter(r.trace_kind for r in loaded)),
        "times": times,
        "unknown_ops": dict(unknown),
        "untraced": {r.name: r.untraced for r in loaded if r.untraced},
        "slowest": {r.name: {"cpu_s": r.cpu_s, "nodes": r.nodes} for r in slowest},
        "failed": {r.name: r.error for r in rows if r.error},
    }


def report(source: str, summary: dict[str, Any]) -> None:
    names, loaded, kinds = (summary[k] for k in ("names", "loaded", "trace_kinds"))
    print(f"\n{source} {summary['version']}: {loaded} of {names} loaded, {kinds}")
    if summary["model_types"]:
        print(f"  model types: {summary['model_types_loaded']} of {summary['model_types']} loaded")
    for what, t in summary["times"].items():
        print(f"  {what:8} median {t['median']:.3f}  10%-90% {t['p10']:.3f}-{t['p90']:.3f}")
    print(f"  unknown operators: {summary['unknown_ops'] or 'none'}")
    print(f"  parameter tensors not reached: {len(summary['untraced'])} names")
    print("  slowest:")
    for name, row in summary["slowest"].items():
        print(f"    {row['cpu_s']:6.2f} s of processor time  {name} ({row['nodes']} nodes)")
    for name, reason in summary["failed"].items():
        print(f"  FAILED {name}: {reason}")


def table(summaries: dict[str, dict[str, Any]], median: float) -> str:
    """The table of docs/results.md: a line for each library, and its ten slowest networks."""
    lines = [
        "| library | loaded | median | 90 % below | ways other than the first |",
        "|---|--:|--:|--:|---|",
    ]
    slow = []
    for source, s in summaries.items():
        kinds = {k: n for k, n in s["trace_kinds"].items() if k not in ("autograd", "generated")}
        if set(s["trace_kinds"]) == {"generated"}:
            continue
        times = s["times"]["cpu_s"]
        ways = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())) or "none"
        lines.append(
            f"| {source} {s['version']} | {s['loaded']:,} of {s['names']:,} | "
            f"{times['median']:.2f} s | {times['p90']:.2f} s | {ways} |"
        )
        names = (f"{n} {row['cpu_s']:.1f}" for n, row in s["slowest"].items())
        slow.append(f"- {source}: {', '.join(names)}")
    types = summaries.get("transformers", {})
    if types.get("model_types"):
        lines += [
            "",
            f"Of transformers' {types['model_types']} model types {types['model_types_loaded']} "
            f"load ({types['model_types_loaded'] / types['model_types']:.1%}).",
        ]
    lines += ["", f"The median of all networks is {median:.2f} s."]
    return "\n".join([*lines, "", "The ten slowest of each, in seconds:", "", *slow]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", default=list(LIBRARIES))
    parser.add_argument("--every", type=int, default=1, help="take every N-th name")
    parser.add_argument("--journal", type=Path, help="read this instead of measuring")
    parser.add_argument("--json", type=Path, help="write the summary here")
    parser.add_argument("--table", action="store_true", help="write the table of docs/results.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    summaries: dict[str, dict[str, Any]] = {}
    seconds: list[float] = []
    if options.journal:
        for source, rows in sorted(from_journal(options.journal).items()):
            summaries[source] = summarize(source, rows)
            report(source, summaries[source])
            seconds += [row.cpu_s for row in rows if row.cpu_s]
    for source in () if options.journal else options.sources:
        names = library(source).list_names()[:: options.every]
        measure(source, names[0])
        rows = []
        for i, name in enumerate(names):
            rows.append(measure(source, name))
            if sys.stderr.isatty() or i % 100 == 0:
                print(f"\r{source} {i + 1}/{len(names)}", end="", file=sys.stderr, flush=True)
        summaries[source] = summarize(source, rows)
        report(source, summaries[source])
        seconds += [row.cpu_s for row in rows if row.cpu_s]
    if options.table:
        page = Path(__file__).parents[2] / "docs" / "results.md"
        head, rest = page.read_text(encoding="utf-8").split(BEGIN)
        tail = rest.split(END)[1]
        page.write_text(
            f"{head}{BEGIN}\n{table(summaries, statistics.median(seconds))}{END}{tail}",
            encoding="utf-8",
        )
    if options.json:
        facts = {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg(),
            "python": platform.python_version(),
            "torch": version("torch"),
        }
        options.json.write_text(json.dumps({**facts, "sources": summaries}, indent=1) + "\n")


if __name__ == "__main__":
    main()
