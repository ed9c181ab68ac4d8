"""What is asked of a search: which networks are queries, what they search in, what is relevant.

A protocol is a function from a zoo to settings, registered in `PROTOCOLS`; a method is a function
from a zoo to similarities, registered in `METHODS`. `evaluate` runs every method on every setting.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.errors import NarfastError
from narfast.evaluation.baselines import (
    cosine_similarities,
    operator_histogram,
    tf_idf,
    wl_counts,
)
from narfast.evaluation.metrics import CUTOFFS, Metric, rank, score_rankings
from narfast.index import normalize
from narfast.zoo.store import library_versions
from narfast.zoo.zoo import Zoo

__all__ = ["METHODS", "PROTOCOLS", "Method", "Report", "Setting", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One retrieval task over the rows of a zoo.

    Attributes:
        name: such as ``timm``.
        description: one line for people.
        queries: int64[q] rows that are searched for.
        database: int64[n] rows that are searched in, a query's own row among them or not.
        relevant: per query, the rows that should come first, without the query itself.
        families: per query, the family whose mean it counts in.
    """

    name: str
    description: str
    queries: NDArray[np.int64]
    database: NDArray[np.int64]
    relevant: tuple[NDArray[np.int64], ...]
    families: tuple[str, ...]


Protocol = Callable[[Zoo], Sequence[Setting]]

Method = Callable[[Zoo, Setting], NDArray[np.float32]]
"""Similarities float32 [queries, database] of a setting."""


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


def same_family(zoo: Zoo, rows: Sequence[int], *, name: str, description: str) -> Setting:
    """Each of ``rows`` is searched for among the others; relevant are those that share a family.

    A structure that several families offer (one design published twice) belongs to each of them.
    Rows are distinct structures, so a query has no twins; families of one structure ask nothing.
    """
    entries = [zoo[row] for row in rows]
    members: dict[str, list[int]] = {}
    for entry in entries:
        for family in entry.families:
            members.setdefault(family, []).append(entry.row)
    queries, relevant, families = [], [], []
    for entry in entries:
        others = {row for family in entry.families for row in members[family]} - {entry.row}
        if others:
            queries.append(entry.row)
            relevant.append(np.array(sorted(others), dtype=np.int64))
            families.append(entry.family or "")
    return Setting(
        name=name,
        description=description,
        queries=np.array(queries, dtype=np.int64),
        database=np.array(list(rows), dtype=np.int64),
        relevant=tuple(relevant),
        families=tuple(families),
    )


def paper_real(zoo: Zoo) -> list[Setting]:
    """Each timm network among the other timm networks, and each network among the whole zoo.

    Where the encoder says which families it was not trained on, their queries are scored apart too:
    only there is the comparison with training-free methods one of equals.
    """
    timm = [entry.row for entry in zoo if "timm" in entry.sources]
    settings = [
        same_family(
            zoo, timm, name="timm", description="each timm network among the others, same family"
        ),
        same_family(
            zoo,
            range(len(zoo)),
            name="whole-zoo",
            description="each network of the zoo among the others, same family",
        ),
    ]
    unseen = of_families(
        settings[1],
        unseen_families(zoo),
        name="unseen-families",
        description="as above, queries of families that the encoder was not trained on",
    )
    return [*settings, unseen] if len(unseen.queries) else settings


def of_families(
    setting: Setting, families: frozenset[str], *, name: str, description: str
) -> Setting:
    """Keep only the queries of some families; the database stays as it is."""
    kept = [place for place, family in enumerate(setting.families) if family in families]
    return Setting(
        name=name,
        description=description,
        queries=setting.queries[kept],
        database=setting.database,
        relevant=tuple(setting.relevant[place] for place in kept),
        families=tuple(setting.families[place] for place in kept),
    )


def unseen_families(zoo: Zoo) -> frozenset[str]:
    """Return the families that the zoo's encoder notes as held out of its training."""
    if zoo.manifest.encoder is None:
        return frozenset()
    try:
        notes = getattr(zoo.encoder, "training_notes", {})
    except NarfastError:
        return frozenset()  # the embeddings are there, the encoder that made them is not
    data = notes.get("config", {}).get("data", {})
    return frozenset(data.get("heldout_families", ()))


PROTOCOLS: dict[str, Protocol] = {"paper-real": paper_real}


def by_operator_histogram(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
    """Cosine of operator counts."""
    counts = operator_histogram(zoo.graphs)
    return cosine_similarities(counts, setting.queries, setting.database)


def by_wl(hops: int) -> Method:
    """Cosine of tf-idf weighted WL labels up to ``hops``."""

    def method(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
        weighted = tf_idf(wl_counts(zoo.graphs, hops), setting.database)
        return cosine_similarities(weighted, setting.queries, setting.database)

    return method


def by_wl_presence(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
    """Cosine of idf weighted 1-hop WL labels, each counted once: the strongest of these baselines.

    Sizes of one family differ in how often a block is repeated; forgetting counts forgets depth.
    """
    counts = wl_counts(zoo.graphs, 1)
    presence = replace(counts, value=np.ones_like(counts.value))
    weighted = tf_idf(presence, setting.database)
    return cosine_similarities(weighted, setting.queries, setting.database)


def by_encoder(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
    """Cosine of the zoo's stored embeddings."""
    unit = normalize(zoo.embeddings)
    return np.asarray(unit[setting.queries] @ unit[setting.database].T, dtype=np.float32)


METHODS: dict[str, Method] = {
    "operator histogram": by_operator_histogram,
    "WL tf-idf, 1 hop": by_wl(1),
    "WL tf-idf, 2 hops": by_wl(2),
    "WL tf-idf, 3 hops": by_wl(3),
    "WL idf, 1 hop, presence": by_wl_presence,
    "shipped encoder": by_encoder,
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
                f"{zoo.directory}: no two structures share a family in setting {setting.name!r}, "
                f"so {protocol} has no queries; use a zoo with labelled networks"
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
                setting.database != query,
                max(CUTOFFS),
                generator.permutation(len(setting.database)),
            )
        ]
        for place, query in enumerate(setting.queries)
    ]
