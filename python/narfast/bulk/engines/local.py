"""The engine on this machine: processes read what needs Python, threads do the rest."""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from narfast.bulk.engines.base import ReadingLimits
from narfast.bulk.sources import Block, open_zoo
from narfast.bulk.tables import Row, row_table
from narfast.errors import Failure, NarfastError
from narfast.graph import (
    ArchGraph,
    GraphBatch,
    canonicalize,
    canonicalize_each,
    hash_texts,
    structural_hash,
)
from narfast.reading.graph_codec import unpack_graph
from narfast.reading.worker_pool import DEFAULT_LOADER, ReadingPool, reason_of
from narfast.search_spaces import nasbench101, nasbench201
from narfast.sources.onnx import load_onnx_files
from narfast.sources.registry import STORED, kind_of
from narfast.zoo.store import Encoder

__all__ = ["LocalEngine"]


@dataclass
class _Job:
    """A block in progress: the graphs read so far, then the future of its table."""

    block: Block
    sources: list[str]
    read: list[ArchGraph | Failure | None]
    missing: int = 0
    table: Future[Any] | None = None


@dataclass
class LocalEngine:
    """Encodes blocks on this machine.

    Sources that run Python (models of libraries, ``hf:``, Python files, ...) are read in
    ``workers`` processes, which are killed if a network is too slow or too large. As many threads
    read ONNX files, NAS cells and networks of a zoo, and encode everything. Order and bytes do not
    depend on ``workers``.

    Attributes:
        encoder: computes the vectors.
        workers: number of processes, and of threads.
        limits: limits for sources that run Python.
    """

    encoder: Encoder
    workers: int = 1
    limits: ReadingLimits = field(default_factory=ReadingLimits)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.encoder.dim

    @property
    def fingerprint(self) -> str:
        """Identifies the encoder."""
        return self.encoder.fingerprint

    def tables(self, blocks: Iterable[Block]) -> Iterator[Any]:
        """Yield a table for each block, in order."""
        waiting = iter(blocks)
        jobs: deque[_Job] = deque()
        of_network: dict[int, tuple[_Job, int]] = {}
        limits = self.limits
        with (
            _threads(self.workers) as threads,
            ReadingPool(
                workers=self.workers,
                timeout=limits.timeout,
                memory=limits.memory,
                loader=limits.loader,
            ) as processes,
        ):
            while True:
                while len(jobs) < 2 * self.workers + 1:
                    block = next(waiting, None)
                    if block is None:
                        break
                    job = _Job(block, block.sources(), [None] * len(block))
                    jobs.append(job)
                    if block.kind == "named":
                        for place, source in enumerate(job.sources):
                            if not self._in_threads(source):
                                of_network[processes.submit(source)] = (job, place)
                                job.missing += 1
                    if not job.missing:
                        job.table = threads.submit(self._table, job)
                if not jobs:
                    return
                first = jobs[0].table
                if first is not None:
                    wait_for([first], timeout=0.02 if processes.pending else None)
                for number, result in processes.results(0 if first is not None else 0.25):
                    job, place = of_network.pop(number)
                    job.read[place] = (
                        result if isinstance(result, Failure) else unpack_graph(result)[1]
                    )
                    job.missing -= 1
                    if not job.missing:
                        job.table = threads.submit(self._table, job)
                while jobs and jobs[0].table is not None and jobs[0].table.done():
                    yield jobs.popleft().table.result()  # type: ignore[union-attr]

    def _read(self, job: _Job) -> list[ArchGraph | Failure]:
        """Return canonical graphs of named sources; read here those that no process has read."""
        found: dict[int, ArchGraph | Failure] = {
            place: read for place, read in enumerate(job.read) if read is not None
        }
        rest = [place for place, read in enumerate(job.read) if read is None]
        files = [place for place in rest if self._is_onnx(job.sources[place])]
        results = load_onnx_files([job.sources[place] for place in files])
        for place, result in zip(files, results, strict=True):
            if isinstance(result, NarfastError):
                found[place] = Failure(job.sources[place], reason_of(result))
            else:
                found[place] = result
        for place in rest:
            if place not in found:
                source = job.sources[place]
                found[place] = _read_one(self.limits.loader, job.block.zoo, source)
        raw = {
            place: replace(graph, hyperparameters=None)  # see `_bare`
            for place, graph in found.items()
            if isinstance(graph, ArchGraph) and not job.sources[place].startswith("zoo:")
        }
        for place, graph in zip(raw, canonicalize_each(list(raw.values())), strict=True):
            if isinstance(graph, NarfastError):
                found[place] = Failure(job.sources[place], reason_of(graph))
            else:
                found[place] = graph
        return [found[place] for place in range(len(job.sources))]

    def _in_threads(self, source: str) -> bool:
        """Whether the core reads a source: a Python process would not make it faster or safer."""
        kind = kind_of(source)
        in_core = kind is not None and (kind.group == "search space" or kind is STORED)
        return in_core or self._is_onnx(source)

    def _is_onnx(self, source: str) -> bool:
        """Whether a source is just the path of an ONNX file, which the core reads."""
        plain = ":" not in source and "\0" not in source and source.lower().endswith(".onnx")
        return plain and self.limits.loader == DEFAULT_LOADER

    def _table(self, job: _Job) -> Any:
        """Read the rest of a block, and encode it."""
        if job.block.kind == "named":
            found = self._read(job)
            graphs = GraphBatch.from_graphs([g for g in found if isinstance(g, ArchGraph)])
            errors = [g.reason if isinstance(g, Failure) else None for g in found]
        else:
            graphs = _stored(job.block)
            errors = [None] * len(graphs)
        rows = iter(
            zip(
                graphs.metas,
                hash_texts(structural_hash(graphs)),
                np.diff(graphs.node_ptr).tolist(),
                strict=True,
            )
        )
        table: list[Row] = []
        for source, error in zip(job.sources, errors, strict=True):
            text = _utf8(source)
            if error is not None:
                table.append((text, None, None, None, None, _utf8(error)))
            else:
                meta, structure, nodes = next(rows)
                table.append((text, meta.name, structure, meta.params, nodes, None))
        vectors = np.zeros((len(table), self.dim), dtype=np.float32)
        if len(graphs):
            vectors[[error is None for error in errors]] = self.encoder.encode(
                graphs, num_threads=1
            )
        return row_table(table, vectors, self.fingerprint)


