"""Exports of PyTorch networks to ONNX, by both exporters, with batch norms folded and not.

Run as a program it writes the fixture of `test_cross_format.py`:
``python tests/exports.py tests/data/onnx_exports.zip timm:resnet18 ...`` (add to an existing file).
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from narfast.sources.loader import library

VARIANTS: dict[str, dict[str, Any]] = {
    "script_folded": {"dynamo": False},
    "script": {
        "dynamo": False,
        "training": torch.onnx.TrainingMode.PRESERVE,
        "do_constant_folding": False,
    },
    "dynamo_folded": {"dynamo": True, "external_data": False},
    "dynamo": {"dynamo": True, "external_data": False, "optimize": False},
}
_KEPT_ELEMENTS = 64  # larger tensors are weights


def trained_looks(module: nn.Module) -> nn.Module:
    """Gives every weight and statistic a value of its own, in place.

    Fresh networks have equal batch norms and all-zero layers; optimizers merge and drop those,
    which they would not do after training.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 1.0, generator=generator)
    return module.eval()


def export(module: nn.Module, inputs: tuple[torch.Tensor, ...], path: Path, variant: str) -> None:
    """Exports `module` to `path`; the exporters' chatter and warnings are dropped."""
    silent = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(silent),
        contextlib.redirect_stderr(silent),
    ):
        warnings.simplefilter("ignore")
        torch.onnx.export(module, inputs, str(path), **VARIANTS[variant])


def build(source: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """A library model with weights, and inputs of the shape that narfast traces it with."""
    prefix, _, name = source.partition(":")
    origin = library(prefix)
    _, inputs = origin.build(name)
    if prefix == "timm":
        import timm

        module = timm.create_model(name, pretrained=False)
    else:
        from narfast.sources._torchvision_compat import import_torchvision

        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        module = import_torchvision().models.get_model(name, weights=None, **options)
    shapes = [tuple(value.shape) for value in (inputs if isinstance(inputs, tuple) else (inputs,))]
    return trained_looks(module), tuple(torch.rand(shape) for shape in shapes)


def strip(path: Path) -> bytes:
    """The file without weights and comments: what a structure reader looks at, in few bytes."""
    model = onnx.load(path, load_external_data=False)

    def clean(graph: Any) -> None:
        for tensor in graph.initializer:
            elements = 1
            for dim in tensor.dims:
                elements *= dim
            if elements > _KEPT_ELEMENTS:
                tensor.ClearField("raw_data")
                tensor.ClearField("float_data")
        for part in [*graph.node, *graph.input, *graph.output, *graph.value_info]:
            part.ClearField("doc_string")
            del part.metadata_props[:]
        del graph.metadata_props[:]

    clean(model.graph)
    del model.metadata_props[:]
    for function in model.functions:
        del function.metadata_props[:]
        for node in function.node:
            node.ClearField("doc_string")
            del node.metadata_props[:]
    return bytes(model.SerializeToString())


def main(archive: str, *sources: str) -> None:
    """Adds every variant of `sources` to the zip file `archive`; failures are printed."""
    torch.set_num_threads(1)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_LZMA) as fixture:
        there = set(fixture.namelist())
        for source in sources:
            for variant in VARIANTS:
                name = f"{source.replace(':', '/')}/{variant}.onnx"
                if name in there:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "model.onnx"
                    try:
                        export(*build(source), path, variant)
                    except Exception as error:
                        print(f"{source} {variant}: {type(error).__name__}: {error}"[:200])
                        continue
                    # A fixed date: the same exports give the same archive.
                    fixture.writestr(zipfile.ZipInfo(name), strip(path), zipfile.ZIP_LZMA)
                print(source, variant, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
