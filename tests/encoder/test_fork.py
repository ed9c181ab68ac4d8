"""An encoder in a process that was forked: multiprocessing's default on Linux up to Python 3.13."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from encoders import GRAPHS
from narfast.encoder.encoder import ArchitectureEncoder


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_an_encoder_is_opened_and_used_in_a_forked_child() -> None:
    expected = ArchitectureEncoder.from_pretrained().encode(GRAPHS, num_threads=2)
    child = os.fork()
    if child == 0:
        vectors = ArchitectureEncoder.from_pretrained().encode(GRAPHS, num_threads=2)
        os._exit(0 if np.array_equal(vectors, expected) else 1)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the forked child hangs")
