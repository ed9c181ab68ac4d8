"""A bulk run in a process of its own, for tests that kill it: ``python bulk_child.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from narfast.bulk import Inputs, LocalEngine, ReadingLimits, encode_to_parquet, tables
from narfast.encoder import ArchitectureEncoder


def main(folder: Path) -> None:
    vars(tables).update(_PART_ROWS=48, _PART_SECONDS=0.02, _ROW_GROUP=500)
    inputs = Inputs(
        sources=["fake:plain_1", "fake:bad_1", str(folder / "zoo"), "fake:foreign_1"],
        lists=[str(folder / "list.txt")],
    )
    encoder = ArchitectureEncoder.from_pretrained()
    limits = ReadingLimits(loader="zoo_fakes:load_raw_or_cell")
    print("begun", flush=True)
    encode_to_parquet(inputs, folder / "out.parquet", LocalEngine(encoder, 2, limits), resume=True)
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
