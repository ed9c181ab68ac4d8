"""The difference of two aligned networks in sentences, one for each kind of change."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from narfast import operators
from narfast.blocks import Block, BlockView
from narfast.comparison.facts import ENDS, layers_of, stage_widths
from narfast.comparison.pairing import Pairing
from narfast.labels import counted, exact_of, label, ranges, sides

__all__ = ["Difference", "differences_of"]

_COMPARED = ("kernel", "stride", "dilation", "groups", "norm_groups", "slope", "einsum")
_HEADS = ("heads", "key_heads", "head_size")
_MOST_CHANGED = 0.7  # share of layers whose widths differ: then the network is wider as a whole
_NAMED = 4  # operators of an unnamed part that are listed
_GATES = frozenset({"sigmoid", "hardsigmoid", "softmax", "tanh", "clip"})

Kind = Literal["added", "removed", "changed", "repeated"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One kind of change between network a and network b.

    Attributes:
        kind: what happened to a, to become b.
        where: the block, by name; empty for the whole network.
        count: number of places.
        text: a sentence.
    """

    kind: Kind
    where: str
    count: int
    text: str


class _Places:
    """Where one kind of change happens: nodes and instances by the name of their block."""

    def __init__(self) -> None:
        self.nodes: Counter[str] = Counter()
        self.instances: defaultdict[str, set[int]] = defaultdict(set)
        self.notes: Counter[str] = Counter()

    def add(self, block: Block, instance: int, note: str = "") -> None:
        self.nodes[block.name] += 1
        self.instances[block.name].add(instance)
        if note:
            self.notes[note] += 1


def differences_of(pairing: Pairing) -> tuple[Difference, ...]:
    """Say what distinguishes network b from network a.

    Whole blocks come first, then repeats, then changes inside blocks, then widths. A kind of change
    is one sentence, wherever it happens.
    """
    writer = _Writer(pairing)
    return (
        *writer.blocks(),
        *writer.ends(),
        *writer.repeats(),
        *writer.changes(),
        *writer.parts(),
        *writer.dimensions(),
    )


