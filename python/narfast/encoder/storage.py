"""The folder of an encoder, with ``model.safetensors`` and ``config.json``; reading checks both.

Nothing is ever unpickled. The configuration has the checksum of the weights. The core compares
their shapes with those that the configuration promises.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as safetensors_load
from safetensors.numpy import save as safetensors_save

from narfast import _core
from narfast._data import SHIPPED_ENCODER
from narfast._documents import (
    Anything,
    Integer,
    ListOf,
    MapOf,
    Object,
    Text,
    TupleOf,
    check_document,
    read_document,
    read_small_file,
)
from narfast._files import replace_file
from narfast._settings import read_settings
from narfast.encoder_config import EncoderConfig
from narfast.errors import CorruptFileError
from narfast.structural_features import LabelIdf

__all__ = ["FORMAT_VERSION", "Tensors", "Weights", "encoder_folder", "read_encoder"]

Tensors = Mapping[str, NDArray[Any]]

FORMAT_VERSION = 2
_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_REMEDY = "copy or train the encoder again"
_LABELS = {"wide_label": np.int64, "wide_block": np.uint8, "wide_idf": np.float32}
_AXES = "wide_axes"
_MAX_WEIGHTS = 8 << 30  # bytes

_WHAT = "an encoder configuration"
_DIGEST = Text(64, "[0-9a-f]{64}")
_VERSIONED = Object({"format_version": Integer(0, 2**31), "encoder": Object()})
_SHAPE = Object(
    {
        "fingerprint": _DIGEST,
        "weights_sha256": _DIGEST,
        # A value that is not a list is a scalar, which `EncoderConfig` checks.
        "encoder": Object(
            optional={
                "operators": ListOf(Text(200), 1 << 16),
                "attribute_fields": ListOf(
                    TupleOf((Text(200), Integer(0, 31), Integer(1, 32))), 64
                ),
                "motif_readouts": ListOf(Text(200), 16),
                "macro_readouts": ListOf(Text(200), 16),
            }
        ),
    },
    {"training": MapOf(Anything())},
)


@dataclass(frozen=True)
class Weights:
    """An encoder as data.

    Attributes:
        config: Settings that fix its shape.
        tensors: The state of ``narfast.nn.model.ArchitectureModel``: float32, except the labels of
            structural features (``wide_label`` int64, ``wide_block`` uint8, ``wide_idf``) and their
            axes (``wide_axes`` float16).
        training: Notes on the training; kept, not interpreted.
    """

    config: EncoderConfig
    tensors: Tensors
    training: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the tensors as a safetensors file."""
        data: bytes = safetensors_save(dict(self.tensors))
        return data

    def fingerprint(self) -> str:
        """SHA-256 of configuration and weights, as 64 hexadecimal digits."""
        return _fingerprint(self.config, self.to_bytes())

    def label_idf(self) -> LabelIdf | None:
        """Return the labels of structural features; None if the encoder has none."""
        if not self.config.wide_dim:
            return None
        return LabelIdf(
            label=self.tensors["wide_label"].view(np.uint64),
            block=self.tensors["wide_block"],
            idf=self.tensors["wide_idf"],
            hops=self.config.wide_hops,
            ngrams=self.config.wide_grams,
        )

    def core(self) -> _core.Encoder:
        """Return the encoder of the core.

        Raises:
            CorruptFileError: A tensor is missing, or has the wrong type or shape for the
                configuration.
        """
        size = (self.config.wide_size,)
        labels = _LABELS if self.config.wide_dim else {}
        for name, dtype in labels.items():
            found = self.tensors.get(name)
            if found is None or found.dtype != dtype or found.shape != size:
                raise CorruptFileError(
                    f"tensor {name!r} is missing, or not {np.dtype(dtype)}{list(size)}"
                )
        rows = 2 * (self.config.wide_hops + 1) + max(0, self.config.wide_grams - 1)
        if labels and bool((self.tensors["wide_block"] >= rows).any()):
            raise CorruptFileError("the labels of structural features are damaged")
        floats = {}
        for name, tensor in self.tensors.items():
            if name in labels:
                continue
            expected = np.dtype(np.float16 if name == _AXES else np.float32)
            if tensor.dtype != expected:
                raise CorruptFileError(f"tensor {name!r} is {tensor.dtype}, not {expected}")
            if not bool(np.isfinite(tensor).all()):
                raise CorruptFileError(f"tensor {name!r} has nan or infinity")
            floats[name] = np.ascontiguousarray(tensor, dtype=np.float32)
        idf = self.label_idf()
        return _core.Encoder(asdict(self.config), floats, None if idf is None else idf.core)

    def save(self, folder: Path) -> None:
        """Write the folder; create it if missing, replace an existing encoder."""
        folder.mkdir(parents=True, exist_ok=True)
        data = self.to_bytes()
        document = {
            "format_version": FORMAT_VERSION,
            "fingerprint": _fingerprint(self.config, data),
            "weights_sha256": hashlib.sha256(data).hexdigest(),
            "encoder": asdict(self.config),
            "training": dict(self.training),
        }
        replace_file(folder / _WEIGHTS, data)
        replace_file(folder / _CONFIG, (json.dumps(document, indent=1) + "\n").encode())


