"""torch.export files for tests: a small network, its file, and changes to such files."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn


class ConvNet(nn.Module):
    """Convolutions of all kinds, a gate over channels, pooling, a class token, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU()
        )
        self.mix = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Hardsigmoid())
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.mix(x) * self.gate(x)
        x = self.up(self.pool(nn.functional.pad(x, (0, 2, 0, 2)))).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        return self.head(self.norm(x)[:, 0])


def export(
    module: nn.Module,
    inputs: tuple[torch.Tensor, ...],
    path: Path,
    *,
    decomposed: bool = False,
    dynamic_shapes: Any = None,
) -> Path:
    """Writes the exported program of a module; the exporter's warnings are dropped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, inputs, dynamic_shapes=dynamic_shapes)
        if decomposed:
            program = program.run_decompositions()
        torch.export.save(program, path)
    return path


def program_of(path: Path) -> Any:
    """The program in a file, as JSON."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("models/model.json"))
        return json.loads(archive.read(name))


def repacked(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """A copy of a file with every entry passed through `change(name, data)`."""
    copy = path.with_name(f"changed_{path.name}")
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(copy, "w") as after:
        for name in before.namelist():
            after.writestr(name, change(name, before.read(name)))
    return copy
