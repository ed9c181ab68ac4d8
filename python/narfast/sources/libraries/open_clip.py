"""Models of open_clip by name: an image tower and a text tower, traced in one forward pass.

Groups are words from the configurations' names: the name of the whole design if it has one (coca,
siglip, clipa, mobileclip2), else that of the image tower (vit, eva02, modified_resnet).
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import nn

from narfast.sources._torchvision_compat import import_torchvision
from narfast.sources.libraries.base import build_without_weights, check_name, import_library

__all__ = ["build", "labels", "list_names"]

# Hugging Face models that are text towers; open_clip would download their configurations. The table
# has the model type, and the fields that differ from the defaults in transformers.
_ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
_NLLB = {"vocab_size": 256206, "d_model": 1024, "scale_embedding": True, "attention_dropout": 0.1}
_NLLB_HEADS = {"encoder_attention_heads": 16, "decoder_attention_heads": 16}
_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
_MT5 = {"vocab_size": 250112, "d_kv": 64, "feed_forward_proj": "gated-gelu"}
_TEXT_TOWERS: dict[str, tuple[str, dict[str, Any]]] = {
    # https://huggingface.co/NAME/blob/main/config.json of each
    "roberta-base": ("roberta", {"vocab_size": 50265, **_ROBERTA}),
    "xlm-roberta-base": ("xlm-roberta", {"vocab_size": 250002, **_ROBERTA}),
    "xlm-roberta-large": ("xlm-roberta", {"vocab_size": 250002, **_ROBERTA, **_LARGE}),
    "google/mt5-base": (
        "mt5",
        {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12, **_MT5},
    ),
    "google/mt5-xl": (
        "mt5",
        {"d_model": 2048, "d_ff": 5120, "num_layers": 24, "num_heads": 32, **_MT5},
    ),
    "facebook/nllb-200-distilled-600M": (
        "m2m_100",
        {"encoder_layers": 12, "encoder_ffn_dim": 4096, **_NLLB, **_NLLB_HEADS},
    ),
    "facebook/nllb-200-distilled-1.3B": (
        "m2m_100",
        {"encoder_layers": 24, "encoder_ffn_dim": 8192, **_NLLB, **_NLLB_HEADS},
    ),
}

_TRAINED_AS = frozenset({"siglip", "siglip2", "clipa"})


def _open_clip() -> Any:
    import_torchvision()  # open_clip and its timm towers import it
    return import_library("open_clip")


def _text_model(config: dict[str, Any]) -> str | None:
    """Return the Hugging Face model of the text tower; None if the tower is open_clip's own."""
    name: str | None = config["text_cfg"].get("hf_model_name")
    return name


def list_names() -> list[str]:
    """Return every configuration of the installed open_clip that needs no download.

    Configurations with a Hugging Face text tower are left out if its model is not listed here.
    """
    open_clip = _open_clip()
    configs = {name: open_clip.get_model_config(name) for name in open_clip.list_models()}
    known = (None, *_TEXT_TOWERS)
    return sorted(name for name, config in configs.items() if _text_model(config) in known)


@contextlib.contextmanager
def _configurations_at_hand() -> Iterator[None]:
    """While active, open_clip's text towers take their configurations from this file."""
    from open_clip import hf_model
    from transformers import AutoConfig

    class _AtHand:
        @staticmethod
        def from_pretrained(name: str, **_: Any) -> Any:
            model_type, fields = _TEXT_TOWERS[name]
            return AutoConfig.for_model(model_type, **fields)

    with mock.patch.object(hf_model, "AutoConfig", _AtHand):
        yield


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """While active, no warnings about missing weights are logged."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


def _without_mask(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
    """Drop the mask: the example text has no padding, and transformers would read the values."""
    return args, {**kwargs, "attention_mask": None}


def _create(name: str) -> nn.Module:
    open_clip = _open_clip()
    text_model = _text_model(open_clip.get_model_config(name))
    if text_model is not None:
        import_library("transformers")
    around = contextlib.nullcontext() if text_model is None else _configurations_at_hand()
    with around, _without_warnings():
        model: nn.Module = open_clip.create_model(
            name, device="meta", pretrained_image=False, pretrained_text=False
        )
    if text_model is not None:
        text: Any = model.text
        text.transformer.register_forward_pre_hook(_without_mask, with_kwargs=True)
    return model


def build(name: str) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """Return both towers without weights; an image (1, 3, h, w) and token ids (1, context length).

    Raises:
        UnsupportedSourceError: open_clip has no such configuration.
        MissingDependencyError: open_clip is missing, or transformers for its text tower.
    """
    check_name("open_clip", name, list_names())
    config = _open_clip().get_model_config(name)
    module = build_without_weights(lambda: _create(name))
    size = config["vision_cfg"].get("image_size", 224)
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    length = config["text_cfg"].get("context_length", 77)
    image = torch.empty(1, 3, height, width, device="meta")
    return module, (image, torch.zeros(1, length, dtype=torch.int64, device="meta"))


def labels(name: str) -> tuple[str, str]:
    """Return (design, task): words from open_clip's names; see the top of this file."""
    config = _open_clip().get_model_config(name)
    words = re.split(r"[-_]", name.lower())
    if "multimodal_cfg" in config:
        group = "coca"
    elif trained := next((word for word in words if word in _TRAINED_AS), None):
        group = trained
    elif isinstance(config["vision_cfg"].get("layers"), list):
        group = "modified_resnet"  # the module that defines it
    elif _text_model(config) is not None:
        group = "vit"  # such names start with the text tower's name
    else:
        group = words[0]
    return group, "image-text"
