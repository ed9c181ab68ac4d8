"""Ways to compare networks: from a corpus and a task to similarities, by name in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from narfast.evaluation.baselines import SparseRows, cosine_similarities, log_counts, tf_idf
from narfast.evaluation.corpus import Corpus
from narfast.evaluation.protocols import RetrievalTask
from narfast.zoo.store import Encoder
from narfast.zoo.zoo import Zoo

__all__ = ["METHODS", "SHIPPED", "Method", "by_encoder", "methods_for"]

Method = Callable[[Corpus, RetrievalTask], NDArray[np.float32]]
"""Similarities float32 [queries, database] of a task."""

SHIPPED = "shipped encoder"
"""The method that ranks by the zoo's stored embeddings."""


def by_operator_histogram(corpus: Corpus, task: RetrievalTask) -> NDArray[np.float32]:
    """Cosine of operator counts."""
    return cosine_similarities(corpus.histogram(), task.queries, task.database)


def by_log_histogram(corpus: Corpus, task: RetrievalTask) -> NDArray[np.float32]:
    """Cosine of ln(1 + operator counts)."""
    weighted = log_counts(corpus.histogram())
    return cosine_similarities(weighted, task.queries, task.database)


def by_operator_tf_idf(corpus: Corpus, task: RetrievalTask) -> NDArray[np.float32]:
    """Cosine of tf-idf weighted operator counts."""
    return _by_tf_idf(corpus.histogram(), task)


def by_text(corpus: Corpus, task: RetrievalTask) -> NDArray[np.float32]:
    """Cosine of tf-idf weighted 1- to 3-grams of operator names in topological order."""
    return _by_tf_idf(corpus.ngrams(), task)


def by_text_presence(corpus: Corpus, task: RetrievalTask) -> NDArray[np.float32]:
    """As `by_text`, but each n-gram counts once, so that depth has no influence."""
    return _by_tf_idf(_presence(corpus.ngrams()), task)


def by_wl(hops: int, *, attributes: bool = True) -> Method:
    """Cosine of tf-idf weighted WL labels up to ``hops``, with attributes or without."""

    def method(corpus: Corpus, task: RetrievalTask) -> NDArray[np.float32]:
        return _by_tf_idf(corpus.wl(hops, attributes), task)

    return method


def by_wl_presence(corpus: Corpus, task: RetrievalTask) -> NDArray[np.float32]:
    """Cosine of idf weighted 1-hop WL labels, each counted once.

    Sizes of one family differ in the number of repeated blocks. Without counts, depth has no
    influence.
    """
    return _by_tf_idf(_presence(corpus.wl(1, True)), task)


def by_encoder(encoder: Encoder | None = None) -> Method:
    """Cosine of an encoder's vectors; None for the vectors stored in the zoo."""
    known: dict[str, NDArray[np.float32]] = {}

    def method(corpus: Corpus, task: RetrievalTask) -> NDArray[np.float32]:
        unit = corpus.vectors(encoder, known=known)
        return np.asarray(unit[task.queries] @ unit[task.database].T, dtype=np.float32)

    return method


def _by_tf_idf(counts: SparseRows, task: RetrievalTask) -> NDArray[np.float32]:
    weighted = tf_idf(counts, task.database)
    return cosine_similarities(weighted, task.queries, task.database)


def _presence(counts: SparseRows) -> SparseRows:
    return replace(counts, value=np.ones_like(counts.value))


METHODS: dict[str, Method] = {
    "operator histogram": by_operator_histogram,
    "operator histogram, log1p": by_log_histogram,
    "operator tf-idf": by_operator_tf_idf,
    "operator n-grams": by_text,
    "operator n-grams, presence": by_text_presence,
    "WL tf-idf, 1 hop, operators alone": by_wl(1, attributes=False),
    "WL tf-idf, 1 hop": by_wl(1),
    "WL tf-idf, 2 hops": by_wl(2),
    "WL tf-idf, 3 hops": by_wl(3),
    "WL idf, 1 hop, presence": by_wl_presence,
    SHIPPED: by_encoder(),
}


def methods_for(zoo: Zoo) -> dict[str, Method]:
    """Return `METHODS`, without the encoder if the zoo has no embeddings."""
    return {k: m for k, m in METHODS.items() if k != SHIPPED or zoo.manifest.encoder is not None}
