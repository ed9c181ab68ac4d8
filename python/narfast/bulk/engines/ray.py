"""The engine on a Ray cluster: the same rows as on one machine, bit for bit.

Blocks of sources go through Ray Data to a pool of actors, each with an encoder and its motif cache,
and tables come back in order. What an actor makes of a block depends on the block alone, so work
that Ray does again after the loss of a node gives the same rows. Files named by sources, zoos and
encoders must be where the actors run too; results go to the machine that started the run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from narfast.bulk.engines.base import ReadingLimits, load_encoder
from narfast.bulk.engines.local import LocalEngine
from narfast.bulk.sources import Block
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.errors import MissingDependencyError, NarfastError

__all__ = ["RayEngine"]

_WINDOW = 4096  # blocks handed to Ray Data together: four million stored graphs


class RayEngine:
    """Encodes blocks on a Ray cluster."""

    def __init__(
        self,
        encoder: str,
        workers: int,
        limits: ReadingLimits,
        *,
        motif_cache: Path | None = None,
        address: str | None = None,
    ) -> None:
        """Connect to a cluster, or start one on this machine.

        Args:
            encoder: what `ArchitectureEncoder.from_pretrained` finds it by, on every node.
            workers: actors, of one processor each; fewer where the cluster has less room.
            limits: for sources that run Python.
            motif_cache: folder for vectors of motifs, best one that all nodes share.
            address: of the cluster; ``auto`` for one that runs on this machine.

        Raises:
            MissingDependencyError: Ray is not installed.
            NarfastError: no cluster answers.
        """
        if importlib.util.find_spec("ray") is None:
            raise MissingDependencyError(
                "--engine ray needs Ray, which is not installed; "
                "install it with: pip install 'narfast[ray]'"
            )
        import ray

        if not ray.is_initialized():
            try:
                with _own_sigterm():
                    ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
            except (ConnectionError, ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                if isinstance(error, RuntimeError):  # such as another version of Ray or Python
                    problem = f"Ray cannot be used ({reason}); use the cluster's Ray and Python"
                else:
                    problem = f"no Ray cluster there ({reason}); start one with 'ray start --head'"
                raise NarfastError(
                    f"{address}: {problem}, or leave --ray-address out"
                    if address
                    else f"Ray cannot be started here ({reason}); use --engine local"
                ) from error
        self._workers = workers
        self._settings = {
            "encoder": encoder,
            "limits": asdict(limits),
            "motif_cache": None if motif_cache is None else str(motif_cache.resolve()),
            "folder": str(Path.cwd()),
        }

    @cached_property
    def _encoder(self) -> ArchitectureEncoder:
        return ArchitectureEncoder.from_pretrained(str(self._settings["encoder"]))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._encoder.dim

    @property
    def fingerprint(self) -> str:
        """Identifies the encoder."""
        return self._encoder.fingerprint

    def tables(self, blocks: Iterable[Block]) -> Iterator[Any]:
        """Yield a table for each block, in order.

        Raises:
            NarfastError: the cluster gave back something else than was asked for.
        """
        waiting = iter(blocks)
        while window := list(islice(waiting, _WINDOW)):
            yield from self._window(window)

    def _window(self, blocks: list[Block]) -> Iterator[Any]:
        import pyarrow as pa
        import ray.data

        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        items = [
            {"number": number, "block": json.dumps(asdict(block))}
            for number, block in enumerate(blocks)
        ]
        results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _BlockEncoder,
            fn_constructor_kwargs=self._settings,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=self._workers),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=1,
        )
        expected = 0
        for row in results.iter_rows():
            if row["number"] != expected:
                break
            expected += 1
            yield pa.ipc.open_stream(row["table"]).read_all()
        if expected != len(blocks):
            raise NarfastError(
                f"the cluster gave back {expected} of {len(blocks)} blocks in order; run again "
                "with --resume"
            )


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep the handler of SIGTERM that the program has set: Ray would put its own in its place."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


class _BlockEncoder:
    """What an actor does: one block after the other, on one processor."""

    def __init__(
        self, encoder: str, limits: dict[str, Any], motif_cache: str | None, folder: str
    ) -> None:
        # Paths mean here what they mean where the run was started, and are written as there. A node
        # without that folder finds none of them in any case.
        with contextlib.suppress(OSError):
            os.chdir(folder)
        self._encoder = load_encoder(encoder, None if motif_cache is None else Path(motif_cache))
        self._engine = LocalEngine(self._encoder, 1, ReadingLimits(**limits))

    def __call__(self, batch: Any) -> Any:
        """From numbers and blocks to numbers and tables, these as bytes of Arrow's stream format.

        Tables of their own types would come back as the types that Ray Data prefers.
        """
        import pyarrow as pa

        tables = []
        for text in batch.column("block").to_pylist():
            values = json.loads(text)
            block = Block(**{**values, "names": tuple(values["names"])})
            (table,) = self._engine.tables([block])
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            tables.append(sink.getvalue().to_pybytes())
        self._encoder.motif_cache.save()  # no one tells an actor that it is the last block
        return batch.drop_columns(["block"]).append_column(
            "table", pa.array(tables, type=pa.large_binary())
        )
