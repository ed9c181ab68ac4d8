"""Models of torchvision by name. The group of a model is the module that defines it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from narfast.sources._torchvision_compat import import_torchvision
from narfast.sources.libraries.base import build_without_weights, check_name

__all__ = ["build", "labels", "list_names"]

_TASKS = {
    "detection": "object-detection",
    "segmentation": "image-segmentation",
    "video": "video-classification",
    "optical_flow": "optical-flow",
    "quantization": "image-classification",
}


def list_names() -> list[str]:
    """Return every builder of the installed torchvision."""
    names: list[str] = import_torchvision().models.list_models()
    return names


def _package(name: str) -> list[str]:
    """Return the parts of the builder's module path below torchvision.models."""
    builder = import_torchvision().models.get_model_builder(name)
    return str(inspect.unwrap(builder).__module__).split(".")[2:]


def _crop_size(name: str) -> int:
    weights = import_torchvision().models.get_model_weights(name)
    default = next(iter(weights), None)
    if default is None:
        return 224
    transforms = getattr(default.transforms, "keywords", {})
    size = transforms.get("crop_size", 224)
    return int(size[0] if isinstance(size, (tuple, list)) else size)


def _detection_options(name: str) -> dict[str, Any]:
    """Return options for small images and few detections, which make a real run fast.

    Neither is part of the design. All scores pass, so that the second-stage heads have detections.
    """
    if name.startswith("ssd"):
        return {"score_thresh": 0.0, "detections_per_img": 2, "topk_candidates": 2}
    size = {"min_size": 128, "max_size": 160}
    if "rcnn" in name:
        few = {"rpn_pre_nms_top_n_test": 16, "rpn_post_nms_top_n_test": 4}
        return {**size, **few, "box_score_thresh": 0.0, "box_detections_per_img": 2}
    return {**size, "score_thresh": 0.0, "detections_per_img": 2, "topk_candidates": 2}


def _example_inputs(name: str, module: nn.Module) -> Any:
    kind = _package(name)[0]
    if kind == "detection":
        return ([torch.empty(3, 320, 320, device="meta")],)
    if kind == "optical_flow":
        return tuple(torch.empty(1, 3, 128, 128, device="meta") for _ in range(2))
    if kind == "video":
        size = _crop_size(name)
        return torch.empty(1, 3, 16, size, size, device="meta")
    fixed = getattr(module, "image_size", None)  # transformers accept only one size
    size = 224 if kind == "segmentation" else int(fixed or _crop_size(name))
    return torch.empty(1, 3, size, size, device="meta")


def build(name: str) -> tuple[nn.Module, Any]:
    """Return a model without weights, and example inputs of its task.

    Raises:
        UnsupportedSourceError: torchvision has no such model.
        MissingDependencyError: torchvision is not installed.
    """
    models = import_torchvision().models
    check_name("torchvision", name, list_names())
    options: dict[str, Any] = {"weights": None}
    if _package(name)[0] in ("detection", "segmentation"):
        options["weights_backbone"] = None
    if "googlenet" in name or "inception" in name:
        options["aux_logits"] = False  # only training uses these heads
    if _package(name)[0] == "detection":
        options.update(_detection_options(name))
    module = build_without_weights(lambda: models.get_model(name, **options))
    return module, _example_inputs(name, module)


def labels(name: str) -> tuple[str, str]:
    """Return (family, task): the module that defines the model, and its package."""
    parts = _package(name)
    return parts[-1], _TASKS.get(parts[0], "image-classification")
