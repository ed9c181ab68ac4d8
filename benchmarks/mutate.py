"""Reads thousands of damaged files and says how each reader took them.

    python benchmarks/mutate.py --count 20000 --out benchmarks/results/mutations.json
    python benchmarks/mutate.py --case zoo:123 --keep /tmp/case   # one file again, kept for a look
    python benchmarks/tables.py                                    # the table in SECURITY.md

Whole files of every kind are damaged by a seed, checksums are computed anew where a hostile author
would, and the result is read as the commands do, in worker processes. Expected is a network or a
`NarfastError` of one line. Any other exception, a signal, more than 30 s and more than 2 GB are
failures; with one of them the exit code is 1.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mutations import Mutation, ways_for

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"
LIMITS = {"seconds": 30.0, "bytes": 2_000_000_000}
HEADROOM = 4 << 30  # address space of a worker above what it starts with
OUTCOMES = ("read", "refused", "exception", "signal", "over time", "over memory")
RENEW = 2_000  # cases of one worker process

sys.path.insert(0, str(ROOT / "tests"))  # a small encoder

Files = dict[str, bytes]


# ---- whole files, and how each kind is read


def networks() -> list[Any]:
    """A dozen small networks of the shipped zoo."""
    from narfast.zoo import Zoo

    zoo = Zoo.open("default")
    rows = sorted((entry.nodes, entry.row) for entry in zoo)[: 12 * 40 : 40]
    return [zoo[row] for _, row in rows]


def pt2_files() -> Iterator[Files]:
    """Two programs exported by torch."""
    import warnings

    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            x = self.norm(self.conv(x)).relu().flatten(2).transpose(1, 2)
            return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.cells = nn.Embedding(9, 4), nn.LSTM(4, 4, 2, batch_first=True)

        def forward(self, x: Any) -> Any:
            return torch.einsum("btc,bsc->bts", *[self.cells(self.embedding(x))[0]] * 2)

    inputs = (torch.rand(1, 3, 8, 8), torch.zeros(1, 5, dtype=torch.int64))
    for module, example in zip((Block(), Recurrent()), inputs, strict=True):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(folder, "net.pt2")
            torch.export.save(torch.export.export(module.eval(), (example,)), path)
            yield {"net.pt2": path.read_bytes()}


def record_files() -> Iterator[Files]:
    """NNRetrieval records in both forms."""
    lines = gzip.decompress((DATA / "nnretrieval_motifs.jsonl.gz").read_bytes()).splitlines()
    records = sorted(map(json.loads, lines), key=lambda record: len(record["raw_edges"]))
    for record in (records[0], records[len(records) // 2]):
        raw = {"name": record["name"], "raw_edges": record["raw_edges"]}
        place = {name: number for number, name in enumerate(record["clean_nodes"])}
        edges = [[place.get(a, a), place.get(b, b)] for a, b in record["clean_edges"]]
        clean = {"unique_nodes": record["clean_nodes"], "edge_index": edges}
        for document in (raw, clean):
            yield {"record.json": json.dumps(document).encode()}


def onnx_files() -> Iterator[Files]:
    """The three smallest files that the tests keep."""
    with zipfile.ZipFile(DATA / "onnx_exports.zip") as archive:
        small = sorted(archive.infolist(), key=lambda entry: (entry.file_size, entry.filename))
        for entry in [entry for entry in small if entry.filename.endswith(".onnx")][:3]:
            yield {"net.onnx": archive.read(entry)}


def zoo_files() -> Iterator[Files]:
    """A zoo with stored vectors, without and with an HNSW index."""
    import numpy as np

    from narfast.zoo import Zoo
    from narfast.zoo.records import Failure
    from narfast.zoo.store import ZooContents, write_zoo

    entries = networks()
    contents = ZooContents.from_networks(
        [(record, entry.graph) for entry in entries for record in entry.records[:2]],
        errors=[Failure("timm:x", "too large")],
    )
    shipped = Zoo.open("default")
    contents = replace(
        contents,
        embeddings=np.stack([shipped[key].embedding for key in contents.groups]),
        encoder=dict(shipped.manifest.encoder or {}),
    )
    for exact_limit in (100, 0):
        with tempfile.TemporaryDirectory() as folder:
            write_zoo(Path(folder, "zoo"), contents, exact_limit=exact_limit)
            yield {path.name: path.read_bytes() for path in sorted(Path(folder, "zoo").iterdir())}


def encoder_files() -> Iterator[Files]:
    """A small encoder as initialized, with thresholds, with and without structural features."""
    from narfast.calibration import Calibration
    from test_encoder import make_encoder

    for wide in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            make_encoder(wide=wide).save_pretrained(folder)
            Calibration(same_family=0.9, related=0.7, nearest=(0.1, 0.5, 0.9)).save(folder)
            yield {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


class _Engine:
    """Stands in for the encoder of a bulk run: how tables are read is what is asked here."""

    dim, fingerprint = 4, "0" * 64

    def tables(self, blocks: Any) -> Iterator[Any]:
        import numpy as np

        from narfast.bulk.tables import row_table

        for block in blocks:
            rows = [(source, source, "0" * 32, 1, 1, None) for source in block.sources()]
            yield row_table(rows, np.zeros((len(rows), self.dim), np.float32), self.fingerprint)


SOURCES = [f"timm:network_{number}" for number in range(40)]


def table_files() -> Iterator[Files]:
    """Lists of sources, the output of a bulk run, and the parts of one that was killed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from narfast.bulk import Inputs, encode_to_parquet

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sources.parquet")
        pq.write_table(pa.table({"source": SOURCES, "note": SOURCES}), path)
        yield {"sources.parquet": path.read_bytes()}
        lines = ["source,reason", *(f'{source},"a, b"' for source in SOURCES)]
        yield {"sources.csv": "\n".join(lines).encode()}
        yield {"sources.txt": "\n".join(SOURCES).encode()}
        output = Path(folder, "out.parquet")
        encode_to_parquet(Inputs(SOURCES[:30]), output, _Engine())
        table = output.read_bytes()
        yield {"out.parquet": table}
        errors = "\n".join(["source,reason", *(f"{source},gone" for source in SOURCES[30:])])
        yield {"out.parquet": table, "out.parquet.errors.csv": errors.encode()}
        part = pq.read_table(output).append_column("error", pa.nulls(30, pa.string()))
        pq.write_table(part, Path(folder, "part"), use_dictionary=False)
        yield {"out.parquet.parts/000000.parquet": Path(folder, "part").read_bytes()}


