"""The bits that every machine must give: made-up encoders over made-up networks and NAS cells.

``python tests/expected_vectors.py`` writes ``tests/data/expected_vectors.npz`` anew; it must change
with the arithmetic of the core and the operator table alone. ``--digest`` prints what this process
computes, over threads, batch sizes, company, and caches.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders import GRAPHS, KINDS, make_encoder
from narfast.graph import ArchGraph, GraphBatch, canonicalize
from narfast.search_spaces import nasbench101, nasbench201

PATH = Path(__file__).parent / "data" / "expected_vectors.npz"


def graphs() -> list[ArchGraph]:
    """Networks that no library and no shipped file decides."""
    cells = nasbench101.networks(nasbench101.cells()[::60_000])
    return [
        *GRAPHS,
        *canonicalize(cells),
        *canonicalize(nasbench201.networks(np.arange(0, nasbench201.NUM_CELLS, 3000))),
    ]


def vectors(kind: str, networks: list[ArchGraph]) -> NDArray[np.float32]:
    """Vectors of one kind of encoder: all ways to compute them must agree."""
    encoder = make_encoder(**KINDS[kind])
    batch = GraphBatch.from_graphs(networks)
    result = encoder.encode(batch, num_threads=1)
    for threads in (1, 2, 7):
        for batch_size in (1, 5, 1024):
            for _ in range(2):
                again = encoder.encode(batch, num_threads=threads, batch_size=batch_size)
                assert again.tobytes() == result.tobytes(), (kind, threads, batch_size)
            encoder.motif_cache.clear()
    backwards = encoder.encode(networks[::-1])[::-1]
    assert backwards.tobytes() == result.tobytes(), kind
    return result


if __name__ == "__main__":
    every = {kind: vectors(kind, graphs()) for kind in KINDS}
    if "--digest" in sys.argv:
        for kind, found in every.items():
            print(kind, hashlib.sha256(found.tobytes()).hexdigest())
    else:
        np.savez_compressed(PATH, **every)
