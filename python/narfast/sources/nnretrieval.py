"""Records of the NNRetrieval scripts: JSON graphs, and the cleaning of raw autograd edges.

Reference: Pei, Li, Dong, Xu, "Neural Architecture Retrieval", ICLR 2024. The cleaning here gives
the same nodes and edges in the same order, in linear instead of quadratic time.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from narfast import operators
from narfast._documents import parse_limited
from narfast._files import read_source
from narfast.errors import CorruptFileError, InvalidGraphError, UnsupportedSourceError
from narfast.graph import ArchGraph, GraphMeta, build_graph

__all__ = ["clean_edges", "from_nodes", "load_record"]

Edge = tuple[str, str]

_SKIPPED = ("AccumulateGrad", "TBackward")
_MAX_JOINED = 500_000  # edges that bypassing may add, beyond two for each given edge
_MAX_FOLDED = 50_000_000  # total characters of folded names
_MAX_FILE = 256 << 20  # bytes; a network of two million nodes has about half of it
_MAX_NODE_NAME = 500  # characters; longer names are not operators, and slow to match
_MAX_NETWORK_NAME = 300  # characters of a network's name
_MAX_SIDE = 2**31 - 1
_AUTOGRAD = re.compile(r"^(?:.*::)?(?P<op>\w+?)Backward\d*(?:-\d+)?$")
_WEIGHT = re.compile(r"\((?P<shape>\d+(?:, ?\d+)*),?\)")
_DARTS = re.compile(r"^(?:.*\.)?(?P<op>[A-Za-z_]+?)(?:_(?P<side>\d+)x\d+)?(?:-\d+)?$")
# Operations of DARTS-like cells: canonical operator, and whether it is a dilated convolution.
_CELL_OPERATIONS = {
    "input": "input",
    "conv": "conv",
    "sep_conv": "nas/sep_conv",
    "dil_conv": "nas/dil_conv",
    "bn": "batch_norm",
    "skip_connect": "nas/skip_connect",
    "max_pool": "max_pool",
    "avg_pool": "avg_pool",
    "adaptive_avg_pool": "global_avg_pool",
    "add": "add",
    "concat": "concat",
    "linear": "linear",
    "relu": "relu",
    "output": "nas/output",
}


class _EdgeList:
    """Edges in order, with removal of a node and appending in constant time per edge."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.edges: list[Edge | None] = []
        self._into: dict[str, list[int]] = {}
        self._out_of: dict[str, list[int]] = {}
        for edge in edges:
            self.append(edge)
        # Skipped nodes of real networks have one input or one consumer, which adds no edges.
        self._limit = 3 * len(self.edges) + _MAX_JOINED

    def append(self, edge: Edge) -> None:
        number = len(self.edges)
        self.edges.append(edge)
        self._out_of.setdefault(edge[0], []).append(number)
        self._into.setdefault(edge[1], []).append(number)

    def nodes(self) -> list[str]:
        return list(dict.fromkeys(name for edge in self.alive() for name in edge))

    def alive(self) -> list[Edge]:
        return [edge for edge in self.edges if edge is not None]

    def bypass(self, node: str) -> None:
        """Remove a node and connect each of its inputs to each of its consumers."""
        into = self._into.pop(node, [])
        out_of = self._out_of.pop(node, [])
        before = [edge for i in into if (edge := self.edges[i]) is not None]
        after = [edge for i in out_of if (edge := self.edges[i]) is not None]
        if len(self.edges) + len(before) * len(after) > self._limit:
            raise InvalidGraphError(
                f"more than {self._limit:,} edges after bypassing skipped nodes: "
                "this is not a network"
            )
        for i in (*into, *out_of):
            self.edges[i] = None
        for source, _ in before:
            for _, target in after:
                if source != node and target != node:
                    self.append((source, target))


