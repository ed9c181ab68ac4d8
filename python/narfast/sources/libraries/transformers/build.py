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
"""What gives advice on weights and speed, which no one here has or needs."""

_NO_CHECKS = "TRANSFORMERS_DISABLE_TORCH_CHECK"


class Network(nn.Module):
    """A model called without transformers' checks of values, which need numbers to look at.

    What the encoder of an audio codec gives is returned too: the codes made of it are integers, at
    which the graph behind the decoded sound ends.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Any) -> Any:
        """Calls the model by keywords."""
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
    """The class of a network.

    Raises:
        UnsupportedSourceError: This transformers lacks it.
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
    """Some models import torchvision, which may need help to be imported."""
    with contextlib.suppress(ImportError):
        import_torchvision()


def default_config(entry: Entry) -> Any:
    """The configuration of a network: the default of its model type, with its changes."""
    import_torchvision_if_there()
    import_library("transformers")
    from transformers import CONFIG_MAPPING

    with quiet(LOGGER):
        missing = missing_defaults().get(entry.model_type, {})
        return CONFIG_MAPPING[entry.model_type](**{**missing, **entry.changes})


# Fields that are widths of a network: dividing them all keeps its depth and its ratios.
_WIDTHS = re.compile(
    r"(.*_)?(hidden_sizes?|intermediate_size|d_model|d_ff|d_kv|ffn_dim|head_dim|inner_dim"
    r"|embed_dim|hidden_dim|intermediate_dim|lora_rank|projection_dim|output_dim|n_embd|n_inner)"
)


def narrow_config(config: Any, factor: int) -> Any:
    """A configuration whose widths are divided where they can be; changed in place."""

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
    """The configuration for a class: the text part of a larger one for a language model alone."""
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
    """Builds a model without weights, with example inputs.

    Args:
        model: Its class.
        config: Its configuration; changed.
        attention: Implementation of attention; by default what transformers picks.
        experts: Implementation of mixtures of experts. ``batched_mm`` is one path through one
            expert, whichever the router picks.
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
        tie()  # part of the design, though done where weights are initialized
        return module

    config = suitable_config(model, config)
    with quiet(LOGGER):
        module = build_without_weights(build)
        for part in module.modules():  # some copy their configuration, or a default is put back
            own: Any = getattr(part, "config", None)
            if hasattr(own, "_experts_implementation"):
                own._experts_implementation = experts
        return Network(module), example_inputs(module, text_only=text_only)


def example_inputs(module: nn.Module, *, text_only: bool = False) -> dict[str, Any]:
    """Keyword arguments with which the model can be called.

    Integers have values, everything else is on the meta device.

    Args:
        module: The model.
        text_only: Leave images and sounds out, which a model of text and more may do without.

    Raises:
        ValueError: `text_only`, and the model takes no text, or nothing else.
    """
    config: Any = module.config
    names = signature(module)
    if text_only:
        kept = {name: required for name, required in names.items() if name not in TEXT_ONLY}
        if "input_ids" not in names or len(kept) == len(names):
            raise ValueError("there is nothing but text, or no text")
        names = kept
    builder = Builder(module, config, names)
    inputs = builder.make()
    adjust = SPECIAL.get(builder.model_type)
    if adjust is not None:
        adjust(builder, inputs)
    return inputs
