"""Folders of encoders: saved, loaded, damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from encoders import GRAPHS, make_encoder
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.encoder.storage import Weights
from narfast.errors import CorruptFileError


@pytest.fixture(scope="module")
def encoder() -> ArchitectureEncoder:
    return make_encoder()


def test_save_and_load(encoder: ArchitectureEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path / "saved")
    loaded = ArchitectureEncoder.from_pretrained(tmp_path / "saved")
    assert loaded.fingerprint == encoder.fingerprint
    assert loaded.config == encoder.config
    assert loaded.training_notes == {"note": "random"}
    np.testing.assert_array_equal(loaded.encode(GRAPHS), encoder.encode(GRAPHS))
    assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    other = make_encoder(dropout=0.2)
    assert other.fingerprint != encoder.fingerprint


@pytest.fixture
def folder(encoder: ArchitectureEncoder, tmp_path: Path) -> Path:
    encoder.save_pretrained(tmp_path)
    return tmp_path


def refuse(folder: Path, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message):
        ArchitectureEncoder.from_pretrained(folder)


def test_missing_folder(tmp_path: Path) -> None:
    refuse(tmp_path / "nothing", "not an encoder folder")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["empty", "truncated", "random", "gone"])
def test_damaged_files(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        noise = np.random.default_rng(0).bytes(1000)
        path.write_bytes({"empty": b"", "truncated": data[: len(data) // 2]}.get(damage, noise))
    refuse(folder, name)


def test_a_configuration_that_nests_without_end_or_is_a_pipe(folder: Path) -> None:
    path = folder / "config.json"
    path.write_bytes(b"[" * 100_000)
    refuse(folder, "not valid JSON")
    path.unlink()
    os.mkfifo(path)
    refuse(folder, "not a regular file")


@pytest.mark.parametrize("position", [8, 200, -40, -1])
def test_a_flipped_bit_in_the_weights(folder: Path, position: int) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    refuse(folder, "checksum")


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_other_version(folder: Path) -> None:
    edit_config(folder, format_version=99)
    refuse(folder, "format version 99")


@pytest.mark.parametrize("document", ["[]", "3", '{"encoder": []}'])
def test_configuration_of_another_kind(folder: Path, document: str) -> None:
    (folder / "config.json").write_text(document)
    refuse(folder, "not an encoder configuration")


def test_edited_settings(folder: Path, encoder: ArchitectureEncoder) -> None:
    settings = json.loads((folder / "config.json").read_text())["encoder"]
    edit_config(folder, encoder={**settings, "motif_dim": 2**60})
    refuse(folder, "motif_dim")
    edit_config(folder, encoder={**settings, "dropout": 0.7})
    refuse(folder, "fingerprint")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operators": [{"a": 1}]}, r"encoder.operators\[0\] must be a text"),
        ({"operators": "conv"}, "encoder.operators must be a list"),
        ({"motif_readouts": [[["mean"]]]}, r"encoder.motif_readouts\[0\] must be a text"),
        ({"attribute_fields": [["kernel", 0]]}, r"attribute_fields\[0\] must be a list of 3"),
        (
            {"attribute_fields": [["kernel", None, 3]]},
            r"attribute_fields\[0\]\[1\] must be a whole",
        ),
        ({"miner": ["repeats"]}, "miner must be str"),
        ({"dropout": float("nan")}, "NaN is not a JSON number"),
    ],
)
def test_settings_of_the_wrong_kind(folder: Path, changes: dict[str, Any], message: str) -> None:
    settings = json.loads((folder / "config.json").read_text())["encoder"]
    edit_config(folder, encoder={**settings, **changes})
    refuse(folder, message)


@pytest.mark.parametrize("name", ["fingerprint", "weights_sha256", "format_version"])
def test_a_field_that_is_missing_or_of_the_wrong_kind(folder: Path, name: str) -> None:
    edit_config(folder, **{name: {"a": 1}})
    refuse(folder, f"field {name} must be")
    document = json.loads((folder / "config.json").read_text())
    del document[name]
    (folder / "config.json").write_text(json.dumps(document))
    refuse(folder, f"field {name} must be there; it is missing")


def test_weights_of_another_shape(encoder: ArchitectureEncoder, tmp_path: Path) -> None:
    """Checksums that agree do not make the contents right."""

    def save_with(**changes: NDArray[Any] | None) -> None:
        tensors = {**encoder.tensors, **changes}
        kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        Weights(encoder.config, kept).save(tmp_path)

    save_with(scale=np.ones(1, np.float32))
    refuse(tmp_path, "unexpected tensor 'scale'")
    save_with(**{"macro.merge.bias": None})
    refuse(tmp_path, "lacks tensor 'macro.merge.bias'")
    save_with(**{"macro.merge.bias": np.ones(3, np.float32)})
    refuse(tmp_path, r"'macro.merge.bias' has shape \[3\], the configuration promises \[12\]")
    save_with(wide_label=None)
    refuse(tmp_path, "'wide_label' is missing")
    save_with(wide_idf=np.zeros(3, np.float32))
    refuse(tmp_path, "'wide_idf' is missing, or not float32")
    for damage in ("wide_block", "wide_label", "wide_idf"):
        save_with(**{damage: np.full_like(encoder.tensors[damage], 255 * (damage != "wide_idf"))})
        refuse(tmp_path, "the labels of structural features are damaged")
    save_with(wide_idf=encoder.tensors["wide_idf"].astype(np.float64))
    refuse(tmp_path, "not float32")
    save_with(**{"macro.merge.bias": encoder.tensors["macro.merge.bias"].astype(np.float64)})
    refuse(tmp_path, "'macro.merge.bias' is float64")
    save_with(**{"macro.merge.bias": np.full(12, np.nan, np.float32)})
    refuse(tmp_path, "nan or infinity")


def test_weights_are_plain_safetensors(folder: Path, encoder: ArchitectureEncoder) -> None:
    tensors = load_file(folder / "model.safetensors")
    assert set(tensors) == set(encoder.tensors)
    save_file(tensors, folder / "again.safetensors")