class _Writer:
    def __init__(self, pairing: Pairing) -> None:
        self.pairing = pairing
        self.a, self.b = pairing.a, pairing.b
        self.in_a, self.in_b = pairing.instances(self.a), pairing.instances(self.b)
        self.instance_map = pairing.instance_map
        self.exact = self.a.graph.hyperparameters and self.b.graph.hyperparameters
        self.ends_written = self._changed_ends()
        # Instances that have a counterpart, by the name of their block in b.
        self.total: Counter[str] = Counter()
        self.block_of_b = pairing.block_of_instance(self.b)
        for b in self.instance_map.values():
            self.total[self.b.blocks[self.block_of_b[b]].name] += 1

    # Whole blocks.

    def blocks(self) -> Iterable[Difference]:
        """Blocks of one network alone, and repeats of blocks that have no counterpart."""
        for kind, view, alone in (
            ("removed", self.a, [a for a, b in self.pairing.block_map if b < 0]),
            ("added", self.b, [b for a, b in self.pairing.block_map if a < 0]),
        ):
            counts: Counter[str] = Counter()
            for number in alone:
                counts[view.blocks[number].name] += view.blocks[number].count
            sign = "+" if kind == "added" else "−"
            for name, count in counts.items():
                times = f" ×{count}" if count > 1 else ""
                yield Difference(
                    kind=kind,  # type: ignore[arg-type]
                    where=name,
                    count=count,
                    text=f"{sign} {name}{times}",
                )

    def _changed_ends(self) -> dict[int, str]:
        """Return the stems and heads of b whose layers are others, each with a sentence."""
        written = {}
        for a, b in self.pairing.block_map:
            if a < 0 or b < 0 or self.b.blocks[b].name not in ENDS:
                continue
            before, after = (
                layers_of(view, view.blocks[number], exact=bool(self.exact))
                for view, number in ((self.a, a), (self.b, b))
            )
            if before != after and before and after:
                written[b] = f"{self.b.blocks[b].name}: {before} → {after}"
        return written

    def ends(self) -> Iterable[Difference]:
        """Stems and heads that were changed; their sentences name all layers."""
        written: defaultdict[str, list[int]] = defaultdict(list)
        for number, text in self.ends_written.items():
            written[text].append(number)
        for text, numbers in written.items():
            times = f" ({len(numbers)} places)" if len(numbers) > 1 else ""
            yield Difference(
                kind="changed",
                where=self.b.blocks[numbers[0]].name,
                count=len(numbers),
                text=text + times,
            )

    def repeats(self) -> Iterable[Difference]:
        """Blocks that stand more or less often than their counterparts."""
        runs: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for a, b in self.pairing.block_map:
            if a >= 0 and b >= 0:
                runs[self.b.blocks[b].name].append((self.a.blocks[a].count, self.b.blocks[b].count))
        for name, counts in runs.items():
            changed = [(before, after) for before, after in counts if before != after]
            if not changed:
                continue
            if len(counts) == 1:
                text = f"{counts[0][1]}× instead of {counts[0][0]}×: {name}"
            else:
                before, after = (", ".join(str(pair[side]) for pair in counts) for side in (0, 1))
                text = f"{after} instead of {before} times: {name}"
            yield Difference(
                kind="repeated",
                where=name,
                count=sum(abs(after - before) for before, after in changed),
                text=text,
            )

    # Operators that have a partner.

    def changes(self) -> Iterable[Difference]:
        """Operators that became others, or have other hyperparameters."""
        found: defaultdict[str, _Places] = defaultdict(_Places)
        for a, b in self.pairing.alignment.pairs.tolist():
            if int(self.b.block_of[b]) in self.ends_written:
                continue
            for text in self._change(a, b):
                found[text].add(self.b.blocks[self.b.block_of[b]], int(self.in_b[b]))
        for text, places in found.items():
            yield self._sentence("changed", text, places)

    def _change(self, a: int, b: int) -> list[str]:
        op_a, op_b = int(self.a.graph.op[a]), int(self.b.graph.op[b])
        if op_a != op_b:
            before, after = (
                label(view.graph, node, widths=False, exact=bool(self.exact))
                for view, node in ((self.a, a), (self.b, b))
            )
            return [f"{before} → {after}"]
        name = operators.by_id(op_b).name
        if not self.exact:
            said = ranges(int(self.a.graph.attr[a])), ranges(int(self.b.graph.attr[b]))
            return [
                f"{name}: {what} {said[0][what]} → {said[1][what]}"
                for what in said[0]
                if what in said[1] and said[0][what] != said[1][what]
            ]
        old, new = exact_of(self.a.graph, a), exact_of(self.b.graph, b)
        texts = []
        for what in _COMPARED:
            if old.get(what) == new.get(what) or what not in old or what not in new:
                continue
            if what == "groups" and all(
                own["groups"] == own.get("in_channels") for own in (old, new)
            ):
                continue  # depthwise both times
            window = "" if what == "kernel" or "kernel" not in new else f" {sides(new['kernel'])}"
            change = " → ".join(_shown(own[what]) for own in (old, new))
            texts.append(f"{name}{window}: {what.replace('_', ' ')} {change}")
        lost, gained = (
            {operators.by_id(op).name for op in one.get("fused", ())}
            - {operators.by_id(op).name for op in other.get("fused", ())}
            for one, other in ((old, new), (new, old))
        )
        texts += [f"− {norm} after layers, or folded into them" for norm in sorted(lost)]
        texts += [f"+ {norm} after layers (before: none, or folded)" for norm in sorted(gained)]
        return texts

    # Operators without a partner, in blocks that have one.

    def parts(self) -> Iterable[Difference]:
        """What was put into blocks, taken out of them, or moved within them."""
        in_body = {
            a: b
            for a, b in self.instance_map.items()
            if self.block_of_b[b] not in self.ends_written
        }
        partners = self.pairing.alignment
        added = self._parts(self.b, self.in_b, partners.to_a, set(in_body.values()))
        removed = self._parts(self.a, self.in_a, partners.to_b, set(in_body))
        for text in removed:
            places = added.pop(text, None)
            if places is None:
                yield self._sentence("removed", f"− {text}", removed[text])
                continue
            before, after = (_most_common(notes) for notes in (removed[text].notes, places.notes))
            moved = f": {before} → {after}" if before != after else ""
            yield self._sentence("changed", f"{text} moves{moved}", places)
        for text, places in added.items():
            anchor = _most_common(places.notes)
            yield self._sentence("added", f"+ {text}{anchor and ' ' + anchor}", places)

    def _parts(
        self,
        view: BlockView,
        instance_of: NDArray[np.int32],
        partner: NDArray[np.int32],
        paired: set[int],
    ) -> dict[str, _Places]:
        alone = [
            node
            for node in np.flatnonzero(partner < 0).tolist()
            if int(instance_of[node]) in paired
        ]
        found: defaultdict[str, _Places] = defaultdict(_Places)
        for part in _connected(view, alone, instance_of):
            anchors = [
                source
                for node in part
                for source in view.graph.inputs(node).tolist()
                if partner[source] >= 0 and instance_of[source] == instance_of[part[0]]
            ]
            note = f"after {_role(view, anchors[-1])}" if anchors else ""
            found[_part_name(view, part)].add(
                view.blocks[view.block_of[part[0]]], int(instance_of[part[0]]), note
            )
        return dict(found)

    def _sentence(self, kind: Kind, text: str, places: _Places) -> Difference:
        where = []
        for name, instances in places.instances.items():
            total = max(self.total[name], len(instances))
            if total == 1:
                where.append(f"the {name}")
            elif len(instances) == total:
                where.append(f"every {name}")
            else:
                where.append(f"{len(instances)} of {total} blocks ({name})")
        count = places.nodes.total()
        several = count > sum(map(len, places.instances.values()))
        return Difference(
            kind=kind,
            where=", ".join(places.instances),
            count=count,
            text=f"{text}, in {' and '.join(where)}" + (f" ({count} places)" if several else ""),
        )

    # Widths.

    def dimensions(self) -> Iterable[Difference]:
        """Hidden sizes, heads, and channels."""
        if not self.exact:
            return
        own = [_dimensions(view) for view in (self.a, self.b)]
        shared = [name for name in own[0] if name in own[1]]
        changed = [name for name in shared if own[0][name] != own[1][name]]
        if changed:
            words = (f"{name} {own[0][name]} → {own[1][name]}" for name in changed)
            yield Difference(kind="changed", where="", count=len(changed), text=", ".join(words))
        yield from self._channels(transformer="hidden size" in shared)

    def _channels(self, *, transformer: bool) -> Iterable[Difference]:
        pairs = self.pairing.alignment.pairs
        assert self.a.graph.hyperparameters is not None
        assert self.b.graph.hyperparameters is not None
        width_a = self.a.graph.hyperparameters.first("out_channels")[pairs[:, 0]]
        width_b = self.b.graph.hyperparameters.first("out_channels")[pairs[:, 1]]
        known = (width_a > 0) & (width_b > 0)
        ends = np.isin(self.b.block_of[pairs[:, 1]], list(self.ends_written))
        known &= ~ends
        differ = known & (width_a != width_b)
        if not differ.any() or transformer:
            return
        if differ.sum() >= _MOST_CHANGED * known.sum():
            before, after = (stage_widths(view) for view in (self.a, self.b))
            if before != after and before and after:
                texts = (", ".join(map(str, widths)) for widths in (before, after))
                yield Difference(
                    kind="changed",
                    where="",
                    count=int(differ.sum()),
                    text=f"widths {' → '.join(texts)}",
                )
                return
        yield from self._layers(pairs[differ], width_a[differ], width_b[differ])

    def _layers(
        self, pairs: NDArray[np.int32], before: NDArray[np.int64], after: NDArray[np.int64]
    ) -> Iterable[Difference]:
        """Widths of single layers: those of one block that grow alike are one sentence."""
        groups: defaultdict[tuple[str, float], list[tuple[str, int, int, int]]] = defaultdict(list)
        for (_, node), old, new in zip(
            pairs.tolist(), before.tolist(), after.tolist(), strict=True
        ):
            name = self.b.blocks[self.b.block_of[node]].name
            instance = int(self.in_b[node])
            groups[name, round(new / old, 2)].append((_role(self.b, node), old, new, instance))
        for (name, ratio), layers in groups.items():
            roles = list(dict.fromkeys(role for role, *_ in layers))
            spans = sorted({(old, new) for _, old, new, _ in layers})
            shown = ", ".join(f"{old} → {new}" for old, new in (spans[:1] + spans[1:][-1:]))
            shown = shown.replace(", ", " to ") if len(spans) > 2 else shown
            places = _Places()
            for *_, instance in layers:
                places.nodes[name] += 1
                places.instances[name].add(instance)
            sentence = self._sentence("changed", "", places)
            where = sentence.text.removeprefix(", in ").partition(" (")[0]
            yield Difference(
                kind="changed",
                where=name,
                count=len(layers),
                text=f"{_enumerated(roles)} in {where}: {ratio:g}× as wide ({shown})",
            )


