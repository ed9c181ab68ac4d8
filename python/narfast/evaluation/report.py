"""Runs every method on every task of a protocol, and reports the metrics."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast._optional import require
from narfast.errors import NarfastError
from narfast.evaluation.corpus import Corpus
from narfast.evaluation.methods import METHODS, SHIPPED, Method, methods_for
from narfast.evaluation.metrics import (
    CUTOFFS,
    Difference,
    Metric,
    Scores,
    compare_scores,
    per_query_scores,
    rank,
    summarize_scores,
)
from narfast.evaluation.protocols import PROTOCOLS, RetrievalTask
from narfast.sources.registry import library_versions
from narfast.zoo.zoo import Zoo

__all__ = ["Report", "TaskResult", "evaluate", "merged", "rankings_of"]


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """The scores of every method in one task.

    Attributes:
        task: the task.
        methods: method -> measure -> cut-off -> metric.
        ahead: lead of the shipped encoder over each other method, in the same layout; empty if the
            encoder was not run.
    """

    task: RetrievalTask
    methods: Mapping[str, Mapping[str, Mapping[str, Metric]]]
    ahead: Mapping[str, Mapping[str, Mapping[str, Difference]]]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "methods": _plain(self.methods),
            "ahead": _plain(self.ahead),
            "description": self.task.description,
            "queries": len(self.task.queries),
            "database": len(self.task.database),
            "families": len(set(self.task.families)),
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result of a protocol; its main task comes first."""

    protocol: str
    results: tuple[TaskResult, ...]
    seed: int
    zoo: str
    encoder: Mapping[str, Any] | None
    versions: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the main task on top, all of them under ``settings``."""
        return {
            "protocol": self.protocol,
            **self.results[0].to_json(),
            "settings": {result.task.name: result.to_json() for result in self.results},
            "seed": self.seed,
            "zoo": self.zoo,
            "encoder": None if self.encoder is None else dict(self.encoder),
            "versions": dict(self.versions),
        }


def _plain(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        name: {
            measure: {cut: asdict(value) for cut, value in by_cut.items()}
            for measure, by_cut in measures.items()
        }
        for name, measures in values.items()
    }


def merged(old: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Merge a report with an earlier one of the same queries; keep the earlier one's other methods.

    Under ``kept``, the result lists kept rows that another zoo, encoder or version made.

    Args:
        old: result of `Report.to_json` or of this function.
        report: the new report.

    Returns:
        As `Report.to_json`.

    Raises:
        NarfastError: the earlier value is not a report, or has another protocol, seed or queries.
    """
    new = report.to_json()
    main = report.results[0].task.name
    try:
        if _asked(old) != _asked(new):
            raise ValueError
        for name, task in new["settings"].items():
            for part in ("methods", "ahead"):
                task[part] = _in_order(old["settings"][name][part], task[part])
        earlier = {name: _origin(old) for name in old["methods"]} | dict(old.get("kept", {}))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NarfastError(
            f"not a report of {report.protocol} with the same queries and seed, so the other "
            "methods in it cannot be kept"
        ) from None
    kept = {
        name: origin
        for name, origin in earlier.items()
        if name not in report.results[0].methods and origin != _origin(new)
    }
    return {**new, **new["settings"][main], **({"kept": kept} if kept else {})}


def _asked(report: Mapping[str, Any]) -> tuple[Any, ...]:
    facts = ("description", "queries", "database", "families")
    tasks = report["settings"].items()
    asked = [(name, *(task[fact] for fact in facts)) for name, task in tasks]
    return report["protocol"], report["seed"], asked


def _origin(report: Mapping[str, Any]) -> dict[str, Any]:
    return {key: report[key] for key in ("zoo", "encoder", "versions")}


def _in_order(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Merge both; names known to `METHODS` come first, in its order."""
    both = {**old, **new}
    return {name: both[name] for name in [*METHODS, *both] if name in both}


def evaluate(
    protocol: str,
    zoo: Zoo,
    *,
    methods: Mapping[str, Method] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Run a protocol with every method.

    Args:
        protocol: a key of `PROTOCOLS`.
        zoo: the networks.
        methods: name -> method; `methods_for` the zoo when None.
        seed: seed of tie-breaking and bootstrap.
        progress: told how many (task, method) pairs are done, and the total.

    Raises:
        NarfastError: no such protocol, the zoo has no queries for it, or a method does not return
            a similarity for every pair.
        MissingDependencyError: ir-measures or SciPy is not installed.
    """
    if protocol not in PROTOCOLS:
        raise NarfastError(
            f"{protocol}: no such protocol; choose from {', '.join(sorted(PROTOCOLS))}"
        )
    require("ir_measures", "scipy", by="evaluation", extra="evaluation")
    methods = methods_for(zoo) if methods is None else methods
    tasks = PROTOCOLS[protocol](zoo)
    results = []
    done = 0
    corpus, corpus_of = Corpus(zoo), None
    for task in tasks:
        if not len(task.queries):
            raise NarfastError(
                f"{zoo.directory}: task {task.name!r} has no relevant networks, so "
                f"{protocol} has no queries; use a zoo with labelled networks of several families"
            )
        if task.extra is not corpus_of:
            corpus, corpus_of = Corpus(zoo, task.extra), task.extra
        scores: dict[str, Scores] = {}
        for name, method in methods.items():
            similarities = method(corpus, task)
            try:
                rankings = rankings_of(task, similarities, seed=seed)
            except NarfastError as error:
                raise NarfastError(f"method {name!r} in task {task.name!r}: {error}") from None
            scores[name] = per_query_scores(rankings, task.relevant)
            done += 1
            if progress is not None:
                progress(done, len(tasks) * len(methods))
        families = task.families
        ahead = {
            name: compare_scores(scores[SHIPPED], scores[name], families, seed=seed)
            for name in methods
            if SHIPPED in scores and name != SHIPPED
        }
        summary = {name: summarize_scores(scores[name], families, seed=seed) for name in methods}
        results.append(TaskResult(task=task, methods=summary, ahead=ahead))
    return Report(
        protocol=protocol,
        results=tuple(results),
        seed=seed,
        zoo=zoo.checksum,
        encoder=zoo.manifest.encoder,
        versions={
            **library_versions(),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    )


def rankings_of(
    task: RetrievalTask, similarities: NDArray[np.float32], *, seed: int
) -> list[NDArray[np.int64]]:
    """Turn similarities [queries, database] into zoo rows per query, without the query itself.

    Raises:
        NarfastError: the similarities have the wrong shape, or one of them is NaN.
    """
    similarities = np.asarray(similarities)
    shape = len(task.queries), len(task.database)
    if similarities.shape != shape or similarities.dtype.kind not in "fiu":
        raise NarfastError(
            f"similarities must be numbers of shape {shape}, one row for each query, got "
            f"{similarities.dtype} of shape {similarities.shape}"
        )
    missing = np.isnan(similarities)
    if missing.any():
        query, column = np.argwhere(missing)[0].tolist()
        raise NarfastError(
            f"{int(missing.sum())} similarities are NaN, the first of query {query} and row "
            f"{column} of the database; a method must give a number for every pair"
        )
    generator = np.random.default_rng(seed)
    # One random order per query: a shared one would rank the same tied rows first for all queries.
    return [
        task.database[
            rank(
                similarities[place],
                (task.database != query)
                if task.candidates is None
                else (task.database != query) & task.candidates[place],
                max(CUTOFFS),
                generator.permutation(len(task.database)),
            )
        ]
        for place, query in enumerate(task.queries)
    ]
