"""Networks of MONAI by name, with the arguments from its documentation.

Names and arguments are in ``data/sources/monai.toml``.
"""

from __future__ import annotations

import inspect
import tomllib
from functools import cache
from operator import attrgetter
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

_TABLE = SOURCE_DATA / "monai.toml"


def _networks() -> Any:
    import_torchvision()  # MONAI imports it
    import_library("monai")
    return import_library("monai.networks.nets")


@cache
def _table() -> dict[str, dict[str, Any]]:
    """Return the table's entries by name, merged with the variant's own arguments and inputs."""
    found = {}
    for entry in tomllib.loads(_TABLE.read_text(encoding="utf-8"))["network"]:
        for name, own in entry["variants"].items():
            arguments = {"call": entry["class"], **entry.get("arguments", {}), **own}
            inputs = arguments.pop("inputs", entry.get("inputs"))
            found[name] = {**entry, "arguments": arguments, "inputs": inputs}
    return found


def list_names() -> list[str]:
    """Return every network of the table; MONAI must be installed."""
    _networks()
    return sorted(_table())


def _construct(nets: Any, value: Any) -> Any:
    """Convert an argument of a constructor; tables with ``call`` are built."""
    if isinstance(value, list):
        return [_construct(nets, v) for v in value]
    if not isinstance(value, dict):
        return value
    arguments = {key: _construct(nets, v) for key, v in value.items() if key != "call"}
    return attrgetter(value["call"])(nets)(**arguments) if "call" in value else arguments


def _example(spec: Any) -> Any:
    """Convert an example of the table to a tensor, or a list of tensors."""
    if isinstance(spec, dict):
        return torch.empty(spec["int64"], dtype=torch.int64, device="meta")
    if all(isinstance(part, int) for part in spec):
        return torch.empty(spec, device="meta")
    return [_example(part) for part in spec]


def _example_inputs(entry: dict[str, Any], module: nn.Module) -> dict[str, Any]:
    if entry["inputs"] is not None:
        return {key: _example(spec) for key, spec in entry["inputs"].items()}
    dims = entry["arguments"].get("spatial_dims", entry.get("spatial_dims"))
    image = [1, entry.get("channels", 1), *[entry.get("side", 64)] * dims]
    first = next(iter(inspect.signature(module.forward).parameters))
    more = entry.get("more_inputs", {})
    return {key: _example(spec) for key, spec in {first: image, **more}.items()}


def build(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """Return a network without weights, and example inputs.

    Raises:
        UnsupportedSourceError: The table has no such network.
        MissingDependencyError: MONAI is not installed.
    """
    nets = _networks()
    check_name("monai", name, list_names())
    entry = _table()[name]
    module = build_without_weights(lambda: _construct(nets, entry["arguments"]))
    return module, _example_inputs(entry, module)


def labels(name: str) -> tuple[str, str]:
    """Return (class, task)."""
    entry = _table()[name]
    return entry["class"], entry["task"]
