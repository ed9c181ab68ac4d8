"""The main job on real input: two networks that are in no library, searched in the shipped zoo.

The first is an ONNX file of a ResNet with squeeze-and-excitation (``make_gated_resnet.py`` wrote
it); the second a pair of cells as neural architecture search finds them. This needs no PyTorch: see
``demo_torch.py`` for networks that are still code.
"""

from __future__ import annotations

import sys
from pathlib import Path

import narfast

FILE = Path(__file__).with_name("gated_resnet.onnx")
CELL = (
    "darts:Genotype("
    "normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('skip_connect', 0), ('sep_conv_3x3', 2), "
    "('sep_conv_3x3', 1), ('skip_connect', 2), ('dil_conv_3x3', 0), ('skip_connect', 1)], "
    "normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('sep_conv_3x3', 2), ('skip_connect', 3)], "
    "reduce_concat=range(2, 6))"
)


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # show progress in a pipe too
    print("1. A file: a ResNet with squeeze-and-excitation, 2-3-5-2 bottlenecks, as ONNX\n")
    narfast.search(FILE, k=5).print()
    print("\n2. Two cells of the DARTS search space, in the network of 20 that they stand for\n")
    narfast.search(narfast.load(CELL).with_meta(name="my_cells"), k=5).print()
    print(
        "\nNow try your own: .venv/bin/narfast search model.onnx  or  make demo-torch, which "
        "installs PyTorch and reads modules"
    )


if __name__ == "__main__":
    main()
