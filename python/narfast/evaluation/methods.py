"""Ways to compare networks: from a zoo and a setting to similarities, by name in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from narfast.evaluation.baselines import (
    SparseRows,
    cosine_similarities,
    operator_histogram,
    operator_ngrams,
    tf_idf,
    wl_counts,
)
from narfast.evaluation.protocols import Setting
from narfast.index import normalize
from narfast.zoo.zoo import Zoo

__all__ = ["METHODS", "Method"]

Method = Callable[[Zoo, Setting], NDArray[np.float32]]
"""Similarities float32 [queries, database] of a setting."""


def by_operator_histogram(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
    """Cosine of operator counts."""
    counts = operator_histogram(zoo.graphs)
    return cosine_similarities(counts, setting.queries, setting.database)


def by_operator_tf_idf(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
    """Cosine of tf-idf weighted operator counts."""
    weighted = tf_idf(operator_histogram(zoo.graphs), setting.database)
    return cosine_similarities(weighted, setting.queries, setting.database)


def by_text(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
    """Cosine of tf-idf weighted 1- to 3-grams of operator names in topological order."""
    weighted = tf_idf(operator_ngrams(zoo.graphs, 3), setting.database)
    return cosine_similarities(weighted, setting.queries, setting.database)


def by_text_presence(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
    """As `by_text`, with every n-gram counted once: how deep a network is does not count."""
    weighted = tf_idf(_presence(operator_ngrams(zoo.graphs, 3)), setting.database)
    return cosine_similarities(weighted, setting.queries, setting.database)


def by_wl(hops: int) -> Method:
    """Cosine of tf-idf weighted WL labels up to ``hops``."""

    def method(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
        weighted = tf_idf(wl_counts(zoo.graphs, hops), setting.database)
        return cosine_similarities(weighted, setting.queries, setting.database)

    return method


def by_wl_presence(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
    """Cosine of idf weighted 1-hop WL labels, each counted once.

    Sizes of one family differ in how often a block is repeated; forgetting counts forgets depth.
    """
    weighted = tf_idf(_presence(wl_counts(zoo.graphs, 1)), setting.database)
    return cosine_similarities(weighted, setting.queries, setting.database)


def by_encoder(zoo: Zoo, setting: Setting) -> NDArray[np.float32]:
    """Cosine of the zoo's stored embeddings."""
    unit = normalize(zoo.embeddings)
    return np.asarray(unit[setting.queries] @ unit[setting.database].T, dtype=np.float32)


def _presence(counts: SparseRows) -> SparseRows:
    return replace(counts, value=np.ones_like(counts.value))


METHODS: dict[str, Method] = {
    "operator histogram": by_operator_histogram,
    "operator tf-idf": by_operator_tf_idf,
    "operator n-grams": by_text,
    "operator n-grams, presence": by_text_presence,
    "WL tf-idf, 1 hop": by_wl(1),
    "WL tf-idf, 2 hops": by_wl(2),
    "WL tf-idf, 3 hops": by_wl(3),
    "WL idf, 1 hop, presence": by_wl_presence,
    "shipped encoder": by_encoder,
}
