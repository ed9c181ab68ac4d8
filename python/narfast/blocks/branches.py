"""Residual branches, and the layers that they form: most blocks of most networks."""

from __future__ import annotations

import re

from narfast import attributes, operators
from narfast.blocks.network import DOWN, UP, WORK, Network, Unit, main_operators

__all__ = ["GATE", "BranchFinder"]

GATE = re.compile(r"G[.N]*[PDC][.NA]*(?:P[.N]*)?[AX][.]*\*")  # squeeze-and-excitation and its like
_SHORT_BRANCH = 64  # nodes between fork and join
_WORK_PER_NODE = 16  # nodes looked at in longer branches, for each node of the network
_LONGEST_PROJECTION = 6  # operators on a shortcut
_LONGEST_LINK = 3  # operators between the residual branches of one layer
_LONGEST_CONCATENATION = 200  # nodes behind a concatenation that is one block

# Layers out of residual blocks: attention or what stands for it, then what works on each token.
_LAYERS = re.compile(
    r"mad?[ic]m"  # conformer
    r"|d?[at]d?x?d?[me]"  # attention, at times between depthwise convolutions
    r"|[at]i"  # the multilayer perceptron with a depthwise convolution inside
    r"|[sfk]d?[me]|pm"
)


class BranchFinder(Network):
    """Finds what lies between a value that is read twice and the node that unites both readings."""

    def branches(self) -> list[Unit]:
        """Residual units in order of their joins; each node is in one at most."""
        stack: list[Unit] = []
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
            if not shape & WORK or (shape & UP and shape & DOWN):
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
            if not {self.letters[node] for node in own} & WORK:
                continue
            stack[first:] = [unit for unit in stack[first:] if unit.join not in among]
            unit = Unit(sorted({*own, *swallowed}), fork=fork, join=join, shortcut=shortcut)
            inside = [layer for layer in layers if layer.role == "t"]
            self.name_branch(unit)
            if inside and unit.role != "t":
                unit.name, unit.role = inside[0].name, "t"
            owned.update(unit.nodes)
            self.fork_of[join] = fork
            stack.append(unit)
        return stack

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

    def merge_layers(self, units: list[Unit]) -> list[Unit]:
        """Join attention with what works on each token after it; units in order of their joins."""
        ends = {unit.join for unit in units}
        taken = {node for unit in units for node in unit.nodes}
        after: dict[int, tuple[Unit, list[int]]] = {}
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
        result: list[Unit] = []
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

    def name_branch(self, unit: Unit) -> None:
        """Name a branch by the letters of its operators, without those of its shortcut."""
        skipped = set(unit.shortcut)
        letters = "".join(self.letters[n] for n in unit.nodes if n not in skipped)
        if self.letters[unit.join] == "K":
            unit.name = self.concatenation_name(unit, letters)
            return
        gated = GATE.search(letters) is not None
        plain = GATE.sub("", letters)
        core = re.sub(r"[^PDCVTMXRSFQUZ]", "", plain).replace("V", "C")
        if "C" in core:
            core = core.replace("S", "")  # blur before a stride
        names = [self.names[n] for n in unit.nodes]
        acts = "A" in plain
        name, role = "", ""
        chosen = {"gather", "scatter", "one_hot"} & set(names) and "matmul" in names
        if ("Q" in core or (chosen and "A" in plain)) and ("P" in core or "M" in core):
            name, role = "mixture of experts", "e"
            if "T" in core:
                name, role = "transformer layer", "t"
        elif "R" in core:
            name = next(n for n in names if operators.by_name(n).category == "recurrent") + " layer"
        elif "D" in core and "T" not in core and {"exp", "softplus", "cumsum"} & set(names):
            name, role = "state space layer", "s"
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
            name = "residual " + main_operators(names)
        if gated and role not in ("a", "x", "t", "m", "e"):
            name += "+se"
        unit.name, unit.role = name, role

    def concatenation_name(self, unit: Unit, letters: str) -> str:
        """Name what ends with a concatenation."""
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

    def narrows(self, unit: Unit, skipped: set[int]) -> bool:
        """Whether the first pointwise operator has fewer outputs than inputs."""
        for node in unit.nodes:
            if node not in skipped and self.letters[node] == "P":
                return 0 < attributes.value("channel_ratio", int(self.graph.attr[node])) < 8
        return False

    def crosses(self, unit: Unit) -> bool:
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


def _layer(parts: list[Unit], between: list[int]) -> Unit:
    roles = "".join(unit.role for unit in parts)
    name = "transformer layer"
    if "x" in roles:
        name = "decoder layer"
    elif roles[0] == "m":
        name = "conformer block"
    elif roles[0] == "s":
        mixing = parts[0].name
        name = (
            "metaformer block" if mixing == "pooling" else f"{mixing.removesuffix(' layer')} layer"
        )
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
    return Unit(nodes, name, "m" if name == "mlp" else "t", parts[0].fork, parts[-1].join)
