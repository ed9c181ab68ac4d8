"""HNSW search over the vectors of all networks of NAS-Bench-101, beside bare usearch and faiss.

    narfast encode nasbench101:all -o nasbench101.parquet --workers 2
    python benchmarks/suites/nas_index.py nasbench101.parquet --out nas_index.json

Networks of one space are far more alike than clusters of random vectors. A thousand networks drawn
at random are the queries and are left out of the index. All cores build, one thread searches.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from vector_peers import build_faiss, recall, widen

from narfast.index import VectorIndex, normalize

QUERIES, K, ROUNDS = 1000, 10, 3


def vectors_of(path: Path) -> NDArray[np.float32]:
    """The vectors of distinct structures, in the order of the table."""
    table = pq.read_table(path, columns=["structural_hash", "embedding"]).combine_chunks()
    _, first = np.unique(table["structural_hash"].to_numpy(), return_index=True)
    flat = table["embedding"].combine_chunks().flatten().to_numpy()
    return normalize(flat.reshape(len(table), -1)[np.sort(first)])


def measured(
    search: Callable[[], NDArray[Any]], truth: NDArray[Any], build_seconds: float
) -> dict[str, float]:
    """Median time of a query in milliseconds, and what it finds."""
    took = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        found = search()
        took.append(time.perf_counter() - begin)
    milliseconds = 1e3 * float(np.median(took)) / QUERIES
    return {
        "query_ms": round(milliseconds, 3),
        "recall": round(recall(found, truth), 4),
        "build_seconds": round(build_seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", type=Path, help="what narfast encode wrote")
    parser.add_argument("--out", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    threads = os.cpu_count() or 1

    vectors = vectors_of(options.table)
    chosen = np.random.default_rng(0).permutation(len(vectors))
    queries, stored = vectors[chosen[:QUERIES]], vectors[np.sort(chosen[QUERIES:])]
    exact = VectorIndex(stored, exact_limit=len(stored))
    truth, cosines = exact.search(queries, K)
    methods = {"exact": measured(lambda: exact.search(queries, K)[0], truth, 0.0)}

    begin = time.perf_counter()
    index = VectorIndex(stored, exact_limit=0, num_threads=threads)
    built = time.perf_counter() - begin
    bare = index._hnsw
    methods["narfast"] = measured(lambda: index.search(queries, K)[0], truth, built)
    methods["bare usearch"] = measured(
        lambda: bare.search(queries, K, threads=1, dtype="f32").keys, truth, built
    )

    peer, built = build_faiss(stored, index.settings, threads)
    width = widen(peer, queries, truth, methods["narfast"]["recall"])
    methods["faiss HNSW"] = measured(lambda: peer.search(queries, K)[1], truth, built)
    methods["faiss HNSW"]["width"] = width

    report = {
        "vectors": len(stored),
        "dim": int(vectors.shape[1]),
        "queries": QUERIES,
        "build_threads": threads,
        "load_average": os.getloadavg(),
        "cosine_of_the_tenth": [
            round(float(q), 4) for q in np.quantile(cosines[:, -1], [0.1, 0.9])
        ],
        "methods": methods,
    }
    print(json.dumps(report, indent=1))
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
