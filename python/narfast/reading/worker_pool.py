"""Processes that read networks one at a time, each of which may hang, crash or be killed.

Python's own pools wait for ever on a hung task and break as a whole when one worker dies; tracing
hundreds of foreign networks meets both. What runs inside a process is in `worker_process`.
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
"""Seconds that one network may take by default."""

MEMORY = 8 << 30
"""Bytes that the process reading a network may hold by default."""

_GROWN = 3 << 30  # an idle process above this is replaced: libraries keep what they once made
_START = 60.0  # seconds more for the first network of a process, until it says that it runs
_LOOK = 0.25  # seconds between looks at the memory of processes
_BUSY = 0.1  # share of the processor from which a process counts as kept waiting, not as hung

DEFAULT_LOADER = "narfast.sources.loader:load_raw"
"""``module:function`` that turns a source string into a raw `ArchGraph`."""

_BOOT = (
    "import json, sys; settings = json.loads(sys.argv.pop()); sys.path[:] = settings.pop('path'); "
    "from narfast.reading.worker_process import serve; serve(**settings)"
)

_running: set[int] = set()  # ids of the processes of all pools


@dataclass(frozen=True)
class _Task:
    number: int
    identifier: str
    # Only the process that was given the task can answer it, and only once.
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def stamp(self) -> dict[str, Any]:
        """What its answer must repeat."""
        return {"task": self.number, "nonce": self.nonce}


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    channel: Channel
    task: _Task | None = None
    deadline: float = 0.0
    seconds: float = 0.0  # that its network may still take
    clock: float = 0.0  # processor seconds that the process had used when that was so
    started: bool = False
    read: int = 0  # networks, with or without success

    def give(self, seconds: float) -> None:
        """Let its network take so many seconds from now on."""
        self.seconds, self.clock = seconds, _processor_seconds(self.process.pid)
        self.deadline = time.monotonic() + seconds

    def give_what_others_took(self) -> bool:
        """Extend the deadline of a process that waited for the processor.

        Returns:
            Whether there was any time left: a busy machine does not decide what a zoo holds.
        """
        used = _processor_seconds(self.process.pid) - self.clock
        if not _BUSY * self.seconds <= used < self.seconds:
            return False
        self.give(self.seconds - used)
        return True

    def fit(self) -> bool:
        """Whether an idle process can take another network: alive, silent, and not too large."""
        return (
            self.process.poll() is None
            and not self.channel.readable()
            and _resident_bytes(self.process.pid) <= _GROWN
        )


class _Broken(Exception):
    """A process has died or its channel is not its own any more; the message says which."""


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
        self._limit = max(1, workers)
        self._timeout = timeout
        self._memory = memory
        self._loader = loader
        self._queue: deque[_Task] = deque()
        self._workers: list[_Worker] = []
        self._submitted = 0

    @property
    def pending(self) -> int:
        """Networks handed in whose result has not been handed out."""
        return len(self._queue) + len(self._at_work())

    def submit(self, identifier: str) -> int:
        """Hand in a network; return the number that its result will carry."""
        self._queue.append(_Task(self._submitted, identifier))
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
        at_work = self._at_work()
        if not at_work:
            return []
        pause = max(0.0, min(worker.deadline for worker, _ in at_work) - time.monotonic())
        finished: list[tuple[int, dict[str, Any] | Failure]] = []
        wait([worker.channel.fileno() for worker, _ in at_work], timeout=min(pause, wait_for))
        now = time.monotonic()
        for worker, task in at_work:
            try:
                result = self._answer_of(worker, task)
            except _Broken as broken:
                self._stop(worker)
                if worker.read:  # an earlier network may have done it: this one gets its own try
                    self._queue.appendleft(_Task(task.number, task.identifier))
                    continue
                result = Failure(task.identifier, str(broken))
            if result is None:
                reason = self._excess(worker, now)
                if not reason:
                    continue
                self._stop(worker)
                result = Failure(task.identifier, reason)
            worker.task = None
            worker.read += 1
            finished.append((task.number, result))
        return finished

    def _answer_of(self, worker: _Worker, task: _Task) -> dict[str, Any] | Failure | None:
        """Return what a process has made of its task, None while it has not answered.

        Raises:
            _Broken: it never will.
        """
        dead = worker.process.poll() is not None  # before looking: what it sent last still counts
        try:
            messages = worker.channel.receive(socket.MSG_DONTWAIT)
        except EOFError:
            raise _Broken(_end_of(worker.process)) from None
        except (ValueError, RecursionError):
            raise _Broken("its process sent something that is no answer") from None
        for message in messages:
            if message == {"started": True} and not worker.started:
                worker.started = True
                worker.give(self._timeout)
            elif message.items() >= task.stamp.items() and {"kind", "value"} <= message.keys():
                value = message["value"]
                return Failure(task.identifier, value) if message["kind"] == "failed" else value
            else:
                raise _Broken("its process answered something that it was not asked")
        if dead and not worker.channel.readable():  # its own children hold the channel open
            raise _Broken(_end_of(worker.process))
        return None

    def _excess(self, worker: _Worker, now: float) -> str:
        """Say what a process takes too much of, if anything."""
        late = worker.deadline <= now and not worker.channel.readable()  # else: at the last moment
        if late and not worker.give_what_others_took():
            return f"took longer than {self._timeout:g} s"
        if _resident_bytes(worker.process.pid) > self._memory:
            return f"needed more than {self._memory / 1e9:.3g} GB"
        return ""

    def close(self) -> None:
        """Kill the processes; what they were reading is lost."""
        for worker in list(self._workers):
            self._stop(worker)

    def __enter__(self) -> ReadingPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at_work(self) -> list[tuple[_Worker, _Task]]:
        return [(worker, worker.task) for worker in self._workers if worker.task is not None]

    def _feed(self) -> None:
        for worker in [w for w in self._workers if w.task is None]:
            if not worker.fit():
                self._stop(worker)
        while self._queue:
            idle = next((w for w in self._workers if w.task is None), None)
            if idle is None and len(self._workers) >= self._limit:
                return
            worker = idle or self._start()
            task = worker.task = self._queue.popleft()
            worker.give(self._timeout + (0.0 if worker.started else _START))
            with contextlib.suppress(OSError):  # it has just died: seen where answers are read
                worker.channel.send(line_of({**task.stamp, "source": task.identifier}))

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        settings = {
            "path": list(map(str, sys.path)),
            "descriptor": theirs.fileno(),
            "loader": self._loader,
            "parent": os.getpid(),
            # Linux tells a process of the end of the *thread* that started it.
            "tied": threading.current_thread() is threading.main_thread(),
        }
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with theirs:
            # A group of its own: Ctrl-C in a terminal is for us alone, and whatever a network's
            # code starts ends with the process.
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
        with contextlib.suppress(ProcessLookupError, PermissionError):  # none left, or a zombie
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


def read_apart(source: str, *, loader: str = DEFAULT_LOADER) -> ArchGraph:
    """Read one network in a process of its own, which its code may crash, end or fork.

    Args:
        source: as for `narfast.load`.
        loader: ``module:function`` called with it.

    Returns:
        The graph as its source spells it.

    Raises:
        NarfastError: it cannot be read, or the process ended without an answer.
    """
    (result,) = read_networks(
        [source], workers=1, timeout=float("inf"), memory=sys.maxsize, loader=loader
    )
    if isinstance(result, Failure):
        file = str(Path(source.rpartition(":")[0]))
        if result.reason.startswith(file):
            raise NarfastError(result.reason)
        raise NarfastError(f"{source}: {result.reason}; look for what in it ends or crashes Python")
    return unpack_graph(result)[1]


def memory_in_use() -> tuple[int, int]:
    """Return the bytes that this process holds, and the largest of those that read networks."""
    return _resident_bytes(None), max(map(_resident_bytes, set(_running)), default=0)


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


def _end_of(process: subprocess.Popen[bytes]) -> str:
    """Say how a process ended that has closed its channel."""
    try:
        return f"its process died (exit code {process.wait(5)})"
    except subprocess.TimeoutExpired:
        return "its process closed all its descriptors"