def clean_edges(raw_edges: Sequence[Sequence[str]]) -> tuple[list[str], list[tuple[int, int]]]:
    """Clean raw autograd edges exactly as the released scripts do.

    Nodes whose name contains ``AccumulateGrad`` are bypassed, then those with ``TBackward``. Nodes
    without input are folded into their consumers, whose names become ``consumer+first&second``.

    Args:
        raw_edges: Pairs of node names, source first.

    Returns:
        Node names in order of first appearance, and the cleaned edges as pairs of positions.

    Raises:
        InvalidGraphError: An edge is not a pair of names, or bypassing makes too many edges.
    """
    edges = _EdgeList(_checked(raw_edges))
    for pattern in _SKIPPED:
        for node in edges.nodes():
            if pattern in node:
                edges.bypass(node)
    alive = edges.alive()
    consumers = {target for _, target in alive}
    folded: dict[str, list[str]] = {}
    length = 0
    for source, target in alive:
        if source not in consumers:
            folded.setdefault(target, []).append(source)
            length += len(source)
    if length > _MAX_FOLDED:
        raise InvalidGraphError(
            f"names of {length:,} characters are folded into their consumers: this is not a network"
        )
    names = {
        node: f"{node}+{'&'.join(folded[node])}" if node in folded else node for node in consumers
    }
    number: dict[str, int] = {}
    cleaned = [
        (
            number.setdefault(names[source], len(number)),
            number.setdefault(names[target], len(number)),
        )
        for source, target in alive
        if source in consumers
    ]
    return list(number), cleaned


def _checked(raw_edges: Sequence[Sequence[str]]) -> Iterable[Edge]:
    for position, edge in enumerate(raw_edges):
        pair = isinstance(edge, (list, tuple)) and len(edge) == 2
        if not pair or not all(isinstance(name, str) for name in edge):
            raise InvalidGraphError(
                f"raw edge {position} must be a pair of node names, got {str(edge)[:80]}"
            )
        yield edge[0], edge[1]


def _number(digits: str) -> int:
    """Read a side of a shape; attributes are binned, so very large numbers may be cut."""
    return min(int(digits.strip()[:20]), _MAX_SIDE)


def _weight_shape(parameters: str, rank: int) -> tuple[int, ...] | None:
    """Return the first shape of at least `rank` sides in the names folded into a node."""
    for match in _WEIGHT.finditer(parameters):
        shape = tuple(_number(side) for side in match["shape"].split(","))
        if len(shape) >= rank:
            return shape
    return None


_Described = tuple[int, int, dict[str, Any]]


def _convolution(weight: tuple[int, ...] | None) -> tuple[int, dict[str, Any]]:
    if weight is None:
        return 0, {}
    depthwise = weight[1] == 1 and weight[0] > 1
    widths: dict[str, Any] = {
        "groups": weight[0] if depthwise else 1,
        "in_channels": weight[0] if depthwise else weight[1],
        "out_channels": weight[0],
    }
    attr: int = operators.pack_attributes(
        kernel=max(weight[2:]),
        spatial_rank=len(weight) - 2,
        square=len(set(weight[2:])) == 1,
        **widths,
    )
    return attr, {"kernel": weight[2:], **widths}


def _describe(name: str, unknown: Counter[str]) -> _Described:
    """Return operator id, attributes and hyperparameters of a cleaned node name."""
    own, _, parameters = name.partition("+")
    if len(own) > _MAX_NODE_NAME:
        unknown[f"{own[:80]}..."] += 1
        return operators.unknown().id, 0, {}
    autograd = _AUTOGRAD.match(own)
    if autograd is not None:
        info = operators.lookup("autograd", autograd["op"])
        if info is None:
            unknown[autograd["op"][:80]] += 1
            return operators.unknown().id, 0, {}
        if info.name == "conv":
            return info.id, *_convolution(_weight_shape(parameters, 3))
        weight = _weight_shape(parameters, 2)
        if info.name == "matmul" and weight is not None:
            widths: dict[str, Any] = {"in_channels": weight[1], "out_channels": weight[0]}
            return operators.by_name("linear").id, operators.pack_attributes(**widths), widths
        return info.id, 0, {}
    cell = _DARTS.match(own)
    operation = cell["op"].lower() if cell else ""
    if cell is None or operation not in _CELL_OPERATIONS:
        unknown[own[:80]] += 1
        return operators.unknown().id, 0, {}
    side = _number(cell["side"] or "0")
    attr, exact = 0, {}
    if operation in ("conv", "max_pool", "avg_pool", "sep_conv", "dil_conv"):
        attr = operators.pack_attributes(
            kernel=side, spatial_rank=2, dilation=2 if operation == "dil_conv" else 1
        )
        exact = {"kernel": (side, side)} if side else {}
    return operators.by_name(_CELL_OPERATIONS[operation]).id, attr, exact


