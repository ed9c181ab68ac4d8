"""Models of diffusers: a class with its default configuration, or a released checkpoint.

``UNet2DConditionModel`` is a class. ``stable-diffusion-v1-5/unet`` is a checkpoint; its
configuration is in ``data/sources/diffusers_configs.toml``. The group of a model is the diffusers
module that defines its class.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch import nn

from narfast.sources._torchvision_compat import import_torchvision
from narfast.sources.libraries.base import (
    SOURCE_DATA,
    Fallback,
    build_without_weights,
    check_name,
    import_library,
)
from narfast.sources.libraries.diffusers import inputs, transformers

__all__ = ["build", "fallbacks", "labels", "list_names"]

_RECIPES = {**inputs.RECIPES, **transformers.RECIPES}

# Classes whose default configuration lacks required values.
_WITHOUT_DEFAULTS = frozenset(
    {
        "AutoencoderKLHunyuanImage",
        "ControlNetUnionModel",
        "EasyAnimateTransformer3DModel",
        "HiDreamImageTransformer2DModel",
        "HunyuanDiT2DControlNetModel",
        "HunyuanDiT2DModel",
        "LatteTransformer3DModel",
        "LuminaNextDiT2DModel",
    }
)

# About an eighth of the width, with all layers; see `fallbacks`.
_NARROW: dict[str, dict[str, Any]] = {
    "GlmImageTransformer2DModel": {
        "num_attention_heads": 8,
        "text_embed_dim": 184,
        "time_embed_dim": 64,
        "condition_dim": 32,
    },
    "HiDreamImageTransformer2DModel": {
        "num_attention_heads": 2,
        "caption_channels": [512, 512],
        "text_emb_dim": 256,
    },
    "HunyuanImageTransformer2DModel": {
        "num_attention_heads": 4,
        "text_embed_dim": 512,
        "text_embed_2_dim": 184,
    },
    "HunyuanVideo15Transformer3DModel": {
        "num_attention_heads": 2,
        "text_embed_dim": 448,
        "text_embed_2_dim": 184,
        "image_embed_dim": 144,
    },
    "Lumina2Transformer2DModel": {
        "hidden_size": 288,
        "num_attention_heads": 3,
        "num_kv_heads": 1,
        "multiple_of": 32,
        "cap_feat_dim": 288,
    },
    "MochiTransformer3DModel": {
        "num_attention_heads": 3,
        "pooled_projection_dim": 192,
        "text_embed_dim": 512,
    },
}


def _models() -> Any:
    import_torchvision()  # diffusers imports transformers, which imports it
    import_library("diffusers")
    return import_library("diffusers.models", extra="diffusers")


@cache
def _released() -> dict[str, dict[str, Any]]:
    """Return released configurations by name."""
    text = (SOURCE_DATA / "diffusers_configs.toml").read_text("utf-8")
    entries: dict[str, dict[str, Any]] = tomllib.loads(text)
    return entries


def _configuration(name: str) -> tuple[str, dict[str, Any]]:
    """Return class and fields of a name; an entry may inherit and change another's fields."""
    entry = _released().get(name)
    if entry is None:
        return name, {}
    fields = {**entry.get("config", {}), **dict.fromkeys(entry.get("null", ()))}
    parent = entry.get("like")
    if parent is None:
        return entry["class"], fields
    class_name, inherited = _configuration(parent)
    return class_name, {**inherited, **fields}


def _module_of(class_name: str) -> str | None:
    """Return the module of a class, below diffusers.models; None if there is no such class."""
    structure: dict[str, list[str]] = _models()._import_structure
    return next((module for module, names in structure.items() if class_name in names), None)


def list_names() -> list[str]:
    """Return the classes with a usable default configuration, and released checkpoints."""
    offered = {name for names in _models()._import_structure.values() for name in names}
    known = offered & _RECIPES.keys()
    released = {name for name in _released() if _configuration(name)[0] in known}
    return sorted((known - _WITHOUT_DEFAULTS) | released)


def _no_table_2d(embed_dim: int, grid_size: int | tuple[int, int], **_: Any) -> torch.Tensor:
    sides = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
    return torch.empty(sides[0] * sides[1], embed_dim, device="meta")


def _no_table_3d(embed_dim: int, space: tuple[int, int], time: int, *_: Any, **__: Any) -> Any:
    return torch.empty(time, space[0] * space[1], embed_dim, device="meta")


def _build(class_name: str, fields: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    model_class = getattr(_models(), class_name)
    embeddings = importlib.import_module("diffusers.models.embeddings")
    with (  # position tables take seconds and gigabytes, and tracing does not use their values
        mock.patch.object(embeddings, "get_2d_sincos_pos_embed", _no_table_2d),
        mock.patch.object(embeddings, "get_3d_sincos_pos_embed", _no_table_3d),
    ):
        module: Any = build_without_weights(lambda: model_class(**fields))
    return module, _RECIPES[class_name](module.config)


def build(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """Return a model without weights, and keyword arguments of its forward pass.

    Raises:
        UnsupportedSourceError: There is no such class or released checkpoint.
        MissingDependencyError: diffusers is not installed.
    """
    check_name("diffusers", name, list_names())
    return _build(*_configuration(name))


def fallbacks(name: str) -> Iterator[Fallback]:
    """Return a narrow build, for networks that use the values of their inputs and must be run."""
    class_name, fields = _configuration(name)
    if class_name in _NARROW:
        narrow = {**fields, **_NARROW[class_name]}
        yield "small", lambda: _build(class_name, narrow)


def labels(name: str) -> tuple[str, str]:
    """Return (module that defines the class, task)."""
    module = _module_of(_configuration(name)[0]) or ""
    package, _, file = module.rpartition(".")
    task = "autoencoder" if package == "autoencoders" else "diffusion"
    return file, task