def encoder_folder(name_or_path: str | Path) -> Path:
    """Return the folder of an encoder: ``"default"`` is the one inside the package."""
    return SHIPPED_ENCODER if name_or_path == "default" else Path(name_or_path)


def _fingerprint(config: EncoderConfig, weights: bytes) -> str:
    canonical = json.dumps(asdict(config), sort_keys=True).encode()
    return hashlib.sha256(canonical + hashlib.sha256(weights).digest()).hexdigest()


def read_encoder(folder: Path) -> tuple[Weights, _core.Encoder, str]:
    """Read a folder that `Weights.save` wrote.

    Returns:
        The weights, the encoder of the core, and the fingerprint.

    Raises:
        CorruptFileError: A file is missing, damaged or of an unknown version, or the weights have
            other shapes than the configuration promises.
    """
    config_path, weights_path = folder / _CONFIG, folder / _WEIGHTS
    try:
        document = read_document(config_path, _VERSIONED, what=_WHAT, remedy=_REMEDY)
        data = read_small_file(
            weights_path, what="the weights of an encoder", remedy=_REMEDY, limit=_MAX_WEIGHTS
        )
    except OSError as error:
        raise CorruptFileError(
            f"{folder}: not an encoder folder ({error.strerror}: {error.filename}); it needs "
            f"{_CONFIG} and {_WEIGHTS}"
        ) from error
    config = _read_config(config_path, document)
    if hashlib.sha256(data).hexdigest() != document["weights_sha256"]:
        raise CorruptFileError(
            f"{weights_path}: the checksum differs from the one in {_CONFIG}; {_REMEDY}"
        )
    fingerprint = _fingerprint(config, data)
    if document["fingerprint"] != fingerprint:
        raise CorruptFileError(
            f"{config_path}: the settings do not match the fingerprint; {_REMEDY}"
        )
    try:
        tensors = safetensors_load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CorruptFileError(f"{weights_path}: not safetensors ({error}); {_REMEDY}") from error
    notes = document.get("training")
    weights = Weights(config, tensors, notes if isinstance(notes, dict) else {})
    try:
        return weights, weights.core(), fingerprint
    except CorruptFileError as error:
        raise CorruptFileError(f"{weights_path}: {error}; {_REMEDY}") from error


def _read_config(path: Path, document: dict[str, Any]) -> EncoderConfig:
    if document["format_version"] != FORMAT_VERSION:
        raise CorruptFileError(
            f"{path}: format version {document['format_version']}, this narfast reads "
            f"{FORMAT_VERSION}; install the narfast that wrote it"
        )
    check_document(document, _SHAPE, path=path, what=_WHAT, remedy=_REMEDY)
    try:
        return read_settings(EncoderConfig, document["encoder"])
    except ValueError as error:
        raise CorruptFileError(f"{path}: {error}; {_REMEDY}") from error
