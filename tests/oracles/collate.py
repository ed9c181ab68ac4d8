"""Slow twins of ``narfast.nn.collate``: lists and dictionaries, one line per definition."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np


def naive_macros(graphs: Any, node_instance: list[int]) -> SimpleNamespace:
    """Macro graphs for any assignment of nodes to instances (numbered from 0 in each graph)."""
    instance_ptr, member_ptr, member, in_ptr, in_src, in_count = [0], [0], [], [0], [], []
    for g in range(len(graphs.node_ptr) - 1):
        base, stop = int(graphs.node_ptr[g]), int(graphs.node_ptr[g + 1])
        local = node_instance[base:stop]
        count = max(local, default=-1) + 1
        edges: list[dict[int, int]] = [{} for _ in range(count)]
        for v in range(base, stop):
            for e in range(graphs.in_ptr[v], graphs.in_ptr[v + 1]):
                a, b = local[graphs.in_src[e]], local[v - base]
                if a != b:
                    edges[b][a] = edges[b].get(a, 0) + 1
        for i in range(count):
            member += [v for v, owner in enumerate(local) if owner == i]
            member_ptr.append(len(member))
            in_src += sorted(edges[i])
            in_count += [edges[i][a] for a in sorted(edges[i])]
            in_ptr.append(len(in_src))
        instance_ptr.append(len(member_ptr) - 1)
    return SimpleNamespace(
        instance_ptr=np.array(instance_ptr, dtype=np.int64),
        member_ptr=np.array(member_ptr, dtype=np.int64),
        member=np.array(member, dtype=np.int32),
        in_ptr=np.array(in_ptr, dtype=np.int64),
        in_src=np.array(in_src, dtype=np.int32),
        in_count=np.array(in_count, dtype=np.int32),
        node_instance=np.array(node_instance, dtype=np.int32),
    )


def ragged_gather(ptr: list[int], rows: list[int]) -> tuple[list[int], list[int]]:
    out_ptr, index = [0], []
    for r in rows:
        index += range(ptr[r], ptr[r + 1])
        out_ptr.append(len(index))
    return out_ptr, index


def transpose_csr(in_ptr: list[int], in_src: list[int]) -> tuple[list[int], list[int], list[int]]:
    num_nodes = len(in_ptr) - 1
    edges = [(in_src[e], v, e) for v in range(num_nodes) for e in range(in_ptr[v], in_ptr[v + 1])]
    edges.sort()
    out_ptr = [sum(1 for s, _, _ in edges if s < v) for v in range(num_nodes + 1)]
    return out_ptr, [v for _, v, _ in edges], [e for _, _, e in edges]


def unique_motifs(ids: list[tuple[int, int]]) -> tuple[list[int], list[int], list[int]]:
    distinct = list(dict.fromkeys(ids))
    inverse = [distinct.index(i) for i in ids]
    return inverse, [ids.index(d) for d in distinct], [ids.count(d) for d in distinct]


def motif_multiplicity(instance_ptr: list[int], inverse: list[int]) -> list[int]:
    result = []
    for start, stop in pairwise(instance_ptr):
        result += [inverse[start:stop].count(m) for m in inverse[start:stop]]
    return result


def _graph_of(macros: Any, instance: int) -> int:
    return next(
        g for g in range(len(macros.instance_ptr) - 1) if instance < macros.instance_ptr[g + 1]
    )


def _members(macros: Any, instance: int) -> list[int]:
    return macros.member[macros.member_ptr[instance] : macros.member_ptr[instance + 1]].tolist()


def _induced(graphs: Any, sets: list[tuple[int, list[int]]]) -> tuple[list[Any], ...]:
    """Induced subgraphs of (graph, local nodes) pairs, as the fields of a mini-batch."""
    op, attr, in_ptr, in_src, segment_ptr = [], [], [0], [], [0]
    for graph, nodes in sets:
        base = int(graphs.node_ptr[graph])
        row = {v: len(op) + k for k, v in enumerate(nodes)}
        for v in nodes:
            op.append(int(graphs.op[base + v]))
            attr.append(int(graphs.attr[base + v]))
            sources = graphs.in_src[graphs.in_ptr[base + v] : graphs.in_ptr[base + v + 1]].tolist()
            in_src += [row[s] for s in sources if s in row]
            in_ptr.append(len(in_src))
        segment_ptr.append(len(op))
    return op, attr, in_ptr, in_src, segment_ptr


def collate_motifs(graphs: Any, macros: Any, instances: list[int]) -> tuple[list[Any], ...]:
    return _induced(graphs, [(_graph_of(macros, i), _members(macros, i)) for i in instances])


def collate_contexts(
    graphs: Any, macros: Any, instances: list[int], radius: int
) -> tuple[list[Any], ...]:
    sets = []
    for i in instances:
        graph = _graph_of(macros, i)
        base, stop = int(graphs.node_ptr[graph]), int(graphs.node_ptr[graph + 1])
        neighbors: dict[int, set[int]] = {v: set() for v in range(stop - base)}
        for v in range(base, stop):
            for s in graphs.in_src[graphs.in_ptr[v] : graphs.in_ptr[v + 1]].tolist():
                neighbors[v - base].add(s)
                neighbors[s].add(v - base)
        inside = set(_members(macros, i))
        reached = set(inside)
        for _ in range(radius):
            reached |= {n for v in reached for n in neighbors[v]}
        sets.append((graph, sorted(reached - inside)))
    return _induced(graphs, sets)


def collate_macros(macros: Any, networks: list[int]) -> tuple[list[int], ...]:
    instance, in_ptr, in_src, in_count, segment_ptr = [], [0], [], [], [0]
    for g in networks:
        first, last = int(macros.instance_ptr[g]), int(macros.instance_ptr[g + 1])
        base = len(instance)
        for i in range(first, last):
            instance.append(i)
            edges = slice(macros.in_ptr[i], macros.in_ptr[i + 1])
            in_src += [base + s for s in macros.in_src[edges].tolist()]
            in_count += macros.in_count[edges].tolist()
            in_ptr.append(len(in_src))
        segment_ptr.append(len(instance))
    return instance, in_ptr, in_src, in_count, segment_ptr
