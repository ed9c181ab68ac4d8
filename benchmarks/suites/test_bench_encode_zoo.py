"""Encoding all stored graphs of the zoo beside the torch model with the same weights, in one run.

Motif caches are cold and both sides encode each distinct motif once; the torch model gets 512
networks at a time.
"""

from __future__ import annotations

import numpy as np
import pytest
from torch_peer import CachingTorch

from narfast.encoder.encoder import ArchitectureEncoder
from narfast.zoo import Zoo

TORCH_BATCH = 512

pytestmark = pytest.mark.benchmark(group="encode the zoo's stored graphs")


@pytest.fixture(scope="module")
def graphs():
    zoo = Zoo.open("default")
    return zoo.graph_rows(0, len(zoo))


@pytest.fixture(scope="module")
def encoder():
    return ArchitectureEncoder.from_pretrained("default")


@pytest.fixture(scope="module")
def expected(graphs, encoder):
    return encoder.encode(graphs)


def encode(benchmark, graphs, encoder, threads):
    return benchmark.pedantic(
        lambda: encoder.encode(graphs, num_threads=threads),
        setup=encoder.motif_cache.clear,
        rounds=5,
        warmup_rounds=1,
    )


@pytest.mark.slow
def test_torch_model(benchmark, graphs, encoder, expected):
    model = CachingTorch(encoder._weights)

    def encode():
        starts = range(0, len(graphs), TORCH_BATCH)
        parts = [graphs.part(i, min(i + TORCH_BATCH, len(graphs))) for i in starts]
        return np.concatenate([model.encode(part, num_threads=1) for part in parts])

    vectors = benchmark.pedantic(encode, setup=model.clear, rounds=3, warmup_rounds=1)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_narfast(benchmark, graphs, encoder, expected):
    np.testing.assert_array_equal(encode(benchmark, graphs, encoder, 1), expected)


def test_two_threads(benchmark, graphs, encoder, expected):
    np.testing.assert_array_equal(encode(benchmark, graphs, encoder, 2), expected)
