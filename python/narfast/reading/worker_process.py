"""The code inside a process that reads networks: `serve`, and the channel for its answers.

The code of a network may print, exit, fork and start threads. So an answer repeats the number and
the nonce of its task, descriptors 1 and 2 lead nowhere, and a forked child has no channel.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import warnings
from typing import Any

from narfast.errors import NarfastError
from narfast.reading.graph_codec import pack_graph

__all__ = ["Channel", "line_of", "reason_of", "serve"]

_RECEIVE_BYTES = 1 << 20
_MAX_MESSAGE = 1 << 28  # bytes; several times the largest graph that can be read
_POLL_SECONDS = 1.0  # seconds between checks that the parent is alive
_PR_SET_PDEATHSIG = 1


class Channel:
    """Messages over a socket: one JSON object per line, so nothing is ever unpickled."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._line = bytearray()

    def fileno(self) -> int:
        """Return the descriptor, for waiting."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def send(self, line: bytes) -> None:
        """Send a message in the form of `line_of`.

        Raises:
            OSError: the other end is closed.
        """
        self._socket.sendall(line)

    def readable(self) -> bool:
        """Whether data has arrived, or the other end is closed."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def receive(self, flags: int = 0) -> list[dict[str, Any]]:
        """Receive a piece of data; return the messages that it completes.

        Args:
            flags: with ``socket.MSG_DONTWAIT``, return an empty list if nothing has arrived.

        Raises:
            EOFError: the other end is closed.
            ValueError: the data is not a message.
        """
        try:
            piece = self._socket.recv(_RECEIVE_BYTES, flags)
        except BlockingIOError:
            return []
        except OSError:
            piece = b""
        if not piece:
            raise EOFError
        *ends, rest = piece.split(b"\n")
        messages = []
        for end in ends:
            message = json.loads(self._line + end)
            self._line.clear()
            if not isinstance(message, dict):
                raise ValueError("not an object")
            messages.append(message)
        self._line += rest
        if len(self._line) > _MAX_MESSAGE:
            raise ValueError("too long")
        return messages


def line_of(message: dict[str, Any]) -> bytes:
    """Encode a message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def serve(descriptor: int, loader: str, parent: int, tied: bool) -> None:
    """Read networks until the other end of the channel closes.

    Args:
        descriptor: descriptor of the channel.
        loader: ``module:function`` from a source string to a raw graph.
        parent: process id of the parent; this process ends with it.
        tied: whether the parent's main thread started this process.
    """
    _exit_with_parent(parent, tied)
    os.set_inheritable(descriptor, False)
    channel = Channel(socket.socket(fileno=descriptor))
    os.register_at_fork(after_in_child=channel.close)
    own = os.getpid()
    warnings.simplefilter("ignore")
    module, _, name = loader.partition(":")
    load: Any = None
    load_error = ""
    try:
        load = getattr(importlib.import_module(module), name)
    except Exception as error:
        load_error = reason_of(error)
    first = True
    with contextlib.suppress(OSError, EOFError):
        channel.send(line_of({"started": True}))
        while True:
            for task in channel.receive():
                source = task.pop("source")
                try:
                    if load_error:
                        raise NarfastError(load_error)
                    start = time.process_time()
                    packed = pack_graph(source, load(source))
                    packed["seconds"] = 0.0 if first else round(time.process_time() - start, 3)
                    answer = line_of({**task, "kind": "done", "value": packed})
                except BaseException as error:  # foreign code may raise anything
                    answer = line_of({**task, "kind": "failed", "value": reason_of(error)})
                if os.getpid() != own:
                    os._exit(0)  # a child process that the network's code has forked
                first = False
                channel.send(answer)


def _exit_with_parent(parent: int, tied: bool) -> None:
    """End this process when its parent ends for any reason."""
    if tied and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def reason_of(error: BaseException, limit: int = 300) -> str:
    """Say why a network could not be read; no object addresses, so equal in every run."""
    text = str(error) if isinstance(error, NarfastError) else f"{type(error).__name__}: {error}"
    line = re.sub(r"\b0x[0-9a-f]{6,}\b", "0x…", " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"
