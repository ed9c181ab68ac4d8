"""The blocks of one network as people name them: stem, bottleneck, encoder layer, head.

Strips, drawings, fact sheets and sentences read a network through `blocks_of`. Motifs
(`narfast.motifs`) are what repeats exactly; blocks are what a person would point at, so one block
may be a near copy of another. How a block is drawn or said does not live here.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from narfast import attributes, operators
from narfast.graph import ArchGraph, GraphBatch, hash_texts, structural_hash
from narfast.motifs import Motifs, coarsen, instance_graphs, mine

__all__ = ["KINDS", "Block", "BlockView", "Kind", "blocks_of", "kind_of_operator"]

Kind = Literal[
    "convolution",
    "linear",
    "attention",
    "normalization",
    "activation",
    "pooling",
    "arithmetic",
    "layout",
    "recurrent",
    "other",
]

KINDS: tuple[Kind, ...] = (
    "convolution",
    "linear",
    "attention",
    "normalization",
    "activation",
    "pooling",
    "arithmetic",
    "layout",
    "recurrent",
    "other",
)
"""The categories that are told apart by colour; every operator and every block has one."""

_KIND_OF_CATEGORY: dict[str, Kind] = {
    "elementwise": "arithmetic",
    "reduction": "arithmetic",
    "indexing": "layout",
    "spatial": "pooling",  # resampling
    "source": "other",
}

# One letter for each operator: the alphabet in which the shapes of blocks are written below.
# Lower case and "." stand for what does not shape a block.
_LETTER_OF_OPERATOR = {
    "conv": "C",
    "deform_conv": "C",
    "nas/sep_conv": "C",
    "nas/dil_conv": "C",
    "conv_transpose": "U",
    "resize": "U",
    "pixel_shuffle": "U",
    "max_unpool": "U",
    "fold": "U",
    "pixel_unshuffle": "S",
    "unfold": "S",
    "max_pool": "S",
    "avg_pool": "S",
    "lp_pool": "S",
    "linear": "P",
    "bilinear": "P",
    "matmul": "M",
    "einsum": "M",
    "attention": "T",
    "softmax": "X",
    "global_avg_pool": "G",
    "global_max_pool": "G",
    "adaptive_avg_pool": "G",
    "adaptive_max_pool": "G",
    "mean": "G",
    "concat": "K",
    "add": "+",
    "mul": "*",
    "affine": "*",
    "topk": "Q",
    "fft": "F",
    "cumsum": "Z",
    "embedding": "E",
    "input": "I",
}
_LETTER_OF_CATEGORY = {"normalization": "N", "activation": "A", "recurrent": "R", "source": "I"}
_GATE = re.compile(r"G[.N]*[PDC][.NA]*(?:P[.N]*)?[AX][.]*\*")  # squeeze-and-excitation and its like
_WORK = frozenset("PDCVUTMRSFQ")  # a residual branch without any of these is arithmetic
_DOWN, _UP = frozenset("SV"), frozenset("U")
_SHORT_BRANCH = 64  # nodes between fork and join
_WORK_PER_NODE = 16  # nodes looked at in longer branches, for each node of the network
_LONGEST_SEARCH = 600  # nodes looked at to see whether one value depends on another
_LONGEST_PROJECTION = 6  # operators on a shortcut
_LONGEST_LINK = 3  # operators between the residual branches of one layer
_LONGEST_CHAIN = 24  # operators on one of parallel branches
_LONGEST_CONCATENATION = 200  # nodes behind a concatenation that is one block
_LONGEST_PIECE = 24  # operators; longer runs without structure are cut where their motifs end
_MOST_BLOCKS = 12  # above it, repeated sequences of unlike blocks are drawn together
_LONGEST_PERIOD = 8
_TANGLED = 32  # blocks; a longer list may be one of cells
_FEWEST_CELLS = 4
_SMALLEST_CELL = 12  # operators
_MOST_ALIVE = 3  # values that later cells read, where a cell ends
_STRIDED_IN_REDUCTION = 4  # operators; two alone bring a former value to the same size

# What a run between residual blocks is cut into; letters as above, `V` is a strided convolution.
_SQUEEZE = r"(?:G[.N]*[PDC][.NA]*(?:P[.N]*)?A[.]*\*)?"
_PIECES = re.compile(
    rf"P[NA.]*D[NA.]*{_SQUEEZE}[NA.]*P[N]*"  # an inverted residual that cannot add its input
    rf"|D[NA.]*{_SQUEEZE}P[NA]*"  # depthwise separable
)
# Layers out of residual blocks: attention or what stands for it, then what works on each token.
_LAYERS = re.compile(
    r"mad?[ic]m"  # conformer
    r"|d?[at]d?x?d?[me]"  # attention, at times between depthwise convolutions
    r"|[sfk]d?[me]|pm"
)


@dataclass(frozen=True, eq=False)
class Block:
    """One place in the reading order of a network.

    Attributes:
        motif_id: structural hash of one instance (the last), 32 hexadecimal digits; equal to the
            identifiers of motifs.
        name: what a person calls it.
        kind: the category of the operators that do most of its work.
        instances: the nodes of each repetition, in order; int32 arrays, ascending.
        inputs: numbers of the blocks that it reads, ascending, without itself.
        variants: the numbers of the instances that differ from the last: a stage may open with a
            strided or projecting one, and neighbours may differ in operators that only move data.
        period: how many unlike blocks one instance holds; above 1, `name` lists them.
    """

    motif_id: str
    name: str
    kind: Kind
    instances: tuple[NDArray[np.int32], ...]
    inputs: tuple[int, ...]
    variants: tuple[int, ...] = ()
    period: int = 1

    @property
    def count(self) -> int:
        """How often the block stands here in a row."""
        return len(self.instances)

    @property
    def nodes(self) -> NDArray[np.int32]:
        """int32[n], all nodes of all instances, ascending."""
        return np.sort(np.concatenate(self.instances))


@dataclass(frozen=True, eq=False)
class BlockView:
    """A network as a short list of blocks.

    Attributes:
        graph: the network.
        blocks: in reading order, which is topological.
        block_of: int32[N], the block of each node.
    """

    graph: ArchGraph
    blocks: tuple[Block, ...]
    block_of: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.blocks)


@cache
def kind_of_operator(op: int) -> Kind:
    """Return the category in which an operator is coloured."""
    category = operators.by_id(op).category
    return _KIND_OF_CATEGORY.get(category, category)  # type: ignore[arg-type]


@cache
def _letter(op: int, attr: int) -> str:
    info = operators.by_id(op)
    letter = _LETTER_OF_OPERATOR.get(info.name) or _LETTER_OF_CATEGORY.get(info.category, ".")
    if letter == "M" and attributes.value("param_operand", attr):
        return "P"
    if letter == "C":
        if attributes.value("groups", attr) > 2:
            return "D"
        if attributes.value("stride", attr):
            return "V"
        if attributes.value("kernel", attr) == 1:
            return "P"
    return letter


@dataclass(eq=False)
class _Unit:
    """A block before equal neighbours are joined; `role` is a letter of `_LAYERS` or empty."""

    nodes: list[int]
    name: str = ""
    role: str = ""
    fork: int = -1  # the node whose value both branches read
    join: int = -1  # the node that unites them
    shortcut: list[int] = field(default_factory=list)
    parts: int = 1


def blocks_of(graph: ArchGraph) -> BlockView:
    """Divide a canonical graph into the blocks that people name.

    Residual branches (an `add`, or a concatenation, that reads both a value and what was computed
    from it) give most blocks; attention and what follows it are one layer; the runs between them
    are cut where resolution changes and around known shapes. Neighbours in a chain that are equal,
    or equal but for a strided opening or for operators that only move data, are one `Block`.
    Deterministic; near-linear in nodes and edges.

    Args:
        graph: A canonical graph.

    Raises:
        InvalidGraphError: If the graph is not well formed.
    """
    GraphBatch.from_graphs([graph]).validate()
    if not graph.num_nodes:
        return BlockView(graph, (), np.empty(0, np.int32))
    reader = _Reader(graph)
    view = _joined(graph, _ordered(graph, reader.units()), reader.letters)
    if len(view.blocks) > _TANGLED and (cells := reader.cells()):
        found = _joined(graph, _ordered(graph, cells), reader.letters)
        if 2 * len(found.blocks) < len(view.blocks):
            return found
    return view


class _Reader:
    """Finds the units of one graph."""

    def __init__(self, graph: ArchGraph) -> None:
        self.graph = graph
        self.size = graph.num_nodes
        self.op = graph.op.tolist()
        ptr, src = graph.in_ptr.tolist(), graph.in_src.tolist()
        self.inputs = [list(dict.fromkeys(src[a:b])) for a, b in pairwise(ptr)]
        self.readers: list[list[int]] = [[] for _ in range(self.size)]
        for node, sources in enumerate(self.inputs):
            for source in sources:
                self.readers[source].append(node)
        self.letters = "".join(map(_letter, self.op, graph.attr.tolist()))
        self.names = graph.op_names()
        self.fork_of: dict[int, int] = {}  # of the joins found so far

    # Residual branches.

    def depends(self, node: int, on: int) -> bool:
        """Whether a value is computed from another; false where the search is too long."""
        walk = node
        while walk > on and self.inputs[walk]:
            walk = max(self.inputs[walk])
        if walk == on:
            return True
        seen, stack = {node}, [node]
        while stack and len(seen) < _LONGEST_SEARCH:
            for source in self.inputs[stack.pop()]:
                if source == on:
                    return True
                if source > on and source not in seen:
                    seen.add(source)
                    stack.append(source)
        return False

    def fork(self, join: int) -> tuple[int, list[int]] | None:
        """Return the node where the branches of a join part, and the operators of the shortcut."""
        arguments = self.inputs[join]
        if self.letters[join] == "K":
            return self.dense_fork(join)
        found: tuple[int, list[int]] | None = None
        for argument in arguments:
            others = [other for other in arguments if other != argument]
            if any(self.letters[o] == "*" and argument in self.inputs[o] for o in others):
                continue  # scale and shift out of one value
            node, chain = argument, [argument]
            for _ in range(_LONGEST_PROJECTION):
                if len(self.readers[node]) > 1 and any(self.depends(o, node) for o in others):
                    if found is None or (len(chain), -node) < (len(found[1]) + 1, -found[0]):
                        found = node, chain[:-1]
                    break
                if len(self.inputs[node]) != 1:
                    break
                node = self.inputs[node][0]
                chain.append(node)
        return found

    def dense_fork(self, join: int) -> tuple[int, list[int]] | None:
        """Return the fork of a concatenation: of a dense layer, or of parallel branches."""
        arguments = sorted(self.inputs[join])
        first, newest = arguments[0], arguments[-1]
        chains = [self.chain(argument) for argument in arguments]
        for node in chains[-1][1:]:
            if node in arguments or self.letters[node] == "K":
                same = set(self.inputs[node]) == set(arguments[:-1])
                if arguments[:-1] == [node] or (self.letters[node] == "K" and same):
                    return node, []
                break
        for node in chains[-1]:
            if all(node in chain for chain in chains):
                return (node, []) if len(self.readers[node]) > 1 else None
        if join - first < _LONGEST_CONCATENATION and len(self.readers[first]) > 1:
            walk = newest
            while walk > first and self.inputs[walk]:
                walk = max(self.inputs[walk])
            if walk == first and all(self.depends(other, first) for other in arguments[1:]):
                return first, []
        return None

    def chain(self, node: int) -> list[int]:
        """Return a value and what it is computed from, while that is one value."""
        result = [node]
        while len(result) < _LONGEST_CHAIN:
            if node in self.fork_of:
                node = self.fork_of[node]
            elif len(self.inputs[node]) == 1:
                node = self.inputs[node][0]
            else:
                break
            result.append(node)
        return result

    def members(self, fork: int, join: int) -> list[int]:
        """Nodes between fork and join, and what serves them alone, ascending."""
        span = range(fork + 1, join + 1)
        after = {fork}
        after.update(node for node in span if not after.isdisjoint(self.inputs[node]))
        before = {join}
        for node in reversed(span):
            if not before.isdisjoint(self.readers[node]):
                before.add(node)
        inside = (after & before) - {fork}
        for node in reversed(span):
            if node in before and node not in inside and inside.issuperset(self.readers[node]):
                inside.add(node)
        return sorted(inside)

    def branches(self) -> list[_Unit]:
        """Residual units in order of their joins; each node is in one at most."""
        stack: list[_Unit] = []
        owned: set[int] = set()
        budget = _WORK_PER_NODE * self.size
        for join in range(self.size):
            if self.letters[join] not in "+K" or len(self.inputs[join]) < 2:
                continue
            found = self.fork(join)
            if found is None:
                continue
            fork, shortcut = found
            if join - fork > _SHORT_BRANCH:
                budget -= join - fork
                if budget < 0:
                    continue
            nodes = self.members(fork, join)
            shape = {self.letters[node] for node in nodes}
            if not shape & _WORK or (shape & _UP and shape & _DOWN):
                continue
            first = len(stack)
            while first and stack[first - 1].fork >= fork:
                first -= 1
            among = set(nodes)
            inner = [unit for unit in stack[first:] if unit.join in among]
            strangers = [
                unit for unit in inner if unit.fork != fork and self.letters[unit.join] != "K"
            ]
            layers = self.merge_layers(inner)
            covered = sum(len(unit.nodes) for unit in inner)
            if strangers and (shortcut or (len(layers) > 1 and 2 * covered > len(nodes))):
                kept = self.letters[join] == "+" or len(self.inputs[join]) == 2
                if (
                    (kept and fork in self.inputs[join])
                    or shortcut
                    or len(nodes) > _LONGEST_CONCATENATION
                ):
                    continue  # a skip over whole blocks
            swallowed = {node for unit in inner for node in unit.nodes}
            own = [n for n in nodes if n not in owned or n in swallowed]
            if shortcut and len(own) < len(nodes):
                continue  # a value that many blocks read, such as an embedding of time
            if not {self.letters[node] for node in own} & _WORK:
                continue
            stack[first:] = [unit for unit in stack[first:] if unit.join not in among]
            unit = _Unit(sorted({*own, *swallowed}), fork=fork, join=join, shortcut=shortcut)
            inside = [layer for layer in layers if layer.role == "t"]
            self.name_branch(unit)
            if inside and unit.role != "t":
                unit.name, unit.role = inside[0].name, "t"
            owned.update(unit.nodes)
            self.fork_of[join] = fork
            stack.append(unit)
        return stack

    def merge_layers(self, units: list[_Unit]) -> list[_Unit]:
        """Join attention with what works on each token after it; units in order of their joins."""
        ends = {unit.join for unit in units}
        taken = {node for unit in units for node in unit.nodes}
        after: dict[int, tuple[_Unit, list[int]]] = {}
        for unit in units:
            node = unit.fork
            between: list[int] = []
            while node not in ends and len(between) < _LONGEST_LINK:
                if node < 0 or node in taken or len(self.inputs[node]) != 1:
                    break
                if self.letters[node] not in ".*NA":
                    break
                between.append(node)
                node = self.inputs[node][0]
            if node in ends:
                after.setdefault(node, (unit, between))
        following = {unit.join for unit, _ in after.values()}
        result: list[_Unit] = []
        for unit in units:
            if unit.join in following:
                continue
            chain = [unit]
            links: list[list[int]] = [[]]
            while (reader := after.get(chain[-1].join)) is not None:
                chain.append(reader[0])
                links.append(reader[1])
            place = 0
            for match in _LAYERS.finditer("".join(each.role or "-" for each in chain)):
                result += chain[place : match.start()]
                between = [n for link in links[match.start() + 1 : match.end()] for n in link]
                result.append(_layer(chain[match.start() : match.end()], between))
                place = match.end()
            result += chain[place:]
        return result

    def name_branch(self, unit: _Unit) -> None:
        skipped = set(unit.shortcut)
        letters = "".join(self.letters[n] for n in unit.nodes if n not in skipped)
        if self.letters[unit.join] == "K":
            unit.name = self.concatenation_name(unit, letters)
            return
        gated = _GATE.search(letters) is not None
        plain = _GATE.sub("", letters)
        core = re.sub(r"[^PDCVTMXRSFQUZ]", "", plain).replace("V", "C")
        names = [self.names[n] for n in unit.nodes]
        acts = "A" in plain
        name, role = "", ""
        if "Q" in core and ("P" in core or "M" in core):
            name, role = "mixture of experts", "e"
            if "T" in core:
                name, role = "transformer layer", "t"
        elif "R" in core:
            name = next(n for n in names if operators.by_name(n).category == "recurrent") + " layer"
        elif "D" in core and "T" not in core and {"exp", "softplus", "cumsum"} & set(names):
            name, role = "state space block", "s"
        elif "T" in core or ("X" in core and core.count("M") >= 2):
            if re.search(r"P[N*.]*A[N*.]*P", plain) or (
                re.search(r"P[N*.]*A", plain) and re.search(r"T.*K.*P", plain)
            ):
                name, role = "transformer layer", "t"
            elif self.crosses(unit):
                name, role = "cross attention", "x"
            else:
                name, role = "attention", "a"
        elif "F" in core:
            name, role = "fourier mixing", "f"
        elif re.fullmatch(r"[DC]PP", core) and acts:
            name, role = ("convnext block" if core[0] == "D" else "conv+mlp block"), "c"
        elif re.fullmatch(r"(DP){2,}", core):
            name = "xception block"
        elif re.fullmatch(r"P?[DC]*D[DC]*P+|DPDP", core):
            wide = "P" in core[:2] and core != "DP"
            name, role = ("inverted residual" if wide else "depthwise separable"), "i"
            if wide and self.narrows(unit, skipped):
                name, role = "bottleneck", ""
        elif re.fullmatch(r"PC+P", core):
            name = "bottleneck"
        elif core == "CP":
            name = "fused inverted residual"
        elif core == "PC" and acts:
            name = "darknet block"
        elif core in ("", "C", "PC", "D", "PD") and unit.shortcut and not acts:
            name = "reparameterized conv"
        elif core == "C":
            name = "residual conv"
        elif re.fullmatch(r"C{2,3}", core):
            name = "basic block"
        elif core.count("C") >= 2:
            name = "residual block"
        elif re.fullmatch(r"S+", core):
            name, role = "pooling", "s"
        elif re.fullmatch(r"D+", core):
            name, role = "depthwise conv", "d"
        elif re.fullmatch(r"P{3,}", core) and "exp" in names:
            name, role = "linear recurrence", "s"
        elif core == "PP" and names.count("permute") > 1:
            name, role = "token mixing", "k"
        elif re.fullmatch(r"P{2,}", core):
            name, role = "mlp", "m"
        elif core == "P":
            name, role = "linear", "p"
        elif core.count("M") >= 2:
            name, role = "attention", "a"
        if not name:
            name = "residual " + _main_operators(names)
        if gated and role not in ("a", "x", "t", "m", "e"):
            name += "+se"
        unit.name, unit.role = name, role

    def concatenation_name(self, unit: _Unit, letters: str) -> str:
        arguments = self.inputs[unit.join]
        grows = self.letters[unit.fork] == "K" and set(self.inputs[unit.fork]) <= set(arguments)
        if unit.fork in arguments or grows:
            if len(arguments) == 2 or grows:
                return "dense layer"
            return "aggregation block"
        if sum(self.letters[node] == "G" for node in unit.nodes) > 2:
            return "pyramid pooling"
        dilated = sum(
            attributes.value("dilation", int(self.graph.attr[node])) for node in unit.nodes
        )
        if dilated > 1 and "G" in letters:
            return "atrous pyramid pooling"
        return "inception block" if len(arguments) > 2 else "parallel branches"

    def narrows(self, unit: _Unit, skipped: set[int]) -> bool:
        """Whether the first pointwise operator has fewer outputs than inputs."""
        for node in unit.nodes:
            if node not in skipped and self.letters[node] == "P":
                return 0 < attributes.value("channel_ratio", int(self.graph.attr[node])) < 8
        return False

    def crosses(self, unit: _Unit) -> bool:
        """Whether keys come from elsewhere than queries do."""
        inside = set(unit.nodes)
        after = {unit.fork}
        for node in unit.nodes:
            if not after.isdisjoint(self.inputs[node]):
                after.add(node)
        for node in unit.nodes:
            if self.letters[node] == "T":
                start, end = int(self.graph.in_ptr[node]), int(self.graph.in_ptr[node + 1])
                arguments = self.graph.in_src[start:end].tolist()[:3]
                if len(arguments) > 1 and arguments[0] in after and arguments[1] not in after:
                    key = arguments[1]
                    return key not in inside or self.letters[key] in "P.N"
        return False

    # Everything else.

    def units(self) -> list[_Unit]:
        """All units; every node is in exactly one."""
        if any(name.startswith("nas/") for name in self.names):
            return self.motif_units(range(self.size), "cell")
        branches = self.branches()
        self.absorb(branches)
        layers = self.merge_layers(branches)
        owner = [-1] * self.size
        for number, unit in enumerate(layers):
            for node in unit.nodes:
                owner[node] = number
        pieces: list[_Unit] = []
        run: list[int] = []
        before = -1
        for node in range(self.size + 1):
            free = node < self.size and owner[node] < 0
            if free:
                run.append(node)
            if run and not free and node < self.size and owner[node] == before:
                continue  # inside one block: the run goes on
            if run and not free:
                pieces += self.pieces(run, node < self.size)
                run = []
            if node < self.size and not free:
                before = owner[node]
        self.name_ends(layers, pieces)
        units = self.without_crumbs(layers + pieces)
        if any(unit.name == "decoder layer" for unit in units):
            for unit in units:
                if unit.name == "transformer layer":
                    unit.name = "encoder layer"
        return units

    def cells(self) -> list[_Unit]:
        """Cut a network that is made of cells where they end; nothing if it is not.

        A cell ends with a concatenation after which only a few values are still read: its own, and
        that of the cell before.
        """
        last = [max(readers, default=node) for node, readers in enumerate(self.readers)]
        alive = np.zeros(self.size + 1, np.int64)
        np.add.at(alive, np.arange(self.size), 1)
        np.add.at(alive, last, -1)
        alive = np.cumsum(alive)
        ends = [
            node
            for node in range(self.size)
            if self.letters[node] == "K" and alive[node] <= _MOST_ALIVE
        ]
        if len(ends) < _FEWEST_CELLS or "T" in self.letters:
            return []
        begin = next((n for n in range(ends[0]) if len(self.readers[n]) > 1), 0) + 1
        result = [_Unit(list(range(begin)), "stem")]
        for end in ends:
            if end - begin < _SMALLEST_CELL:
                continue  # two halves of a value, brought together
            nodes = list(range(begin, end + 1))
            strided = attributes.field("stride").of(self.graph.attr[begin : end + 1]).sum()
            name = "reduction cell" if strided >= _STRIDED_IN_REDUCTION else "cell"
            result.append(_Unit(nodes, name, fork=begin, join=end))
            begin = end + 1
        if 4 * (self.size - begin) > self.size:
            return []  # most of it comes after the cells
        result.append(_Unit(list(range(begin, self.size)), "head"))
        return [unit for unit in result if unit.nodes]

    def without_crumbs(self, units: list[_Unit]) -> list[_Unit]:
        """Join pieces that do no work to the one unit that reads them."""
        unit_of = [-1] * self.size
        for number, unit in enumerate(units):
            for node in unit.nodes:
                unit_of[node] = number
        order = sorted(range(len(units)), key=lambda number: -units[number].nodes[-1])
        gone: set[int] = set()
        for number in order:
            unit = units[number]
            if self.shape(unit) & (_WORK | {"E"}):
                continue
            readers = {unit_of[r] for n in unit.nodes for r in self.readers[n]} - {number}
            if len(readers) != 1:
                continue
            target = units[readers.pop()]
            for node in unit.nodes:
                unit_of[node] = unit_of[target.nodes[-1]]
            target.nodes = sorted(target.nodes + unit.nodes)
            gone.add(number)
        return [unit for number, unit in enumerate(units) if number not in gone]

    def absorb(self, branches: list[_Unit]) -> None:
        """Give a normalization or activation after a join to its block, unless blocks begin so."""
        taken = {node for unit in branches for node in unit.nodes}
        forks = {unit.fork for unit in branches}
        absorbed: dict[int, str] = {}  # by the node that now ends a block
        for unit in branches:
            before = absorbed.get(unit.fork)
            tail = ""
            while len(self.readers[unit.join]) == 1:
                node = self.readers[unit.join][0]
                if self.letters[node] not in "NA" or node in taken or len(self.inputs[node]) != 1:
                    break
                if node not in forks and before != tail + self.names[node]:
                    break
                tail += self.names[node]
                unit.nodes.append(node)
                taken.add(node)
                unit.join = node
            absorbed[unit.join] = tail
            unit.nodes.sort()

    def pieces(self, run: list[int], before: bool) -> list[_Unit]:
        """Cut the free nodes between two blocks into named pieces; `before`: blocks follow."""
        result: list[_Unit] = []
        for part in self.components(run):
            if before and set("IE") & self.shape_of(part) and set("PCVDE") & self.shape_of(part):
                known = _PIECES.search("".join(self.letters[node] for node in part))
                if known is None:
                    result.append(_Unit(part, self.stem_name(part)))
                    continue
            shape = self.shape_of(part)
            if (
                not before
                and shape & set("GP")
                and not shape & set("UKSVD")
                and len(part) <= _LONGEST_PIECE
                and self.ends(part)
            ):
                result.append(_Unit(part, "head"))
                continue
            letters = "".join(self.letters[node] for node in part)
            place = 0
            for match in _PIECES.finditer(letters):
                result += self.plain(part[place : match.start()])
                result.append(self.known(part[match.start() : match.end()]))
                place = match.end()
            result += self.plain(part[place:])
        return result

    def components(self, run: list[int]) -> list[list[int]]:
        """Connected parts of a run, in order of their first nodes."""
        root = {node: node for node in run}

        def find(node: int) -> int:
            while root[node] != node:
                root[node] = root[root[node]]
                node = root[node]
            return node

        for node in run:
            for source in self.inputs[node]:
                if source in root:
                    a, b = find(source), find(node)
                    root[max(a, b)] = min(a, b)
        parts: dict[int, list[int]] = {}
        for node in run:
            parts.setdefault(find(node), []).append(node)
        return list(parts.values())

    def stem_name(self, nodes: list[int]) -> str:
        shape = self.shape_of(nodes)
        names = {self.names[node] for node in nodes}
        if {"sin", "cos"} <= names and not shape & set("CVD"):
            return "time embedding"
        return "embedding" if "E" in shape and not shape & set("CVD") else "stem"

    def known(self, nodes: list[int]) -> _Unit:
        letters = "".join(self.letters[node] for node in nodes)
        name = "inverted residual" if letters[0] == "P" else "depthwise separable"
        if _GATE.search(letters):
            name += "+se"
        return _Unit(nodes, name)

    def plain(self, nodes: list[int]) -> list[_Unit]:
        """Cut a run without known shapes where resolution changes."""
        cuts = [0]
        worked = False
        work = [i for i, node in enumerate(nodes) if self.letters[node] in "PCVDTMR"]
        last_work = work[-1] if work else 0
        for i, node in enumerate(nodes):
            letter = self.letters[node]
            turn = letter in "SUV" and worked and (letter != "S" or i < last_work)
            if turn or (letter == "K" and worked and self.letters[nodes[i - 1]] != "U"):
                cuts.append(i)
                worked = False
            worked = worked or (letter in _WORK and letter not in "SU")
        result: list[_Unit] = []
        for begin, end in zip(cuts, [*cuts[1:], len(nodes)], strict=True):
            part = nodes[begin:end]
            if not part:
                continue
            if len(part) > _LONGEST_PIECE:
                result += self.motif_units(part, "")
            else:
                result.append(_Unit(part, self.plain_name(part)))
        return result

    def plain_name(self, nodes: Sequence[int]) -> str:
        letters = "".join(self.letters[node] for node in nodes)
        convolutions = sum(letter in "CVD" for letter in letters)
        if "E" in letters and not convolutions:
            return "embedding"
        if "U" in letters:
            return "up block" if convolutions or "P" in letters else "upsample"
        if "S" in letters or "V" in letters:
            if convolutions + letters.count("S") > 1 and convolutions:
                return "down block"
            if convolutions or "P" in letters:
                return "transition" if "S" in letters else "downsample"
        if convolutions > 1:
            return "conv block"
        if letters.count("P") > 1 and "A" in letters and not convolutions:
            return "mlp"
        return _main_operators([self.names[node] for node in nodes])

    @property
    def motifs(self) -> NDArray[np.int32]:
        if not hasattr(self, "_motifs"):
            self._motifs = mine(self.graph).node_instance
        return self._motifs

    def motif_units(self, nodes: Iterable[int], name: str) -> list[_Unit]:
        groups: dict[int, list[int]] = {}
        for node in nodes:
            groups.setdefault(int(self.motifs[node]), []).append(node)
        return [_Unit(group, name or self.plain_name(group)) for group in groups.values()]

    def name_ends(self, layers: list[_Unit], pieces: list[_Unit]) -> None:
        """Name what comes before the first block, and what comes after the last."""
        known = [*layers, *(p for p in pieces if p.name.startswith(("inverted", "depthwise")))]
        if not known:
            last = max(pieces, key=lambda unit: unit.nodes[-1])
            shape = {self.letters[node] for node in last.nodes}
            if len(pieces) > 1 and "G" in shape and "P" in shape:
                last.name = "head"
            return
        first = min(unit.nodes[0] for unit in known)
        end = max(unit.nodes[-1] for unit in known)
        for unit in pieces:
            if (
                unit.nodes[0] < first
                and set("IE") & self.shape(unit)
                and set("CVP") & self.shape(unit)
            ):
                unit.name = self.stem_name(unit.nodes)
        for unit in pieces:
            if unit.nodes[0] > end and set("GPC") & self.shape(unit) and self.ends(unit.nodes):
                unit.name = "head"
            elif unit.name in ("linear", "conv", "layer_norm+linear", "linear+layer_norm") and (
                "N" in self.shape(unit) or "V" in self.shape(unit)
            ):
                narrow = [
                    attributes.value("channel_ratio", int(self.graph.attr[n]))
                    for n in unit.nodes
                    if self.letters[n] in "PV"
                ]
                if "V" in self.shape(unit) or (len(narrow) == 1 and narrow[0] in (7, 9)):
                    unit.name = "downsample"

    def ends(self, nodes: list[int]) -> bool:
        """Whether nothing else reads a piece."""
        inside = set(nodes)
        return all(inside.issuperset(self.readers[node]) for node in nodes)

    def shape(self, unit: _Unit) -> set[str]:
        """Return the letters of a unit."""
        return self.shape_of(unit.nodes)

    def shape_of(self, nodes: Iterable[int]) -> set[str]:
        """Return the letters of some nodes."""
        return {self.letters[node] for node in nodes}


def _layer(parts: list[_Unit], between: list[int]) -> _Unit:
    roles = "".join(unit.role for unit in parts)
    name = "transformer layer"
    if "x" in roles:
        name = "decoder layer"
    elif roles[0] == "m":
        name = "conformer block"
    elif roles[0] == "s":
        mixing = parts[0].name
        name = "metaformer block" if mixing == "pooling" else f"{mixing} layer"
    elif roles[0] == "k":
        name = "mixer layer"
    elif roles[0] == "f":
        name = "fourier layer"
    elif roles[0] == "p":
        name = "mlp"
    elif roles[0] == "t":
        name = parts[0].name
    if roles[-1] == "e" and name == "transformer layer":
        name = "mixture of experts layer"
    nodes = sorted([node for unit in parts for node in unit.nodes] + between)
    return _Unit(nodes, name, "m" if name == "mlp" else "t", parts[0].fork, parts[-1].join)


def _main_operators(names: Sequence[str]) -> str:
    """Name a piece by its operators: those that do work first, at most three."""
    ranks = {"convolution": 0, "linear": 0, "attention": 0, "recurrent": 0, "source": 3}
    ranks |= {"pooling": 1, "normalization": 1, "activation": 1, "spatial": 1, "layout": 3}
    counts = Counter(names)
    rank = {name: ranks.get(operators.by_name(name).category, 2) for name in counts}
    best = min(rank.values())
    kept = [name for name in counts if rank[name] <= max(best, 1)][:3]
    return "+".join(name.removeprefix("unknown/") for name in kept)


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


def _ordered(graph: ArchGraph, units: list[_Unit]) -> list[_Unit]:
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


def _without_circles(units: list[_Unit], readers: list[list[int]], done: set[int]) -> list[_Unit]:
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
        result.append(_Unit(nodes, largest.name, largest.role, parts=largest.parts))
    return result


@dataclass(eq=False)
class _Run:
    """Units in a row that are shown as one block: ranges of unit numbers, one per instance."""

    begin: int
    end: int
    count: int
    name: str
    period: int = 1


def _joined(graph: ArchGraph, units: list[_Unit], letters: str) -> BlockView:
    """Unite equal and nearly equal neighbours, and number the blocks."""
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
    resamples = [
        not unit.role and any(letters[node] in _DOWN | _UP for node in unit.nodes) for unit in units
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


def _sub(graph: ArchGraph, nodes: NDArray[np.int32]) -> GraphBatch:
    """Return the subgraph of some nodes as a batch of one."""
    instance = np.ones(graph.num_nodes, np.int32)
    instance[nodes] = 0
    count = 2 if len(nodes) < graph.num_nodes else 1
    motifs = Motifs(instance, np.array([0, count], np.int64), np.zeros((count, 2), np.uint64))
    batch = GraphBatch.from_graphs([graph])
    return instance_graphs(batch, coarsen(batch, motifs), np.zeros(1, np.int64))


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


def _opens(graph: ArchGraph, unit: _Unit) -> bool:
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