def _utf8(text: str) -> str:
    """Replace what is not UTF-8, for tables; file names may be any bytes."""
    return text.encode("utf-8", "replace").decode()


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a thread pool; on exit, running calls are awaited and waiting ones cancelled."""
    threads = ThreadPoolExecutor(count)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def _read_one(loader: str, zoo: str, source: str) -> ArchGraph | Failure:
    """Return the raw graph of a source, or the stored graph of a zoo's network."""
    try:
        if source.startswith("zoo:"):
            return open_zoo(zoo).load(source)
        module, _, name = loader.partition(":")
        raw: ArchGraph = getattr(importlib.import_module(module), name)(source)
        return raw
    except Exception as error:  # as in a worker process: one bad source must not end the run
        return Failure(source, reason_of(error))


def _stored(block: Block) -> GraphBatch:
    """Return the canonical graphs of a block of a collection."""
    if block.kind == "zoo":
        return open_zoo(block.zoo).graph_rows(block.start, block.stop)
    if block.kind == "nasbench101":
        cells = nasbench101.cells()[block.start : block.stop]
        return canonicalize(_bare(nasbench101.networks(cells)))
    return canonicalize(_bare(nasbench201.networks(np.arange(block.start, block.stop))))


def _bare(batch: GraphBatch) -> GraphBatch:
    """Drop hyperparameters, which vectors do not depend on: canonicalization is faster without."""
    return replace(batch, hyperparameters=())
