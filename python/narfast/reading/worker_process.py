"""What runs inside a process that reads networks: `serve`, and the channel it answers on.

The code of a network may print, exit, fork and start threads. So an answer repeats the number and
the nonce of its task, descriptors 1 and 2 are no one's, and a forked child has no channel.
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

_PIECE = 1 << 20
_LONGEST = 1 << 28  # bytes of a message: some times the largest graph that is read
_LOOK = 1.0  # seconds between looks at whether the parent still lives
_PR_SET_PDEATHSIG = 1


class Channel:
    """Messages over a socket: a JSON object on a line, so that nothing is ever unpickled."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._line = bytearray()

    def fileno(self) -> int:
        """Return the descriptor, to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def send(self, line: bytes) -> None:
        """Send a message, as `line_of` writes it.

        Raises:
            OSError: the other end has closed.
        """
        self._socket.sendall(line)

    def readable(self) -> bool:
        """Whether something has arrived, or the other end has closed."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def receive(self, flags: int = 0) -> list[dict[str, Any]]:
        """Return the messages that a piece of what has arrived completes.

        Args:
            flags: ``socket.MSG_DONTWAIT`` returns none where nothing has arrived.

        Raises:
            EOFError: the other end has closed.
            ValueError: what arrived is no message.
        """
        try:
            piece = self._socket.recv(_PIECE, flags)
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
        if len(self._line) > _LONGEST:
            raise ValueError("too long")
        return messages


def line_of(message: dict[str, Any]) -> bytes:
    """Write a message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def serve(descriptor: int, loader: str, parent: int, tied: bool) -> None:
    """Read networks until the other end of the channel closes.

    Args:
        descriptor: of the channel.
        loader: ``module:function`` from a source string to a raw graph.
        parent: the process to end with.
        tied: it was started by the parent's main thread.
    """
    _end_with(parent, tied)
    os.set_inheritable(descriptor, False)
    channel = Channel(socket.socket(fileno=descriptor))
    os.register_at_fork(after_in_child=channel.close)
    own = os.getpid()
    warnings.simplefilter("ignore")
    module, _, name = loader.partition(":")
    load: Any = None
    unusable = ""
    try:
        load = getattr(importlib.import_module(module), name)
    except Exception as error:
        unusable = reason_of(error)
    first = True
    with contextlib.suppress(OSError, EOFError):
        channel.send(line_of({"started": True}))
        while True:
            for task in channel.receive():
                source = task.pop("source")
                try:
                    if unusable:
                        raise NarfastError(unusable)
                    start = time.process_time()
                    packed = pack_graph(source, load(source))
                    packed["seconds"] = 0.0 if first else round(time.process_time() - start, 3)
                    answer = line_of({**task, "kind": "done", "value": packed})
                except BaseException as error:  # foreign code may raise anything
                    answer = line_of({**task, "kind": "failed", "value": reason_of(error)})
                if os.getpid() != own:
                    os._exit(0)  # a child that the network's code has forked
                first = False
                channel.send(answer)


def _end_with(parent: int, tied: bool) -> None:
    """End this process when its parent does, however that happens."""
    if tied and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def reason_of(error: BaseException, limit: int = 300) -> str:
    """Say why a network could not be read, the same in every run: no addresses of objects."""
    text = str(error) if isinstance(error, NarfastError) else f"{type(error).__name__}: {error}"
    line = re.sub(r"\b0x[0-9a-f]{6,}\b", "0x…", " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"
