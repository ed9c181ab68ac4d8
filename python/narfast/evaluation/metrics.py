"""Metrics of rankings: MRR, MAP and NDCG by ir-measures, with means and bootstrap intervals.

Another metric is how often the first hit is relevant. MAP divides by min(|relevant|, k), so a
perfect ranking scores 1 at every cut-off; NDCG cuts the ideal ranking at k too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast._optional import require

__all__ = [
    "CUTOFFS",
    "MEASURES",
    "Difference",
    "Metric",
    "Scores",
    "compare_scores",
    "per_query_scores",
    "rank",
    "summarize_scores",
]

CUTOFFS = (20, 50, 100)
MEASURES = ("mrr", "map", "ndcg")

_RESAMPLES = 1000
_TAILS = (0.025, 0.975)  # of a 95 % interval


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A mean with its uncertainty.

    Attributes:
        mean: over queries; each counts the same.
        low: lower end of the 95 % bootstrap interval of ``mean``, resampling queries.
        high: upper end.
        family_mean: mean over families of the mean within each; each family counts the same.
        family_low: lower end of the interval of ``family_mean``, resampling families.
        family_high: upper end.
    """

    mean: float
    low: float
    high: float
    family_mean: float
    family_low: float
    family_high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The lead of one method over another on the same queries.

    Attributes:
        mean: mean difference over queries.
        low: lower end of the 95 % bootstrap interval, resampling families with all their queries:
            queries of one family are not independent.
        high: upper end.
        p_value: two-sided; probability of a mean at least as far from zero if the sign of each
            whole family is random.
    """

    mean: float
    low: float
    high: float
    p_value: float


Scores = Mapping[str, Mapping[int, NDArray[np.float64]]]
"""Measure -> cut-off -> float64 [queries]."""


def rank(
    scores: NDArray[np.floating[Any]],
    allowed: NDArray[np.bool_],
    depth: int,
    tie_break: NDArray[Any],
) -> NDArray[np.int64]:
    """Order one query's candidates, best first.

    Args:
        scores: [n], higher is better.
        allowed: [n], false for the query itself and networks of the same structure.
        depth: number of rows.
        tie_break: [n] distinct numbers that order equal scores. They are random: the database puts
            families together, so its own order would reward methods with ties.

    Returns:
        At most ``depth`` row numbers.
    """
    rows = np.flatnonzero(allowed)
    order = np.lexsort((tie_break[rows], -scores[rows].astype(np.float64)))
    return rows[order[:depth]]


def per_query_scores(
    rankings: Sequence[NDArray[np.int64]],
    relevant: Sequence[NDArray[np.int64]],
    *,
    cutoffs: Sequence[int] = CUTOFFS,
) -> dict[str, dict[int, NDArray[np.float64]]]:
    """Score every query.

    Args:
        rankings: row numbers per query, best first, at least max(cutoffs) if possible.
        relevant: relevant row numbers per query, not empty.
        cutoffs: depths of the cut rankings.

    Returns:
        ``mrr``, ``map`` and ``ndcg`` at the cut-offs, and ``hit`` at 1.

    Raises:
        MissingDependencyError: ir-measures is not installed.
        ValueError: a query has no relevant row.
    """
    require("ir_measures", by="evaluation", extra="evaluation")
    import ir_measures
    from ir_measures import AP, RR, nDCG

    if any(len(rows) == 0 for rows in relevant):
        raise ValueError("every query needs at least one relevant row")
    first = [
        len(rows) > 0 and rows[0] in wanted for rows, wanted in zip(rankings, relevant, strict=True)
    ]
    hits = {"hit": {1: np.array(first, dtype=np.float64)}}
    if not rankings:
        return {name: {cut: np.empty(0) for cut in cutoffs} for name in MEASURES} | hits
    depth = max(cutoffs)
    # trec_eval sorts by score and breaks ties in its own way: ranks as scores keep our order. It
    # skips empty rankings, so a query without candidates gets one unjudged document.
    run = {
        str(query): {str(row): float(depth - place) for place, row in enumerate(rows[:depth])}
        or {"none": 0.0}
        for query, rows in enumerate(rankings)
    }
    judged = {str(query): {str(row): 1 for row in rows} for query, rows in enumerate(relevant)}
    names = {"mrr": RR, "map": AP, "ndcg": nDCG}
    measures = {names[name] @ cut: (name, cut) for name in MEASURES for cut in cutoffs}
    scores = {name: {cut: np.zeros(len(rankings)) for cut in cutoffs} for name in MEASURES}
    for result in ir_measures.iter_calc(list(measures), judged, run):
        name, cut = measures[result.measure]
        value = result.value
        if name == "map":  # ir-measures divides by |relevant|, unreachable when that exceeds k
            count = len(relevant[int(result.query_id)])
            value *= count / min(count, cut)
        scores[name][cut][int(result.query_id)] = value
    return scores | hits


def summarize_scores(
    scores: Scores, families: Sequence[str], *, seed: int = 0
) -> dict[str, dict[str, Metric]]:
    """Compute means with bootstrap intervals.

    Args:
        scores: scores of every query.
        families: family of each query.
        seed: seed of the bootstrap.

    Returns:
        measure -> cut-off (as text, for JSON) -> metric.
    """
    labels, member = np.unique(np.asarray(families), return_inverse=True)
    sizes = np.bincount(member, minlength=len(labels))
    generator = np.random.default_rng(seed)
    # All measures and methods share the resamples, so that their intervals are comparable.
    queries = _resamples(generator, len(member))
    groups = _resamples(generator, len(labels))

    def metric(values: NDArray[np.float64]) -> Metric:
        by_family = np.bincount(member, weights=values, minlength=len(labels)) / sizes
        low, high = _interval(values, queries)
        family_low, family_high = _interval(by_family, groups)
        return Metric(
            mean=float(values.mean()),
            low=low,
            high=high,
            family_mean=float(by_family.mean()),
            family_low=family_low,
            family_high=family_high,
        )

    return {
        name: {str(cut): metric(values) for cut, values in by_cut.items()}
        for name, by_cut in scores.items()
    }


def compare_scores(
    first: Scores, second: Scores, families: Sequence[str], *, seed: int = 0
) -> dict[str, dict[str, Difference]]:
    """Compare two methods query by query.

    Args:
        first: scores of one method.
        second: scores of the other method on the same queries.
        families: family of each query.
        seed: seed of the resamples.

    Returns:
        measure -> cut-off (as text) -> difference.
    """
    labels, member = np.unique(np.asarray(families), return_inverse=True)
    sizes = np.bincount(member, minlength=len(labels))
    generator = np.random.default_rng(seed)
    groups = _resamples(generator, len(labels))
    signs = generator.choice([-1.0, 1.0], size=(_RESAMPLES, len(labels)))

    def difference(values: NDArray[np.float64]) -> Difference:
        sums = np.bincount(member, weights=values, minlength=len(labels))
        mean = sums.sum() / len(values)
        means = sums[groups].sum(axis=1) / sizes[groups].sum(axis=1)
        low, high = np.quantile(means, _TAILS)
        by_chance = np.abs(signs @ sums) / len(values)
        # Values equal up to rounding count as equal; the data itself is one of the draws.
        extreme = int((by_chance >= abs(mean) * (1 - 1e-9)).sum())
        return Difference(
            mean=float(mean),
            low=float(low),
            high=float(high),
            p_value=(1 + extreme) / (1 + _RESAMPLES),
        )

    return {
        name: {str(cut): difference(first[name][cut] - second[name][cut]) for cut in by_cut}
        for name, by_cut in first.items()
    }


def _resamples(generator: np.random.Generator, count: int) -> NDArray[np.int64]:
    return generator.integers(0, count, size=(_RESAMPLES, count))


def _interval(values: NDArray[np.float64], resamples: NDArray[np.int64]) -> tuple[float, float]:
    low, high = np.quantile(values[resamples].mean(axis=1), _TAILS)
    return float(low), float(high)
