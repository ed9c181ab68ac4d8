"""The networks of three search spaces as plain PyTorch modules, after their papers and published
code: what the generators of narfast.search_spaces must give when these are traced."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from narfast.search_spaces.darts import Genotype

Edge = tuple[str, int]


def relu_conv_norm(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(outside))


# DARTS


class FactorizedReduce(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside // 2, 1, stride=2, bias=False)
        self.second = nn.Conv2d(inside, outside // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(x)
        return self.norm(torch.cat([self.first(x), self.second(x[:, :, 1:, 1:])], dim=1))


def depthwise(width: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(width, width, kernel, stride, padding, dilation, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
    ]


def darts_operator(name: str, width: int, stride: int) -> nn.Module:
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(width, width)
    if name == "conv_7x1_1x7":
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
            nn.Conv2d(width, width, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False),
            nn.BatchNorm2d(width),
        )
    kind, _, size = name.split("_")
    kernel = int(size[0])
    if kind == "dil":
        return nn.Sequential(*depthwise(width, kernel, stride, 2))
    assert kind == "sep"
    return nn.Sequential(*depthwise(width, kernel, stride, 1), *depthwise(width, kernel, 1, 1))


class DartsCell(nn.Module):
    def __init__(
        self,
        edges: Sequence[Edge],
        concat: Sequence[int],
        widths: tuple[int, int, int],
        is_reduction: bool,
        after_reduction: bool,
    ) -> None:
        super().__init__()
        before, last, width = widths
        self.before = (
            FactorizedReduce(before, width) if after_reduction else relu_conv_norm(before, width, 1)
        )
        self.last = relu_conv_norm(last, width, 1)
        self.edges, self.concat = edges, concat
        live = {0, 1}
        self.operators = nn.ModuleDict()
        for number, (name, state) in enumerate(edges):
            if name == "none" or state not in live:
                continue
            stride = 2 if is_reduction and state < 2 else 1
            self.operators[str(number)] = darts_operator(name, width, stride)
            live.add(number // 2 + 2)

    def forward(self, before: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        states: list[torch.Tensor | None] = [self.before(before), self.last(last)]
        for number in range(0, len(self.edges), 2):
            values = [
                self.operators[str(i)](states[self.edges[i][1]])
                for i in (number, number + 1)
                if str(i) in self.operators
            ]
            states.append(sum(values[1:], values[0]) if values else None)
        shape = next(states[i] for i in self.concat if states[i] is not None)
        zeros = torch.zeros_like(shape).detach()
        return torch.cat([zeros if states[i] is None else states[i] for i in self.concat], dim=1)


class DartsNetwork(nn.Module):
    def __init__(self, genotype: Genotype, imagenet: bool = False) -> None:
        super().__init__()
        cells, width, classes = (14, 48, 1000) if imagenet else (20, 36, 10)
        if imagenet:
            self.stem = nn.Sequential(
                nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width // 2),
                nn.ReLU(),
                nn.Conv2d(width // 2, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
            )
            self.second_stem: nn.Module = nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
            )
            before = last = width
        else:
            conv = nn.Conv2d(3, 3 * width, 3, padding=1, bias=False)
            self.stem = nn.Sequential(conv, nn.BatchNorm2d(3 * width))
            self.second_stem = nn.Identity()
            before = last = 3 * width
        self.cells = nn.ModuleList()
        after_reduction = imagenet
        for i in range(cells):
            is_reduction = i in (cells // 3, 2 * cells // 3)
            width *= 2 if is_reduction else 1
            edges = genotype.reduce if is_reduction else genotype.normal
            concat = genotype.reduce_concat if is_reduction else genotype.normal_concat
            widths = (before, last, width)
            self.cells.append(DartsCell(edges, concat, widths, is_reduction, after_reduction))
            before, last, after_reduction = last, len(concat) * width, is_reduction
        self.pool = nn.AvgPool2d(7) if imagenet else nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = self.stem(x)
        last = self.second_stem(before)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.classifier(self.pool(last).flatten(1))


# NAS-Bench-101


def conv_norm_relu(inside: int, outside: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outside), nn.ReLU())


def vertex_channels(matrix: Sequence[Sequence[int]], inside: int, outside: int) -> list[int]:
    last = len(matrix) - 1
    channels = [inside] + [0] * (last - 1) + [outside]
    concatenated = [v for v in range(1, last) if matrix[v][last]]
    for place, v in enumerate(concatenated):
        share, rest = divmod(outside, len(concatenated))
        channels[v] = share + (place < rest)
    for v in range(last - 1, 0, -1):
        if not channels[v]:
            channels[v] = max(channels[w] for w in range(v + 1, last) if matrix[v][w])
    return channels


class Module101(nn.Module):
    def __init__(
        self, matrix: Sequence[Sequence[int]], names: Sequence[str], inside: int, outside: int
    ) -> None:
        super().__init__()
        self.matrix, self.count = matrix, len(matrix)
        self.channels = vertex_channels(matrix, inside, outside)
        self.projections = nn.ModuleDict(
            {
                str(v): conv_norm_relu(inside, self.channels[v], 1)
                for v in range(1, self.count)
                if matrix[0][v]
            }
        )
        self.operators = nn.ModuleDict()
        for v in range(1, self.count - 1):
            width = self.channels[v]
            self.operators[str(v)] = (
                nn.MaxPool2d(3, stride=1, padding=1)
                if names[v] == "maxpool3x3"
                else conv_norm_relu(width, width, int(names[v][4]))
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = self.count - 1
        values = {0: x}
        for v in range(1, last):
            width = self.channels[v]
            read = []
            for w in range(1, v):
                if self.matrix[w][v]:
                    wide = values[w].shape[1] > width
                    read.append(values[w][:, :width] if wide else values[w])
            if self.matrix[0][v]:
                read.append(self.projections[str(v)](x))
            values[v] = self.operators[str(v)](sum(read[1:], read[0]))
        pieces = [values[v] for v in range(1, last) if self.matrix[v][last]]
        if not pieces:
            return self.projections[str(last)](x)
        out = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)
        return out + self.projections[str(last)](x) if self.matrix[0][last] else out


class Network101(nn.Module):
    def __init__(self, matrix: Sequence[Sequence[int]], names: Sequence[str]) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_norm_relu(3, 128, 3)]
        inside = 128
        for stack in range(3):
            if stack:
                layers.append(nn.MaxPool2d(2, stride=2))
            for _ in range(3):
                layers.append(Module101(matrix, names, inside, 128 << stack))
                inside = 128 << stack
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(inside, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.layers(x).mean((2, 3)))


# NAS-Bench-201


class Cell201(nn.Module):
    """A cell whose `none` edges, and edges from what they alone lead to, are not there."""

    def __init__(self, spelling: str, width: int) -> None:
        super().__init__()
        self.edges: list[list[int]] = []
        self.operators = nn.ModuleDict()
        live = {0}
        for target, node in enumerate(spelling.split("+"), start=1):
            names = [edge.split("~")[0] for edge in node.strip("|").split("|")]
            kept = [s for s, name in enumerate(names) if name != "none" and s in live]
            for source in kept:
                self.operators[f"{source}-{target}"] = {
                    "skip_connect": nn.Identity(),
                    "nor_conv_1x1": relu_conv_norm(width, width, 1),
                    "nor_conv_3x3": relu_conv_norm(width, width, 3),
                    "avg_pool_3x3": nn.AvgPool2d(3, 1, padding=1, count_include_pad=False),
                }[names[source]]
                live.add(target)
            self.edges.append(kept)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: list[torch.Tensor | None] = [x]
        for target, sources in enumerate(self.edges, start=1):
            read = [self.operators[f"{s}-{target}"](values[s]) for s in sources]
            values.append(sum(read[1:], read[0]) if read else None)
        return x * 0.0 if values[-1] is None else values[-1]


class Reduction201(nn.Module):
    def __init__(self, inside: int) -> None:
        super().__init__()
        self.first = relu_conv_norm(inside, 2 * inside, 3, stride=2)
        self.second = relu_conv_norm(2 * inside, 2 * inside, 3)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2), nn.Conv2d(inside, 2 * inside, 1, bias=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.second(self.first(x))
        return self.shortcut(x) + out


class Network201(nn.Module):
    def __init__(self, spelling: str) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)]
        for stage in range(3):
            if stage:
                layers.append(Reduction201(8 << stage))
            layers += [Cell201(spelling, 16 << stage) for _ in range(5)]
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.layers(x).flatten(1))
