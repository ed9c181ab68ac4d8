"""Small made-up networks, a loader and an encoder for tests of zoo, CLI and evaluation.

Importable by name, so that worker processes of the builder find the loader too.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narfast.errors import Failure, UnsupportedSourceError
from narfast.graph import ArchGraph, GraphMeta, build_graph, canonicalize
from narfast.operators import by_name, pack_attributes
from narfast.sources.loader import load_raw as load_source
from narfast.storage.records import NetworkRecord
from narfast.zoo.store import ZooContents

BLOCKS = {
    "plain": ("conv", "relu"),
    "smooth": ("conv", "silu", "conv", "sigmoid"),
    "mixer": ("linear", "gelu", "linear"),
    "norms": ("layer_norm", "linear", "relu", "max_pool"),
}


def raw_network(family: str, depth: int, *, name: str = "", source: str = "fake") -> ArchGraph:
    """A stack of ``depth`` residual blocks of a family, each closed by an add."""
    ops, attrs, inputs = [by_name("input").id], [0], [[]]
    for _ in range(depth):
        start = len(ops) - 1
        for op in BLOCKS[family]:
            ops.append(by_name(op).id)
            attrs.append(pack_attributes(kernel=3) if op == "conv" else 0)
            inputs.append([len(ops) - 2])
        ops.append(by_name("add").id)
        attrs.append(0)
        inputs.append([start, len(ops) - 2])
    meta = GraphMeta(
        name=name or f"{family}_{depth}",
        source=source,
        trace_kind="fake",
        family=family,
        task="testing",
        params=1000 * depth,
        input_shape=(1, 3, 8, 8),
    )
    return build_graph(ops, attrs, inputs, [len(ops) - 1], meta)


def network(family: str, depth: int, *, name: str = "", source: str = "fake") -> ArchGraph:
    """A canonical stack of blocks."""
    return canonicalize(raw_network(family, depth, name=name, source=source))


NAMES = [
    *(f"fake:{family}_{depth}" for family in BLOCKS for depth in (1, 2, 3, 4)),
    "fake:plain_2_copy",
    "other:plain_2",
]


def load(source: str) -> ArchGraph:
    """Read ``source:family_depth[_copy]``, canonical."""
    return canonicalize(load_raw(source))


def load_raw(source: str) -> ArchGraph:
    """Read ``source:family_depth[_copy]``; ``bad``, ``hang`` and the like misbehave."""
    prefix, _, name = str(source).partition(":")
    family, *rest = name.split("_")
    if family == "hang":
        time.sleep(60)
    if family == "crash":
        os._exit(7)
    if family == "interrupt":
        raise KeyboardInterrupt
    if family == "foreign":
        raise ZeroDivisionError("a library's own error\nin two lines")
    if family not in BLOCKS or not rest:
        raise UnsupportedSourceError(f"{source}: no such network; choose another")
    return raw_network(family, int(rest[0]), name=name, source=prefix)


def load_raw_or_cell(source: str) -> ArchGraph:
    """Like `load_raw`; NAS cells as they are."""
    return load_source(source) if source.startswith("nasbench") else load_raw(source)


def load_named_in_file(source: str) -> ArchGraph:
    """Read the network that a file names, as ``fake:plain_1``; NAS cells as they are."""
    return load_raw_or_cell(Path(source).read_text() if Path(source).is_file() else source)


def load_hungry(source: str) -> ArchGraph:
    """Like `load_raw`, after taking 600 MB where the network's name says ``plain``."""
    held = bytearray(600 << 20) if "plain" in source else b""
    time.sleep(1.5 if held else 0)
    return load_raw(source)


def load_once(source: str) -> ArchGraph:
    """Like `load_raw`, noting every call in the file that NARFAST_TEST_CALLS names."""
    with Path(os.environ["NARFAST_TEST_CALLS"]).open("a") as stream:
        stream.write(source + "\n")
    time.sleep(0.05)
    return load_raw(source)


def contents(*, errors: tuple[Failure, ...] = ()) -> ZooContents:
    """What a zoo of `NAMES` holds."""
    networks = [(NetworkRecord.of(name, load(name)), load(name)) for name in NAMES]
    return ZooContents.from_networks(networks, errors=errors)


class FakeEncoder:
    """Embeds a graph as a fixed random projection of its operator counts."""

    def __init__(self, dim: int = 8, seed: int = 0) -> None:
        self.dim = dim
        self.seed = seed
        self.calls = 0

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.dim} {self.seed}".encode()).hexdigest()

    def encode(self, sources: list[ArchGraph], *, num_threads: int = 0) -> NDArray[np.float32]:
        projection = np.random.default_rng(self.seed).normal(size=(4096, self.dim))
        self.calls += len(sources)
        counts = [np.bincount(graph.op, minlength=4096) for graph in sources]
        vectors = np.array(counts, dtype=np.float64).reshape(-1, 4096) @ projection
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32)
