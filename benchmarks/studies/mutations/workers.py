"""Processes that read damaged files, watched from outside: time, memory, and how they end."""

from __future__ import annotations

import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mutations.kinds import KINDS, damaged, read_seeds, write

LIMITS = {"seconds": 30.0, "bytes": 2_000_000_000}
HEADROOM = 4 << 30  # address space of a worker above what it starts with
RENEW = 2_000  # cases of one worker process
PROGRAM = Path(__file__).parents[1] / "mutate.py"


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
        if found in ("read", "refused", "over memory") and seconds > LIMITS["seconds"]:
            found, detail = "over time", f"{seconds:.0f} s"
        if found in ("read", "refused") and peak > LIMITS["bytes"]:
            found, detail = "over memory", f"{peak:,} bytes"
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


class Worker:
    """A process that reads cases; a new one takes its place when it dies or grows old."""

    def __init__(self, seeds: Path, seed: int) -> None:
        self._command = [sys.executable, str(PROGRAM), "--worker", str(seeds), "--seed", str(seed)]
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
        # One that is late says so itself; this is for one that does not come back.
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
        frames = re.findall(r'^  File "(.+)", line (\d+) in', said, re.MULTILINE)
        place = f"{Path(frames[0][0]).name}:{frames[0][1]}" if frames else repr(said[-200:])
        self.close()
        detail = f"{name} in {place}"
        return {"outcome": "signal", "detail": detail, "seconds": seconds, "peak": 0, "how": ""}

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._stderr.close()
            self._process = None
