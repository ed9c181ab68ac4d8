"""Networks of vit-pytorch, each with the arguments of its documented example.

`data/sources/vit_pytorch.json` has, by name: class (module and class below ``vit_pytorch``), task,
source of the example, arguments, and shapes of the inputs. Names are ``module.Class``, with
``-variant`` if the examples differ in more than size. A nested ``{"class", "arguments"}`` is an
inner network.

These are left out: networks that augment their input at random (`Dino`, `EsViTTrainer`, `LeJEPA`,
`LeVJEPA`); wrappers that observe another network (`Recorder`, `Extractor`) or compare two
(`DistillWrapper`); examples that this version of the library no longer runs (`MAE`, `SimMIM`,
`MPP`, `DistillableT2TViT`, `levjepa.VideoTransformer`); nested tensors (the two
`na_vit_nested_tensor` modules); and networks that need further packages (`efficient.ViT`, `vaat`).
`layer_dropout` is 0 in `CaiT` and `XCiT`, which drop layers at random even in evaluation.
"""

from __future__ import annotations

import importlib
import json
from functools import cache
from typing import Any

import torch
from torch import nn

from narfast.sources._torchvision_compat import import_torchvision
from narfast.sources.libraries.base import (
    SOURCE_DATA,
    build_without_weights,
    check_name,
    import_library,
)

__all__ = ["build", "labels", "list_names"]


@cache
def _table() -> dict[str, dict[str, Any]]:
    file = SOURCE_DATA / "vit_pytorch.json"
    table: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return table


def list_names() -> list[str]:
    """Return every documented network, as ``module.Class`` or ``module.Class-variant``."""
    import_torchvision()  # vit-pytorch imports it
    import_library("vit_pytorch")
    return sorted(_table())


def _make(path: str, arguments: dict[str, Any]) -> Any:
    module, _, name = path.rpartition(".")
    constructor = getattr(importlib.import_module(f"vit_pytorch.{module}"), name)
    return constructor(**{key: _argument(value) for key, value in arguments.items()})


def _argument(value: Any) -> Any:
    """Convert an argument: lists become tuples, and nested classes are built."""
    if isinstance(value, list):
        return tuple(_argument(item) for item in value)
    if isinstance(value, dict) and "class" in value:
        return _make(value["class"], value["arguments"])
    return value


def _input(value: Any) -> Any:
    """Convert a shape to a tensor, or a list of shapes to a list; ``below`` means integers.

    Integers have values, for networks that read them.
    """
    if isinstance(value, dict):
        return torch.zeros(value["shape"], dtype=torch.int64)
    if isinstance(value[0], int):
        return torch.empty(value, device="meta")
    return [_input(item) for item in value]


def build(name: str) -> tuple[nn.Module, Any]:
    """Return a network without weights, and the inputs of its example.

    Raises:
        UnsupportedSourceError: There is no such network.
        MissingDependencyError: vit-pytorch is not installed.
    """
    check_name("vit_pytorch", name, list_names())
    entry = _table()[name]
    module = build_without_weights(lambda: _make(entry["class"], entry["arguments"]))
    inputs = entry["inputs"]
    if isinstance(inputs, dict):
        return module, {key: _input(value) for key, value in inputs.items()}
    return module, tuple(_input(value) for value in inputs)


def labels(name: str) -> tuple[str, str]:
    """Return (group, task): the module that defines the network, and its task."""
    entry = _table()[name]
    return str(entry["class"]).partition(".")[0], str(entry["task"])
