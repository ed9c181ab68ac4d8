"""Draws the pictures of docs/drawing.md; run it after a change of blocks, labels or drawings.

python docs/pictures/make_drawings.py
"""

from __future__ import annotations

from pathlib import Path

from narfast.blocks import BlockView, blocks_of
from narfast.drawing.pair import Correspondence, draw_pair
from narfast.drawing.svg import Open, draw
from narfast.zoo import Zoo

HERE = Path(__file__).parent
DRAWINGS: dict[str, tuple[str, Open]] = {
    "resnet50.svg": ("timm:resnet50", (1,)),
    "vit.svg": ("timm:vit_base_patch16_224", (1,)),
    "mixtral.svg": ("transformers:mixtral", (1,)),
    "unet.svg": ("monai:BasicUNet-2d", "none"),
    "stable_diffusion.svg": ("diffusers:stable-diffusion-v1-5/unet", "none"),
    "gemma3n.svg": ("transformers:gemma3n", "none"),
}
PAIR = "resnet50_seresnet50.svg"


def drawings() -> dict[str, str]:
    """Return the text of every picture, by file name."""
    zoo = Zoo.open("default")
    result = {
        name: draw(zoo.graph_of(network), open=opened)
        for name, (network, opened) in DRAWINGS.items()
    }
    plain, gated = _view(zoo, "timm:resnet50"), _view(zoo, "timm:seresnet50")
    pairs = [(number, number) for number in range(len(plain))]
    result[PAIR] = draw_pair(plain, gated, Correspondence(pairs), open=(1,))
    return result


def _view(zoo: Zoo, name: str) -> BlockView:
    return blocks_of(zoo.graph_of(name))


if __name__ == "__main__":
    for name, text in drawings().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(HERE / name)