def from_nodes(
    names: Sequence[str], edges: Iterable[tuple[int, int]], meta: GraphMeta | None = None
) -> ArchGraph:
    """Build a graph from NNRetrieval's node names and edges.

    The scripts record no network input. An input is added before every node that has weights and
    no other input, since the data must enter there.

    Args:
        names: Node names, as the scripts spell them.
        edges: Pairs of positions in `names`, source first.
        meta: Metadata to attach.

    Raises:
        InvalidGraphError: An edge points outside `names`, or there is a cycle.
    """
    unknown: Counter[str] = Counter()
    described = [_describe(name, unknown) for name in names]
    inputs: list[list[int]] = [[] for _ in names]
    has_consumer = [False] * len(names)
    for source, target in edges:
        if not (0 <= source < len(names) and 0 <= target < len(names)):
            raise InvalidGraphError(
                f"edge {source} -> {target} points outside the {len(names)} nodes"
            )
        inputs[target].append(source)
        has_consumer[source] = True
    entry = len(names)
    for node, (op, _, _) in enumerate(described):
        if not inputs[node] and "weights" in operators.by_id(op).traits:
            inputs[node].append(entry)
    described.append((operators.by_name("input").id, 0, {}))
    inputs.append([])
    outputs = [node for node, used in enumerate(has_consumer) if not used]
    if not names:
        raise InvalidGraphError(
            "no nodes are left after cleaning; give the edges of a whole network"
        )
    meta = replace(
        meta or GraphMeta(),
        source="nnretrieval",
        trace_kind="record",
        unknown_ops=dict(sorted(unknown.items())),
    )
    ops, attrs, exact = zip(*described, strict=True)
    graph = build_graph(ops, attrs, inputs, outputs, meta, hyperparameters=exact)
    # A node that leads to no output can only lead into a cycle.
    if graph.num_nodes < len(names):
        raise InvalidGraphError("the edges form a cycle; a network is acyclic")
    return graph


def _index_pairs(value: Any, path: Path) -> list[tuple[int, int]]:
    """Read edges from ``edge_index``: two rows of positions, or pairs."""
    problem = CorruptFileError(
        f"{path}: edge_index must be two equally long lists of node positions, or pairs of them"
    )
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise problem
    if any(type(item) is not int for row in value for item in row):
        raise problem
    if len(value) == 2 and len(value[0]) == len(value[1]):
        return list(zip(*value, strict=True))
    if any(len(row) != 2 for row in value):
        raise problem
    return [(row[0], row[1]) for row in value]


def load_record(path: str | os.PathLike[str]) -> ArchGraph:
    """Read an NNRetrieval record: ``unique_nodes`` and ``edge_index``, or ``raw_edges``.

    Raises:
        CorruptFileError: The file is not JSON, or the record lacks its fields.
        InvalidGraphError: The edges do not form a network.
        UnsupportedSourceError: A pickle; the message says how to convert it.
    """
    path = Path(path)
    data = read_source(path, limit=_MAX_FILE, what="an NNRetrieval record")
    if data[:1] == b"\x80":
        raise UnsupportedSourceError(
            f"{path}: NNRetrieval's pickles can run code and are never loaded; in a sandbox that "
            "you trust, write json.dump({'unique_nodes': nodes, 'edge_index': edges}) instead"
        )
    try:
        record = parse_limited(data)
    except ValueError as error:
        raise CorruptFileError(f"{path}: not a JSON file ({error}); expected one record") from None
    if not isinstance(record, dict):
        raise CorruptFileError(f"{path}: expected one JSON object, got {type(record).__name__}")
    name = record.get("name")
    meta = GraphMeta(name=name[:_MAX_NETWORK_NAME] if isinstance(name, str) else path.stem)
    try:
        for key in ("raw_edges", "graph_edges"):
            if isinstance(record.get(key), list):
                return from_nodes(*clean_edges(record[key]), meta)
        nodes, index = record.get("unique_nodes"), record.get("edge_index")
        if not isinstance(nodes, list) or not all(isinstance(n, str) for n in nodes):
            raise CorruptFileError(
                f"{path}: not an NNRetrieval record: it needs raw_edges, or unique_nodes and "
                "edge_index"
            )
        return from_nodes(nodes, _index_pairs(index, path), meta)
    except InvalidGraphError as error:
        raise InvalidGraphError(f"{path}: {error}") from None
