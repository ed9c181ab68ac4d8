"""Processes that read networks one at a time and are killed if they hang or crash.

Python's own pools wait forever for a hung task, and break as a whole when one worker dies. Tracing
hundreds of foreign networks causes both. `worker_process` is the code inside such a process.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from narfast.errors import Failure, NarfastError
from narfast.graph import ArchGraph
from narfast.reading.graph_codec import unpack_graph
from narfast.reading.worker_process import Channel, line_of, reason_of

__all__ = [
    "DEFAULT_LOADER",
    "MEMORY",
    "TIMEOUT",
    "ReadingPool",
    "memory_in_use",
    "read_apart",
    "read_networks",
    "reason_of",
]

TIMEOUT = 60.0
"""Default time limit per network, in seconds."""

MEMORY = 8 << 30
"""Default memory limit of a reading process, in bytes."""

_RESTART_ABOVE = 3 << 30  # restart idle workers above this memory: libraries do not free caches
_STARTUP_SECONDS = 60.0  # extra time for a worker's first network, until the worker has started
_POLL_SECONDS = 0.25  # seconds between checks of the workers' memory
_STARVED_SHARE = 0.1  # a late worker with at least this processor share is starved, not hung

DEFAULT_LOADER = "narfast.sources.loader:load_raw"
"""``module:function`` that turns a source string into a raw `ArchGraph`."""

_BOOT = (
    "import json, sys; settings = json.loads(sys.argv.pop()); sys.path[:] = settings.pop('path'); "
    "from narfast.reading.worker_process import serve; serve(**settings)"
)

_running: set[int] = set()  # process ids of the workers of all pools


@dataclass(frozen=True)
class _Task:
    number: int
    identifier: str
    # An answer repeats it: only the process that got the task can answer, and only once.
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def stamp(self) -> dict[str, Any]:
        """The fields that an answer must repeat."""
        return {"task": self.number, "nonce": self.nonce}


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    channel: Channel
    task: _Task | None = None
    deadline: float = 0.0
    seconds: float = 0.0  # time that the network has left at the last `set_deadline`
    clock: float = 0.0  # processor seconds that the process had used by then
    started: bool = False
    read: int = 0  # networks so far, with or without success

    def set_deadline(self, seconds: float) -> None:
        """Give the network this many seconds from now on."""
        self.seconds, self.clock = seconds, _processor_seconds(self.process.pid)
        self.deadline = time.monotonic() + seconds

    def extend_deadline(self) -> bool:
        """Extend the deadline of a CPU-starved worker.

        Returns:
            Whether processor time is left, so that a zoo does not depend on the machine's load.
        """
        used = _processor_seconds(self.process.pid) - self.clock
        if not _STARVED_SHARE * self.seconds <= used < self.seconds:
            return False
        self.set_deadline(self.seconds - used)
        return True

    def is_reusable(self) -> bool:
        """Whether an idle worker can take another network: alive, silent and not too large."""
        return (
            self.process.poll() is None
            and not self.channel.readable()
            and _resident_bytes(self.process.pid) <= _RESTART_ABOVE
        )


class _WorkerError(Exception):
    """A worker has died or its channel is unusable; the message says which."""


class ReadingPool:
    """Worker processes that read networks; close it, or use it in a ``with`` statement."""

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout: float = TIMEOUT,
        memory: int = MEMORY,
        loader: str = DEFAULT_LOADER,
    ) -> None:
        """Set the limits; processes start with the first networks.

        Args:
            workers: number of processes, at least 1.
            timeout: time limit per network in seconds; a process above it is killed. Time in which
                the worker waits for a processor does not count (if there is a /proc).
            memory: memory limit of a process in bytes; a process above it is killed (if there is a
                /proc).
            loader: ``module:function``, called with an identifier.
        """
        self._limit = max(1, workers)
        self._timeout = timeout
        self._memory = memory
        self._loader = loader
        self._queue: deque[_Task] = deque()
        self._workers: list[_Worker] = []
        self._submitted = 0

    @property
    def pending(self) -> int:
        """Number of submitted networks whose result was not returned yet."""
        return len(self._queue) + len(self._busy())

    def submit(self, identifier: str) -> int:
        """Submit a network; return the number of its result."""
        self._queue.append(_Task(self._submitted, identifier))
        self._submitted += 1
        return self._submitted - 1

    def results(
        self, wait_for: float = _POLL_SECONDS
    ) -> list[tuple[int, dict[str, Any] | Failure]]:
        """Assign networks to idle workers and return finished results, in any order.

        Args:
            wait_for: seconds to wait at most if nothing has finished.

        Returns:
            (number from `submit`, result as `read_networks` yields it).
        """
        self._assign()
        busy = self._busy()
        if not busy:
            return []
        pause = max(0.0, min(worker.deadline for worker, _ in busy) - time.monotonic())
        finished: list[tuple[int, dict[str, Any] | Failure]] = []
        wait([worker.channel.fileno() for worker, _ in busy], timeout=min(pause, wait_for))
        now = time.monotonic()
        for worker, task in busy:
            try:
                result = self._answer_of(worker, task)
            except _WorkerError as error:
                self._stop(worker)
                if worker.read:  # an earlier network may be the cause: try this one again
                    self._queue.appendleft(_Task(task.number, task.identifier))
                    continue
                result = Failure(task.identifier, str(error))
            if result is None:
                reason = self._exceeded_limit(worker, now)
                if not reason:
                    continue
                self._stop(worker)
                result = Failure(task.identifier, reason)
            worker.task = None
            worker.read += 1
            finished.append((task.number, result))
        return finished

    def _answer_of(self, worker: _Worker, task: _Task) -> dict[str, Any] | Failure | None:
        """Return a worker's answer to its task, None if there is none yet.

        Raises:
            _WorkerError: there will be no answer.
        """
        dead = worker.process.poll() is not None  # checked first: its last message still counts
        try:
            messages = worker.channel.receive(socket.MSG_DONTWAIT)
        except EOFError:
            raise _WorkerError(_exit_reason(worker.process)) from None
        except (ValueError, RecursionError):
            raise _WorkerError("its process sent an invalid message") from None
        for message in messages:
            if message == {"started": True} and not worker.started:
                worker.started = True
                worker.set_deadline(self._timeout)
            elif message.items() >= task.stamp.items() and {"kind", "value"} <= message.keys():
                value = message["value"]
                return Failure(task.identifier, value) if message["kind"] == "failed" else value
            else:
                raise _WorkerError("its process answered a task that it was not given")
        if dead and not worker.channel.readable():  # its child processes keep the channel open
            raise _WorkerError(_exit_reason(worker.process))
        return None

    def _exceeded_limit(self, worker: _Worker, now: float) -> str:
        """Return the limit that a worker exceeds, in words; empty if there is none."""
        late = worker.deadline <= now and not worker.channel.readable()  # an answer may be there
        if late and not worker.extend_deadline():
            return f"took longer than {self._timeout:g} s"
        if _resident_bytes(worker.process.pid) > self._memory:
            return f"needed more than {self._memory / 1e9:.3g} GB"
        return ""

    def close(self) -> None:
        """Kill the processes; the networks that they were reading are lost."""
        for worker in list(self._workers):
            self._stop(worker)

    def __enter__(self) -> ReadingPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _busy(self) -> list[tuple[_Worker, _Task]]:
        return [(worker, worker.task) for worker in self._workers if worker.task is not None]

    def _assign(self) -> None:
        for worker in [w for w in self._workers if w.task is None]:
            if not worker.is_reusable():
                self._stop(worker)
        while self._queue:
            idle = next((w for w in self._workers if w.task is None), None)
            if idle is None and len(self._workers) >= self._limit:
                return
            worker = idle or self._start()
            task = worker.task = self._queue.popleft()
            worker.set_deadline(self._timeout + (0.0 if worker.started else _STARTUP_SECONDS))
            with contextlib.suppress(OSError):  # it has just died; `_answer_of` notices
                worker.channel.send(line_of({**task.stamp, "source": task.identifier}))

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        settings = {
            "path": list(map(str, sys.path)),
            "descriptor": theirs.fileno(),
            "loader": self._loader,
            "parent": os.getpid(),
            # Linux signals the death of the *thread* that started the process.
            "tied": threading.current_thread() is threading.main_thread(),
        }
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with theirs:
            # A process group of its own: Ctrl-C in a terminal does not reach it, and processes that
            # a network starts are killed with it.
            process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**threads, **os.environ},
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        worker = _Worker(process, Channel(ours))
        self._workers.append(worker)
        _running.add(process.pid)
        return worker

    def _stop(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.channel.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or a zombie
            os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.kill()
        worker.process.wait()
        _running.discard(worker.process.pid)


def read_networks(
    identifiers: Iterable[str],
    *,
    workers: int = 2,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    loader: str = DEFAULT_LOADER,
) -> Iterator[dict[str, Any] | Failure]:
    """Read networks in worker processes, in any order.

    Args:
        identifiers: source strings.
        workers: number of processes; see `ReadingPool` for this and the other limits.
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


