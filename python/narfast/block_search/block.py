"""`read_block`: from the text that names a block to its graph.

A block is a graph whose edges are those inside it. What enters it and what reads it is free.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast.block_search.index import BlockIndex
from narfast.block_search.parts import induced, nodes_of_module
from narfast.errors import NarfastError, UnsupportedSourceError
from narfast.explain import summarize
from narfast.graph import (
    ArchGraph,
    canonicalization_passes,
    canonicalize,
    hash_texts,
)
from narfast.motifs import mine
from narfast.reading.worker_pool import read_apart
from narfast.sources.loader import load_raw, python_file_of
from narfast.sources.registry import check_allowed, kind_of, may_open_paths
from narfast.zoo.networks import read_network
from narfast.zoo.zoo import Zoo

__all__ = ["BLOCK_PASSES", "motif_of", "nodes_of_motif", "read_block"]

_SHORTEST_ID = 8  # digits, as many as ``narfast inspect`` prints
_ID = re.compile("[0-9a-f]{1,32}")
_MOTIF = "motif:"
_SHOWN = 4

# The ends of a block are not the ends of a network.
BLOCK_PASSES = tuple(
    name for name in canonicalization_passes() if name != "drop_stem_and_head_widths"
)
"""Canonicalization passes for a block that stands alone, so that it reads as inside a network."""


def read_block(spec: Any, zoo: Zoo, *, allow: Collection[str] | None = None) -> ArchGraph:
    """Return the graph of a block.

    Args:
        spec: a motif of the zoo by its id or at least 8 of its first digits, as ``narfast inspect``
            prints it; a part of a network, as ``timm:resnet50#motif:2`` (its second motif in the
            order of ``narfast inspect``) or ``timm:resnet50#layer1.0`` (a module); or a source that
            has just the block, such as an ONNX file, ``block.py:build``, or a pair of module and
            example inputs. Its inputs are dropped. A graph is taken as it is, without its inputs.
        zoo: where motifs and networks are looked up.
        allow: names of the kinds of sources that may be read; see `narfast.load`.

    Raises:
        NarfastError: there is no such motif, network, part or source, it is not allowed, or it has
            no operator.
    """
    if isinstance(spec, ArchGraph):
        return _without_inputs(spec)
    if isinstance(spec, str):
        text = spec.strip()
        if not text:
            raise NarfastError(
                "the block is empty; name a motif, a part of a network such as "
                "timm:resnet50#motif:1, or a file"
            )
        if _ID.fullmatch(text.lower()):
            return _motif_by_id(text.lower(), zoo)
        source, mark, part = text.rpartition("#")
        if mark and not (_may_open(allow) and os.path.isfile(text)):  # noqa: PTH113 - any text
            return _part_of(source, part, zoo, allow)
    return _without_inputs(_alone(spec, zoo, allow))


def _may_open(allow: Collection[str] | None) -> bool:
    return allow is None or may_open_paths(allow)


def _motif_by_id(digits: str, zoo: Zoo) -> ArchGraph:
    if len(digits) < _SHORTEST_ID:
        raise NarfastError(
            f"{digits}: too short for the id of a motif; give at least its first "
            f"{_SHORTEST_ID} digits"
        )
    motifs = BlockIndex.of(zoo).motifs
    found = motifs.find(digits)
    if len(found) == 0:
        if digits in zoo:
            raise NarfastError(
                f"{digits}: no motif but a network of the zoo; search for zoo:{digits} instead"
            )
        raise NarfastError(
            f"{digits}: no network of the zoo {zoo.directory} has this motif; name a network that "
            "has it, as timm:resnet50#motif:1"
        )
    ids = hash_texts(motifs.motif_id[found])
    if len(found) > 1:
        shown = ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else "")
        raise NarfastError(f"{digits}: {len(found)} motifs begin so, {shown}; give more digits")
    graph = zoo.graphs_at([int(motifs.rows_of(int(found[0]))[0])])[0]
    return motif_of(graph, ids[0])


def motif_of(graph: ArchGraph, motif_id: str) -> ArchGraph:
    """Return the first occurrence of a motif that `narfast.mine` finds in a graph.

    Args:
        graph: a canonical graph.
        motif_id: 32 hexadecimal digits.

    Raises:
        NarfastError: the graph has no such motif.
    """
    return induced(graph, nodes_of_motif(graph, motif_id))


def nodes_of_motif(graph: ArchGraph, motif_id: str) -> NDArray[np.int64]:
    """Return the nodes of the first occurrence of a motif, ascending; see `motif_of`."""
    motifs = mine(graph)
    wanted = np.array([int(motif_id[:16], 16), int(motif_id[16:], 16)], dtype=np.uint64)
    instances = np.flatnonzero((motifs.motif_id == wanted).all(axis=1))
    if len(instances) == 0:
        raise NarfastError(f"{motif_id}: {graph.meta.name or 'the network'} has no such motif")
    return np.flatnonzero(motifs.node_instance == instances[0])


def _part_of(source: str, part: str, zoo: Zoo, allow: Collection[str] | None) -> ArchGraph:
    if not source or not part:
        raise NarfastError(
            f"{source}#{part}: name a network and a part of it, as timm:resnet50#motif:1 or "
            "timm:resnet50#layer1.0"
        )
    if part.startswith(_MOTIF):
        return _motif_by_place(source, part.removeprefix(_MOTIF), zoo, allow)
    graph = read_network(source, zoo, exact=True, allow=allow)
    paths = _paths(graph)
    if paths is None:
        raise NarfastError(
            f"{source}: its modules are not known; name the part by its motif, as "
            f"{source}#motif:1 (see 'narfast inspect')"
        )
    return induced(graph, nodes_of_module(graph, paths, part))


def _motif_by_place(source: str, place: str, zoo: Zoo, allow: Collection[str] | None) -> ArchGraph:
    if not (place.isascii() and place.isdigit() and len(place) < 9):
        raise NarfastError(
            f"{source}#motif:{place}: not a number; give the place of a motif in the order of "
            f"'narfast inspect', as {source}#motif:1"
        )
    graph = read_network(source, zoo, allow=allow)
    motifs = summarize(graph).motifs
    if not 1 <= int(place) <= len(motifs):
        raise NarfastError(
            f"{source}#motif:{place}: the network has {len(motifs)} motifs; count them from 1 on, "
            "in the order of 'narfast inspect'"
        )
    return motif_of(graph, motifs[int(place) - 1].motif_id)


def _paths(graph: ArchGraph) -> Sequence[str | None] | None:
    paths = [] if graph.hyperparameters is None else graph.hyperparameters.paths
    return paths if any(paths) else None


def _alone(spec: Any, zoo: Zoo, allow: Collection[str] | None) -> ArchGraph:
    """Read a source that has nothing but a block."""
    if isinstance(spec, str):
        if zoo.find(spec) is not None or spec.startswith("zoo:"):
            return zoo.load(spec, allow=allow)
        kind = kind_of(spec)
        if kind is not None and kind.name == "python":
            check_allowed(kind, allow, spec)
            python_file_of(spec)  # complains of a missing file before a process starts
            return canonicalize(read_apart(spec), passes=BLOCK_PASSES)
    try:
        raw = load_raw(spec, allow=allow)
    except UnsupportedSourceError as error:
        if isinstance(spec, str) and re.fullmatch(r"[\w-]+", spec):
            raise UnsupportedSourceError(
                f"{spec}: neither the id of a motif nor a source; ids have hexadecimal digits, and "
                "parts look like timm:resnet50#motif:1"
            ) from None
        raise error
    return canonicalize(raw, passes=BLOCK_PASSES)


def _without_inputs(graph: ArchGraph) -> ArchGraph:
    inside = np.flatnonzero(graph.op != operators.by_name("input").id)
    if len(inside) == 0:
        raise NarfastError(
            f"{graph.meta.name or 'the block'}: has no operator beside its inputs; name a block "
            "that computes something"
        )
    return graph if len(inside) == graph.num_nodes else induced(graph, inside)
