"""Networks of segmentation_models_pytorch: a decoder over an encoder, as ``unet-resnet34``.

``data/sources/smp_pairings.toml``, made by ``benchmarks/studies/smp_pairings.py``, has the pairings
that work; ``data/sources/smp.toml`` has the decoders that are listed.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
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

__all__ = ["build", "build_pairing", "labels", "list_names", "pairings"]

_TIMM = "tu-"  # the library's prefix of encoders from timm
_SIZE = 256  # of the image, as in the library's examples; a multiple of every stride


def _smp() -> Any:
    import_torchvision()  # the library imports it, and so does timm
    return import_library("segmentation_models_pytorch", extra="smp")


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((SOURCE_DATA / name).read_text(encoding="utf-8"))


@cache
def _probe(name: str) -> Any:
    """Return a temporary timm model, from which an encoder reads facts before it is built."""
    model = import_library("timm").create_model(name, features_only=True)
    return SimpleNamespace(
        feature_info=model.feature_info, output_fmt=getattr(model, "output_fmt", None)
    )


@contextmanager
def _probing_once() -> Iterator[None]:
    """While active, the temporary model of each encoder is built once per process."""
    universal: Any = importlib.import_module(f"{_smp().__name__}.encoders.timm_universal")
    timm = universal.timm

    def create_model(name: str, **options: Any) -> Any:
        probe = options == {"features_only": True}
        return _probe(name) if probe else timm.create_model(name, **options)

    universal.timm = SimpleNamespace(create_model=create_model)
    try:
        yield
    finally:
        universal.timm = timm


@cache
def pairings() -> tuple[tuple[str, str], ...]:
    """Return every (decoder, encoder) that works with the installed versions, sorted.

    Raises:
        MissingDependencyError: segmentation_models_pytorch or timm is not installed.
    """
    smp, timm = _smp(), import_library("timm")
    decoders = set(smp.MODEL_ARCHITECTURES_MAPPING)
    encoders = {*smp.encoders.get_encoder_names(), *(_TIMM + name for name in timm.list_models())}
    return tuple(
        sorted(
            (decoder, encoder)
            for group in _table("smp_pairings.toml")["group"]
            for decoder in decoders.intersection(group["decoders"])
            for encoder in encoders.intersection(group["encoders"])
        )
    )


def list_names() -> list[str]:
    """Return every pairing that works, for the decoders in ``smp.toml``."""
    table = _table("smp.toml")
    own, timm = set(table["own_encoders"]), set(table["timm_encoders"])
    return [
        f"{decoder}-{encoder}"
        for decoder, encoder in pairings()
        if decoder in (timm if encoder.startswith(_TIMM) else own)
    ]


def _image_size(encoder: Any) -> tuple[int, int]:
    """Return (height, width): the encoder's own size if it is fixed."""
    config = getattr(getattr(encoder, "model", None), "pretrained_cfg", None) or {}
    if config.get("fixed_input_size", False):
        _, height, width = config["input_size"]
        return height, width
    return _SIZE, _SIZE


def build_pairing(decoder: str, encoder: str) -> tuple[nn.Module, torch.Tensor]:
    """Build any decoder over any encoder, even if the two do not fit.

    Raises:
        Exception: Raised by the library for pairs that do not fit.
    """
    smp = _smp()
    with _probing_once():
        module = build_without_weights(
            lambda: smp.create_model(decoder, encoder_name=encoder, encoder_weights=None)
        )
    return module, torch.empty(1, 3, *_image_size(module.encoder), device="meta")


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a network without weights, and an image.

    Raises:
        UnsupportedSourceError: There is no such pairing, or it does not work.
        MissingDependencyError: segmentation_models_pytorch is not installed.
    """
    check_name("smp", name, (f"{decoder}-{encoder}" for decoder, encoder in pairings()))
    decoder, _, encoder = name.partition("-")
    return build_pairing(decoder, encoder)


def labels(name: str) -> tuple[str, str]:
    """Return (decoder, task)."""
    return name.partition("-")[0], "image-segmentation"
