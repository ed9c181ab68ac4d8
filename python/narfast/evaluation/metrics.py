"""Rankings to numbers: MRR, MAP and NDCG by ir-measures, with means and bootstrap intervals.

MAP divides by min(|relevant|, k), so that a perfect ranking scores 1 at every cut-off; NDCG cuts
the ideal ranking at k too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast.errors import MissingDependencyError

__all__ = ["CUTOFFS", "MEASURES", "Metric", "per_query_scores", "rank", "score_rankings"]

CUTOFFS = (20, 50, 100)
MEASURES = ("mrr", "map", "ndcg")

_RESAMPLES = 1000
_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number with its uncertainty.

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

    def to_json(self) -> dict[str, float]:
        """Return plain JSON values."""
        return asdict(self)


def rank(
    scores: NDArray[np.floating[Any]],
    allowed: NDArray[np.bool_],
    depth: int,
    tie_break: NDArray[Any],
) -> NDArray[np.int64]:
    """Order one query's candidates, best first.

    Args:
        scores: [n], higher is better.
        allowed: [n], false for the query itself and its twins.
        depth: rows wanted.
        tie_break: [n] distinct numbers; equal scores are ordered by it. Random, since the
            database's own order puts families together and would reward a method that ties.

    Returns:
        At most ``depth`` row numbers.
    """
    rows = np.flatnonzero(allowed)
    order = np.lexsort((tie_break[rows], -scores[rows].astype(np.float64)))
    return rows[order[:depth]]


def per_query_scores(
    rankings: Sequence[NDArray[np.int64]], relevant: Sequence[NDArray[np.int64]]
) -> dict[str, dict[int, NDArray[np.float64]]]:
    """Score every query.

    Args:
        rankings: row numbers per query, best first, at least max(CUTOFFS) where there are so many.
        relevant: relevant row numbers per query, each not empty.

    Returns:
        measure -> cut-off -> float64 [queries].

    Raises:
        MissingDependencyError: ir-measures is not installed.
        ValueError: a query has no relevant row.
    """
    try:
        import ir_measures
        from ir_measures import AP, RR, nDCG
    except ImportError as error:
        raise MissingDependencyError(
            "evaluation needs ir-measures: pip install 'narfast[evaluation]'"
        ) from error
    if any(len(rows) == 0 for rows in relevant):
        raise ValueError("every query needs at least one relevant row")
    if not rankings:
        return {name: {cut: np.empty(0) for cut in CUTOFFS} for name in MEASURES}
    depth = max(CUTOFFS)
    # trec_eval sorts by score and breaks ties its own way: ranks as scores keep our order. A query
    # without candidates gets one unjudged document, since trec_eval skips empty rankings.
    run = {
        str(query): {str(row): float(depth - place) for place, row in enumerate(rows[:depth])}
        or {"none": 0.0}
        for query, rows in enumerate(rankings)
    }
    judged = {str(query): {str(row): 1 for row in rows} for query, rows in enumerate(relevant)}
    names = {"mrr": RR, "map": AP, "ndcg": nDCG}
    measures = {names[name] @ cut: (name, cut) for name in MEASURES for cut in CUTOFFS}
    scores = {name: {cut: np.zeros(len(rankings)) for cut in CUTOFFS} for name in MEASURES}
    for result in ir_measures.iter_calc(list(measures), judged, run):
        name, cut = measures[result.measure]
        value = result.value
        if name == "map":  # ir-measures divides by |relevant|, out of reach when that exceeds k
            count = len(relevant[int(result.query_id)])
            value *= count / min(count, cut)
        scores[name][cut][int(result.query_id)] = value
    return scores


def score_rankings(
    rankings: Sequence[NDArray[np.int64]],
    relevant: Sequence[NDArray[np.int64]],
    families: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, dict[str, Metric]]:
    """Score rankings and estimate how far the means can be trusted.

    Args:
        rankings: row numbers per query, best first.
        relevant: relevant row numbers per query.
        families: family of each query.
        seed: of the bootstrap.

    Returns:
        measure -> cut-off (as text, for JSON) -> metric.
    """
    labels, member = np.unique(np.asarray(families), return_inverse=True)
    sizes = np.bincount(member, minlength=len(labels))
    generator = np.random.default_rng(seed)
    # The same resamples for every measure and method, so that their intervals compare.
    queries = _resamples(generator, len(rankings))
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

    scores = per_query_scores(rankings, relevant)
    return {
        name: {str(cut): metric(values) for cut, values in by_cut.items()}
        for name, by_cut in scores.items()
    }


def _resamples(generator: np.random.Generator, count: int) -> NDArray[np.int64]:
    return generator.integers(0, count, size=(_RESAMPLES, count))


def _interval(values: NDArray[np.float64], resamples: NDArray[np.int64]) -> tuple[float, float]:
    means = values[resamples].mean(axis=1)
    tail = (1.0 - _CONFIDENCE) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)
