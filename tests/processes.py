"""narfast run as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import narfast

PYTHON_ROOT = Path(narfast.__file__).parents[1]


def subprocess_run(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "narfast", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        **options,
    )


def shell(script):
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_ROOT)}
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=60
    )
