"""Builds a model of transformers from its configuration, without weights."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from narfast.errors import UnsupportedSourceError
from narfast.sources._quiet import quiet
from narfast.sources._torchvision_compat import import_torchvision
from narfast.sources.libraries.base import build_without_weights, import_library
from narfast.sources.libraries.transformers.catalog import Entry, missing_defaults
from narfast.sources.libraries.transformers.inputs import (
    TEXT_ONLY,
    Builder,
    config_parts,
    entry_point,
    signature,
)
from narfast.sources.libraries.transformers.special_cases import SPECIAL

__all__ = ["LOGGER", "Network", "default_config", "model_class", "narrow_config", "network"]

LOGGER = "transformers"
"""Logger of advice on weights and speed, which do not matter here."""

_NO_CHECKS = "TRANSFORMERS_DISABLE_TORCH_CHECK"


class Network(nn.Module):
    """Calls a model without transformers' checks of values, which need real numbers.

    The encoder output of an audio codec is returned too. Its codes are integers, so the graph of
    the decoded sound ends there.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Any) -> Any:
        """Call the model with keywords."""
        encoded: list[Any] = []
        encoder = getattr(self.model, "encoder", None)
        hook = None
        coded = hasattr(self.model, "quantizer") or entry_point(self.model) is not self.model
        if coded and isinstance(encoder, nn.Module):
            hook = encoder.register_forward_hook(lambda *call: encoded.append(call[-1]))
        try:
            with quiet(LOGGER), _environment(_NO_CHECKS, "1"):
                return entry_point(self.model)(**inputs), encoded
        finally:
            if hook is not None:
                hook.remove()


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def model_class(entry: Entry) -> Any:
    """Return the class of a network.

    Raises:
        UnsupportedSourceError: The installed transformers does not have it.
    """
    import_torchvision_if_there()
    transformers = import_library("transformers")
    found = getattr(transformers, entry.class_name, None)
    if found is None:
        from transformers.models.auto.configuration_auto import model_type_to_module_name

        package = model_type_to_module_name(entry.model_type)
        module = importlib.import_module(f"transformers.models.{package}.modeling_{package}")
        found = getattr(module, entry.class_name, None)
    if found is None:
        raise UnsupportedSourceError(
            f"transformers {transformers.__version__} has no class {entry.class_name}"
        )
    return found


def import_torchvision_if_there() -> None:
    """Import torchvision if it is installed: some models import it without our helper."""
    with contextlib.suppress(ImportError):
        import_torchvision()


def default_config(entry: Entry) -> Any:
    """Return the default configuration of the model type, with the network's changes."""
    import_torchvision_if_there()
    import_library("transformers")
    from transformers import CONFIG_MAPPING

    with quiet(LOGGER):
        missing = missing_defaults().get(entry.model_type, {})
        return CONFIG_MAPPING[entry.model_type](**{**missing, **entry.changes})


# Fields that are widths of a network: dividing all of them keeps its depth and its ratios.
_WIDTHS = re.compile(
    r"(.*_)?(hidden_sizes?|intermediate_size|d_model|d_ff|d_kv|ffn_dim|head_dim|inner_dim"
    r"|embed_dim|hidden_dim|intermediate_dim|lora_rank|projection_dim|output_dim|n_embd|n_inner)"
)


def narrow_config(config: Any, factor: int) -> Any:
    """Divide the widths of a configuration if possible; it is changed in place."""

    def divided(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(divided(v) for v in value)
        whole = isinstance(value, int) and value % factor == 0 and value >= 8 * factor
        return value // factor if whole else value

    for part in config_parts(config):
        for name, value in list(vars(part).items()):
            if _WIDTHS.fullmatch(name):
                setattr(part, name, divided(value))
        rope = getattr(part, "rope_parameters", None)
        if isinstance(rope, dict) and rope.get("mrope_section"):  # parts of half a head
            rope["mrope_section"] = [max(1, size // factor) for size in rope["mrope_section"]]
    return config


def suitable_config(model: Any, config: Any) -> Any:
    """Return the configuration for a class; a pure language model uses only the text part."""
    wanted = model.config_class
    if wanted is None or isinstance(config, wanted):
        return config
    for part in config_parts(config):
        if isinstance(part, wanted):
            return part
    return wanted()


def network(
    model: Any,
    config: Any,
    *,
    attention: str | None = None,
    experts: str = "batched_mm",
    text_only: bool = False,
) -> tuple[nn.Module, dict[str, Any]]:
    """Build a model without weights, with example inputs.

    Args:
        model: Its class.
        config: Its configuration; changed in place.
        attention: Implementation of attention; transformers' choice by default.
        experts: Implementation of mixtures of experts. ``batched_mm`` traces one path through one
            expert, for any choice of the router.
        text_only: Leave images and sounds out of the inputs.
    """
    for part in config_parts(config):
        if getattr(part, "use_cache", None):
            part.use_cache = False
    if attention is not None:
        config._attn_implementation = attention

    def build() -> nn.Module:
        from transformers.initialization import no_init_weights

        with no_init_weights():
            module: nn.Module = model._from_config(config, dtype=torch.float32)
        tie: Any = module.tie_weights
        tie()  # part of the design, although transformers does it at initialization
        return module

    config = suitable_config(model, config)
    with quiet(LOGGER):
        module = build_without_weights(build)
        for part in module.modules():  # some parts copy their configuration or restore a default
            own: Any = getattr(part, "config", None)
            if hasattr(own, "_experts_implementation"):
                own._experts_implementation = experts
        return Network(module), example_inputs(module, text_only=text_only)


def example_inputs(module: nn.Module, *, text_only: bool = False) -> dict[str, Any]:
    """Return keyword arguments for a call of the model.

    Integers have values; everything else is on the meta device.

    Args:
        module: The model.
        text_only: Leave images and sounds out, for a multimodal model that also accepts only text.

    Raises:
        ValueError: `text_only`, and the model takes no text, or nothing but text.
    """
    config: Any = module.config
    names = signature(module)
    if text_only:
        kept = {name: required for name, required in names.items() if name not in TEXT_ONLY}
        if "input_ids" not in names or len(kept) == len(names):
            raise ValueError("the model takes no text, or nothing but text")
        names = kept
    builder = Builder(module, config, names)
    inputs = builder.make()
    adjust = SPECIAL.get(builder.model_type)
    if adjust is not None:
        adjust(builder, inputs)
    return inputs