def read_network(folder: Path) -> None:
    """As ``narfast inspect`` does."""
    import narfast
    from narfast.explain import summarize

    (path,) = folder.iterdir()
    summarize(narfast.load(str(path)))


def read_zoo(folder: Path) -> None:
    """As ``zoo verify``, ``zoo info``, ``zoo errors``, ``zoo export`` and ``search`` do."""
    from narfast.calibration import relations_of
    from narfast.explain import shared_motifs
    from narfast.zoo import Zoo
    from narfast.zoo.export import export_zoo

    zoo = Zoo.open(folder)

    def search() -> None:
        query = next(iter(zoo))
        hits = zoo.search(query.id, 3)
        zoo.search(query.id, 3, where=lambda record: (record.params or 0) >= 0)
        shared = shared_motifs(query.graph, [zoo[hit.structural_hash].graph for hit in hits])
        relations_of(zoo, query.graph, hits, shared)

    every(
        zoo.verify,
        zoo.info,
        lambda: zoo.errors,
        lambda: zoo.graph_rows(0, len(zoo)),
        lambda: export_zoo(zoo, folder.with_name("result.parquet"), "parquet"),
        search,
    )


def read_encoder(folder: Path) -> None:
    """Open it, encode with it, and say what a score means."""
    from narfast.calibration import Calibration
    from narfast.encoder import ArchitectureEncoder

    def thresholds() -> None:
        found = Calibration.load(folder)
        if found is not None:
            found.word(0.8, same_structure=False)
            found.percentile(0.8)

    every(
        thresholds,
        lambda: ArchitectureEncoder.from_pretrained(folder).encode(query_graphs(), num_threads=1),
    )


_GRAPHS: list[Any] = []


def query_graphs() -> list[Any]:
    if not _GRAPHS:
        _GRAPHS.extend(entry.graph for entry in networks()[:2])
    return _GRAPHS


