"""Reads thousands of damaged files and says how each reader took them.

    python benchmarks/studies/mutate.py --count 20000 --out benchmarks/results/mutations.json
    python benchmarks/studies/mutate.py --case zoo:123 --keep /tmp/case   # one file again
    python benchmarks/reports/tables.py                        # the table in SECURITY.md

Whole files of every kind are damaged by a seed, checksums are computed anew where a hostile author
would, and the result is read as the commands do, in worker processes. Expected is a network or a
`NarfastError` of one line. Any other exception, a signal, more than 30 s and more than 2 GB are
failures; with one of them the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mutations.kinds import KINDS, damaged, make_seeds, read_seeds, write_all
from mutations.workers import LIMITS, Worker, work

OUTCOMES = ("read", "refused", "exception", "signal", "over time", "over memory")


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
