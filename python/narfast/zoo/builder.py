"""``narfast zoo build``: read many networks, keep the distinct ones, write the folder.

Never fatal for one network's sake; killed at any point, it goes on where it stopped and ends with
the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narfast import operators
from narfast.errors import NarfastError
from narfast.frontends import library
from narfast.graph import GraphBatch, canonicalize
from narfast.zoo.format import check_replaceable
from narfast.zoo.journal import Failure, Journal
from narfast.zoo.records import Architecture
from narfast.zoo.store import Encoder, Progress, ZooContents, library_versions, write_zoo
from narfast.zoo.workers import DEFAULT_LOADER, read_networks
from narfast.zoo.zoo import Zoo

__all__ = ["BuildReport", "build_zoo", "identifiers_of", "journal_path"]


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        zoo: the zoo as written.
        failures: networks that could not be read, by id.
        resumed: how many networks an earlier, killed run had finished.
    """

    zoo: Zoo
    failures: tuple[Failure, ...]
    resumed: int


def identifiers_of(source: str) -> list[str]:
    """Return ``source:name`` for every network of a library.

    Raises:
        UnsupportedSourceError: not a library that can be listed.
        MissingDependencyError: it is not installed.
    """
    return [f"{source}:{name}" for name in library(source).list_names()]


def journal_path(directory: Path) -> Path:
    """Return where a build of ``directory`` keeps its unfinished work: beside it."""
    return directory.with_name(f"{directory.name}.journal")


def build_zoo(
    directory: Path,
    identifiers: Iterable[str],
    *,
    encoder: Encoder | None,
    encoder_source: str = "default",
    workers: int = 2,
    timeout: float = 120.0,
    loader: str = DEFAULT_LOADER,
    fresh: bool = False,
    keep_journal: bool = False,
    on_network: Callable[[int, int, str], None] | None = None,
    on_embedded: Progress | None = None,
) -> BuildReport:
    """Build a zoo folder from source strings.

    Args:
        directory: the folder to create or replace.
        identifiers: ``source:name`` strings; duplicates are read once.
        encoder: makes the embeddings; None leaves them for ``narfast zoo embed``.
        encoder_source: what `ArchitectureEncoder.from_pretrained` finds the encoder by.
        workers: processes that read networks.
        timeout: seconds per network.
        loader: ``module:function`` from a source string to a raw graph.
        fresh: forget what an earlier run left.
        keep_journal: leave the raw graphs beside the zoo, so that a later build with the same
            libraries only canonicalizes and embeds them anew.
        on_network: told done, total and the id just finished.
        on_embedded: told how many graphs have a vector.

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
    directory.parent.mkdir(parents=True, exist_ok=True)
    path = journal_path(directory)
    if fresh:
        path.unlink(missing_ok=True)
    with Journal(path, header=_header(loader)) as journal:
        finished = journal.done.keys() | journal.failed.keys()
        missing = [identifier for identifier in wanted if identifier not in finished]
        resumed = done = len(wanted) - len(missing)
        for result in read_networks(missing, workers=workers, timeout=timeout, loader=loader):
            if isinstance(result, Failure):
                journal.fail(result)
                identifier = result.id
            else:
                journal.add(result)
                identifier = result["id"]
            done += 1
            if on_network is not None:
                on_network(done, len(wanted), identifier)
        failures = _failures(journal, wanted)
        read = [key for key in wanted if key in journal.done]
        if not read:
            raise NarfastError(
                f"none of {len(wanted)} networks could be read; the first error is: "
                f"{failures[0].id}: {failures[0].reason}"
            )
        raw = GraphBatch.from_graphs([journal.done[key] for key in read])
        graphs = canonicalize(raw, num_threads=workers)
        contents = ZooContents.from_networks(
            (Architecture.of(key, graph), graph) for key, graph in zip(read, graphs, strict=True)
        )
        if encoder is not None:
            contents = contents.embedded(encoder, source=encoder_source, progress=on_embedded)
        write_zoo(directory, contents)
        if not keep_journal:
            journal.remove()
    return BuildReport(Zoo(directory, encoder=encoder), failures, resumed)


def _failures(journal: Journal, wanted: Sequence[str]) -> tuple[Failure, ...]:
    return tuple(Failure(key, journal.failed[key]) for key in wanted if key in journal.failed)


def _header(loader: str) -> dict[str, Any]:
    """Return what must be unchanged for the lines of an earlier run to be of use."""
    return {
        "journal": 1,
        "loader": loader,
        "versions": library_versions(),
        "operators": [info.name for info in operators.table()],
    }
