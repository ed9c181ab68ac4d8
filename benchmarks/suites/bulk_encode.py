"""Encodes whole collections as ``narfast encode`` does: time, networks a second, memory over time.

The stored graphs of the shipped zoo, every network of NAS-Bench-101 (generated, canonicalized,
mined, encoded, written), and a million stored graphs: the zoo's, repeated. Each collection is
encoded in a process of its own, so that its memory is its own. Ten thousand small ONNX files are
encoded from disk by one worker and by more, in turns. Stages are timed apart on a sample, in one
thread.

    python benchmarks/suites/bulk_encode.py [--workers N] [--share S] [--only PART ...] [--out FILE]

``--share 0.1`` encodes the first tenth of NAS-Bench-101 and says so in its results. With ``--only``
the other parts of an earlier FILE stay.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from narfast.bulk import Block, Inputs, LocalEngine, ReadingLimits, encode_to_parquet
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.graph import canonicalize, hash_texts, structural_hash
from narfast.motifs import coarsen, mine
from narfast.search_spaces import nasbench101
from narfast.sources.registry import library_versions
from narfast.zoo import Zoo

MOMENTS = 10  # at which memory is looked at
SAMPLE = 8  # blocks whose stages are timed
ROOT = Path(__file__).parents[2]
EXPORTS = ROOT / "tests" / "data" / "onnx_exports.zip"
LARGEST_EXPORT = 100_000  # bytes
PARTS = ("stages", "zoo", "nasbench101", "stored", "onnx")


@dataclass(frozen=True)
class Share(Inputs):
    """The first part of a collection's blocks, or its blocks several times over."""

    part: float = 1.0

    def blocks(self) -> Iterator[Block]:
        whole = list(super().blocks())
        wanted = round(self.part * len(whole))
        for number in range(wanted):
            yield whole[number % len(whole)]

    def total(self) -> int:
        return sum(map(len, self.blocks()))


def resident() -> float:
    """Memory that this process holds, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def encode(inputs: Share, workers: int) -> dict[str, Any]:
    """Encode a collection into a table and measure it."""
    begin = time.perf_counter()
    encoder = ArchitectureEncoder.from_pretrained()
    engine = LocalEngine(encoder, workers, ReadingLimits())
    total = inputs.total()
    ready = time.perf_counter()
    memory: list[tuple[int, float]] = []

    def look(done: int, _: int | None) -> None:
        if done >= len(memory) * total / MOMENTS:
            memory.append((done, round(resident())))
            seconds = time.perf_counter() - ready
            print(f"  {done:,} of {total:,}: {seconds:.0f} s, {memory[-1][1]:.0f} MB", flush=True)

    cpu = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out.parquet")
        report = encode_to_parquet(inputs, output, engine, progress=look)
        size = output.stat().st_size
    seconds = time.perf_counter() - ready
    return {
        "networks": report.rows,
        "errors": report.failed,
        "seconds": round(seconds, 2),
        "processor_seconds": round(time.process_time() - cpu, 1),
        "networks_per_second": round(report.rows / seconds),
        "start_seconds": round(ready - begin, 1),
        "distinct_motifs_in_memory": len(encoder.motif_cache),
        "table_bytes": size,
        "memory_mb": memory,
    }


def stages() -> dict[str, float]:
    """Microseconds per network of NAS-Bench-101 in each stage, one thread, cold motif cache.

    What the encoder does inside is found by difference: networks whose motifs are known cost what
    encoding macro graphs does, beside mining, coarsening and structural features.
    """
    encoder = ArchitectureEncoder.from_pretrained()
    idf, config = encoder._weights.label_idf(), encoder.config
    assert idf is not None
    spent: dict[str, float] = defaultdict(float)
    networks = 0

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = work()
        spent[stage] += time.perf_counter() - begin
        return result

    blocks = list(Inputs(["nasbench101:all"]).blocks())
    chosen = [blocks[i] for i in np.linspace(0, len(blocks) - 2, SAMPLE + 1).astype(int)]
    for number, block in enumerate(chosen):
        if number == 1:  # the first one only warms up
            spent.clear()
            networks = 0
        cells = nasbench101.cells()[block.start : block.stop]
        raw = timed("generate", lambda cells=cells: nasbench101.networks(cells))
        graphs = timed("canonicalize", lambda raw=raw: canonicalize(raw))
        timed("hash", lambda graphs=graphs: hash_texts(structural_hash(graphs)))
        found = timed("mine", lambda graphs=graphs: mine(graphs, method=config.miner))
        timed("coarsen", lambda graphs=graphs, found=found: coarsen(graphs, found))
        timed("structural features", lambda graphs=graphs: idf.features(graphs, config.wide_dim))
        for stage in ("encode", "encode known motifs"):
            timed(stage, lambda graphs=graphs: encoder.encode(graphs, num_threads=1))
        encoder.motif_cache.clear()
        networks += len(block)
    known = spent.pop("encode known motifs")
    spent["encode motifs"] = spent.pop("encode") - known
    inside = ("mine", "coarsen", "structural features")
    spent["encode macro graphs"] = known - sum(spent[stage] for stage in inside)
    return {stage: round(1e6 * seconds / networks, 1) for stage, seconds in spent.items()}


def onnx_files(count: int, workers: list[int], rounds: int) -> dict[str, Any]:
    """Seconds of encoding so many small ONNX files from disk, worker counts in turns.

    The files are exports of common networks, each under many names; every turn begins in a fresh
    process, so that no motif is known. The files were just written: the disk itself is not
    measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = write_onnx_files(Path(folder), count)
        size = sum(path.stat().st_size for path in paths)
        inputs = Share([str(path) for path in paths])
        taken: dict[int, list[float]] = {number: [] for number in workers}
        for _ in range(rounds):
            for number in workers:
                made = apart(encode, inputs, number)
                if made["errors"]:
                    raise SystemExit(f"{made['errors']} of {count:,} ONNX files could not be read")
                taken[number].append(made["seconds"])
                print(f"  {number} workers: {made['seconds']} s", flush=True)
    medians = {number: float(np.median(each)) for number, each in taken.items()}
    return {
        "files": count,
        "bytes": size,
        "workers": {
            str(number): {
                "seconds": taken[number],
                "median_seconds": round(seconds, 2),
                "files_per_second": round(count / seconds),
                "times_as_fast": round(medians[workers[0]] / seconds, 3),
            }
            for number, seconds in medians.items()
        },
    }