def read_apart(source: str, *, loader: str = DEFAULT_LOADER) -> ArchGraph:
    """Read one network in a separate process, which its code may crash, end or fork.

    Args:
        source: as for `narfast.load`.
        loader: ``module:function`` called with it.

    Returns:
        The raw graph.

    Raises:
        NarfastError: the network cannot be read, or the process ended without an answer.
    """
    (result,) = read_networks(
        [source], workers=1, timeout=float("inf"), memory=sys.maxsize, loader=loader
    )
    if isinstance(result, Failure):
        file = str(Path(source.rpartition(":")[0]))
        if result.reason.startswith(file):
            raise NarfastError(result.reason)
        raise NarfastError(f"{source}: {result.reason}; find out what in it ends or crashes Python")
    return unpack_graph(result)[1]


def memory_in_use() -> tuple[int, int]:
    """Return the memory of this process and of the largest worker process, in bytes."""
    return _resident_bytes(None), max(map(_resident_bytes, set(_running)), default=0)


def _resident_bytes(process: int | None) -> int:
    """Return the memory of a process (this one for None) in bytes; 0 without /proc."""
    try:
        fields = Path(f"/proc/{process or 'self'}/statm").read_text().split()
    except OSError:
        return 0
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _processor_seconds(process: int) -> float:
    """Return the processor time that a process has used, in seconds; 0 without /proc."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _exit_reason(process: subprocess.Popen[bytes]) -> str:
    """Say how a process has ended after its channel closed."""
    try:
        return f"its process died (exit code {process.wait(5)})"
    except subprocess.TimeoutExpired:
        return "its process closed all its descriptors"
