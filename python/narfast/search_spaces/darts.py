"""The DARTS space (Liu et al., ICLR 2019): networks of 20 cells from a genotype of two cells.

A genotype is spelled as the authors' code spells it, or by its published name::

    Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ...], normal_concat=range(2, 6),
             reduce=[('max_pool_3x3', 0), ...], reduce_concat=range(2, 6))

States 0 and 1 of a cell are the outputs of the two previous cells. Each pair of edges makes the
next state, the sum of two operators on earlier states. The cell concatenates the states that it
lists.

The network for CIFAR-10 has 20 cells from 36 channels; the one for ImageNet, ``NAME@imagenet``, has
14 from 48. Reduction cells are at one and two thirds of the depth. The auxiliary head is left out,
because only training uses it. A ``none`` edge contributes nothing and is left out.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import islice
from typing import Literal

import numpy as np

from narfast import _core
from narfast.graph import ArchGraph, GraphBatch
from narfast.search_spaces._networks import as_batch
from narfast.search_spaces._text import Value, arguments, bad_cell, check_operator, clean, shown

__all__ = [
    "OPERATORS",
    "Genotype",
    "Published",
    "Variant",
    "load",
    "mutated",
    "names",
    "networks",
    "parse",
    "published",
    "random_genotypes",
    "relatives",
    "text",
]

OPERATORS: tuple[str, ...] = _core.DARTS_OPERATORS
SEARCHED = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The seven operators that DARTS searches over; the others belong to earlier spaces."""

Variant = Literal["cifar", "imagenet"]
Edge = tuple[str, int]

_SPACE = "darts"
_FORM = "Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), reduce=..., ...)"
_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_CALL = re.compile(r"Genotype\s*\((.*)\)", re.DOTALL)
_STEPS = 4
_DRAWN = 256  # genotypes drawn at a time
_MAX_EDITS = 3  # maximum edits between a genotype and its relatives


@dataclass(frozen=True)
class Genotype:
    """Two cells.

    Attributes:
        normal: (operator, state that it reads); two per step.
        normal_concat: States that the cell concatenates.
        reduce: As `normal`, for the cell that halves height and width.
        reduce_concat: As `normal_concat`, for the same cell.
    """

    normal: tuple[Edge, ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[Edge, ...]
    reduce_concat: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"Genotype(normal={list(self.normal)}, normal_concat={list(self.normal_concat)}, "
            f"reduce={list(self.reduce)}, reduce_concat={list(self.reduce_concat)})"
        )


@dataclass(frozen=True)
class Published:
    """A genotype with its paper and the code that defines it."""

    genotype: Genotype
    paper: str
    source: str


@cache
def published() -> dict[str, Published]:
    """Return published genotypes by name."""
    file = resources.files("narfast").joinpath("data/nas/genotypes.toml")
    entries = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        name: Published(_from_text(entry["genotype"]), entry["paper"], entry["source"])
        for name, entry in entries.items()
    }


def names() -> list[str]:
    """Return the names of published genotypes, sorted."""
    return sorted(published())


