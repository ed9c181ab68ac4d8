"""Models of timm by name. The group of a model is the file that defines it."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn

from narfast.sources._torchvision_compat import import_torchvision
from narfast.sources.libraries.base import build_without_weights, check_name, import_library

__all__ = ["build", "labels", "list_names"]


def _timm() -> Any:
    import_torchvision()  # timm imports it
    return import_library("timm")


def list_names() -> list[str]:
    """Return every architecture of the installed timm, and every released model as ``name.tag``.

    Released models differ in their heads: without a head, or with other numbers of classes.
    """
    timm = _timm()
    return sorted([*timm.list_models(), *timm.list_pretrained()])


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a model without weights, and an input of its default size.

    Raises:
        UnsupportedSourceError: timm has no such architecture.
        MissingDependencyError: timm is not installed.
    """
    timm = _timm()
    if not timm.is_model(name):
        check_name("timm", name, list_names())
    try:
        timm.models.get_pretrained_cfg(name)
    except RuntimeError:  # the architecture exists, its tag does not
        architecture = name.partition(".")[0]
        check_name("timm", name, [architecture, *timm.list_pretrained(f"{architecture}.*")])
    module = build_without_weights(lambda: timm.create_model(name, pretrained=False))
    size = getattr(module, "default_cfg", {}).get("input_size") or (3, 224, 224)
    return module, torch.empty(1, *size, device="meta")


def labels(name: str) -> tuple[str, str]:
    """Return (family, task); the family is the module that defines the model."""
    timm = _timm()
    entrypoint = timm.models.model_entrypoint(name)
    return sys.modules[entrypoint.__module__].__name__.rpartition(".")[2], "image-classification"
