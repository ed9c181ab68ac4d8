"""One bulk run: an engine turns blocks into parts, and the parts become the output."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from narfast.bulk.engines.base import Engine
from narfast.bulk.identity import Identities
from narfast.bulk.sources import Block, Inputs, open_zoo
from narfast.bulk.tables import Finished, Parts, errors_path
from narfast.errors import NarfastError, printable
from narfast.storage.format import check_replaceable_table

__all__ = ["BulkReport", "encode_to_parquet"]

Progress = Callable[[int, int | None], None]

_log = logging.getLogger("narfast")


@dataclass(frozen=True)
class BulkReport:
    """The result of a bulk run.

    Attributes:
        rows: rows in the output.
        failed: number of sources that could not be read.
        resumed: number of sources, read or failed, that an earlier run had finished.
        errors: (source, reason) of the first hundred failures; all are in ``OUT.errors.csv``.
        kept: no source could be read, so the output of an earlier run and its errors were kept.
    """

    rows: int
    failed: int
    resumed: int
    errors: tuple[tuple[str, str], ...]
    kept: bool = False


def encode_to_parquet(
    inputs: Inputs,
    output: Path,
    engine: Engine,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> BulkReport:
    """Encode sources into a table with one row per source, in order.

    The table has columns source, name, structural_hash, params, nodes and embedding (float32
    [dim]), in row groups of 4,096; failures are listed in ``OUTPUT.errors.csv``. Lists and tables
    are streamed. A killed run continues with ``resume``; the output then has the same bytes as that
    of an uninterrupted run. If no source can be read, an existing output is not changed.

    Args:
        inputs: the sources.
        output: the parquet file, replaced atomically at the end.
        engine: reads and encodes.
        resume: keep the rows of an earlier run, finished or not, with the same encoder and narfast,
            up to the first source that may have changed (`Identities`). Rows whose bytes have
            changed are not kept.
        progress: told how many sources are done, and the total if it is known.

    Raises:
        NarfastError: an earlier run used another encoder, another run is writing ``output``, a list
            of sources cannot be read, there are no sources, or ``output`` is an input, a folder, a
            device, or a file that narfast has not written.
        OSError: the disk is full, read-only, ...
    """
    if output.name in ("", "..") or (output.exists() and not output.is_file()):
        # A device or a folder must never be replaced by a table.
        raise NarfastError(f"{output}: not a file; name the parquet file to write")
    _check_not_read(inputs, output)
    check_replaceable_table(output)
    open_zoo.cache_clear()  # a zoo may have been rebuilt since the last run
    total = inputs.total()
    # Errors in the lists must be reported before any file of an earlier run is changed.
    inputs.check()
    blocks = inputs.blocks()
    first = next(blocks, None)
    if first is None:
        raise NarfastError("no sources: the lists or collections are empty; name some sources")
    blocks = chain([first], blocks)
    identities = Identities()
    with Parts(output, engine.fingerprint, engine.dim) as parts:
        done = 0
        if not resume:
            parts.clear()
        elif len(parts):
            done, blocks = _match_parts(blocks, identities, parts)
        elif output.exists():
            finished = Finished(output, engine.fingerprint, engine.dim)
            done, blocks = _match_finished(blocks, identities, parts, finished)
        resumed = done
        in_progress: deque[list[str | None]] = deque()
        for table in engine.tables(_with_identities(blocks, identities, in_progress)):
            parts.append(table, in_progress.popleft())
            done += len(table)
            if progress is not None:
                progress(done, total)
        rows, failed, errors, kept = parts.finish()
    return BulkReport(rows, failed, resumed, tuple(errors), kept)


def _check_not_read(inputs: Inputs, output: Path) -> None:
    """Refuse to replace an input of the run, or a table by its own list of errors."""
    errors = errors_path(output)
    for path in inputs.lists:
        if _is_same(path, errors):
            raise NarfastError(
                f"{path}: lists the errors of {output}, which would be replaced; write to "
                "another file with -o"
            )
    for path in (*inputs.lists, *inputs.sources):
        if _is_same(path, output):
            raise NarfastError(f"{output}: is read by this run too; write to another file with -o")


def _is_same(path: str, other: Path) -> bool:
    try:
        return Path(path).samefile(other)
    except (OSError, ValueError):  # one does not exist, or its name is invalid
        return False


def _with_identities(
    blocks: Iterable[Block], identities: Identities, in_progress: deque[list[str | None]]
) -> Iterator[Block]:
    """Pass blocks on to an engine; record the identities of their sources before it reads them."""
    for block in blocks:
        in_progress.append(identities.of(block))
        yield block


def _match_parts(
    blocks: Iterator[Block], identities: Identities, parts: Parts
) -> tuple[int, Iterator[Block]]:
    """Compare sources with the parts; return the number of finished ones and the other blocks."""
    earlier = parts.done()
    done = 0
    for block in blocks:
        equal = 0
        for source, now, (known, then) in zip(
            block.sources(), identities.of(block), earlier, strict=False
        ):
            if source != known:
                break
            if now is None or now != then:
                _warn_changed(source)
                break
            equal += 1
        done += equal
        if equal < len(block):
            parts.cut(done)
            return done, _rest(block, equal, blocks)
    parts.cut(done)
    return done, iter(())


def _match_finished(
    blocks: Iterator[Block], identities: Identities, parts: Parts, finished: Finished
) -> tuple[int, Iterator[Block]]:
    """As `_match_parts`, but for a finished table, whose rows become parts again."""
    done = 0
    for block in blocks:
        sources, now = block.sources(), identities.of(block)
        table = finished.take(sources, now)
        parts.append(table, now[: len(table)])
        done += len(table)
        if len(table) < len(block):
            if finished.is_next(sources[len(table)]):
                _warn_changed(sources[len(table)])
            return done, _rest(block, len(table), blocks)
    return done, iter(())


def _warn_changed(source: str) -> None:
    _log.warning(
        "%s: may have changed since the earlier run; this and all later sources are encoded again",
        printable(source),
    )


def _rest(block: Block, done: int, blocks: Iterator[Block]) -> Iterator[Block]:
    yield block.rest(done)
    yield from blocks
