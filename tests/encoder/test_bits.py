"""The same bits everywhere: on every instruction set, and under every setting of torch."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from expected_vectors import PATH
from narfast import _core
from paths import TESTS

EXPECTED = {
    kind: hashlib.sha256(found.tobytes()).hexdigest() for kind, found in np.load(PATH).items()
}


def digests(**environment: str) -> dict[str, str]:
    """What a process of its own computes: the kernels are chosen once in each."""
    script = TESTS / "expected_vectors.py"
    result = subprocess.run(
        [sys.executable, str(script), "--digest"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return dict(line.split() for line in result.stdout.splitlines())  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.parametrize("isa", _core.instruction_sets())
def test_every_instruction_set_gives_the_expected_vectors(isa: str) -> None:
    assert digests(NARFAST_ISA=isa) == EXPECTED


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["default", "avx2", ""])
def test_settings_of_torch_change_nothing(capability: str) -> None:
    assert digests(ATEN_CPU_CAPABILITY=capability) == EXPECTED


def test_an_instruction_set_that_is_not_there() -> None:
    code = "from narfast import _core; _core.instruction_set()"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NARFAST_ISA": "avx1024"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "NARFAST_ISA is 'avx1024'" in result.stderr
    assert "plain" in result.stderr