def read_tables(folder: Path) -> None:
    """As ``narfast encode --from LIST`` and ``--resume`` do."""
    from narfast.bulk import Inputs, encode_to_parquet

    lists = [str(path) for path in folder.glob("sources.*")]
    inputs = Inputs((), lists) if lists else Inputs(SOURCES)
    encode_to_parquet(inputs, folder / "out.parquet", _Engine(), resume=True)


def every(*steps: Callable[[], object]) -> None:
    """Take every step, whatever is refused on the way; raise the first refusal in the end."""
    from narfast.errors import NarfastError

    refused: list[NarfastError] = []
    for step in steps:
        try:
            step()
        except NarfastError as error:
            refused.append(error)
    if refused:
        raise refused[0]


# ---- checksums computed anew


def seal_nothing(files: Files) -> None:
    """These files have no checksums."""


def seal_zoo(files: Files) -> None:
    """Sizes and SHA-256 of the files, and of the manifest."""

    def seal(document: Any) -> None:
        for name, facts in document["files"].items():
            data = files[name]
            facts.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        body = {key: value for key, value in document.items() if key != "checksum"}
        document["checksum"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    change_document(files, "manifest.json", seal)


def seal_encoder(files: Files) -> None:
    """SHA-256 of the weights, and the fingerprint of settings and weights."""

    def seal(document: Any) -> None:
        weights = hashlib.sha256(files["model.safetensors"])
        settings = json.dumps(document["encoder"], sort_keys=True).encode()
        document["weights_sha256"] = weights.hexdigest()
        document["fingerprint"] = hashlib.sha256(settings + weights.digest()).hexdigest()

    change_document(files, "config.json", seal)


def change_document(files: Files, name: str, change: Callable[[Any], None]) -> None:
    """Change a JSON file in place; what is no longer such a document stays as it is."""
    try:
        document = json.loads(files[name])
        change(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    files[name] = json.dumps(document).encode("utf-8", "surrogatepass")


class Kind:
    """One kind of file: whole ones, how they are sealed, how they are read."""

    def __init__(
        self,
        title: str,
        make: Callable[[], Iterator[Files]],
        read: Callable[[Path], None],
        seal: Callable[[Files], None] = seal_nothing,
    ) -> None:
        self.title, self.make, self.read, self.seal = title, make, read, seal


KINDS = {
    "pt2": Kind("`.pt2` files", pt2_files, read_network),
    "record": Kind("NNRetrieval records", record_files, read_network),
    "onnx": Kind("ONNX files", onnx_files, read_network),
    "zoo": Kind("zoo folders, checksums anew", zoo_files, read_zoo, seal_zoo),
    "encoder": Kind("encoder folders, checksums anew", encoder_files, read_encoder, seal_encoder),
    "table": Kind("lists and tables of `encode`", table_files, read_tables),
}


# ---- one case


def damaged(kind: str, number: int, seed: int, whole: Sequence[Files]) -> tuple[Files, str]:
    """The files of a case and what was done to them; a case depends on its name alone."""
    chance = random.Random(f"{seed}:{kind}:{number}")
    files = dict(chance.choice(whole))
    names = sorted(files)
    name = names[0] if len(names) == 1 else chance.choice(names)
    done = []
    for _ in range(chance.choice((1, 1, 1, 2))):
        way: Mutation = chance.choice(ways_for(name))
        with suppress(zipfile.BadZipFile, NotImplementedError, OSError, IndexError, ValueError):
            files[name] = way(files[name], chance)  # what the first has broken may stop the second
            done.append(way.__name__)
    if chance.random() < 0.95:
        KINDS[kind].seal(files)
    return files, f"{name}: {', '.join(done)}"


def write(files: Mapping[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def outcome(read: Callable[[Path], None], folder: Path) -> tuple[str, str]:
    """How a reader took a folder, and what it said."""
    from narfast.errors import NarfastError

    try:
        read(folder)
    except NarfastError as error:
        text = str(error)
        return ("exception", f"several lines: {text[:200]!r}") if "\n" in text else ("refused", "")
    except MemoryError:
        return "over memory", "MemoryError"
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        message = " ".join(str(error).split())[:200]
        return "exception", f"{type(error).__name__} in {place}: {message}"
    return "read", ""


# ---- worker processes


def work(seeds: Path, seed: int) -> None:
    """Answer each line ``KIND NUMBER`` on stdin by a line of JSON, until there are no more."""
    import logging

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries that print
    logging.getLogger("narfast").addHandler(logging.NullHandler())
    logging.getLogger("narfast").propagate = False
    import torch

    torch.set_num_threads(1)
    whole = {name: read_seeds(seeds / name) for name in KINDS if (seeds / name).is_dir()}
    for name, files in whole.items():  # what is imported and compiled once is no case's time
        for one in files:
            with tempfile.TemporaryDirectory() as folder:
                case = Path(folder, "case")
                case.mkdir()
                write(one, case)
                KINDS[name].read(case)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + HEADROOM, size + HEADROOM))
    answers.write("ready\n")
    for line in sys.stdin:
        kind, number = line.split()
        files, how = damaged(kind, int(number), seed, whole[kind])
        with tempfile.TemporaryDirectory() as folder:
            case = Path(folder, "case")
            case.mkdir()
            write(files, case)
            reset_peak()
            start = time.perf_counter()
            found, detail = outcome(KINDS[kind].read, case)
            seconds = time.perf_counter() - start
        peak = peak_bytes()
        if found in ("read", "refused") and peak > LIMITS["bytes"]:
            found, detail = "over memory", f"{peak:,} bytes"
        if found in ("read", "refused") and seconds > LIMITS["seconds"]:
            found, detail = "over time", f"{seconds:.0f} s"
        answer = {"outcome": found, "detail": detail, "how": how, "seconds": seconds, "peak": peak}
        answers.write(json.dumps(answer) + "\n")


def reset_peak() -> None:
    with suppress(OSError):  # the peak of the whole process is then shown
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def read_seeds(folder: Path) -> list[Files]:
    return [
        {
            str(path.relative_to(one)): path.read_bytes()
            for path in sorted(one.rglob("*"))
            if path.is_file()
        }
        for one in sorted(folder.iterdir())
    ]


class Worker:
    """A process that reads cases; a new one takes its place when it dies or grows old."""

    def __init__(self, seeds: Path, seed: int) -> None:
        self._command = [sys.executable, __file__, "--worker", str(seeds), "--seed", str(seed)]
        self._process: subprocess.Popen[bytes] | None = None
        self._done = 0

    def _started(self) -> subprocess.Popen[bytes]:
        if self._done >= RENEW:
            self.close()
        if self._process is None:
            threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, **threads, "PYTHONFAULTHANDLER": "1"},
            )
            self._done = 0
            if self._answer(time.monotonic() + 300) != b"ready\n":
                self._stderr.seek(0)
                raise SystemExit(f"whole files are not read: {self._stderr.read().decode()}")
        return self._process

    def _answer(self, deadline: float) -> bytes | str:
        """A line of the process, or by which limit it was ended."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        pages = resource.getpagesize()
        while True:
            if select.select([process.stdout], [], [], 0.05)[0]:
                return process.stdout.readline()
            if time.monotonic() > deadline:
                return "over time"
            with suppress(OSError, ValueError, IndexError):
                resident = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
                if int(resident) * pages > 1.5 * LIMITS["bytes"]:
                    return "over memory"

    def run(self, kind: str, number: int) -> dict[str, Any]:
        """Have one case read."""
        process = self._started()
        assert process.stdin is not None
        start = time.monotonic()
        process.stdin.write(f"{kind} {number}\n".encode())
        process.stdin.flush()
        # A machine under load may starve a worker: processor time counts, not the clock.
        answer = self._answer(start + 2 * LIMITS["seconds"])
        self._done += 1
        if isinstance(answer, bytes) and answer:
            result: dict[str, Any] = json.loads(answer)
            return result
        seconds = time.monotonic() - start
        if isinstance(answer, str):
            self.close()
            return {"outcome": answer, "detail": "ended", "seconds": seconds, "peak": 0, "how": ""}
        code = process.wait()
        self._stderr.seek(0)
        said = self._stderr.read()[-3000:].decode(errors="replace")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        places = [line.strip() for line in said.splitlines() if line.startswith("  File ")]
        self.close()
        detail = f"{name} {places[0] if places else said[-200:]!r}"
        return {"outcome": "signal", "detail": detail, "seconds": seconds, "peak": 0, "how": ""}

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._stderr.close()
            self._process = None


# ---- the campaign


def make_seeds(folder: Path, kinds: Sequence[str]) -> None:
    """Write the whole files of each kind into folders of their own."""
    for kind in kinds:
        for number, files in enumerate(KINDS[kind].make()):
            write_all(files, folder / kind / f"{number:02d}")


def write_all(files: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True)
    write(files, folder)


def campaign(
    count: int, kinds: Sequence[str], *, seed: int, workers: int, seeds: Path
) -> dict[str, Any]:
    """Read ``count`` damaged files, as many of each kind.

    Args:
        count: cases of all kinds together.
        kinds: keys of `KINDS`.
        seed: of the damage.
        workers: processes that read.
        seeds: the folder of `make_seeds`.

    Returns:
        What the JSON file holds.
    """
    cases = ((kinds[i % len(kinds)], i // len(kinds)) for i in range(count))
    lock = threading.Lock()
    found: list[tuple[str, int, dict[str, Any]]] = []
    broken: list[BaseException] = []

    def drive() -> None:
        worker = Worker(seeds, seed)
        try:
            while not broken:
                with lock:
                    case = next(cases, None)
                if case is None:
                    return
                answer = worker.run(*case)
                with lock:
                    found.append((*case, answer))
                    if len(found) % 1000 == 0:
                        print(f"{len(found)} of {count}", file=sys.stderr, flush=True)
        except BaseException as error:
            broken.append(error)
        finally:
            worker.close()

    threads = [threading.Thread(target=drive) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    for kind, number, answer in found:
        if not answer["how"]:  # its worker could not say it any more
            answer["how"] = damaged(kind, number, seed, read_seeds(seeds / kind))[1]
    return summary(found, kinds, seed)


def summary(
    found: Sequence[tuple[str, int, dict[str, Any]]], kinds: Sequence[str], seed: int
) -> dict[str, Any]:
    table = {}
    for kind in kinds:
        answers = [answer for name, _, answer in found if name == kind]
        counts = Counter(answer["outcome"] for answer in answers)
        table[kind] = {
            "title": KINDS[kind].title,
            "files": len(answers),
            **{name: counts[name] for name in OUTCOMES},
            "slowest": round(max((a["seconds"] for a in answers), default=0.0), 2),
            "largest": max((a["peak"] for a in answers), default=0),
        }
    failures = [
        {"case": f"{kind}:{number}", **{key: answer[key] for key in ("outcome", "how", "detail")}}
        for kind, number, answer in sorted(found, key=lambda item: item[:2])
        if answer["outcome"] not in ("read", "refused")
    ]
    return {"seed": seed, "limits": LIMITS, "kinds": table, "failures": failures}


def table_lines(report: Mapping[str, Any]) -> list[str]:
    """The outcome as a Markdown table."""
    lines = [
        "| damaged | files | read | refused | other exception | signal | over 30 s | over 2 GB "
        "| slowest | most memory |",
        "|---" + "|--:" * 9 + "|",
    ]
    for row in report["kinds"].values():
        counts = " | ".join(f"{row[name]:,}" for name in ("files", *OUTCOMES))
        memory = f"{row['largest'] / 1e6:,.0f} MB"
        lines.append(f"| {row['title']} | {counts} | {row['slowest']:.1f} s | {memory} |")
    return lines


def again(case: str, seed: int, keep: Path | None) -> None:
    """Read one case in this process, so that a traceback is seen."""
    kind, _, number = case.partition(":")
    with tempfile.TemporaryDirectory() as folder:
        make_seeds(Path(folder, "seeds"), [kind])
        files, how = damaged(kind, int(number), seed, read_seeds(Path(folder, "seeds", kind)))
        print(how, {name: len(data) for name, data in files.items()})
        target = keep or Path(folder, "case")
        write_all(files, target)
        KINDS[kind].read(target)
        print("read")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--case", metavar="KIND:NUMBER", help="read one case again")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the files of --case there")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        work(options.worker, options.seed)
        return
    if options.case is not None:
        again(options.case, options.seed, options.keep)
        return
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder)
        make_seeds(seeds, options.kinds)
        report = campaign(
            options.count, options.kinds, seed=options.seed, workers=options.workers, seeds=seeds
        )
    print("\n".join(table_lines(report)))
    for failure in report["failures"]:
        print(f"{failure['case']} {failure['outcome']}: {failure['how']}: {failure['detail']}")
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if report["failures"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
