"""The main job on real input: two networks that are in no library, searched in the shipped zoo.

The first is an ONNX file of a ResNet with squeeze-and-excitation (``make_gated_resnet.py`` wrote
it); the second a pair of cells as neural architecture search finds them. This needs no PyTorch: see
``demo_torch.py`` for networks that are still code.
"""

from __future__ import annotations

import sys
from pathlib import Path

import narfast
from narfast.cli._render import print_hits
from narfast.encoder.calibration import relations_of
from narfast.explain import shared_motifs

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


def search(zoo: narfast.Zoo, source: str, name: str) -> None:
    query = narfast.load(source).with_meta(name=name)
    hits = zoo.search(query, k=5)
    graphs = list(zoo.graphs_at([zoo[hit.structural_hash].row for hit in hits]))
    shared = shared_motifs(query, graphs)
    print_hits(query, hits, relations_of(zoo, query, hits, shared), shared)


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # what it is at shows in a pipe too
    zoo = narfast.Zoo.open("default")
    print("1. A file: a ResNet with squeeze-and-excitation, 2-3-5-2 bottlenecks, as ONNX\n")
    search(zoo, str(FILE), FILE.stem)
    print("\n2. Two cells of the DARTS search space, in the network of 20 that they stand for\n")
    search(zoo, CELL, "my_cells")
    print(
        "\nNow try your own: .venv/bin/narfast search model.onnx  or  make demo-torch, which "
        "installs PyTorch and reads modules"
    )


if __name__ == "__main__":
    main()
