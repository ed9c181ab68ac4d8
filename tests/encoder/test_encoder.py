"""ArchitectureEncoder: arguments, the torch model as oracle, the same bits in any batch."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from encoders import GRAPHS, KINDS, make_encoder
from narfast import operators
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.errors import NarfastError
from narfast.graph import GraphBatch, structural_order
from narfast.nn.inputs import OperatorRows
from narfast.nn.model import ArchitectureModel
from narfast.zoo import Zoo
from networks import network
from random_graphs import renumbered


@pytest.fixture(scope="module")
def encoder() -> ArchitectureEncoder:
    return make_encoder()


def test_shapes(encoder: ArchitectureEncoder) -> None:
    vectors = encoder.encode(GRAPHS)
    assert vectors.shape == (len(GRAPHS), encoder.dim) == (20, 20)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert encoder.encode([]).shape == (0, encoder.dim)
    assert encoder.encode(GRAPHS[0]).shape == (encoder.dim,)
    np.testing.assert_array_equal(encoder.encode(GRAPHS[0]), vectors[0])
    tensor = encoder.encode(GRAPHS, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), vectors)
    np.testing.assert_array_equal(encoder.encode(GraphBatch.from_graphs(GRAPHS)), vectors)


def test_vectors_tell_networks_apart(encoder: ArchitectureEncoder) -> None:
    similarity = encoder.encode(GRAPHS) @ encoder.encode(GRAPHS).T
    np.fill_diagonal(similarity, 0)
    assert similarity.max() < 1 - 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalize", [True, False])
def test_the_core_agrees_with_the_torch_model(kind: str, normalize: bool) -> None:
    encoder = make_encoder(**KINDS[kind])
    oracle = encoder._on("cpu")
    batch = GraphBatch.from_graphs(GRAPHS)
    vectors = encoder.encode(batch, normalize_embeddings=normalize)
    expected = oracle.encode(batch, normalize=normalize)
    np.testing.assert_allclose(vectors, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_the_shipped_encoder_agrees_with_the_torch_model() -> None:
    encoder = ArchitectureEncoder.from_pretrained()
    rows = range(0, len(Zoo.open()), 100)
    batch = GraphBatch.from_graphs([Zoo.open().graphs[row] for row in rows])
    expected = encoder._on("cpu").encode(batch)
    np.testing.assert_allclose(encoder.encode(batch), expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_company_nor_threads_change_a_bit(kind: str) -> None:
    encoder = make_encoder(**KINDS[kind])
    alone = np.concatenate([encoder.encode([graph]) for graph in GRAPHS])
    for order in (range(len(GRAPHS)), range(len(GRAPHS))[::-1]):
        graphs = [GRAPHS[i] for i in order]
        for options in ({"batch_size": 1}, {"batch_size": 3}, {"num_threads": 2}, {}):
            encoder.motif_cache.clear()
            for _ in range(2):  # with an empty cache, and with a full one
                np.testing.assert_array_equal(encoder.encode(graphs, **options), alone[[*order]])


@pytest.mark.parametrize("kind", ["one_hot_gcn", "gat"])
def test_the_order_of_nodes_does_not_change_a_bit(kind: str) -> None:
    """Where the whole network is one motif; other miners read the order of nodes."""
    encoder = make_encoder(**KINDS[kind] | {"miner": "whole", "structural": False})
    for graph in GRAPHS:
        expected = encoder.encode(graph)
        order = structural_order(GraphBatch.from_graphs([graph]))
        place = np.argsort(order).astype(np.int64)
        encoder.motif_cache.clear()
        np.testing.assert_array_equal(encoder.encode(renumbered(graph, place)), expected)


def test_each_motif_is_kept_once() -> None:
    encoder = make_encoder()
    assert len(encoder.motif_cache) == 0
    first = encoder.encode(GRAPHS, batch_size=4)
    known = len(encoder.motif_cache)
    assert known > 0
    np.testing.assert_array_equal(encoder.encode(GRAPHS, batch_size=5), first)
    assert len(encoder.motif_cache) == known


def test_threads_share_an_encoder(encoder: ArchitectureEncoder) -> None:
    expected = encoder.encode(GRAPHS)
    encoder.motif_cache.clear()
    results: list[Any] = [None] * 4

    def work(k: int) -> None:
        results[k] = encoder.encode(GRAPHS, batch_size=3 + k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_without_normalization() -> None:
    encoder = make_encoder(structural=False)
    raw = encoder.encode(GRAPHS, normalize_embeddings=False)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(lengths - 1).max() > 0.01
    np.testing.assert_allclose(raw / lengths, encoder.encode(GRAPHS), atol=1e-6)


def test_a_vocabulary_names_each_operator_once(encoder: ArchitectureEncoder) -> None:
    with pytest.raises(ValueError, match="operators must be distinct"):
        replace(encoder.config, operators=("relu", "relu"))


def test_bad_arguments(encoder: ArchitectureEncoder) -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        encoder.encode(GRAPHS, batch_size=0)
    for num_threads in (-1, 10**6):
        with pytest.raises(ValueError, match="num_threads must be at least 0"):
            encoder.encode(GRAPHS, num_threads=num_threads)
    with pytest.raises(NarfastError):
        encoder.encode(["no-such-file.onnx"])


def test_weights_of_a_torch_model_are_taken_over(encoder: ArchitectureEncoder) -> None:
    model = ArchitectureModel(encoder.config)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in encoder.tensors.items()})
    again = ArchitectureEncoder.from_model(model, training=encoder.training_notes)
    assert again.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(again.encode(GRAPHS), encoder.encode(GRAPHS))


def test_operators_are_matched_by_name(encoder: ArchitectureEncoder) -> None:
    """A longer operator table must not shift the rows of a trained encoder."""
    rows = OperatorRows(["relu", "unknown/convolution", "unknown/activation"])
    by_name = {info.name: rows.table[info.id] for info in operators.table()}
    assert by_name["relu"] == 1
    assert by_name["gelu"] == 3
    assert by_name["input"] == 0
    unit = OperatorRows([info.name for info in operators.table()])
    assert unit.table.tolist() == list(range(1, len(operators.table()) + 1))


def test_one_edit_changes_little(encoder: ArchitectureEncoder) -> None:
    """Untrained weights too: nearby graphs have nearby vectors."""
    a, b, c = encoder.encode([network("vit", 8), network("vit", 9), network("vgg", 9)])
    assert a @ b > 0.98
    assert a @ b > a @ c
