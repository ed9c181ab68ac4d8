"""Checkpoints of a pre-training run: a safetensors file and a JSON file that refers to it.

The JSON file is replaced last and has the checksum of the tensors. So a run killed at any moment
leaves either the previous checkpoint or the new one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as safetensors_load
from safetensors.torch import save as safetensors_save
from torch import Tensor, nn

from narfast._files import open_regular, replace_file
from narfast.errors import CorruptFileError

__all__ = ["Progress", "load_checkpoint", "restore", "save_checkpoint"]

_STATE = "state.json"


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        config: Fingerprint of the settings.
        data: Fingerprint of the training data.
        stage: Index of the stage of the next epoch.
        epoch: Finished epochs of this stage.
        losses: Mean loss of every finished epoch, in order.
    """

    config: str
    data: str
    stage: int = 0
    epoch: int = 0
    losses: tuple[float, ...] = ()


def save_checkpoint(
    folder: Path, progress: Progress, module: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write a checkpoint and remove the previous one."""
    tensors: dict[str, Tensor] = {f"module.{k}": v for k, v in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    data = safetensors_save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    folder.mkdir(parents=True, exist_ok=True)
    file = f"checkpoint-{progress.stage}-{progress.epoch:05d}.safetensors"
    replace_file(folder / file, data)
    state = {**asdict(progress), "file": file, "sha256": hashlib.sha256(data).hexdigest()}
    replace_file(folder / _STATE, json.dumps(state).encode())
    for old in folder.glob("checkpoint-*.safetensors"):
        if old.name != file:
            old.unlink()


def load_checkpoint(folder: Path) -> tuple[Progress, dict[str, Tensor]] | None:
    """Read the checkpoint of a run.

    Returns:
        Progress and tensors, or None if there is no checkpoint.

    Raises:
        CorruptFileError: The checkpoint is damaged.
    """
    path = folder / _STATE
    if not path.exists():
        return None
    remedy = f"delete {folder} to start again"
    try:
        with open_regular(path) as stream:
            state: dict[str, Any] = json.loads(stream.read())
        with open_regular(folder / state.pop("file")) as stream:
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != state.pop("sha256"):
            raise ValueError("the checksum of the tensors differs")
        progress = Progress(**{**state, "losses": tuple(map(float, state["losses"]))})
        counts = (progress.stage, progress.epoch)
        if not all(type(n) is int and n >= 0 for n in counts) or progress.stage > 2:
            raise ValueError(f"stage and epoch are {counts}")
        if len(progress.losses) < progress.epoch:
            raise ValueError(f"{len(progress.losses)} losses of {progress.epoch} epochs")
        return progress, safetensors_load(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise CorruptFileError(f"{path}: damaged checkpoint ({error}); {remedy}") from error


def restore(
    tensors: dict[str, Tensor], module: nn.Module, optimizer: torch.optim.Optimizer | None
) -> None:
    """Load checkpoint tensors into a module and an optimizer with the same structure."""
    prefix = "module."
    module.load_state_dict(
        {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
    )
    if optimizer is None:
        return
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
