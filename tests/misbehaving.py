"""A loader whose networks do to their process what foreign code may do to it."""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

from narfast.graph import ArchGraph
from zoo_fakes import raw_network


class Odd(BaseException):
    """Neither an `Exception` nor one that Python itself raises."""


def load(source: str) -> ArchGraph:
    """Do what a source is called, ``kind`` or ``kind:argument``; give a plain stack."""
    kind, _, argument = source.partition(":")
    depth = 1
    if kind == "forks":
        if os.fork() == 0:
            time.sleep(0.3)
            depth = 4  # never to be seen
    elif kind == "forks_unseen_by_python":
        if ctypes.CDLL(None).fork() == 0:
            time.sleep(0.3)
            depth = 4
    elif kind == "scribbles_later":  # over the channel, when the next network is being read
        threading.Thread(target=_scribble, args=(argument.encode() + b"\n",)).start()
    elif kind == "dies_later":
        threading.Timer(0.3, os._exit, (3,)).start()
    elif kind == "closes_everything":
        os.closerange(3, 100)
    elif kind == "prints":
        os.write(1, b"printed\n")
        os.write(2, b"printed\n")
    elif kind == "raises":
        raise Odd("strange")
    elif kind == "slow":
        time.sleep(1)
        depth = 2
    elif kind == "leaves_a_process":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        Path(argument).write_text(str(child.pid))
    elif kind == "spins":
        staged = Path(argument + ".tmp")
        staged.write_text(str(os.getpid()))
        staged.rename(argument)
        while True:
            signal.getsignal(signal.SIGTERM)
    return raw_network("plain", depth, name=kind)


def load_file(source: str) -> ArchGraph:
    """Give a network for any function of a file but ``leaves``, which ends the process."""
    if source.endswith(":leaves"):
        os._exit(0)
    return raw_network("plain", 5, name="file")


def _scribble(line: bytes) -> None:
    time.sleep(0.3)
    for descriptor in range(3, 100):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.write(descriptor, line)
        except OSError:
            pass
