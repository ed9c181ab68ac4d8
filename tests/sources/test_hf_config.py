"""``hf:``: configurations of Hugging Face, which are read and never trusted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import narfast
from narfast.errors import CorruptFileError, NarfastError, UnsupportedSourceError

BERT = {
    "model_type": "bert",
    "architectures": ["BertForMaskedLM"],
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "vocab_size": 500,
}


def write(folder: Path, fields: Any) -> str:
    (folder / "config.json").write_text(fields if isinstance(fields, str) else json.dumps(fields))
    return f"hf:{folder / 'config.json'}"


def test_a_file_and_its_folder_are_one_network(tmp_path: Path) -> None:
    source = write(tmp_path, BERT)
    graph = narfast.load(source)
    assert Counter(graph.op_names())["attention"] == 3
    assert (graph.meta.source, graph.meta.family, graph.meta.task) == ("hf", "bert", "fill-mask")
    assert graph.meta.name == tmp_path.name
    assert narfast.load(f"hf:{tmp_path}").structural_hash == graph.structural_hash


def test_the_class_is_the_named_one_or_the_base_model(tmp_path: Path) -> None:
    head = narfast.load(write(tmp_path, BERT))
    base = narfast.load(write(tmp_path, {**BERT, "architectures": None}))
    other = narfast.load(write(tmp_path, {**BERT, "architectures": ["MyBert", 3]}))
    assert base.structural_hash == other.structural_hash != head.structural_hash


def test_a_known_model_type_with_code_of_its_own_is_built_without_it(tmp_path: Path) -> None:
    graph = narfast.load(write(tmp_path, {**BERT, "auto_map": {"AutoModel": "evil.Model"}}))
    assert Counter(graph.op_names())["attention"] == 3


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ("", CorruptFileError, "not a JSON file"),
        ("{", CorruptFileError, "not a JSON file"),
        ("[" * 100_000, CorruptFileError, "not a JSON file"),
        ("[1, 2]", CorruptFileError, "one JSON object"),
        ({}, CorruptFileError, "no model_type"),
        ({"model_type": 3}, CorruptFileError, "no model_type"),
        ({"model_type": "brt"}, UnsupportedSourceError, "did you mean"),
        ({"model_type": "x", "auto_map": {"AutoModel": "a.B"}}, UnsupportedSourceError, "auto_map"),
        ({**BERT, "num_hidden_layers": 1 << 60}, CorruptFileError, "num_hidden_layers"),
        ({**BERT, "hidden_size": 10**12}, CorruptFileError, "hidden_size"),
        ({**BERT, "text_config": {"n_layers": 10**9}}, CorruptFileError, "n_layers"),
        ({**BERT, "num_attention_heads": 5}, NarfastError, "BertForMaskedLM"),
        ({**BERT, "hidden_size": "wide"}, NarfastError, "BertForMaskedLM"),
        ({**BERT, "num_hidden_layers": -1}, CorruptFileError, "num_hidden_layers = -1"),
        ({**BERT, "hidden_size": 10**4000}, CorruptFileError, "a number of 13,288 bits"),
        ({**BERT, "n" * 100_000: 10**12}, CorruptFileError, "nnnn = 1000000000000 is no"),
        ({"model_type": "y" * 100_000}, UnsupportedSourceError, "no model type 'yyy"),
    ],
)
def test_bad_configurations(
    tmp_path: Path, fields: Any, error: type[NarfastError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        narfast.load(write(tmp_path, fields))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_random_bytes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(bytes(range(256)))
    with pytest.raises(CorruptFileError, match="not a JSON file"):
        narfast.load(f"hf:{tmp_path}")


@pytest.mark.parametrize("where", ["", "missing/folder/config.json", "config.json", "./nowhere"])
def test_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedSourceError, match=r"no such file|name a config"):
        narfast.load(f"hf:{where}")


def test_a_folder_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSourceError, match=r"no config.json"):
        narfast.load(f"hf:{tmp_path}")


def test_offline_a_model_of_the_hub_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UnsupportedSourceError, match="HF_HUB_OFFLINE is set"):
        narfast.load("hf:no-such-organisation/no-such-model")
