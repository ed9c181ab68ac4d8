"""Processes that read networks one at a time, each of which may hang, crash or be killed.

Python's own pools wait for ever on a hung task and break as a whole when one worker dies; tracing
hundreds of foreign networks meets both.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from narfast.errors import NarfastError
from narfast.zoo.journal import pack_graph
from narfast.zoo.records import Failure

__all__ = [
    "DEFAULT_LOADER",
    "MEMORY",
    "TIMEOUT",
    "ReadingPool",
    "memory_in_use",
    "read_networks",
    "reason_of",
]

TIMEOUT = 60.0
"""Seconds that one network may take by default."""

MEMORY = 8 << 30
"""Bytes that the process reading a network may hold by default."""

_GROWN = 3 << 30  # an idle process above this is replaced: libraries keep what they once made
_START = 60.0  # seconds more for the first network of a process, until it says that it runs
_LOOK = 0.25  # seconds between looks at the memory of processes
_BUSY = 0.1  # share of the processor from which a process counts as kept waiting, not as hung

DEFAULT_LOADER = "narfast.frontends:load_raw"
"""``module:function`` that turns a source string into a raw `ArchGraph`."""

_Answer = tuple[str, Any]  # ("started", None), ("done", packed network) or ("failed", reason)


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    task: tuple[int, str] | None = None
    deadline: float = 0.0
    seconds: float = 0.0  # that its network may still take
    clock: float = 0.0  # processor seconds that the process had used when that was so
    started: bool = False

    def give(self, seconds: float) -> None:
        """Let its network take so many seconds from now on."""
        self.seconds, self.clock = seconds, _processor_seconds(self.process.pid)
        self.deadline = time.monotonic() + seconds

    def give_what_others_took(self) -> bool:
        """Give the rest of its time to a network that waited for the processor.

        Returns:
            Whether there was any: a busy machine does not decide what a zoo holds.
        """
        used = _processor_seconds(self.process.pid) - self.clock
        if not _BUSY * self.seconds <= used < self.seconds:
            return False
        self.give(self.seconds - used)
        return True


class ReadingPool:
    """Killable processes that read networks; close it, or use it in a ``with`` statement."""

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout: float = TIMEOUT,
        memory: int = MEMORY,
        loader: str = DEFAULT_LOADER,
    ) -> None:
        """Start nothing yet: processes start with the first networks.

        Args:
            workers: processes, at least 1.
            timeout: seconds that one network may take before its process is killed; what it waits
                for a processor that others use does not count (where /proc is).
            memory: bytes that a process may hold before it is killed (looked at where /proc is).
            loader: ``module:function`` called with an identifier.
        """
        self._context = multiprocessing.get_context("spawn")
        self._limit = max(1, workers)
        self._timeout = timeout
        self._memory = memory
        self._loader = loader
        self._queue: deque[tuple[int, str]] = deque()
        self._workers: list[_Worker] = []
        self._submitted = 0

    @property
    def pending(self) -> int:
        """Networks handed in whose result has not been handed out."""
        return len(self._queue) + len(self._at_work())

    def submit(self, identifier: str) -> int:
        """Hand in a network; return the number that its result will carry."""
        self._queue.append((self._submitted, identifier))
        self._submitted += 1
        return self._submitted - 1

    def results(self, wait_for: float = _LOOK) -> list[tuple[int, dict[str, Any] | Failure]]:
        """Keep the processes busy and return what has finished meanwhile, in whatever order.

        Args:
            wait_for: seconds to wait at most where nothing has finished.

        Returns:
            Numbers of `submit` with what `read_networks` yields.
        """
        self._feed()
        waiting = {worker.pipe: worker for worker in self._at_work()}
        if not waiting:
            return []
        pause = max(0.0, min(w.deadline for w in waiting.values()) - time.monotonic())
        finished: list[tuple[int, dict[str, Any] | Failure]] = []
        for pipe in wait(list(waiting), timeout=min(pause, wait_for)):
            worker = waiting[pipe]  # type: ignore[index]
            number, identifier = worker.task or (0, "")
            try:
                kind, value = worker.pipe.recv()
            except (EOFError, OSError):
                worker.task = None
                worker.process.join(5)
                code = worker.process.exitcode
                self._stop(worker)
                finished.append(
                    (number, Failure(identifier, f"its process died (exit code {code})"))
                )
            else:
                if kind == "started":
                    worker.give(self._timeout)
                    continue
                worker.task = None
                finished.append((number, value if kind == "done" else Failure(identifier, value)))
        now = time.monotonic()
        for worker in self._at_work():
            reason = ""
            late = worker.deadline <= now and not worker.pipe.poll()  # else: at the last moment
            if late and not worker.give_what_others_took():
                reason = f"took longer than {self._timeout:g} s"
            elif _resident_bytes(worker.process.pid) > self._memory:
                reason = f"needed more than {self._memory / 1e9:.3g} GB"
            if reason and worker.task is not None:
                finished.append((worker.task[0], Failure(worker.task[1], reason)))
                self._stop(worker)
        return finished

    def close(self) -> None:
        """Kill the processes; what they were reading is lost."""
        for worker in list(self._workers):
            self._stop(worker)

    def __enter__(self) -> ReadingPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at_work(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.task is not None]

    def _feed(self) -> None:
        wanted = min(self._limit, self.pending)
        while len(self._workers) < wanted:
            self._workers.append(self._start())
        for worker in [w for w in self._workers if w.task is None]:
            if _resident_bytes(worker.process.pid) > _GROWN:
                self._stop(worker)
                self._workers.append(self._start())
        for worker in self._workers:
            if worker.task is None and self._queue:
                worker.task = self._queue.popleft()
                start = 0.0 if worker.started else _START
                worker.started = True
                worker.give(self._timeout + start)
                worker.pipe.send(worker.task[1])

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._loader), daemon=True)
        with _interrupts_ignored():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _stop(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()


def read_networks(
    identifiers: Iterable[str],
    *,
    workers: int = 2,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    loader: str = DEFAULT_LOADER,
) -> Iterator[dict[str, Any] | Failure]:
    """Read networks in killable processes, in whatever order they finish.

    Args:
        identifiers: source strings.
        workers: see `ReadingPool`, also for the others.
        timeout: seconds per network.
        memory: bytes per process.
        loader: ``module:function`` called with an identifier.

    Yields:
        `pack_graph` values with ``seconds`` (processor time; 0 for the first network of a process,
        which imports the library too), or a `Failure` for a network that raised, hung or crashed.
    """
    with ReadingPool(workers=workers, timeout=timeout, memory=memory, loader=loader) as pool:
        for identifier in identifiers:
            pool.submit(identifier)
        while pool.pending:
            for _, result in pool.results():
                yield result


def memory_in_use() -> tuple[int, int]:
    """Return the bytes that this process holds, and the largest of its child processes."""
    children = [process.pid for process in multiprocessing.active_children()]
    return _resident_bytes(None), max(map(_resident_bytes, children), default=0)


def _resident_bytes(process: int | None) -> int:
    """Return the memory that a process holds (this one for None); 0 where /proc is not."""
    try:
        fields = Path(f"/proc/{process or 'self'}/statm").read_text().split()
    except OSError:
        return 0
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _processor_seconds(process: int) -> float:
    """Return the processor time that a process has used; 0 where /proc is not."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let processes started inside ignore Ctrl-C, which a terminal sends to the whole group."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change this
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _serve(pipe: Connection, loader: str) -> None:
    """Answer identifiers until the other end closes."""
    # What libraries print belongs to no one here; a crash is reported by the exit code.
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.dup2(sink, sys.__stderr__.fileno() if sys.__stderr__ else 2)
    warnings.simplefilter("ignore")
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    module, _, name = loader.partition(":")
    unusable = ""
    try:
        load = getattr(importlib.import_module(module), name)
    except Exception as error:
        unusable = reason_of(error)
    pipe.send(("started", None))
    first = True
    while True:
        try:
            identifier = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            if unusable:
                raise NarfastError(unusable)
            start = time.process_time()
            packed = pack_graph(identifier, load(identifier))
            packed["seconds"] = 0.0 if first else round(time.process_time() - start, 3)
            answer: _Answer = ("done", packed)
        # Foreign code may raise anything, and the build goes on.
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            answer = ("failed", reason_of(error))
        first = False
        try:
            pipe.send(answer)
        except (BrokenPipeError, OSError):
            return


def reason_of(error: BaseException, limit: int = 300) -> str:
    """Say why a network could not be read, the same in every run: no addresses of objects."""
    text = str(error) if isinstance(error, NarfastError) else f"{type(error).__name__}: {error}"
    line = re.sub(r"\b0x[0-9a-f]{6,}\b", "0x…", " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"
