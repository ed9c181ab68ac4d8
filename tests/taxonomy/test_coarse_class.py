"""Coarse classes: known networks, and what tells them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import narfast
from narfast.taxonomy.coarse_class import COARSE_CLASSES, coarse_class


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timm:resnet18", "convolutional"),
        ("timm:convnext_atto", "convolutional"),
        ("timm:vit_tiny_patch16_224", "attention"),
        ("timm:swin_tiny_patch4_window7_224", "attention"),
        ("timm:coatnet_nano_rw_224", "hybrid"),
        ("timm:cait_xxs24_224", "attention"),  # its attention is written out and stays so
        ("timm:mixer_s16_224", "mlp"),
        ("timm:sequencer2d_s", "recurrent"),
    ],
)
def test_known_networks(name: str, expected: str) -> None:
    assert coarse_class(narfast.load(name)) == expected


class Messages(nn.Module):
    """One round of message passing."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        messages = self.linear(x)[edges[0]]
        return torch.zeros_like(x).index_add(0, edges[1], messages)


def test_message_passing() -> None:
    graph = narfast.trace(Messages(), (torch.zeros(4, 8), torch.zeros(2, 6, dtype=torch.long)))
    assert coarse_class(graph) == "graph"


def test_recurrent_layers() -> None:
    graph = narfast.trace(nn.LSTM(4, 4, num_layers=2), torch.zeros(3, 1, 4))
    assert coarse_class(graph) == "recurrent"


def test_nothing_known() -> None:
    assert coarse_class(narfast.trace(nn.ReLU(), torch.zeros(1, 3))) == "other"
    assert set(COARSE_CLASSES) >= {"other", "mlp"}