def write_onnx_files(folder: Path, count: int) -> list[Path]:
    """The smaller exports of the tests' archive, again and again under other names."""
    with zipfile.ZipFile(EXPORTS) as archive:
        small = [info for info in archive.infolist() if info.file_size <= LARGEST_EXPORT]
        exports = [archive.read(info) for info in small]
    paths = [folder / f"{number:06}.onnx" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(exports[number % len(exports)])
    return paths


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--share", type=float, default=1.0, help="of NAS-Bench-101")
    parser.add_argument(
        "--stored", type=int, default=1_000_000, help="stored graphs, the zoo's repeated"
    )
    parser.add_argument("--files", type=int, default=10_000, help="ONNX files")
    parser.add_argument("--rounds", type=int, default=3, help="of each worker count, ONNX files")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, help="where to write the numbers")
    options = parser.parse_args()

    report: dict[str, Any] = {}
    if options.out and options.out.exists() and options.only != PARTS:
        report = json.loads(options.out.read_text(encoding="utf-8"))
    report |= {
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load_before": round(os.getloadavg()[0], 1),
        },
        "python": platform.python_version(),
        "versions": library_versions(),
        "workers": options.workers,
    }
    report.pop("torch", None)
    if "nasbench101" in options.only:
        report["share_of_nasbench101"] = options.share
    inputs = {
        "zoo": Share(["zoo:all"]),
        "nasbench101": Share(["nasbench101:all"], part=options.share),
        "stored": Share(["zoo:all"], part=options.stored / len(Zoo.open())),
    }
    for name in options.only:
        print(name, flush=True)
        if name == "stages":
            report["stages_us"] = apart(stages)
            for stage, microseconds in report["stages_us"].items():
                print(f"  {stage:20}{microseconds:8.1f} us", flush=True)
        elif name == "onnx":
            workers = sorted({1, options.workers})
            report["onnx"] = onnx_files(options.files, workers, options.rounds)
            print(json.dumps(report["onnx"]["workers"]), flush=True)
        else:
            made = report[name] = apart(encode, inputs[name], options.workers)
            print(
                f"{name}: {made['networks']:,} networks in {made['seconds']} s, "
                f"{made['networks_per_second']:,} a second",
                flush=True,
            )
        if options.out:
            options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
