"""The networks that a task ranks, with counts and vectors that several methods share."""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from narfast.errors import NarfastError
from narfast.evaluation.baselines import SparseRows, operator_histogram, operator_ngrams, wl_counts
from narfast.graph import GraphBatch
from narfast.index import normalize
from narfast.zoo.store import Encoder, encode_graphs
from narfast.zoo.zoo import Zoo

__all__ = ["Corpus"]


class Corpus:
    """Rows of a zoo, followed by networks that the zoo does not have.

    Counts and vectors are computed once, on first use.
    """

    def __init__(self, zoo: Zoo, extra: GraphBatch | None = None) -> None:
        """Wrap a zoo.

        Args:
            zoo: the networks of rows 0 to len(zoo) - 1.
            extra: canonical graphs of the rows after these.
        """
        self.zoo = zoo
        self._extra = extra
        self.histogram = cache(lambda: operator_histogram(self.graphs))
        self.ngrams = cache(lambda: operator_ngrams(self.graphs, 3))
        self.wl = cache(self._wl)
        self._unit: dict[str, NDArray[np.float32]] = {}

    @cached_property
    def graphs(self) -> GraphBatch:
        """The graphs of all rows."""
        if self._extra is None:
            return self.zoo.graphs
        return GraphBatch.from_graphs([*self.zoo.graphs, *self._extra])

    def _wl(self, hops: int, attributes: bool = True) -> SparseRows:
        return wl_counts(self.graphs, hops, attributes=attributes)

    def vectors(
        self,
        encoder: Encoder | None = None,
        *,
        known: dict[str, NDArray[np.float32]] | None = None,
    ) -> NDArray[np.float32]:
        """Return unit vectors float32 [rows, dim].

        Args:
            encoder: computes the vectors; None for the zoo's stored vectors and its encoder.
            known: vectors of zoos by checksum, shared by several corpora of one encoder.

        Raises:
            NarfastError: the encoder does not return a finite vector for each network.
        """
        key = "" if encoder is None else encoder.fingerprint
        if key not in self._unit:
            if encoder is None:
                vectors = self.zoo.embeddings
            else:
                known = {} if known is None else known
                if self.zoo.checksum not in known:
                    known[self.zoo.checksum] = encode_graphs(encoder, list(self.zoo.graphs))
                vectors = known[self.zoo.checksum]
            if self._extra is not None:
                own = encode_graphs(encoder or self.zoo.encoder, list(self._extra))
                if own.shape[1:] != vectors.shape[1:]:
                    raise NarfastError(
                        f"the encoder gives vectors of {own.shape[1:]} numbers, those of the zoo "
                        f"have {vectors.shape[1:]}; run 'narfast zoo embed' with it"
                    )
                vectors = np.concatenate([vectors, own])
            rows = len(self.zoo) + (0 if self._extra is None else len(self._extra))
            if vectors.ndim != 2 or len(vectors) != rows or not np.isfinite(vectors).all():
                raise NarfastError(
                    f"an encoder must give one vector of finite numbers for each of {rows} "
                    f"networks, got an array of shape {vectors.shape}"
                )
            self._unit[key] = normalize(vectors)
        return self._unit[key]
