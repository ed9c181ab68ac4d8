"""The engine on a Ray cluster: the same rows as on one machine, bit for bit.

Blocks of sources go through Ray Data to a pool of actors, each with an encoder and its motif cache;
the tables come back in order. A table depends only on its block, so a retry after the loss of a
node gives the same rows. Files, zoos and encoders must be accessible to the actors; results go to
the machine that started the run.
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
            encoder: name or path on every node, for `ArchitectureEncoder.from_pretrained`.
            workers: number of actors, with one processor each; fewer if the cluster is smaller.
            limits: limits for sources that run Python.
            motif_cache: folder for motif vectors, preferably shared by all nodes.
            address: address of the cluster; ``auto`` for one that runs on this machine.

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
                if isinstance(error, RuntimeError):  # for example, another version of Ray or Python
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
            NarfastError: the cluster returned other blocks than requested.
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
                f"the cluster returned {expected} of {len(blocks)} blocks in order; run again "
                "with --resume"
            )


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep the program's handler of SIGTERM, which Ray would replace."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


class _BlockEncoder:
    """An actor: encodes one block after the other, on one processor."""

    def __init__(
        self, encoder: str, limits: dict[str, Any], motif_cache: str | None, folder: str
    ) -> None:
        # Relative paths are resolved as on the machine that started the run. A node without that
        # folder cannot resolve them anyway.
        with contextlib.suppress(OSError):
            os.chdir(folder)
        self._encoder = load_encoder(encoder, None if motif_cache is None else Path(motif_cache))
        self._engine = LocalEngine(self._encoder, 1, ReadingLimits(**limits))

    def __call__(self, batch: Any) -> Any:
        """Map numbers and blocks to numbers and tables; tables are bytes in Arrow's stream format.

        Plain tables would come back with the column types that Ray Data prefers.
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
        self._encoder.motif_cache.save()  # an actor cannot know which block is the last
        return batch.drop_columns(["block"]).append_column(
            "table", pa.array(tables, type=pa.large_binary())
        )