def _enumerated(words: Sequence[str]) -> str:
    more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return ", ".join(words[:_NAMED]) + more


def _shown(value: Any) -> str:
    """Return a hyperparameter as text."""
    if isinstance(value, tuple):
        return sides(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _most_common(notes: Counter[str]) -> str:
    return notes.most_common(1)[0][0] if notes else ""


def _role(view: BlockView, node: int) -> str:
    """Name an operator within its block: by its module, or as an operator."""
    path = exact_of(view.graph, node).get("path")
    info = operators.by_id(int(view.graph.op[node]))
    if path and "weights" in info.traits:
        names = [part for part in path.split(".") if not part.isdigit()]
        if names:
            return str(names[-1])
    return label(view.graph, node, widths=False)


def _connected(
    view: BlockView, nodes: Sequence[int], instance_of: NDArray[np.int32]
) -> list[list[int]]:
    """Divide nodes into connected parts within their instances, ascending."""
    root = {node: node for node in nodes}

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for node in nodes:
        for source in view.graph.inputs(node).tolist():
            if source in root and instance_of[source] == instance_of[node]:
                first, second = sorted((find(source), find(node)))
                root[second] = first
    parts: defaultdict[int, list[int]] = defaultdict(list)
    for node in nodes:
        parts[find(node)].append(node)
    return list(parts.values())


def _part_name(view: BlockView, part: Sequence[int]) -> str:
    """Name a few operators as a person would."""
    graph = view.graph
    names = [operators.by_id(int(graph.op[node])).name for node in part]
    have = set(names)
    pools = [i for i, name in enumerate(names) if name in ("global_avg_pool", "mean")]
    layers = [
        part[i]
        for i in range(len(part))
        if names[i] in ("linear", "conv") and i > min(pools, default=i)
    ]
    if have & _GATES and layers:
        exact = exact_of(graph, layers[0])
        if len(layers) >= 2 and exact.get("out_channels", 0) > 0:
            ratio = exact.get("in_channels", 0) / exact["out_channels"]
            return f"squeeze-and-excitation (÷{ratio:g})"
        return "squeeze-and-excitation" if len(layers) >= 2 else "channel attention"
    if "norm" in have and "mean" in have and "mul" in have:
        return "global response norm"
    if have <= {"mul", "affine"} and all(len(graph.inputs(node)) == 1 for node in part):
        return "layer scale"
    if have == {"rotary_embedding"}:
        return "rotary position embedding"
    if have == {"l2_norm"} and any(_is_read_by(view, node, "attention") for node in part):
        return "l2_norm of queries or keys (cosine attention)"
    if have == {"split", "mul"}:
        return "gate"
    return _enumerated(counted(label(graph, node, widths=False) for node in part))


def _is_read_by(view: BlockView, node: int, name: str) -> bool:
    graph = view.graph
    readers = np.flatnonzero(graph.op == operators.by_name(name).id).tolist()
    return any(node in graph.inputs(reader) for reader in readers)


def _dimensions(view: BlockView) -> dict[str, Any]:
    """Return the sizes that people quote of a transformer; empty for all other networks."""
    graph = view.graph
    if graph.hyperparameters is None:
        return {}
    attention = np.flatnonzero(graph.op == operators.by_name("attention").id)
    layers = [number for number, block in enumerate(view.blocks) if "layer" in block.name]
    if not len(attention) or not layers:
        return {}
    linear = operators.by_name("linear").id
    add = operators.by_name("add").id
    within, out = (graph.hyperparameters.first(name) for name in ("in_channels", "out_channels"))
    inside = np.isin(view.block_of, layers)
    is_added = np.zeros(graph.num_nodes, dtype=bool)
    for node in np.flatnonzero(graph.op == add).tolist():
        is_added[graph.inputs(node)] = True
    last = (graph.op == linear) & inside & is_added & (out > 0)
    sizes: dict[str, Any] = {}
    if last.any():
        hidden = _mode(out[last])
        sizes["hidden size"] = hidden
        of_heads = np.zeros(graph.num_nodes, dtype=bool)  # heads may be wider than the hidden size
        for node in np.flatnonzero(last).tolist():
            of_heads[node] = np.isin(graph.inputs(node), attention).any()
        wide = within[last & ~of_heads & (within != hidden)]
        if len(wide):
            sizes["MLP size"] = _mode(wide)
    for name, words in zip(_HEADS, ("heads", "heads of keys", "head size"), strict=True):
        values = graph.hyperparameters.first(name)[attention]
        if (values > 0).any():
            sizes[words] = _mode(values[values > 0])
        elif name == "key_heads" and "heads" in sizes:
            sizes[words] = sizes["heads"]
    vocabulary = within[graph.op == operators.by_name("embedding").id]
    if len(vocabulary) and vocabulary.max() > 0:
        sizes["vocabulary"] = int(vocabulary.max())
    return sizes


def _mode(values: NDArray[np.int64]) -> int:
    counts: Counter[int] = Counter(values.tolist())
    return counts.most_common(1)[0][0]
