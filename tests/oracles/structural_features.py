"""Slow twin of structural features: labels node by node, directions bit by bit."""

from __future__ import annotations

import math

import numpy as np

from narfast.graph import ArchGraph
from narfast.structural_features import name_hash

_MASK = 2**64 - 1


def splitmix64(state: int) -> int:
    """One step of SplitMix (Steele, Lea, Flood, 2014) as a mixing function."""
    z = (state + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def labels(graph: ArchGraph, hops: int, ngrams: int) -> list[list[int]]:
    """Rows of labels, as `narfast.structural_features.structural_labels` orders them."""
    names = [name_hash(name) for name in graph.op_names()]
    sources = [graph.inputs(v).tolist() for v in range(graph.num_nodes)]
    targets: list[list[int]] = [[] for _ in sources]
    for v, inputs in enumerate(sources):
        for source in inputs:
            targets[source].append(v)
    rows = []
    for attributes in (False, True):
        detail = [int(a) + 1 if attributes else 0 for a in graph.attr]
        row = [splitmix64(n ^ splitmix64(d)) for n, d in zip(names, detail, strict=True)]
        rows.append(row)
        for _ in range(hops):
            incoming = [sum(splitmix64(row[s] ^ 0xA5A5A5A5) for s in v) & _MASK for v in sources]
            outgoing = [sum(splitmix64(row[t] ^ 0x5A5A5A5A) for t in v) & _MASK for v in targets]
            row = [
                splitmix64(own ^ splitmix64(i) ^ splitmix64(splitmix64(o)))
                for own, i, o in zip(row, incoming, outgoing, strict=True)
            ]
            rows.append(row)
    for longest in range(2, ngrams + 1):
        row = []
        for v in range(len(names)):
            label = splitmix64(names[v] ^ 0x3C3C3C3C)
            for length in range(2, longest + 1):
                if v + length > len(names):
                    label = 0
                    break
                label = splitmix64(label) ^ splitmix64((names[v + length - 1] + length) & _MASK)
            row.append(splitmix64(label) if v + longest <= len(names) else 0)
        rows.append(row)
    return rows


def projection(rows: list[list[int]], idf: dict[int, float], hops: int, dim: int) -> np.ndarray:
    """Sum of the directions of distinct labels, weighed by rarity and by kind."""
    vector = np.zeros(dim)
    rarest = max([1.0, *idf.values()])
    for number, row in enumerate(rows):
        distinct = set(row) - {0}
        weights = {label: idf.get(label, rarest) for label in distinct}
        length = math.sqrt(sum(w * w for w in weights.values()))
        scale = 0.4 if number in (0, hops + 1) else 1.0
        for label, weight in weights.items():
            signs, state = [], label
            while len(signs) < dim:
                state = splitmix64(state)
                for byte in state.to_bytes(8, "little"):
                    signs += [1 if byte >> bit & 1 else -1 for bit in range(7, -1, -1)]
            vector += scale * weight / (length * math.sqrt(dim)) * np.array(signs[:dim])
    return vector
