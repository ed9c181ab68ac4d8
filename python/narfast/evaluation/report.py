"""Runs every method on every setting of a protocol."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.errors import NarfastError
from narfast.evaluation.methods import METHODS, Method
from narfast.evaluation.metrics import CUTOFFS, Metric, rank, score_rankings
from narfast.evaluation.protocols import PROTOCOLS, Setting
from narfast.zoo.store import library_versions
from narfast.zoo.zoo import Zoo

__all__ = ["Report", "SettingResult", "evaluate", "rankings_of"]


@dataclass(frozen=True, kw_only=True)
class SettingResult:
    """The scores of every method in one setting."""

    setting: Setting
    methods: Mapping[str, Mapping[str, Mapping[str, Metric]]]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "methods": {
                name: {
                    measure: {cut: metric.to_json() for cut, metric in by_cut.items()}
                    for measure, by_cut in measures.items()
                }
                for name, measures in self.methods.items()
            },
            "description": self.setting.description,
            "queries": len(self.setting.queries),
            "database": len(self.setting.database),
            "families": len(set(self.setting.families)),
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of a protocol: its main setting first."""

    protocol: str
    results: tuple[SettingResult, ...]
    seed: int
    zoo: str
    encoder: Mapping[str, Any] | None
    versions: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the main setting on top, all of them under ``settings``."""
        return {
            "protocol": self.protocol,
            **self.results[0].to_json(),
            "settings": {result.setting.name: result.to_json() for result in self.results},
            "seed": self.seed,
            "zoo": self.zoo,
            "encoder": None if self.encoder is None else dict(self.encoder),
            "versions": dict(self.versions),
        }


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
        methods: name -> method; `METHODS` when None, without the encoder where the zoo has no
            embeddings.
        seed: of tie-breaking and bootstrap.
        progress: told how many (setting, method) pairs are done.

    Raises:
        NarfastError: no such protocol, or the zoo holds no queries for it.
        MissingDependencyError: ir-measures is not installed.
    """
    if protocol not in PROTOCOLS:
        raise NarfastError(
            f"{protocol}: no such protocol; choose from {', '.join(sorted(PROTOCOLS))}"
        )
    if methods is None:
        methods = dict(METHODS)
        if zoo.manifest.encoder is None:
            del methods["shipped encoder"]
    settings = PROTOCOLS[protocol](zoo)
    results = []
    done = 0
    for setting in settings:
        if not len(setting.queries):
            raise NarfastError(
                f"{zoo.directory}: nothing is relevant to anything in setting {setting.name!r}, so "
                f"{protocol} has no queries; use a zoo with labelled networks of several families"
            )
        scored = {}
        for name, method in methods.items():
            rankings = rankings_of(setting, method(zoo, setting), seed=seed)
            scored[name] = score_rankings(rankings, setting.relevant, setting.families, seed=seed)
            done += 1
            if progress is not None:
                progress(done, len(settings) * len(methods))
        results.append(SettingResult(setting=setting, methods=scored))
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
    setting: Setting, similarities: NDArray[np.float32], *, seed: int
) -> list[NDArray[np.int64]]:
    """Turn similarities [queries, database] into zoo rows per query, the query itself removed."""
    generator = np.random.default_rng(seed)
    # One random order per query: a shared one would rank the same tied rows first for all of them.
    return [
        setting.database[
            rank(
                similarities[place],
                (setting.database != query)
                if setting.candidates is None
                else (setting.database != query) & setting.candidates[place],
                max(CUTOFFS),
                generator.permutation(len(setting.database)),
            )
        ]
        for place, query in enumerate(setting.queries)
    ]
