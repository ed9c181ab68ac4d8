"""Which block of one network corresponds to which block of another, in reading order."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from narfast.blocks import Block, BlockView

__all__ = ["corresponding_parts"]

_ALIKE = 0.3  # least share of operators in common
_MOST_PAIRS = 250_000  # of blocks, as in two networks of 500 blocks: two seconds


def corresponding_parts(a: BlockView, b: BlockView) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Number the nodes of two networks by corresponding blocks, for `narfast.alignment.align`.

    Blocks correspond by the best alignment of both sequences, where the worth of a pair is the
    share of operators that one repetition of each has in common. Each repetition is a part; those
    that a longer repeat has more stand before its last one, and have no partner. Blocks without
    counterpart are one part, of number 0. O(blocks of a times blocks of b); above `_MOST_PAIRS` of
    these, all nodes are part 0.

    Returns:
        int32[nodes of a] and int32[nodes of b].
    """
    parts = np.zeros(a.graph.num_nodes, np.int32), np.zeros(b.graph.num_nodes, np.int32)
    if len(a) * len(b) > _MOST_PAIRS:
        return parts
    contents = [[_content(view, block) for block in view.blocks] for view in (a, b)]
    worth = np.zeros((len(a), len(b)))
    for i, (names, operators) in enumerate(contents[0]):
        for j, (other_names, other_operators) in enumerate(contents[1]):
            alike = _overlap(names, other_names)
            if alike >= _ALIKE:
                # A hair more for equal attributes and equal names: they break ties.
                same_name = a.blocks[i].name == b.blocks[j].name
                worth[i, j] = alike + 0.1 * _overlap(operators, other_operators) + 0.1 * same_name
    best = np.zeros((len(a) + 1, len(b) + 1))  # of the blocks from i and from j on
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            pair = worth[i, j] + best[i + 1, j + 1] if worth[i, j] else 0.0
            best[i, j] = max(best[i + 1, j], best[i, j + 1], pair)
    i = j = 0
    number = 0
    while i < len(a) and j < len(b):
        if worth[i, j] and best[i, j] == worth[i, j] + best[i + 1, j + 1]:
            number = _number_repetitions((a, b), (a.blocks[i], b.blocks[j]), parts, number)
            i, j = i + 1, j + 1
        elif best[i, j] == best[i + 1, j]:
            i += 1
        else:
            j += 1
    return parts


def _number_repetitions(
    views: tuple[BlockView, BlockView],
    blocks: tuple[Block, Block],
    parts: tuple[NDArray[np.int32], NDArray[np.int32]],
    number: int,
) -> int:
    """Number the repetitions of two blocks: the first ones alike, and the last ones."""
    shared = min(block.count for block in blocks)
    contents = [
        [
            (view.graph.op[nodes].tobytes(), view.graph.attr[nodes].tobytes())
            for nodes in block.instances
        ]
        for view, block in zip(views, blocks, strict=True)
    ]
    first, last = (
        np.cumsum([0, *(x == y for x, y in zip(*ordered, strict=False))])
        for ordered in (contents, [own[::-1] for own in contents])
    )
    # The gap stands where most repetitions are equal, before the last one if it does not matter.
    before = max(range(shared + 1), key=lambda n: (first[n] + last[shared - n], n < shared, n))
    for block, part in zip(blocks, parts, strict=True):
        for place, nodes in enumerate(block.instances):
            from_end = block.count - place
            if place < before:
                part[nodes] = number + place + 1
            elif from_end <= shared - before:
                part[nodes] = number + shared - from_end + 1
            else:  # the other block has no such repetition
                part[nodes] = -1
    return number + shared


def _content(view: BlockView, block: Block) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    nodes = block.instances[-1]
    op, attr = view.graph.op[nodes].tolist(), view.graph.attr[nodes].tolist()
    return Counter(op), Counter(zip(op, attr, strict=True))


def _overlap(one: Counter, other: Counter) -> float:  # type: ignore[type-arg]
    """Return shared elements over all elements."""
    return (one & other).total() / max(1, (one | other).total())
