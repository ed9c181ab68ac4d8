"""How many networks of a library load, and how fast: one table per library.

    python benchmarks/trace_coverage.py timm torchvision [--every N] [--json FILE]

A network's time is what `narfast.load` would take before canonicalization: building it without
weights and tracing it. Importing the library is not counted; one network is loaded beforehand as a
warm-up. Processor time (one thread) is given beside wall time, which other work on the machine
inflates. Every failure is listed with its reason.
"""

from __future__ import annotations

import argparse
import collections
import json
import platform
import statistics
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from narfast.errors import NarfastError
from narfast.frontends import LIBRARIES, library
from narfast.frontends.torch_module import trace


@dataclass(frozen=True)
class Row:
    name: str
    build_s: float
    trace_s: float
    cpu_s: float
    nodes: int
    trace_kind: str
    untraced: int
    unknown_ops: dict[str, int]
    error: str = ""

    @property
    def seconds(self) -> float:
        return self.build_s + self.trace_s


def failed(name: str, reason: str) -> Row:
    return Row(name, 0.0, 0.0, 0.0, 0, "", 0, {}, reason)


def measure(source: str, name: str) -> Row:
    models = library(source)
    start, cpu = time.perf_counter(), time.process_time()
    built = start
    try:
        module, inputs = models.build(name)
        built = time.perf_counter()
        graph = trace(module, inputs, name=name, source=source, copy=False)
        models.labels(name)
    except NarfastError as error:
        return failed(name, str(error))
    except Exception as error:  # a builder of the library itself failed
        return failed(name, f"{type(error).__name__}: {error}")
    meta = graph.meta
    return Row(
        name,
        built - start,
        time.perf_counter() - built,
        time.process_time() - cpu,
        graph.num_nodes,
        meta.trace_kind,
        meta.untraced,
        meta.unknown_ops,
    )


def report(source: str, rows: list[Row]) -> None:
    loaded = [r for r in rows if not r.error]
    kinds = collections.Counter(r.trace_kind for r in loaded)
    unknown: collections.Counter[str] = collections.Counter()
    for row in loaded:
        unknown.update(row.unknown_ops)
    print(f"\n{source} {version(source)}: {len(loaded)} of {len(rows)} loaded, {dict(kinds)}")
    for what in ("seconds", "build_s", "trace_s", "cpu_s"):
        times = sorted(getattr(r, what) for r in loaded)
        low, high = times[len(times) // 10], times[-1 - len(times) // 10]
        print(f"  {what:8} median {statistics.median(times):.3f}  10%-90% {low:.3f}-{high:.3f}")
    print(f"  unknown operators: {dict(unknown) or 'none'}")
    for row in loaded:
        if row.untraced:
            print(f"  {row.untraced} parameter tensors not reached: {row.name} ({row.trace_kind})")
    print("  slowest:")
    for row in sorted(loaded, key=lambda r: -r.seconds)[:10]:
        print(f"    {row.seconds:6.2f} s  {row.name} ({row.nodes} nodes, {row.trace_kind})")
    for row in rows:
        if row.error:
            print(f"  FAILED {row.name}: {row.error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", default=list(LIBRARIES))
    parser.add_argument("--every", type=int, default=1, help="take every N-th name")
    parser.add_argument("--json", type=Path, help="write all rows here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    results: dict[str, list[Row]] = {}
    for source in options.sources:
        names = library(source).list_names()[:: options.every]
        measure(source, "resnet18")
        results[source] = []
        for i, name in enumerate(names):
            results[source].append(measure(source, name))
            if sys.stderr.isatty() or i % 100 == 0:
                print(f"\r{source} {i + 1}/{len(names)}", end="", file=sys.stderr, flush=True)
        report(source, results[source])
    if options.json:
        machine = {"processor": platform.processor(), "python": platform.python_version()}
        versions = {name: version(name) for name in ("torch", *options.sources)}
        rows = {source: [asdict(r) for r in found] for source, found in results.items()}
        text = json.dumps({"machine": machine, "versions": versions, "rows": rows}, indent=1)
        options.json.write_text(text)


if __name__ == "__main__":
    main()
