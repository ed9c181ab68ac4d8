"""From units to blocks: their order, equal and nearly equal neighbours, repeated sequences."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from narfast import attributes, operators
from narfast.blocks.network import DOWN, UP, Unit
from narfast.blocks.view import KINDS, Block, BlockView, Kind, kind_of_operator
from narfast.graph import ArchGraph, GraphBatch, hash_texts, structural_hash
from narfast.motifs import Motifs, coarsen, instance_graphs

__all__ = ["joined"]

_MOST_BLOCKS = 12  # above it, repeated sequences of unlike blocks are drawn together
_LONGEST_PERIOD = 8
_WINDOWS = ("max_pool", "avg_pool", "lp_pool")  # these resample only where they are strided


def joined(graph: ArchGraph, units: list[Unit], letters: str) -> BlockView:
    """Order units, unite equal and nearly equal neighbours, and number the blocks."""
    units = _ordered(graph, units)
    unit_of = np.empty(graph.num_nodes, np.int32)
    for number, unit in enumerate(units):
        unit_of[unit.nodes] = number
    batch = GraphBatch.from_graphs([graph])
    motifs = Motifs(
        unit_of, np.array([0, len(units)], np.int64), np.zeros((len(units), 2), np.uint64)
    )
    macro = coarsen(batch, motifs)
    induced = instance_graphs(batch, macro, np.arange(len(units)))
    ids = hash_texts(structural_hash(induced))
    sources = [macro.in_src[a:b].tolist() for a, b in pairwise(macro.in_ptr)]
    essence = [_essence(graph, unit.nodes, letters) for unit in units]

    readers_of = np.bincount(macro.in_src, minlength=len(units)).tolist()
    strided = attributes.field("stride").of(graph.attr).astype(bool).tolist()
    windows = [operators.by_name(name).id for name in _WINDOWS]
    is_window = np.isin(graph.op, windows).tolist()
    resamples = [
        not unit.role
        and any(
            letters[node] in DOWN | UP and (strided[node] or not is_window[node])
            for node in unit.nodes
        )
        for unit in units
    ]
    runs: list[_Run] = []
    number = 0
    while number < len(units):
        begin = number
        number += 1
        while number < len(units) and number - 1 in sources[number]:
            former, unit = units[number - 1], units[number]
            if unit.name != former.name:
                break
            if resamples[number] and (
                readers_of[number - 1] > 1 or any(s < begin for s in sources[number])
            ):
                break  # a level of a U-Net: its skip is to be seen
            equal = ids[number] == ids[number - 1] or essence[number] == essence[number - 1]
            if not equal and (
                number - 1 != begin or not _opens(graph, former) or _opens(graph, unit)
            ):
                break
            number += 1
        runs.append(_Run(begin, number, number - begin, units[begin].name))
    if len(runs) > _MOST_BLOCKS:
        keys: list[object] = [
            run.begin if resamples[run.end - 1] else (run.name, run.count) for run in runs
        ]
        runs = _with_periods(runs, keys)
    blocks: list[Block] = []
    block_of_unit = np.empty(len(units), np.int32)
    for number, run in enumerate(runs):
        block_of_unit[run.begin : run.end] = number
    for number, run in enumerate(runs):
        step = (run.end - run.begin) // run.count
        parts = [
            np.sort(np.array([n for u in units[i : i + step] for n in u.nodes], np.int32))
            for i in range(run.begin, run.end, step)
        ]
        reads = {int(block_of_unit[s]) for i in range(run.begin, run.end) for s in sources[i]}
        last = (
            ids[run.end - 1]
            if step == 1
            else hash_texts(structural_hash(_sub(graph, parts[-1])))[0]
        )
        differ = [i for i in range(run.count) if step == 1 and ids[run.begin + i] != last]
        blocks.append(
            Block(
                motif_id=last,
                name=run.name,
                kind=_kind(graph, parts[-1], letters),
                instances=tuple(parts),
                inputs=tuple(sorted(reads - {number})),
                variants=tuple(differ),
                period=run.period,
            )
        )
    return BlockView(graph, tuple(blocks), block_of_unit[unit_of])


def _ordered(graph: ArchGraph, units: list[Unit]) -> list[Unit]:
    """Sort units topologically, by first node where the order is free; unite those in a circle."""
    while True:
        unit_of = np.empty(graph.num_nodes, np.int64)
        for number, unit in enumerate(units):
            unit_of[unit.nodes] = number
        target = unit_of[np.repeat(np.arange(graph.num_nodes), np.diff(graph.in_ptr))]
        source = unit_of[graph.in_src]
        pairs = np.unique((source * len(units) + target)[source != target])
        readers: list[list[int]] = [[] for _ in units]
        missing = [0] * len(units)
        for begin, end in zip(*(x.tolist() for x in np.divmod(pairs, len(units))), strict=True):
            readers[begin].append(end)
            missing[end] += 1
        ready = [
            (unit.nodes[0], number) for number, unit in enumerate(units) if not missing[number]
        ]
        heapq.heapify(ready)
        order: list[int] = []
        while ready:
            _, number = heapq.heappop(ready)
            order.append(number)
            for reader in readers[number]:
                missing[reader] -= 1
                if not missing[reader]:
                    heapq.heappush(ready, (units[reader].nodes[0], reader))
        if len(order) == len(units):
            return [units[number] for number in order]
        units = _without_circles(units, readers, set(order))


def _without_circles(units: list[Unit], readers: list[list[int]], done: set[int]) -> list[Unit]:
    """Unite units that read each other (Tarjan's strongly connected components, iterative)."""
    component = list(range(len(units)))
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    for start in range(len(units)):
        if start in index or start in done:
            continue
        work = [(start, 0)]
        while work:
            node, place = work.pop()
            if node not in index:
                index[node] = low[node] = len(index)
                path.append(node)
                on_path.add(node)
            for i in range(place, len(readers[node])):
                reader = readers[node][i]
                if reader not in index:
                    work += [(node, i), (reader, 0)]
                    break
                if reader in on_path:
                    low[node] = min(low[node], low[reader])
            else:
                if low[node] == index[node]:
                    while True:
                        member = path.pop()
                        on_path.discard(member)
                        component[member] = node
                        if member == node:
                            break
                continue
    groups: dict[int, list[int]] = {}
    for number, root in enumerate(component):
        groups.setdefault(root, []).append(number)
    result = []
    for group in groups.values():
        largest = max((units[n] for n in group), key=lambda unit: len(unit.nodes))
        nodes = sorted(node for n in group for node in units[n].nodes)
        result.append(Unit(nodes, largest.name, largest.role, parts=largest.parts))
    return result


@dataclass(eq=False)
class _Run:
    """Units in a row that are shown as one block: ranges of unit numbers, one per instance."""

    begin: int
    end: int
    count: int
    name: str
    period: int = 1


def _with_periods(runs: list[_Run], keys: list[object]) -> list[_Run]:
    """Unite sequences of unlike runs that repeat one after the other, short ones first."""
    for period in range(2, _LONGEST_PERIOD + 1):
        result: list[_Run] = []
        result_keys: list[object] = []
        place = 0
        while place < len(runs):
            end = place + period
            while end < len(runs) and keys[end] == keys[end - period]:
                end += 1
            count = (end - place) // period
            steps = count * period
            part = runs[place : place + period]
            if count < 2:
                result.append(runs[place])
                result_keys.append(keys[place])
                place += 1
                continue
            name = " + ".join(r.name + (f" ×{r.count}" if r.count > 1 else "") for r in part)
            stop = runs[place + count * period - 1].end
            size = sum(run.period for run in part)
            if (
                size == period and len({run.name for run in part}) == 1
            ):  # near copies that alternate
                name, size, count = part[0].name, 1, count * sum(run.count for run in part)
            result.append(_Run(part[0].begin, stop, count, name, size))
            result_keys.append((name, count))
            place += steps
        runs, keys = result, result_keys
        if len(runs) <= _MOST_BLOCKS:
            break
    return runs


def _opens(graph: ArchGraph, unit: Unit) -> bool:
    """Whether a unit opens a stage: it changes resolution, or does not add its input unchanged."""
    strided = attributes.field("stride").of(graph.attr[unit.nodes]).any()
    return bool(strided) or bool(unit.shortcut) or unit.fork < 0


def _essence(graph: ArchGraph, nodes: list[int], letters: str) -> bytes:
    """Operators and attributes without those that only move data."""
    kept = [
        (op, attr)
        for op, attr in zip(graph.op[nodes].tolist(), graph.attr[nodes].tolist(), strict=True)
        if kind_of_operator(op) != "layout" or operators.by_id(op).name == "concat"
    ]
    return np.array(kept, np.uint64).tobytes()


def _sub(graph: ArchGraph, nodes: NDArray[np.int32]) -> GraphBatch:
    """Return the subgraph of some nodes as a batch of one."""
    instance = np.ones(graph.num_nodes, np.int32)
    instance[nodes] = 0
    count = 2 if len(nodes) < graph.num_nodes else 1
    motifs = Motifs(instance, np.array([0, count], np.int64), np.zeros((count, 2), np.uint64))
    batch = GraphBatch.from_graphs([graph])
    return instance_graphs(batch, coarsen(batch, motifs), np.zeros(1, np.int64))


def _kind(graph: ArchGraph, nodes: NDArray[np.int32], letters: str) -> Kind:
    """Return the category of the operators that do most of the work of a block."""
    shape = Counter(letters[node] for node in nodes.tolist())
    categories = Counter(kind_of_operator(op) for op in graph.op[nodes].tolist())
    if shape["T"] or (shape["X"] and shape["M"] > 1):
        return "attention"
    if shape["R"]:
        return "recurrent"
    if shape["C"] + shape["V"] + shape["D"] or categories["convolution"]:
        return "convolution"
    for kind in ("linear", "pooling", "normalization", "activation"):
        if categories[kind]:
            return kind
    return max(categories, key=lambda kind: (categories[kind], -KINDS.index(kind)))
