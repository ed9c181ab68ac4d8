"""The main job on real input: two networks that are in no library, searched in the shipped zoo.

The first is the `nn.Module` below, a ResNet with squeeze-and-excitation written from scratch. The
second is a small vision transformer, written from scratch too and read back from the ONNX file that
it is exported to. Nothing is taken from the zoo by name, and nothing is downloaded.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

import narfast

OUTPUT = Path("demo-output")


class Gate(nn.Module):
    """Squeeze-and-excitation: every channel is scaled by what all of space says of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // 16)
        self.excite = nn.Linear(width // 16, width)

    def forward(self, x: Tensor) -> Tensor:
        scale = x.mean((2, 3))
        scale = torch.sigmoid(self.excite(torch.relu(self.squeeze(scale))))
        return x * scale[:, :, None, None]


class Bottleneck(nn.Module):
    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        narrow = width // 4
        self.body = nn.Sequential(
            nn.Conv2d(inside, narrow, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(),
            nn.Conv2d(narrow, narrow, 3, stride, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(),
            nn.Conv2d(narrow, width, 1, bias=False), nn.BatchNorm2d(width), Gate(width),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inside != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def gated_resnet(depths: tuple[int, ...] = (2, 3, 5, 2)) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    inside = 64
    for stage, depth in enumerate(depths):
        width = 256 * 2**stage
        for block in range(depth):
            layers.append(Bottleneck(inside, width, 2 if block == 0 and stage > 0 else 1))
            inside = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 10))


class EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.project = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        query, key, value = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        y = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        x = x + self.project(y)
        return x + self.mlp(self.norm2(x))


class SmallTransformer(nn.Module):
    def __init__(self, depth: int = 9, width: int = 96, heads: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.position = nn.Parameter(torch.zeros(1, 49, width))
        self.layers = nn.Sequential(*(EncoderLayer(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.layers(x)).mean(1))


def export(module: nn.Module, image: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(module.eval(), (image,), path, dynamo=True, verbose=False)


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # show progress in a pipe too
    OUTPUT.mkdir(exist_ok=True)
    image = torch.zeros(1, 3, 112, 112)

    print(
        "1. An nn.Module of your own: a ResNet with squeeze-and-excitation, 2-3-5-2 bottlenecks\n"
    )
    graph = narfast.trace(gated_resnet(), image, name="gated_resnet")
    narfast.search(graph, k=5).print()

    path = OUTPUT / "small_transformer.onnx"
    print(f"\n2. An ONNX file of your own: {path}, a 9-layer transformer exported by torch\n")
    export(SmallTransformer(), image, path)
    narfast.search(path, k=5).print()

    print(
        f"\nNow try: .venv/bin/narfast search {path}  or  .venv/bin/narfast inspect timm:resnet50"
    )


if __name__ == "__main__":
    main()
