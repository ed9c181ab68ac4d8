"""The networks of vit-pytorch: what the table says is what the library builds."""

from __future__ import annotations

from collections import Counter

import pytest

import narfast
from narfast.errors import UnsupportedSourceError
from narfast.sources.loader import library, load_raw

SOURCE = library("vit_pytorch")
# Blocks by the arguments of the documented examples: attention, and a word on where they come from.
ATTENTION = {
    "vit.ViT": 6,
    "simple_vit.SimpleViT": 6,
    "cct.cct_7": 7,
    "cvt.CvT": 1 + 2 + 10,
    "max_vit.MaxViT": 2 * (2 + 2 + 5 + 2),  # windows and grids
    "mobile_vit.MobileViT": 2 + 4 + 3,
    "vivit.ViViT-factorized_encoder": 6 + 6,
    "vit_with_patch_merger.ViT": 12,
    "jet_vit.JetViT": 3,  # the other three layers are linear attention
    "vit_nd.ViTND": 6,
    "levit.LeViT": 3 * 4 + 2,  # one more at each of two reductions
}


def test_names_are_documented_and_sorted() -> None:
    names = SOURCE.list_names()
    assert names == sorted(set(names))
    assert len(names) >= 80
    assert all(len(SOURCE.labels(name)) == 2 for name in names)


def test_labels_are_module_and_task() -> None:
    assert SOURCE.labels("vit.ViT") == ("vit", "image-classification")
    assert SOURCE.labels("vivit.ViViT-factorized_encoder") == ("vivit", "video-classification")


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTENTION)
def test_blocks(name: str) -> None:
    graph = narfast.load(f"vit_pytorch:{name}")
    assert Counter(graph.op_names())["attention"] == ATTENTION[name]
    assert graph.meta.unknown_ops == {}
    assert (graph.meta.group, graph.meta.task) == SOURCE.labels(name)
    assert graph.meta.params is not None
    assert graph.meta.params > 0


def test_a_network_inside_another() -> None:
    """An adapter around a frozen network reaches all of it but the head that it replaces."""
    graph = load_raw("vit_pytorch:learnable_memory_vit.Adapter")
    assert graph.meta.untraced == 4
    assert Counter(narfast.graph.canonicalize(graph).op_names())["attention"] == 6


def test_inputs_that_are_not_one_image() -> None:
    lists = load_raw("vit_pytorch:na_vit.NaViT")  # images of five sizes, packed
    assert lists.op_names().count("input") == 5
    words = load_raw("vit_pytorch:vat.VAT")  # keywords; numbers of tasks are no input
    assert words.op_names().count("input") == 2


def test_two_loads_agree() -> None:
    """Layers that the library drops at random, even in evaluation, are kept."""
    first, second = (narfast.load("vit_pytorch:cait.CaiT") for _ in range(2))
    assert first.same_structure(second)
    assert first.meta.untraced == 0


def test_unknown_name() -> None:
    with pytest.raises(UnsupportedSourceError, match=r"did you mean simple_vit\.SimpleViT"):
        narfast.load("vit_pytorch:simple_vit.SimpleVit")
