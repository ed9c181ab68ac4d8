"""Slow twins of the losses, readouts, labels and metrics of the learning layer."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def supervised_contrast(vectors: Tensor, label: list[int], temperature: float) -> Tensor:
    unit = [v / v.norm() for v in vectors]
    losses = []
    for i in range(len(label)):
        positives = [p for p in range(len(label)) if p != i and label[p] == label[i]]
        if not positives:
            continue
        denominator = torch.stack(
            [torch.exp(unit[i] @ unit[a] / temperature) for a in range(len(label)) if a != i]
        ).sum()
        each = [
            -torch.log(torch.exp(unit[i] @ unit[p] / temperature) / denominator) for p in positives
        ]
        losses.append(torch.stack(each).mean())
    return torch.stack(losses).mean() if losses else 0 * vectors.sum()


def context_contrast(
    weight: Tensor, bias: Tensor, motif: Tensor, context: Tensor, negative: list[list[int]]
) -> Tensor:
    def probability(m: Tensor, c: Tensor) -> Tensor:
        return torch.sigmoid(m @ (weight.T @ c) / math.sqrt(len(m)) + bias)

    own = [-torch.log(probability(m, c)) for m, c in zip(motif, context, strict=True)]
    other = [
        -torch.log(1 - probability(motif[b], context[n]))
        for b, row in enumerate(negative)
        for n in row
        if n >= 0
    ]
    loss = torch.stack(own).mean()
    return loss + torch.stack(other).mean() if other else loss


def gcn(x: Tensor, weight: Tensor, bias: Tensor, edges: list[tuple[int, int]]) -> Tensor:
    """ReLU(D^-1/2 (A + A' + I) D^-1/2 (X W' + b)) with a dense matrix."""
    adjacency = torch.eye(len(x), dtype=x.dtype)
    for source, target in edges:
        adjacency[target, source] += 1
        adjacency[source, target] += 1
    scale = torch.diag(adjacency.sum(dim=1) ** -0.5)
    return torch.relu(scale @ adjacency @ scale @ (x @ weight.T + bias))


def gat(layer: Any, x: Tensor, edges: list[tuple[int, int]]) -> Tensor:
    """One softmax for each node and head over its neighbours both ways and itself."""
    h = (x @ layer.linear.weight.T).reshape(len(x), layer.heads, -1)
    rows = []
    for node in range(len(x)):
        near = [s for s, t in edges if t == node] + [t for s, t in edges if s == node] + [node]
        parts = []
        for head in range(layer.heads):
            scores = [
                torch.nn.functional.leaky_relu(
                    layer.source[head] @ h[other, head] + layer.target[head] @ h[node, head], 0.2
                )
                for other in near
            ]
            weight = torch.softmax(torch.stack(scores), dim=0)
            parts.append(sum(w * h[other, head] for w, other in zip(weight, near, strict=True)))
        rows.append(torch.cat(parts))
    return torch.nn.functional.elu(torch.stack(rows) + layer.bias)


def wl_partition(graph: Any, hops: int, *, attributes: bool) -> list[Any]:
    """Labels as nested tuples instead of hashes: equal exactly where the hashes must be."""
    names = graph.op_names()
    label: list[Any] = [
        (names[v], int(graph.attr[v]) if attributes else None) for v in range(graph.num_nodes)
    ]
    for _ in range(hops):
        into = [sorted(map(repr, (label[s] for s in graph.inputs(v)))) for v in range(len(label))]
        out: list[list[str]] = [[] for _ in label]
        for v in range(len(label)):
            for s in graph.inputs(v):
                out[s].append(repr(label[v]))
        label = [(label[v], tuple(into[v]), tuple(sorted(out[v]))) for v in range(len(label))]
    return label


def family_quality(similarity: list[list[float]], labels: list[str], depth: int) -> Any:
    """MRR and MAP at a depth, by their definitions."""
    reciprocal, precision = [], []
    for q in range(len(labels)):
        ranked = sorted(
            (c for c in range(len(labels)) if c != q), key=lambda c: (-similarity[q][c], c)
        )[:depth]
        total = sum(1 for c in range(len(labels)) if c != q and labels[c] == labels[q])
        if not total:
            continue
        found = [k for k, c in enumerate(ranked, start=1) if labels[c] == labels[q]]
        reciprocal.append(1 / found[0] if found else 0.0)
        precision.append(sum((j + 1) / k for j, k in enumerate(found)) / min(depth, total))
    return sum(reciprocal) / len(reciprocal), sum(precision) / len(precision)
