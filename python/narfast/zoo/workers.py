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

__all__ = ["DEFAULT_LOADER", "MEMORY", "TIMEOUT", "memory_in_use", "read_networks"]

TIMEOUT = 60.0
"""Seconds that one network may take by default."""

MEMORY = 8 << 30
"""Bytes that the process reading a network may hold by default."""

_GROWN = 3 << 30  # an idle process above this is replaced: libraries keep what they once made
_LOOK = 0.25  # seconds between looks at the memory of processes

DEFAULT_LOADER = "narfast.frontends:load_raw"
"""``module:function`` that turns a source string into a raw `ArchGraph`."""

_Answer = tuple[str, Any]  # ("done", packed network) or ("failed", reason)


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    task: str | None = None
    deadline: float = 0.0


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
        workers: processes, at least 1.
        timeout: seconds that one network may take before its process is killed.
        memory: bytes that a process may hold before it is killed (looked at where /proc is).
        loader: ``module:function`` called with an identifier.

    Yields:
        `pack_graph` values with ``seconds`` (processor time; 0 for the first network of a process,
        which imports the library too), or a `Failure` for a network that raised, hung or crashed.
    """
    context = multiprocessing.get_context("spawn")
    queue = deque(identifiers)
    pool: list[_Worker] = []
    try:
        while queue or any(worker.task is not None for worker in pool):
            while len(pool) < min(max(1, workers), len(queue) + _busy(pool)):
                pool.append(_start(context, loader))
            for worker in [w for w in pool if w.task is None]:
                if _resident_bytes(worker.process.pid) > _GROWN:
                    _stop(pool, worker)
                    pool.append(_start(context, loader))
            for worker in pool:
                if worker.task is None and queue:
                    worker.task = queue.popleft()
                    worker.deadline = time.monotonic() + timeout
                    worker.pipe.send(worker.task)
            waiting = {worker.pipe: worker for worker in pool if worker.task is not None}
            pause = max(0.0, min(w.deadline for w in waiting.values()) - time.monotonic())
            for pipe in wait(list(waiting), timeout=min(pause, _LOOK)):
                worker = waiting[pipe]  # type: ignore[index]
                identifier = worker.task or ""
                worker.task = None
                try:
                    kind, value = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join(5)
                    code = worker.process.exitcode
                    _stop(pool, worker)
                    yield Failure(identifier, f"its process died (exit code {code})")
                else:
                    yield value if kind == "done" else Failure(identifier, value)
            now = time.monotonic()
            for worker in [w for w in pool if w.task is not None and w.deadline <= now]:
                if worker.pipe.poll():
                    continue  # it answered at the last moment
                identifier = worker.task or ""
                _stop(pool, worker)
                yield Failure(identifier, f"took longer than {timeout:g} s")
            for worker in [w for w in pool if w.task is not None]:
                if _resident_bytes(worker.process.pid) > memory:
                    identifier = worker.task or ""
                    _stop(pool, worker)
                    yield Failure(identifier, f"needed more than {memory / 1e9:.3g} GB")
    finally:
        for worker in list(pool):
            _stop(pool, worker)


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


def _busy(pool: list[_Worker]) -> int:
    return sum(worker.task is not None for worker in pool)


def _start(context: Any, loader: str) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, loader), daemon=True)
    with _interrupts_ignored():
        process.start()
    theirs.close()
    return _Worker(process, ours)


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


def _stop(pool: list[_Worker], worker: _Worker) -> None:
    pool.remove(worker)
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()


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
    load: Any = None
    while True:
        try:
            identifier = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        first = load is None
        try:
            if first:
                load = getattr(importlib.import_module(module), name)
            start = time.process_time()
            packed = pack_graph(identifier, load(identifier))
            packed["seconds"] = 0.0 if first else round(time.process_time() - start, 3)
            answer: _Answer = ("done", packed)
        except KeyboardInterrupt:
            return
        except NarfastError as error:
            answer = ("failed", _one_line(str(error)))
        except Exception as error:  # foreign code may raise anything, and the build goes on
            answer = ("failed", _one_line(f"{type(error).__name__}: {error}"))
        try:
            pipe.send(answer)
        except (BrokenPipeError, OSError):
            return


def _one_line(text: str, limit: int = 300) -> str:
    """Return a reason that is the same in every run: one line, without addresses of objects."""
    line = re.sub(r"\b0x[0-9a-f]{6,}\b", "0x…", " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"
