"""Units: layers of residual branches, and the named pieces into which the rest is cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from narfast import attributes
from narfast.blocks.branches import GATE, BranchFinder
from narfast.blocks.network import WORK, Unit, main_operators
from narfast.motifs import mine

__all__ = ["UnitFinder"]

_LONGEST_PIECE = 24  # operators; longer runs without structure are cut where their motifs end
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


class UnitFinder(BranchFinder):
    """Divides one graph into units; every node is in exactly one."""

    def units(self) -> list[Unit]:
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
        pieces: list[Unit] = []
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

    def cells(self) -> list[Unit]:
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
        result = [Unit(list(range(begin)), "stem")]
        for end in ends:
            if end - begin < _SMALLEST_CELL:
                continue  # two halves of a value, brought together
            nodes = list(range(begin, end + 1))
            strided = attributes.field("stride").of(self.graph.attr[begin : end + 1]).sum()
            name = "reduction cell" if strided >= _STRIDED_IN_REDUCTION else "cell"
            result.append(Unit(nodes, name, fork=begin, join=end))
            begin = end + 1
        if 4 * (self.size - begin) > self.size:
            return []  # most of it comes after the cells
        result.append(Unit(list(range(begin, self.size)), "head"))
        return [unit for unit in result if unit.nodes]

    def without_crumbs(self, units: list[Unit]) -> list[Unit]:
        """Join pieces that do no work to the one unit that reads them."""
        unit_of = [-1] * self.size
        for number, unit in enumerate(units):
            for node in unit.nodes:
                unit_of[node] = number
        order = sorted(range(len(units)), key=lambda number: -units[number].nodes[-1])
        gone: set[int] = set()
        grown: set[int] = set()
        for number in order:
            unit = units[number]
            if self.shape(unit) & (WORK | {"E"}):
                continue
            readers = {unit_of[r] for n in unit.nodes for r in self.readers[n]} - {number}
            if len(readers) != 1:
                continue
            reader = readers.pop()
            for node in unit.nodes:
                unit_of[node] = reader
            units[reader].nodes += unit.nodes  # sorted at the end: one unit may take thousands
            grown.add(reader)
            gone.add(number)
        for number in grown:
            units[number].nodes.sort()
        return [unit for number, unit in enumerate(units) if number not in gone]

    def absorb(self, branches: list[Unit]) -> None:
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

    def pieces(self, run: list[int], before: bool) -> list[Unit]:
        """Cut the free nodes between two blocks into named pieces; `before`: blocks follow."""
        result: list[Unit] = []
        for part in self.components(run):
            if before and set("IE") & self.shape_of(part) and set("PCVDE") & self.shape_of(part):
                known = _PIECES.search("".join(self.letters[node] for node in part))
                if known is None:
                    result.append(Unit(part, self.stem_name(part)))
                    continue
            shape = self.shape_of(part)
            if (
                not before
                and shape & set("GP")
                and not shape & set("UKSVD")
                and len(part) <= _LONGEST_PIECE
                and self.ends(part)
            ):
                result.append(Unit(part, "head"))
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
        """Name what reads an input of the network."""
        shape = self.shape_of(nodes)
        names = {self.names[node] for node in nodes}
        if {"sin", "cos"} <= names and not shape & set("CVD"):
            return "time embedding"
        return "embedding" if "E" in shape and not shape & set("CVD") else "stem"

    def known(self, nodes: list[int]) -> Unit:
        """Return the unit of a known shape."""
        letters = "".join(self.letters[node] for node in nodes)
        name = "inverted residual" if letters[0] == "P" else "depthwise separable"
        if GATE.search(letters):
            name += "+se"
        return Unit(nodes, name)

    def plain(self, nodes: list[int]) -> list[Unit]:
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
            worked = worked or (letter in WORK and letter not in "SU")
        result: list[Unit] = []
        for begin, end in zip(cuts, [*cuts[1:], len(nodes)], strict=True):
            part = nodes[begin:end]
            if not part:
                continue
            if len(part) > _LONGEST_PIECE:
                result += self.motif_units(part, "")
            else:
                result.append(Unit(part, self.plain_name(part)))
        return result

    def plain_name(self, nodes: Sequence[int]) -> str:
        """Name a piece by how it changes resolution, or by its operators."""
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
        return main_operators([self.names[node] for node in nodes])

    @cached_property
    def motifs(self) -> NDArray[np.int32]:
        """int32[N], the motif instance of each node."""
        return mine(self.graph).node_instance

    def motif_units(self, nodes: Iterable[int], name: str) -> list[Unit]:
        """Cut nodes where their motifs end; an empty name stands for that of each piece."""
        groups: dict[int, list[int]] = {}
        for node in nodes:
            groups.setdefault(int(self.motifs[node]), []).append(node)
        return [Unit(group, name or self.plain_name(group)) for group in groups.values()]

    def name_ends(self, layers: list[Unit], pieces: list[Unit]) -> None:
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
