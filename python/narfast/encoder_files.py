"""The folder an encoder is kept in: ``model.safetensors`` and ``config.json``; reading checks both.

Nothing is ever unpickled. The configuration holds the checksum of the weights, and shapes are
compared before a single weight is allocated.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as safetensors_load
from safetensors.torch import save as safetensors_save
from torch.overrides import TorchFunctionMode

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
from narfast._files import replacing
from narfast.errors import CorruptFileError
from narfast.nn.model import ArchitectureModel, EncoderConfig

__all__ = [
    "FORMAT_VERSION",
    "encoder_folder",
    "fingerprint",
    "load_model",
    "save_model",
    "write_atomically",
]

FORMAT_VERSION = 2
_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_REMEDY = "copy or train the encoder again"
_MAX_WEIGHTS = 8 << 30  # bytes

_WHAT = "an encoder configuration"
_DIGEST = Text(64, "[0-9a-f]{64}")
_VERSIONED = Object({"format_version": Integer(0, 2**31), "encoder": Object()})
_SHAPE = Object(
    {
        "fingerprint": _DIGEST,
        "weights_sha256": _DIGEST,
        # What is no list has one value, which `EncoderConfig` checks.
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


def encoder_folder(name_or_path: str | Path) -> Path:
    """Return the folder of an encoder: ``"default"`` is the one inside the package."""
    shipped = Path(__file__).parent / "data" / "encoder"
    return shipped if name_or_path == "default" else Path(name_or_path)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    with replacing(path) as stream:
        stream.write(data)


def _weights(model: ArchitectureModel) -> bytes:
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    data: bytes = safetensors_save(state)
    return data


def _canonical(config: EncoderConfig) -> bytes:
    return json.dumps(asdict(config), sort_keys=True).encode()


def fingerprint(model: ArchitectureModel) -> str:
    """SHA-256 over configuration and weights, as 64 hexadecimal digits."""
    return _fingerprint(model.config, _weights(model))


def _fingerprint(config: EncoderConfig, weights: bytes) -> str:
    return hashlib.sha256(_canonical(config) + hashlib.sha256(weights).digest()).hexdigest()


def save_model(
    model: ArchitectureModel, folder: Path, *, training: dict[str, Any] | None = None
) -> str:
    """Write a model.

    Args:
        model: What to write.
        folder: Made if missing; an encoder in it is replaced.
        training: Notes on how the weights came about; kept, not interpreted.

    Returns:
        The fingerprint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = _weights(model)
    name = _fingerprint(model.config, weights)
    config = {
        "format_version": FORMAT_VERSION,
        "fingerprint": name,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "encoder": asdict(model.config),
        "training": training or {},
    }
    write_atomically(folder / _WEIGHTS, weights)
    write_atomically(folder / _CONFIG, (json.dumps(config, indent=1) + "\n").encode())
    return name


def load_model(folder: Path) -> tuple[ArchitectureModel, dict[str, Any]]:
    """Read a model.

    Args:
        folder: As ``save_model`` wrote it.

    Returns:
        The model in evaluation mode, and the whole configuration file.

    Raises:
        CorruptFileError: A file is missing, damaged, of an unknown version, or the weights do not
            have the shapes that the configuration promises.
    """
    config_path, weights_path = folder / _CONFIG, folder / _WEIGHTS
    try:
        document = read_document(config_path, _VERSIONED, what=_WHAT, remedy=_REMEDY)
        weights = read_small_file(
            weights_path, what="the weights of an encoder", remedy=_REMEDY, limit=_MAX_WEIGHTS
        )
    except OSError as error:
        raise CorruptFileError(
            f"{folder}: not an encoder folder ({error.strerror}: {error.filename}); it needs "
            f"{_CONFIG} and {_WEIGHTS}"
        ) from error
    config = _read_config(config_path, document)
    if hashlib.sha256(weights).hexdigest() != document["weights_sha256"]:
        raise CorruptFileError(
            f"{weights_path}: the checksum differs from the one in {_CONFIG}; {_REMEDY}"
        )
    if document["fingerprint"] != _fingerprint(config, weights):
        raise CorruptFileError(
            f"{config_path}: the settings do not belong to its fingerprint; {_REMEDY}"
        )
    try:
        tensors = safetensors_load(weights)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptFileError(f"{weights_path}: not safetensors ({error}); {_REMEDY}") from error
    with torch.device("meta"), _NoInitialValues():
        model = ArchitectureModel(config)
    _check_tensors(weights_path, model, tensors)
    # Copies begin at addresses that vector instructions like; those inside a file's bytes may not,
    # and then products could come out differently from one process to the next.
    model.load_state_dict({name: t.clone() for name, t in tensors.items()}, assign=True)
    return model.eval().requires_grad_(False), document


class _NoInitialValues(TorchFunctionMode):
    """Leaves parameters without values: drawing them on the meta device imports torch's compiler.

    That took two thirds of the time in which a command starts.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def _read_config(path: Path, document: dict[str, Any]) -> EncoderConfig:
    if document["format_version"] != FORMAT_VERSION:
        raise CorruptFileError(
            f"{path}: format version {document['format_version']}, this narfast reads "
            f"{FORMAT_VERSION}; install the narfast that wrote it"
        )
    check_document(document, _SHAPE, path=path, what=_WHAT, remedy=_REMEDY)
    try:
        return EncoderConfig.from_dict(document["encoder"])
    except ValueError as error:
        raise CorruptFileError(f"{path}: {error}; {_REMEDY}") from error


def _check_tensors(path: Path, model: ArchitectureModel, tensors: dict[str, torch.Tensor]) -> None:
    expected = model.state_dict()
    if set(expected) != set(tensors):
        odd = sorted(set(expected) ^ set(tensors))[0]
        what = "lacks" if odd in expected else "has the unexpected"
        raise CorruptFileError(f"{path}: {what} tensor {odd!r}; {_REMEDY}")
    for name, tensor in tensors.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise CorruptFileError(
                f"{path}: tensor {name!r} is {tensor.dtype}{list(tensor.shape)}, the configuration "
                f"promises {wanted.dtype}{list(wanted.shape)}; {_REMEDY}"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CorruptFileError(f"{path}: tensor {name!r} holds nan or infinity; {_REMEDY}")
    if model.config.wide_dim:
        label = tensors["wide_label"].numpy().view(np.uint64)
        rows = 2 * (model.config.wide_hops + 1) + max(0, model.config.wide_grams - 1)
        ascending = bool((label[1:] > label[:-1]).all())
        if (
            not ascending
            or bool((tensors["wide_block"] >= rows).any())
            or bool((tensors["wide_idf"] <= 0).any())
        ):
            raise CorruptFileError(f"{path}: labels of the wide part are damaged; {_REMEDY}")
