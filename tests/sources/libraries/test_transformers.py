"""transformers as a source: names, inputs of every kind, and the structure people know."""

from __future__ import annotations

import os
from collections import Counter

import pytest
import torch

import narfast
from narfast.errors import UnsupportedSourceError
from narfast.explain import summarize
from narfast.sources.libraries.transformers.catalog import entries
from narfast.sources.loader import library, load_raw
from narfast.sources.torch_trace.known_values import KnownValues, keeps_value, value_or_meta

BLOCKS = [
    ("bert", 12, "BERT-base has 12 layers"),
    ("bert-large-uncased/BertForMaskedLM", 24, "BERT-large has 24"),
    ("llama", 32, "Llama 7B has 32 layers"),
    ("vit-large-patch16-224", 24, "ViT-L has 24"),
    ("gpt2-medium", 24, "GPT-2 medium has 24"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count", "reason"), BLOCKS, ids=[row[0] for row in BLOCKS])
def test_layers_are_found(name: str, count: int, reason: str) -> None:
    graph = narfast.load(f"transformers:{name}")
    assert (graph.meta.trace_kind, graph.meta.untraced, graph.meta.unknown_ops) == (
        "autograd",
        0,
        {},
    )
    assert Counter(graph.op_names())["attention"] == count
    repeated = [motif for motif in summarize(graph).motifs if motif.count > 1]
    largest = max(repeated, key=lambda motif: motif.size * motif.count)
    assert largest.count == count, f"{reason}; found {largest}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "params", "operators"),
    [
        ("bert-base-uncased", 109_482_240, {"attention": 12}),
        ("t5-small", 60_506_624, {"softmax": 0, "attention": 18}),
        ("whisper-tiny", 37_760_640, {"attention": 12, "conv": 2}),
        ("clip-vit-base-patch32", 151_277_313, {"attention": 24, "conv": 1}),
        ("wav2vec2-base", 94_371_712, {"attention": 12, "conv": 8}),
        ("segformer", None, {"attention": 8}),
        ("git", None, {"attention": 18}),
    ],
)
def test_every_kind_of_input_reaches_its_part(
    name: str, params: int | None, operators: dict[str, int]
) -> None:
    graph = narfast.load(f"transformers:{name}")
    found = Counter(graph.op_names())
    assert {op: found[op] for op in operators} == operators
    assert params in (None, graph.meta.params)


@pytest.mark.slow
def test_image_tokens_in_the_text_bring_the_vision_tower_in() -> None:
    graph = load_raw("transformers:blip2-opt-2.7b")
    assert graph.meta.untraced == 0
    assert Counter(graph.op_names())["conv"] == 1


def test_masks_and_positions_are_no_operators() -> None:
    graph = load_raw("transformers:bert-base-uncased")
    assert not {"compare", "where", "triangle", "cumsum"} & set(graph.op_names())


def test_names() -> None:
    names = library("transformers").list_names()
    assert names == sorted(set(names))
    assert {"bert", "BertForMaskedLM", "t5-efficient-tiny", "opt-125m/OPTForCausalLM"} <= set(names)
    assert "t5-11b/T5EncoderModel" not in names  # loaded all the same
    assert library("transformers").labels("t5-11b/T5EncoderModel")[0] == "t5"
    assert "BertModel" not in names  # it is `bert`
    assert all(entry.source for entry in entries().values() if entry.changes)


def test_labels_are_model_type_and_task() -> None:
    source = library("transformers")
    assert source.labels("roberta-large/RobertaForQuestionAnswering") == (
        "roberta",
        "question-answering",
    )
    assert source.labels("BertModel") == ("bert", "feature-extraction")
    assert source.labels("WhisperForConditionalGeneration")[1] == "automatic-speech-recognition"


def test_unknown_names_have_close_matches() -> None:
    with pytest.raises(UnsupportedSourceError, match=r"did you mean .*bert-base-uncased"):
        load_raw("transformers:bert-base-uncase")


def test_the_environment_is_left_as_it_was() -> None:
    before = dict(os.environ)
    load_raw("transformers:bert-base-uncased")
    assert dict(os.environ) == before


def test_known_values_meet_shapes() -> None:
    weights = torch.empty(10, 4, device="meta")
    tokens = value_or_meta(torch.tensor([[1, 2, 3]]))
    with KnownValues():
        mask = torch.ones(1, 3, device="meta")
        assert bool((mask == 1).all())
        assert torch.arange(3, device="meta").tolist() == [0, 1, 2]
        embedded = torch.nn.functional.embedding(tokens, weights)
        picked = embedded[tokens > 1]
        unknown = embedded[embedded[..., 0] > 0]
        unset = torch.empty(1000, dtype=torch.int64, device="meta")
        fetched = embedded.to("cpu")
    assert embedded.is_meta
    assert fetched.is_meta
    assert picked.shape == (2, 4)
    assert unknown.shape == (3, 4)  # nothing is known to be left out
    assert not unset.any()  # never what happens to lie in memory
    assert keeps_value(tokens)
    assert not keeps_value(weights)
