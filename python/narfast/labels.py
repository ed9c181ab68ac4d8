"""Operators in words: exact where hyperparameters are known, in ranges where they are not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from narfast import attributes, operators
from narfast.graph import ArchGraph

__all__ = ["counted", "exact_of", "label", "operator_label", "ranges", "sides"]

# The bins of the core's attributes: the first three hold one value each, the others a range.
_KERNELS = {1: "1", 2: "2", 3: "3", 4: "4-5", 5: "6-7", 6: "8-15", 7: "16+"}
_EQUAL_WIDTH = 8  # bin: as many output channels as input channels, to the nearest power of two
_OUTERMOST = 7  # powers of two; larger ratios share a bin

_SAYING = frozenset({"kernel", "in_channels", "heads", "norm_size", "slope", "output_size"})


_FIELDS = ("kernel", "stride", "groups", "dilation", "channel_ratio")
_GROUPS = {1: "dense", 2: "grouped", 3: "depthwise"}


def ranges(attr: int) -> dict[str, str]:
    """Return what packed attributes say in words, by field; what does not apply is absent."""
    found = {name: attributes.value(name, attr) for name in _FIELDS}
    words = {
        "kernel": _KERNELS.get(found["kernel"], ""),
        "groups": _GROUPS.get(found["groups"], ""),
        "width ratio": _ratio(found["channel_ratio"]) or ("1" if found["channel_ratio"] else ""),
    }
    if found["kernel"]:
        words["stride"] = "2+" if found["stride"] else "1"
        words["dilation"] = "2+" if found["dilation"] else "1"
    return {name: word for name, word in words.items() if word}


def sides(values: tuple[int, ...]) -> str:
    """Return the sides of a window, such as ``7x7``, or ``1x7``."""
    return "x".join(map(str, values))


def exact_of(graph: ArchGraph, node: int) -> dict[str, Any]:
    """Return the hyperparameters of a node; empty if none are known."""
    return {} if graph.hyperparameters is None else graph.hyperparameters.of(node)


def label(graph: ArchGraph, node: int, *, widths: bool = True, exact: bool = True) -> str:
    """Name an operator with its hyperparameters, such as ``conv 7x7 /2, 3→64``.

    Args:
        graph: a canonical graph.
        node: one of its nodes.
        widths: also say the channels.
        exact: False gives the ranges of packed attributes, which all networks have.
    """
    known = exact_of(graph, node) if exact else {}
    info = operators.by_id(int(graph.op[node]))
    if not known.keys() & _SAYING:
        return operator_label(int(graph.op[node]), int(graph.attr[node]))
    words = [info.name]
    kernel = known.get("kernel")
    if kernel:
        # A dense window of one element is linear in a canonical graph.
        words = [f"{'conv' if info.name == 'linear' else info.name} {sides(kernel)}"]
    stride = known.get("stride", ())
    if any(step > 1 for step in stride):
        words.append(f"/{sides(stride) if len(set(stride)) > 1 else stride[0]}")
    dilation = known.get("dilation", ())
    if any(step > 1 for step in dilation):
        words.append(f"dilated {max(dilation)}")
    groups = known.get("groups", 1)
    if groups > 1:
        depthwise = groups == known.get("in_channels")
        words.append("depthwise" if depthwise else f"in {groups} groups")
    if "heads" in known:
        words.append(f"{known['heads']} heads")
        if "key_heads" in known:
            words[-1] += f" ({known['key_heads']} of keys)"
    if "slope" in known:
        words.append(f"{known['slope']:g}")
    if "norm_groups" in known:
        words.append(f"in {known['norm_groups']} groups")
    if "output_size" in known:
        words.append(f"to {sides(known['output_size'])}")
    text = " ".join(words)
    if widths and "in_channels" in known and "out_channels" in known:
        return f"{text}, {known['in_channels']}→{known['out_channels']}"
    return text


def operator_label(op: int, attr: int) -> str:
    """Name an operator with its main attributes, such as ``conv3x3 /2+ ~×4``.

    Attributes are stored in bins, so a label gives the range: ``conv 4-5`` has a window of 4 or 5
    elements to a side, ``/2+`` is a stride of 2 or more, ``~×4`` is the ratio of output to input
    channels to the nearest power of two (2.8 to 5.7). For a window that is not square the number
    is its largest side.
    """
    words = [operators.by_id(op).name]
    kernel = _KERNELS.get(attributes.value("kernel", attr))
    rank = attributes.value("rank", attr)
    if kernel and rank:
        square = not attributes.value("non_square", attr)
        if square and len(kernel) == 1:
            words[0] += "x".join([kernel] * rank)
        else:
            words += [kernel] if square else [kernel, "non-square"]
            words += [] if rank == 2 else [f"{rank}d"]
    if attributes.value("stride", attr):
        words.append("/2+")
    ratio = _ratio(attributes.value("channel_ratio", attr))
    words += [ratio] if ratio else []
    groups = attributes.value("groups", attr)
    if groups > 1:
        words.append("grouped" if groups == 2 else "depthwise")
    return " ".join(words)


def counted(labels: Iterable[str]) -> list[str]:
    """Return labels in order, runs of equal ones as one with their number."""
    runs = [(label, len(list(group))) for label, group in itertools.groupby(labels)]
    return [label if count == 1 else f"{count}×{label}" for label, count in runs]


def _ratio(bin_number: int) -> str:
    """Return the ratio of widths in a bin, such as ``~×4``; empty for equal or unknown widths."""
    ratio = bin_number - _EQUAL_WIDTH
    if ratio in (-_EQUAL_WIDTH, 0):
        return ""
    more = "+" if abs(ratio) == _OUTERMOST else ""
    return f"~{'×' if ratio > 0 else '÷'}{2 ** abs(ratio)}{more}"
