"""Bulk runs over made-up networks and cells."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from narfast.bulk import Inputs, LocalEngine, ReadingLimits, encode_to_parquet
from narfast.search_spaces import nasbench201
from zoo_fakes import FakeEncoder

LIMITS = ReadingLimits(loader="zoo_fakes:load_raw_or_cell", timeout=20)
CELLS = [f"nasbench201:{nasbench201.text(cell)}" for cell in range(0, 15_000, 10)]


def engine(workers=1, seed=0, **limits):
    loader = ReadingLimits(**{"loader": LIMITS.loader, "timeout": LIMITS.timeout, **limits})
    return LocalEngine(FakeEncoder(seed=seed), workers, loader)


def sources_of(output):
    return pq.read_table(output).column("source").to_pylist()


def interrupt(output, inputs=None, loading=None):
    """Leave the parts of a run that was stopped after thirty of sixty sources."""

    def stop(done, total):
        if done > 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_to_parquet(inputs or Inputs(CELLS[:60]), output, loading or engine(), progress=stop)
