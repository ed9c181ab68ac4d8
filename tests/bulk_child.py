"""A bulk run in a process of its own, for tests that kill it."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

from narfast.bulk import Inputs, LocalEngine, ReadingLimits, encode_to_parquet, tables
from narfast.encoder.encoder import ArchitectureEncoder


def main(folder: Path, pipe: Connection) -> None:
    """Encode what lies in a folder, telling the other end of ``pipe`` when that begins and ends."""
    vars(tables).update(_PART_ROWS=48, _PART_SECONDS=0.02, _ROW_GROUP=500)
    inputs = Inputs(
        sources=["fake:plain_1", "fake:bad_1", str(folder / "zoo"), "fake:foreign_1"],
        lists=[str(folder / "list.txt")],
    )
    limits = ReadingLimits(loader="zoo_fakes:load_raw_or_cell")
    engine = LocalEngine(ArchitectureEncoder.from_pretrained(), 2, limits)
    pipe.send("begun")
    encode_to_parquet(inputs, folder / "out.parquet", engine, resume=True)
    pipe.send("done")
