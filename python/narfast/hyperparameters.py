"""Exact hyperparameters of operators, beside a graph: what packed attributes put into bins.

People and `narfast.compare` read them; hash, motifs and encoder do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast import _core

__all__ = ["NAMES", "Hyperparameters"]

NAMES: tuple[str, ...] = _core.HYPERPARAMETERS
"""Names of all hyperparameters; their order is part of the zoo format."""

_KEY = {name: key for key, name in enumerate(NAMES)}
_TEXTS = frozenset({"einsum", "path"})
_SIDES = frozenset({"kernel", "stride", "dilation", "padding", "axes", "output_size", "fused"})
_MILLIONTH = 1_000_000  # slopes are stored as integers
_LARGEST = 2**63 - 1
_MOST_SIDES = 8  # as in the core; the zoo counts the values of a node in a byte


@dataclass(frozen=True, eq=False)
class Hyperparameters:
    """The hyperparameters of all nodes of a graph; unknown ones are absent.

    Attributes:
        ptr: int64[N + 1], offsets of every node into `key` and `value`.
        key: uint8[M], place in `NAMES`, rising within a node; a key stands once for each side.
        value: int64[M]; slopes in millionths, texts by their place in `texts`.
        texts: module paths and equations.
        network: id of the network that they belong to, where others share its graph.
    """

    ptr: NDArray[np.int64]
    key: NDArray[np.uint8]
    value: NDArray[np.int64]
    texts: tuple[str, ...] = ()
    network: str = ""

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Hyperparameters:
        """Store one mapping per node, from names to numbers, sides, or texts.

        None is absent, and so are slopes that are not finite and lists of more than 8 values.
        """
        ptr, key, value = [0], [], []
        texts: dict[str, int] = {}
        for row in rows:
            for name in sorted(row, key=_KEY.__getitem__):
                content = row[name]
                if content is None:
                    continue
                if name in _TEXTS:
                    content = texts.setdefault(content, len(texts))
                elif name == "slope":
                    if not isfinite(content):
                        continue
                    content = round(content * _MILLIONTH)
                sides = content if isinstance(content, Sequence) else (content,)
                if len(sides) > _MOST_SIDES:
                    continue
                key += [_KEY[name]] * len(sides)
                value += [max(-_LARGEST, min(int(side), _LARGEST)) for side in sides]
            ptr.append(len(key))
        return cls(
            np.asarray(ptr, np.int64),
            np.asarray(key, np.uint8),
            np.asarray(value, np.int64),
            tuple(texts),
        )

    def of(self, node: int) -> dict[str, Any]:
        """Return the hyperparameters of a node by name.

        `kernel`, `stride`, `dilation`, `padding`, `axes`, `output_size` and `fused` (operator ids)
        are tuples, `einsum` and `path` texts, `slope` a float, all others integers.
        """
        begin, end = int(self.ptr[node]), int(self.ptr[node + 1])
        found: dict[str, Any] = {}
        keys, values = self.key[begin:end].tolist(), self.value[begin:end].tolist()
        for key, value in zip(keys, values, strict=True):
            name = NAMES[key]
            if name in _SIDES:
                found[name] = (*found.get(name, ()), value)
            elif name in _TEXTS:
                found[name] = self.texts[value]
            else:
                found[name] = value / _MILLIONTH if name == "slope" else value
        return found

    def check(self, nodes: int) -> None:
        """Raise ValueError unless the arrays describe ``nodes`` nodes."""
        ends = self.ptr[[0, -1]].tolist() if len(self.ptr) else []
        fits = len(self.ptr) == nodes + 1 and ends == [0, len(self.key)]
        if not fits or len(self.key) != len(self.value) or (np.diff(self.ptr) < 0).any():
            raise ValueError("hyperparameters do not fit the nodes")
        row = np.repeat(np.arange(nodes), np.diff(self.ptr))
        falls = np.diff(self.key.astype(np.int64)) < 0
        if (self.key >= len(NAMES)).any() or (falls & (np.diff(row) == 0)).any():
            raise ValueError("unknown or unordered hyperparameters")
        said = self.value[np.isin(self.key, [_KEY[name] for name in _TEXTS])]
        if ((said < 0) | (said >= len(self.texts))).any() or None in self.texts:
            raise ValueError("hyperparameters refer to missing texts")

    def fits_operators(self, count: int) -> bool:
        """Return whether all operator ids are below ``count``."""
        fused = self.value[self.key == _KEY["fused"]]
        return bool(((fused >= 0) & (fused < count)).all())

    def with_operators(self, renumbered: NDArray[np.uint16]) -> Hyperparameters:
        """Return the same with other operator ids: ``renumbered[old]`` is the new one."""
        fused = self.key == _KEY["fused"]
        value = self.value.copy()
        value[fused] = renumbered[value[fused]]
        return replace(self, value=value)

    def first(self, name: str, default: int = -1) -> NDArray[np.int64]:
        """Return int64[N]: the first value of a hyperparameter at each node, or the default."""
        at = np.flatnonzero(self.key == _KEY[name])[::-1]
        column = np.full(len(self.ptr) - 1, default, np.int64)
        column[np.searchsorted(self.ptr, at, side="right") - 1] = self.value[at]
        return column

    @property
    def paths(self) -> list[str | None]:
        """The path of the module of each node, None where it is unknown."""
        return [None if text < 0 else self.texts[text] for text in self.first("path").tolist()]

    def rows(self, nodes: NDArray[np.int32]) -> Hyperparameters:
        """Return the hyperparameters of some nodes, in the given order."""
        lengths = self.ptr[nodes + 1] - self.ptr[nodes]
        ptr = np.zeros(len(nodes) + 1, np.int64)
        np.cumsum(lengths, out=ptr[1:])
        at = np.arange(ptr[-1]) + np.repeat(self.ptr[nodes] - ptr[:-1], lengths)
        return Hyperparameters(ptr, self.key[at], self.value[at], self.texts, self.network)

    @staticmethod
    def concatenated(
        parts: Sequence[Hyperparameters | None], sizes: Sequence[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
        """Return (ptr, key, value) of many graphs, for the core; texts stay with their graph.

        Args:
            parts: One for each graph, None where nothing is known.
            sizes: Number of nodes of each graph.
        """
        given = [part for part in parts if part is not None]
        counts = [
            np.zeros(size, np.int64) if part is None else np.diff(part.ptr)
            for part, size in zip(parts, sizes, strict=True)
        ]
        ptr = np.zeros(sum(sizes) + 1, np.int64)
        np.cumsum(np.concatenate([np.empty(0, np.int64), *counts]), out=ptr[1:])
        return (
            ptr,
            np.concatenate([np.empty(0, np.uint8), *(part.key for part in given)]),
            np.concatenate([np.empty(0, np.int64), *(part.value for part in given)]),
        )

    @classmethod
    def separated(
        cls,
        arrays: tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]],
        node_ptr: NDArray[np.int64],
        texts: Sequence[tuple[str, ...]] | None = None,
    ) -> list[Hyperparameters]:
        """Return those of each graph, out of arrays of all graphs; `key` and `value` are views.

        Args:
            arrays: (ptr, key, value) of all nodes.
            node_ptr: First node of each graph, and the number of all nodes.
            texts: Texts of each graph; none if left out.
        """
        ptr, key, value = arrays
        bounds = ptr[node_ptr].tolist()
        return [
            cls(ptr[first : last + 1] - begin, key[begin:end], value[begin:end], own)
            for (first, last), (begin, end), own in zip(
                pairwise(node_ptr.tolist()),
                pairwise(bounds),
                texts or [()] * (len(bounds) - 1),
                strict=True,
            )
        ]

    def __repr__(self) -> str:
        return f"Hyperparameters(nodes={len(self.ptr) - 1}, values={len(self.key)})"
