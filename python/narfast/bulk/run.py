"""One bulk run: blocks through an engine into parts, and the parts into the output."""

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
    """What a bulk run did.

    Attributes:
        rows: rows in the output.
        failed: sources that could not be read.
        resumed: how many sources, read or failed, an earlier run had done.
        errors: (source, reason) of the first hundred that failed; all are in ``OUT.errors.csv``.
        kept: no row was made, and the output of an earlier run, with its list of errors, stayed.
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
    """Encode sources into a table, a row each, in their order.

    The table has columns source, name, structural_hash, params, nodes and embedding (float32
    [dim]), in row groups of 4,096; sources that fail are listed in ``OUTPUT.errors.csv``. Lists and
    tables are streamed. A run that is killed at any moment goes on with ``resume``; the output then
    has the same bytes as that of an undisturbed run. A run that makes no row leaves an older output
    as it was.

    Args:
        inputs: what to encode.
        output: the parquet file, replaced in one step at the end.
        engine: does the work.
        resume: keep what an earlier run with the same encoder and narfast did, finished or not, up
            to the first source that is not known to be the same as then (`Identities`), and no row
            whose bytes have changed.
        progress: told how many sources are done, and of how many, if that is known.

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
    open_zoo.cache_clear()  # a zoo may have been made anew since the last run
    total = inputs.total()
    # Whatever is wrong with the lists must show before anything of an earlier run is touched.
    inputs.check()
    blocks = inputs.blocks()
    first = next(blocks, None)
    if first is None:
        raise NarfastError("no sources: what was named is empty; name some")
    blocks = chain([first], blocks)
    identities = Identities()
    with Parts(output, engine.fingerprint, engine.dim) as parts:
        done = 0
        if not resume:
            parts.clear()
        elif len(parts):
            done, blocks = _match(blocks, identities, parts)
        elif output.exists():
            finished = Finished(output, engine.fingerprint, engine.dim)
            done, blocks = _take(blocks, identities, parts, finished)
        resumed = done
        begun: deque[list[str | None]] = deque()
        for table in engine.tables(_noted(blocks, identities, begun)):
            parts.append(table, begun.popleft())
            done += len(table)
            if progress is not None:
                progress(done, total)
        rows, failed, errors, kept = parts.finish()
    return BulkReport(rows, failed, resumed, tuple(errors), kept)


def _check_not_read(inputs: Inputs, output: Path) -> None:
    """Refuse to replace what the run reads, and a table by what is missing in it."""
    errors = errors_path(output)
    for path in inputs.lists:
        if _is_same(path, errors):
            raise NarfastError(
                f"{path}: lists what is missing in {output}, which would be replaced; write to "
                "another file with -o"
            )
    for path in (*inputs.lists, *inputs.sources):
        if _is_same(path, output):
            raise NarfastError(f"{output}: is read by this run too; write to another file with -o")


def _is_same(path: str, other: Path) -> bool:
    try:
        return Path(path).samefile(other)
    except (OSError, ValueError):  # one is not there, or its name cannot be one
        return False


def _noted(
    blocks: Iterable[Block], identities: Identities, begun: deque[list[str | None]]
) -> Iterator[Block]:
    """Hand blocks on to an engine, noting the identities of their sources before it reads them."""
    for block in blocks:
        begun.append(identities.of(block))
        yield block


def _match(
    blocks: Iterator[Block], identities: Identities, parts: Parts
) -> tuple[int, Iterator[Block]]:
    """Compare sources with the parts: how many are done, and the blocks that are left."""
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
                _say_changed(source)
                break
            equal += 1
        done += equal
        if equal < len(block):
            parts.cut(done)
            return done, _rest(block, equal, blocks)
    parts.cut(done)
    return done, iter(())


def _take(
    blocks: Iterator[Block], identities: Identities, parts: Parts, finished: Finished
) -> tuple[int, Iterator[Block]]:
    """As `_match`, from a finished table, whose rows become parts again."""
    done = 0
    for block in blocks:
        sources, now = block.sources(), identities.of(block)
        table = finished.take(sources, now)
        parts.append(table, now[: len(table)])
        done += len(table)
        if len(table) < len(block):
            if finished.is_next(sources[len(table)]):
                _say_changed(sources[len(table)])
            return done, _rest(block, len(table), blocks)
    return done, iter(())


def _say_changed(source: str) -> None:
    _log.warning(
        "%s: may have changed since the earlier run; it and all after it are encoded again",
        printable(source),
    )


def _rest(block: Block, done: int, blocks: Iterator[Block]) -> Iterator[Block]:
    yield block.rest(done)
    yield from blocks
