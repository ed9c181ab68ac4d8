"""``narfast zoo build``: read many networks, keep the distinct ones, write the folder.

A network that cannot be read never stops a build. A killed build continues where it stopped and
ends with the same bytes.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from narfast import operators
from narfast._optional import require
from narfast.errors import Failure, NarfastError, UnsupportedSourceError
from narfast.graph import (
    ArchGraph,
    canonicalize,
    canonicalize_each,
    hash_texts,
    structural_hash,
)
from narfast.reading.worker_pool import (
    DEFAULT_LOADER,
    MEMORY,
    TIMEOUT,
    memory_in_use,
    read_networks,
    reason_of,
)
from narfast.search_spaces import darts
from narfast.sources.loader import library
from narfast.sources.registry import LISTED, library_versions
from narfast.storage.format import MANIFEST, check_replaceable
from narfast.storage.records import NetworkRecord
from narfast.storage.writing import writing
from narfast.zoo.journal import Journal
from narfast.zoo.store import Encoder, Progress, ZooContents, write_zoo
from narfast.zoo.zoo import Zoo

__all__ = ["BuildReport", "build_zoo", "identifiers_of", "journal_path"]

_CHUNK = 256  # graphs canonicalized at a time


@dataclass(frozen=True)
class BuildReport:
    """The result of a build.

    Attributes:
        zoo: the zoo as written.
        failures: networks that could not be read, by id.
        resumed: how many networks an earlier run had finished.
        memory: peak memory in bytes of this process, and of the largest reading process.
    """

    zoo: Zoo
    failures: tuple[Failure, ...]
    resumed: int
    memory: tuple[int, int] = (0, 0)


def identifiers_of(source: str) -> list[str]:
    """Return ``library:name`` for every network of a library.

    Args:
        source: a library, ``darts`` for the published genotypes, or ``all`` for all of these.

    Raises:
        UnsupportedSourceError: not a library that can be listed.
        MissingDependencyError: it is not installed.
    """
    if source == "darts":
        return [f"darts:{name}" for name in darts.names()]
    if source == "all":
        require("torch", by="reading all libraries", extra="all")
        return [name for each in LISTED for name in identifiers_of(each)]
    if source not in LISTED:
        close = difflib.get_close_matches(source.lower(), LISTED, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UnsupportedSourceError(
            f"{source!r}: cannot be listed; choose from {', '.join(LISTED)}, or all{hint}"
        )
    return [f"{source}:{name}" for name in library(source).list_names()]


def journal_path(directory: Path) -> Path:
    """Return where a build of ``directory`` keeps its unfinished work: beside the folder."""
    place = Path(os.path.realpath(directory))
    return place.with_name(f"{place.name}.journal")


def build_zoo(
    directory: Path,
    identifiers: Iterable[str],
    *,
    encoder: Encoder | None,
    encoder_source: str = "default",
    workers: int = 2,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    index_threads: int = 1,
    loader: str = DEFAULT_LOADER,
    fresh: bool = False,
    keep_journal: bool = False,
    on_network: Callable[[int, int, str], None] | None = None,
    on_embedded: Progress | None = None,
) -> BuildReport:
    """Build a zoo folder from source strings.

    Networks that a killed run or the existing zoo has are not read again if library versions,
    operators and canonicalization are still the same. If another process writes the zoo, this one
    waits.

    Args:
        directory: the folder to create or replace.
        identifiers: ``library:name`` strings; duplicates are read once.
        encoder: computes the embeddings; None leaves them to ``narfast zoo embed``.
        encoder_source: name or path of the encoder, for `ArchitectureEncoder.from_pretrained`.
        workers: processes that read networks.
        timeout: seconds per network.
        memory: memory limit of a reading process, in bytes.
        index_threads: threads that build the index of a large zoo; more than one are faster, and
            the index file then differs from run to run.
        loader: ``module:function`` from a source string to a raw graph.
        fresh: read all networks again.
        keep_journal: keep the raw graphs beside the zoo. A later build with the same libraries
            then only canonicalizes and embeds them.
        on_network: told done, total and the id just finished.
        on_embedded: told how many graphs have a vector, and the total.

    Returns:
        The report.

    Raises:
        NarfastError: ``directory`` is something else, or no network at all could be read.
        OSError: the disk is full, read-only, ...
    """
    check_replaceable(directory)
    wanted = sorted(set(identifiers))
    if not wanted:
        raise NarfastError("no networks to build a zoo from; name a source or networks")
    with writing(directory):
        path = journal_path(directory)
        if fresh:
            path.unlink(missing_ok=True)
        finished = None if fresh else _finished(directory)
        if finished is not None and _is_complete(finished, wanted, encoder):
            return BuildReport(Zoo(directory, encoder=encoder), finished.errors, len(wanted))
        with Journal(path, header=_header(loader)) as journal:
            failed = {failure.id: failure.reason for failure in finished.errors} if finished else {}
            known = journal.done.keys() | journal.failed.keys() | failed.keys()
            missing = [
                key for key in wanted if key not in known and not (finished and key in finished)
            ]
            resumed = done = len(wanted) - len(missing)
            peak = memory_in_use()
            for result in read_networks(
                missing, workers=workers, timeout=timeout, memory=memory, loader=loader
            ):
                if isinstance(result, Failure):
                    journal.fail(result)
                    identifier = result.id
                else:
                    journal.add(result)
                    identifier = result["id"]
                done += 1
                peak = _larger(peak, memory_in_use())
                if on_network is not None:
                    on_network(done, len(wanted), identifier)
            failed.update(journal.failed)
            read = [key for key in wanted if key in journal.done or key not in failed]
            failures = [Failure(key, failed[key]) for key in set(wanted) - set(read)]
            networks = _networks(read, journal, finished, failures, num_threads=workers)
            contents = ZooContents.from_networks(networks)
            failures.sort(key=lambda failure: failure.id)
            if not contents.groups:
                raise NarfastError(
                    f"none of {len(wanted)} networks could be read; the first error is: "
                    f"{failures[0].id}: {failures[0].reason}"
                )
            contents = replace(contents, errors=tuple(failures))
            if encoder is not None:
                contents = contents.embedded(encoder, source=encoder_source, progress=on_embedded)
            write_zoo(directory, contents, index_threads=index_threads)
            if not keep_journal:
                journal.remove()
            peak = _larger(peak, memory_in_use())
        return BuildReport(Zoo(directory, encoder=encoder), tuple(failures), resumed, peak)


def _larger(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    return max(first[0], second[0]), max(first[1], second[1])


def _finished(directory: Path) -> Zoo | None:
    """Return the existing zoo if building it again would give the same graphs."""
    if not (directory / MANIFEST).exists():
        return None
    zoo = Zoo(directory)
    try:
        if dict(zoo.manifest.versions) != library_versions() or zoo.verify():
            return None
        again = structural_hash(canonicalize(zoo.graphs))
    except NarfastError:
        return None
    return zoo if hash_texts(again) == [entry.structural_hash for entry in zoo] else None


def _is_complete(zoo: Zoo, wanted: Sequence[str], encoder: Encoder | None) -> bool:
    """Whether a zoo has exactly the wanted networks, embedded by the wanted encoder."""
    ids = {record.id for record in zoo.records} | {failure.id for failure in zoo.errors}
    stamp = zoo.manifest.encoder
    fingerprint = None if stamp is None else stamp["fingerprint"]
    return ids == set(wanted) and fingerprint == (encoder and encoder.fingerprint)


def _networks(
    identifiers: Sequence[str],
    journal: Journal,
    finished: Zoo | None,
    failures: list[Failure],
    *,
    num_threads: int,
) -> Iterator[tuple[NetworkRecord, ArchGraph]]:
    """Yield records with canonical graphs, in chunks: raw graphs need much memory.

    Networks that canonicalization refuses go to ``failures``.
    """
    for start in range(0, len(identifiers), _CHUNK):
        chunk = identifiers[start : start + _CHUNK]
        raw = list(journal.graphs(key for key in chunk if key in journal.done))
        canonical = iter(canonicalize_each(raw, num_threads=num_threads))
        for key in chunk:
            if key in journal.done or finished is None:
                graph = next(canonical)
            else:
                graph = finished.graph_of(key)
            if isinstance(graph, NarfastError):
                failures.append(Failure(key, reason_of(graph)))
            else:
                yield NetworkRecord.of(key, graph), graph


def _header(loader: str) -> dict[str, Any]:
    """Return the facts that must be unchanged for an earlier run's lines to be valid."""
    return {
        "journal": 2,
        "loader": loader,
        "versions": library_versions(),
        "operators": [info.name for info in operators.table()],
    }
