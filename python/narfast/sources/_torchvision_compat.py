"""Imports torchvision beside a torch build that its compiled operators do not fit.

PyPI's torchvision is compiled against CUDA. Beside a CPU build of torch, its library does not load,
and importing torchvision fails with "operator torchvision::nms does not exist". Tracing needs only
shapes and graph edges, so this file declares the missing operators with plain PyTorch
implementations. If torchvision's own library loads, nothing is changed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from narfast.errors import MissingDependencyError

__all__ = ["import_torchvision", "torchvision_importable"]

_ROI_SCHEMA = (
    "Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width"
)
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    f"roi_align({_ROI_SCHEMA}, int sampling_ratio, bool aligned) -> Tensor",
    f"roi_pool({_ROI_SCHEMA}) -> (Tensor, Tensor)",
    f"ps_roi_align({_ROI_SCHEMA}, int sampling_ratio) -> (Tensor, Tensor)",
    f"ps_roi_pool({_ROI_SCHEMA}) -> (Tensor, Tensor)",
    "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
    "SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, "
    "SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor",
)

# Library handles own their registrations: deleting one would undo them.
_libraries: list[torch.library.Library] = []


def _nms(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression, boxes (n, 4) as x1, y1, x2, y2."""
    order = scores.argsort(descending=True, stable=True)
    boxes = dets[order]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = torch.ones(len(boxes), dtype=torch.bool)
    kept: list[int] = []
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        kept.append(i)
        low = torch.maximum(boxes[i, :2], boxes[i + 1 :, :2])
        high = torch.minimum(boxes[i, 2:], boxes[i + 1 :, 2:])
        overlap = (high - low).clamp(min=0).prod(dim=1)
        alive[i + 1 :] &= overlap <= iou_threshold * (area[i] + area[i + 1 :] - overlap)
    return order[torch.tensor(kept, dtype=torch.int64)]


def _nms_meta(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Return the shape only: on meta no overlap is known, so every box is kept."""
    return dets.new_empty(dets.shape[0], dtype=torch.int64)


def _pooled(
    input: torch.Tensor, rois: torch.Tensor, scale: float, height: int, width: int, *_: Any
) -> torch.Tensor:
    """Return regions (k, c, h, w) as zeros: tracing does not use the values."""
    return input.new_zeros((rois.shape[0], input.shape[1], height, width))


def _pooled_pair(
    input: torch.Tensor, rois: torch.Tensor, scale: float, height: int, width: int, *_: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (rois.shape[0], input.shape[1], height, width)
    return input.new_zeros(shape), input.new_zeros(shape, dtype=torch.int32)


def _position_sensitive(
    input: torch.Tensor, rois: torch.Tensor, scale: float, height: int, width: int, *_: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (rois.shape[0], input.shape[1] // (height * width), height, width)
    return input.new_zeros(shape), input.new_zeros(shape, dtype=torch.int32)


def _deform_conv2d(
    input: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, *_: Any
) -> torch.Tensor:
    return input.new_zeros((input.shape[0], weight.shape[0], *offset.shape[-2:]))


def _no_gradient(*_: Any) -> Any:
    raise RuntimeError("narfast's stand-ins for torchvision's operators only give shapes")


def _keep_arguments(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Store the arguments that determine an operator's attributes on its autograd node."""
    ctx.narfast_arguments = tuple(
        tuple(value.shape) if isinstance(value, torch.Tensor) else value for value in inputs
    )


def _register() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    _libraries.append(library)
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    for name, cpu, meta in (
        ("nms", _nms, _nms_meta),
        ("qnms", _nms, _nms_meta),
        ("roi_align", _pooled, _pooled),
        ("roi_pool", _pooled_pair, _pooled_pair),
        ("ps_roi_align", _position_sensitive, _position_sensitive),
        ("ps_roi_pool", _position_sensitive, _position_sensitive),
        ("deform_conv2d", _deform_conv2d, _deform_conv2d),
    ):
        library.impl(name, cpu, "CPU")  # type: ignore[no-untyped-call]
        if name not in ("nms", "qnms"):  # torchvision registers these two itself
            library.impl(name, meta, "Meta")  # type: ignore[no-untyped-call]
            torch.library.register_autograd(
                f"torchvision::{name}", _no_gradient, setup_context=_keep_arguments, lib=library
            )


def _operators_load(folders: Sequence[str]) -> bool:
    """Whether torchvision's own compiled library loads beside this torch."""
    for folder in folders:
        for name in ("_C.so", "_C.pyd", "_C.dylib"):
            path = Path(folder) / name
            if path.exists():
                try:
                    torch.ops.load_library(path)  # type: ignore[no-untyped-call]
                except OSError:
                    return False
                return True
    return False


class _Finder:
    """An import finder that declares torchvision's operators if its own library does not load."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        with _left_out(self):
            spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None or not spec.submodule_search_locations:
            return None
        if not _operators_load(spec.submodule_search_locations):
            if not _libraries:
                _register()
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                # Its functions refuse to run unless their own library was loaded; ours work.
                for part in ("torchvision.extension", "torchvision.ops.roi_align"):
                    importlib.import_module(part)._has_ops = lambda: True  # type: ignore[attr-defined]
                importlib.import_module("torchvision._meta_registrations")

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


@contextmanager
def _left_out(finder: _Finder) -> Iterator[None]:
    sys.meta_path.remove(finder)
    try:
        yield
    finally:
        sys.meta_path.insert(0, finder)


@contextmanager
def torchvision_importable() -> Iterator[None]:
    """Let code import torchvision; declare its operators if its own library does not load.

    Nothing is imported until that code imports it.
    """
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with suppress(ValueError):  # that code may have changed the list
            sys.meta_path.remove(finder)


def import_torchvision() -> ModuleType:
    """Import torchvision with `torchvision_importable`.

    Returns:
        The ``torchvision`` package.

    Raises:
        MissingDependencyError: torchvision is not installed.
    """
    with torchvision_importable():
        try:
            return importlib.import_module("torchvision")
        except ModuleNotFoundError as error:
            if error.name != "torchvision":
                raise
            raise MissingDependencyError(
                "this source needs torchvision, which is not installed: "
                "pip install 'narfast[torchvision]'"
            ) from None
