"""Counts the distinct cells of NAS-Bench-101 by structural hash: the published number is 423,624.

The space (Ying et al., 2019): at most 7 vertices and 9 edges; the first vertex is the input, the
last the output, the others carry one of three operators; every vertex lies on a path from input to
output. All labelled cells are enumerated, in batches, and hashed by the core.

    python benchmarks/studies/nasbench101_cells.py
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast.graph import GraphBatch, structural_hash

PUBLISHED = 423_624
MAX_VERTICES, MAX_EDGES = 7, 9
BATCH = 400_000  # cells hashed at a time
# A cell's vertex sums what enters it, so three commutative operators stand for conv 1x1, conv 3x3
# and max-pooling; so does one for the output, which concatenates.
INPUT, OUTPUT = operators.by_name("input").id, operators.by_name("concat").id
INNER = [operators.by_name(name).id for name in ("add", "mul", "maximum")]


def matrices(vertices: int) -> NDArray[np.bool_]:
    """bool[M, target, source]: every admissible adjacency matrix, numbered topologically."""
    pairs = list(itertools.combinations(range(vertices), 2))
    codes = np.arange(1 << len(pairs), dtype=np.int64)
    chosen = np.stack([(codes >> bit & 1).astype(bool) for bit in range(len(pairs))], axis=1)
    chosen = chosen[chosen.sum(1) <= MAX_EDGES]
    adjacency = np.zeros((len(chosen), vertices, vertices), bool)
    for bit, (source, target) in enumerate(pairs):
        adjacency[:, target, source] = chosen[:, bit]
    forward = np.zeros((len(chosen), vertices), bool)
    backward = np.zeros((len(chosen), vertices), bool)
    forward[:, 0] = backward[:, -1] = True
    for vertex in range(1, vertices):
        forward[:, vertex] = (adjacency[:, vertex, :] & forward).any(1)
        mirrored = vertices - 1 - vertex
        backward[:, mirrored] = (adjacency[:, :, mirrored] & backward).any(1)
    return adjacency[(forward & backward).all(1)]


def labelled_cells(vertices: int) -> Iterator[GraphBatch]:
    """Every admissible matrix with every choice of inner operators, in batches."""
    adjacency = matrices(vertices)
    inner = np.array(list(itertools.product(INNER, repeat=vertices - 2)), np.uint16)
    inner = inner.reshape(len(INNER) ** (vertices - 2), vertices - 2)
    ends = np.ones((len(inner), 1), np.uint16)
    labels = np.concatenate([ends * INPUT, inner, ends * OUTPUT], axis=1).astype(np.uint16)
    step = max(1, BATCH // len(labels))
    for begin in range(0, len(adjacency), step):
        part = np.repeat(adjacency[begin : begin + step], len(labels), axis=0)
        count = len(part)
        yield GraphBatch(
            op=np.tile(labels, (count // len(labels), 1)).ravel(),
            attr=np.zeros(count * vertices, np.uint32),
            node_ptr=np.arange(count + 1, dtype=np.int64) * vertices,
            in_ptr=np.concatenate([[0], np.cumsum(part.sum(2).ravel())]).astype(np.int64),
            in_src=np.nonzero(part)[2].astype(np.int32),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--num-threads", type=int, default=1)
    threads = parser.parse_args().num_threads
    begin, total, distinct, hashing = time.perf_counter(), 0, 0, 0.0
    for vertices in range(2, MAX_VERTICES + 1):
        seen = np.empty((0, 2), np.uint64)
        for batch in labelled_cells(vertices):
            total += len(batch)
            started = time.perf_counter()
            hashes = structural_hash(batch, num_threads=threads)
            hashing += time.perf_counter() - started
            seen = np.unique(np.concatenate([seen, hashes]), axis=0)
        distinct += len(seen)
        print(f"{vertices} vertices: {len(seen):,} distinct cells", flush=True)
    seconds = time.perf_counter() - begin
    print(f"{distinct:,} distinct of {total:,} labelled cells in {seconds:.0f} s")
    print(f"{total / hashing:,.0f} hashes a second on {threads} thread(s)")
    if distinct != PUBLISHED:
        raise SystemExit(f"the published number is {PUBLISHED:,}")


if __name__ == "__main__":
    main()