def _edges(name: str, value: Value) -> tuple[Edge, ...]:
    """Read edges; the two edges of a step may be grouped."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name} must be a list of ('operator', state) pairs")
    edges: list[Edge] = []
    waiting = value[::-1]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, list) or len(item) != 2:
            raise ValueError(f"{name} must hold ('operator', state) pairs, not {shown(str(item))}")
        operator, state = item
        if isinstance(operator, str) and isinstance(state, int):
            edges.append((operator, state))
        else:
            waiting.extend(reversed(item))
    return tuple(edges)


def _check_cell(name: str, edges: tuple[Edge, ...], concat: tuple[int, ...]) -> None:
    if len(edges) % 2:
        raise ValueError(f"{name} needs two edges for each step, it has {len(edges)}")
    for number, (operator, state) in enumerate(edges):
        check_operator(_SPACE, operator, OPERATORS)
        if state >= number // 2 + 2:
            raise ValueError(
                f"edge {number} of {name} reads state {state}, "
                f"but only states 0 to {number // 2 + 1} exist at that point"
            )
    steps = len(edges) // 2
    if not concat or any(not 2 <= state < steps + 2 for state in concat):
        raise ValueError(f"{name}_concat must list states out of 2 to {steps + 1}")
    reached = {0, 1}
    for number, (operator, state) in enumerate(edges):
        if operator != "none" and state in reached:
            reached.add(number // 2 + 2)
    if not reached & set(concat):
        raise ValueError(f"only 'none' edges lead to the output of {name}")


def _from_text(whole: str) -> Genotype:
    call = _CALL.fullmatch(whole)
    if call is None:
        raise ValueError(f"it begins with {shown(whole)}")
    positional, keywords = arguments(call[1])
    given = dict(zip(_FIELDS, positional, strict=False))
    if len(positional) > len(_FIELDS) or given.keys() & keywords.keys():
        raise ValueError("a genotype has four fields, each given once")
    given |= keywords
    for name in (*_FIELDS, *given):
        if name not in given or name not in _FIELDS:
            what = "has no" if name not in _FIELDS else "needs"
            raise ValueError(
                f"a genotype {what} {shown(name)}; its fields are {', '.join(_FIELDS)}"
            )
    cells: list[tuple[tuple[Edge, ...], tuple[int, ...]]] = []
    for name in ("normal", "reduce"):
        edges, states = _edges(name, given[name]), given[f"{name}_concat"]
        if not isinstance(states, list):
            raise ValueError(f"{name}_concat must be a list of states")
        concat = tuple(state for state in states if isinstance(state, int))
        if len(concat) != len(states):
            raise ValueError(f"{name}_concat must hold numbers")
        _check_cell(name, edges, concat)
        cells.append((edges, concat))
    return Genotype(*cells[0], *cells[1])


def parse(spelling: str) -> Genotype:
    """Parse a name or the text of a genotype; nothing is evaluated.

    Raises:
        UnsupportedSourceError: It is neither; the message has close names, or says what is wrong.
    """
    whole = clean(_SPACE, spelling, "DARTS_V2")
    if whole in published():
        return published()[whole].genotype
    if "(" not in whole:
        close = difflib.get_close_matches(whole, names(), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(names())}"
        raise bad_cell(_SPACE, f"no genotype is called {shown(whole)}; {hint}; or write {_FORM}")
    try:
        return _from_text(whole)
    except ValueError as error:
        why = str(error).removeprefix(f"{_SPACE}: ")
        raise bad_cell(_SPACE, f"{why}; a genotype looks like {_FORM}") from None


def text(genotype: Genotype) -> str:
    """Spell a genotype."""
    return str(genotype)


def random_genotypes(count: int, *, seed: int) -> Iterator[Genotype]:
    """Draw genotypes from the searched space, one at a time; equal seeds give equal genotypes.

    Each has four steps of two different earlier states, with operators from `SEARCHED`; normal and
    reduction cell are drawn independently.
    """
    return islice(_draw(np.random.default_rng(seed)), count)


def _draw(random: np.random.Generator) -> Iterator[Genotype]:
    states = np.arange(2, 2 + _STEPS)  # number of states that each step can read
    concat = tuple(range(2, 2 + _STEPS))
    while True:
        shape = (_DRAWN, 2, _STEPS)
        first = random.integers(0, states, shape)
        second = random.integers(0, states - 1, shape)
        second += second >= first
        sources = np.stack([first, second], axis=-1).reshape(_DRAWN, 2, -1).tolist()
        chosen = random.integers(0, len(SEARCHED), (*shape, 2)).reshape(_DRAWN, 2, -1).tolist()
        for genotype in zip(chosen, sources, strict=True):
            normal, reduce = (
                tuple((SEARCHED[op], state) for op, state in zip(ops, of, strict=True))
                for ops, of in zip(*genotype, strict=True)
            )
            yield Genotype(normal, concat, reduce, concat)


def mutated(genotype: Genotype, edits: int, *, seed: int) -> Genotype:
    """Edit a genotype at random; each edit gives one edge another operator or another state.

    Args:
        genotype: A genotype of the searched space.
        edits: Number of changed edges, at most all 16.
        seed: Seed of the draw.
    """
    random = np.random.default_rng(seed)
    cells = [list(genotype.normal), list(genotype.reduce)]
    places = [(cell, edge) for cell in (0, 1) for edge in range(len(cells[cell]))]
    for place in random.choice(len(places), size=edits, replace=False).tolist():
        cell, edge = places[place]
        operator, state = cells[cell][edge]
        beside = cells[cell][edge ^ 1][1]  # the other edge of the step reads another state
        states = [s for s in range(2 + edge // 2) if s not in (state, beside)]
        if states and random.integers(2):
            cells[cell][edge] = (operator, states[random.integers(len(states))])
        else:
            others = [name for name in SEARCHED if name != operator]
            cells[cell][edge] = (others[random.integers(len(others))], state)
    normal, reduce = (tuple(cell) for cell in cells)
    return Genotype(normal, genotype.normal_concat, reduce, genotype.reduce_concat)


def relatives(count: int, variants: int, *, seed: int) -> tuple[GraphBatch, list[int]]:
    """Generate raw graphs of random genotypes and of edited copies of each.

    Args:
        count: Number of genotypes.
        variants: Networks per genotype: itself, and copies with one to three of 16 edges edited.
        seed: Seed of all draws.

    Returns:
        ``count * variants`` graphs, and the genotype (by number) of each.
    """
    cells, parents = [], []
    seeds = np.random.SeedSequence(seed).generate_state(count * variants).tolist()
    for parent, genotype in enumerate(random_genotypes(count, seed=seed)):
        for variant in range(variants):
            edits = 1 + variant % _MAX_EDITS if variant else 0
            cells.append(mutated(genotype, edits, seed=seeds[parent * variants + variant]))
            parents.append(parent)
    return networks(cells), parents


def networks(
    genotypes: Iterable[Genotype], *, variant: Variant = "cifar", num_threads: int = 1
) -> GraphBatch:
    """Generate raw graphs of the networks of genotypes.

    Raises:
        ValueError: A genotype is not well formed.
    """
    genotypes = list(genotypes)
    number = {name: i for i, name in enumerate(OPERATORS)}
    cells = [
        cell
        for g in genotypes
        for cell in ((g.normal, g.normal_concat), (g.reduce, g.reduce_concat))
    ]
    try:
        operators = [number[operator] for edges, _ in cells for operator, _ in edges]
    except KeyError as error:
        raise ValueError(f"DARTS has no operator called {error}") from None
    result = _core.darts_networks(
        np.array(operators, np.int32),
        np.array([state for edges, _ in cells for _, state in edges], np.int32),
        np.cumsum([0, *(len(edges) for edges, _ in cells)], dtype=np.int64),
        np.array([state for _, concat in cells for state in concat], np.int32),
        np.cumsum([0, *(len(concat) for _, concat in cells)], dtype=np.int64),
        imagenet=variant == "imagenet",
        num_threads=num_threads,
    )
    side = 224 if variant == "imagenet" else 32
    return as_batch(result, map(str, genotypes), _SPACE, (1, 3, side, side))


def load(spelling: str) -> ArchGraph:
    """Generate the raw graph of one genotype's network.

    Args:
        spelling: A name or a genotype; ``@imagenet`` or ``@cifar`` may follow.

    Raises:
        UnsupportedSourceError: The text is neither.
    """
    described, at, variant = spelling.rpartition("@")
    if not at:
        described, variant = spelling, "cifar"
    variant = variant.strip()
    if variant not in ("cifar", "imagenet"):
        raise bad_cell(_SPACE, f"no variant is called {shown(variant)}; write cifar or imagenet")
    genotype = parse(described)
    graph = networks([genotype], variant="imagenet" if variant == "imagenet" else "cifar")[0]
    return graph.with_meta(name=spelling.strip()) if described.strip() in published() else graph
