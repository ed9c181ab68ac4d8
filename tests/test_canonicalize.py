"""Canonicalization from Python: passes by name, and a result that is a fixed point."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfast import operators
from narfast.errors import InvalidGraphError
from narfast.graph import (
    ArchGraph,
    GraphMeta,
    build_graph,
    canonicalization_passes,
    canonicalize,
    canonicalize_each,
    structural_hash,
)
from narfast.sources.loader import load_raw
from networks import tiny_zoo
from random_graphs import batch_of, graphs, renumbered, topological_places

SCALAR, PARAM, SPACE, LAYOUT = 1 << 18, 1 << 17, 1 << 21, 1 << 22
POINTWISE = operators.pack_attributes(kernel=1, groups=1, in_channels=8)


def net(*nodes: tuple[str, list[int], int]) -> ArchGraph:
    """A graph of (operator, inputs, attributes); the last node is the output."""
    return build_graph(
        [operators.by_name(name).id for name, _, _ in nodes],
        [attr for _, _, attr in nodes],
        [inputs for _, inputs, _ in nodes],
        [len(nodes) - 1],
        GraphMeta(name="by hand"),
    )


def chain(*nodes: tuple[str, int]) -> ArchGraph:
    return net(("input", [], 0), *((name, [i], attr) for i, (name, attr) in enumerate(nodes)))


# For each pass a graph that it alone changes, and what the operators are after it.
SWITCHES = {
    "fold_parameters": (
        net(("input", [], 0), ("constant", [], 0), ("add", [0, 1], 0)),
        ["input", "add"],
    ),
    "eliminate_identity": (chain(("reshape", 0), ("relu", 0)), ["input", "relu"]),
    "drop_layout_permutes": (chain(("permute", LAYOUT), ("relu", 0)), ["input", "relu"]),
    "merge_slices": (
        net(("input", [], 0), ("slice", [0], 0), ("slice", [0], 0), ("sub", [1, 2], 0)),
        ["input", "split", "sub"],
    ),
    "fuse_linear": (chain(("matmul", PARAM)), ["input", "linear"]),
    "fuse_activations": (
        net(("input", [], 0), ("sigmoid", [0], 0), ("mul", [0, 1], 0)),
        ["input", "silu"],
    ),
    "fuse_norms": (chain(("layer_norm", 0), ("mul", PARAM)), ["input", "layer_norm"]),
    "fuse_attention": (
        net(
            ("input", [], 0),
            ("matmul", [0, 0], 0),
            ("softmax", [1], 0),
            ("matmul", [2, 0], 0),
        ),
        ["input", "attention"],
    ),
    "fold_batch_norm": (chain(("conv", 3), ("batch_norm", 0)), ["input", "conv"]),
    "fuse_pad": (chain(("pad", 0), ("conv", 3)), ["input", "conv"]),
    "global_pool": (chain(("mean", SPACE)), ["input", "global_avg_pool"]),
    "pointwise_to_linear": (chain(("conv", POINTWISE)), ["input", "linear"]),
    "eliminate_common_subexpressions": (
        net(("input", [], 0), ("relu", [0], 0), ("relu", [0], 0), ("sub", [1, 2], 0)),
        ["input", "relu", "sub"],
    ),
    "drop_scalar_scale": (chain(("mul", SCALAR), ("relu", 0)), ["input", "relu"]),
    "fuse_affine": (chain(("mul", PARAM), ("add", PARAM)), ["input", "affine"]),
    "fuse_split_concat": (
        net(("input", [], 0), ("split", [0], 0), ("concat", [1, 1], 0)),
        ["input", "roll"],
    ),
    "fuse_rotary": (
        net(
            ("input", [], 0),
            ("split", [0], 0),
            ("neg", [1], 0),
            ("concat", [2, 1], 0),
            ("mul", [0], PARAM),
            ("mul", [3], PARAM),
            ("add", [4, 5], 0),
        ),
        ["input", "rotary_embedding"],
    ),
    "fuse_projections": (
        net(
            ("input", [], 0),
            ("linear", [0], 0),
            ("linear", [0], 0),
            ("linear", [0], 0),
            ("attention", [1, 2, 3], 0),
        ),
        ["input", "linear", "attention"],
    ),
}


def without(name: str) -> list[str]:
    return [other for other in canonicalization_passes() if other != name]


@pytest.mark.parametrize("name", SWITCHES)
def test_each_pass_can_be_switched_on_and_off_alone(name: str) -> None:
    graph, expected = SWITCHES[name]
    assert canonicalize(graph, passes=[name]).op_names() == expected
    assert canonicalize(graph).op_names() == expected
    assert canonicalize(graph, passes=without(name)).op_names() == graph.op_names()


def test_every_pass_has_a_switch_test() -> None:
    only_attributes = {"drop_concat_ratio", "drop_stem_and_head_widths"}
    assert set(canonicalization_passes()) == set(SWITCHES) | only_attributes


def test_drop_concat_ratio_changes_attributes_alone() -> None:
    ratio = operators.pack_attributes(kernel=3, in_channels=4, out_channels=8)
    nodes = [("input", [], 0), ("conv", [0], 3), ("concat", [0, 1], 0), ("conv", [2], ratio)]
    graph = net(*nodes, ("relu", [3], 0))  # type: ignore[arg-type]
    assert canonicalize(graph).attr.tolist() == [0, 3, 0, 3, 0]
    assert canonicalize(graph, passes=without("drop_concat_ratio")).attr.tolist()[-2] == ratio


def test_drop_stem_and_head_widths_changes_attributes_alone() -> None:
    ratio = operators.pack_attributes(in_channels=4, out_channels=8)
    graph = chain(("linear", ratio), ("relu", 0), ("linear", ratio), ("relu", 0), ("linear", ratio))
    assert canonicalize(graph).attr.tolist() == [0, 0, 0, ratio, 0, 0]
    kept = canonicalize(graph, passes=without("drop_stem_and_head_widths"))
    assert kept.attr.tolist() == graph.attr.tolist()


def test_the_order_of_names_does_not_matter_and_metadata_stays() -> None:
    graph, _ = SWITCHES["fuse_affine"]
    names = list(canonicalization_passes())
    forward, backward = canonicalize(graph, passes=names), canonicalize(graph, passes=names[::-1])
    assert forward.same_structure(backward)
    assert forward.meta == graph.meta


def test_an_unknown_pass_is_refused_with_all_names() -> None:
    with pytest.raises(
        ValueError, match="'fuse_all'; there are fold_parameters, eliminate_identity"
    ):
        canonicalize(chain(("relu", 0)), passes=["fuse_all"])


@pytest.mark.parametrize(
    ("former", "current"),
    [
        ("drop_transparent", "eliminate_identity"),
        ("absorb_padding", "fuse_pad"),
        ("merge_twins", "eliminate_common_subexpressions"),
        ("fuse_parts", "fuse_split_concat"),
    ],
)
def test_former_names_of_passes_are_accepted(former: str, current: str) -> None:
    graph, expected = SWITCHES[current]
    with pytest.warns(DeprecationWarning, match=former):
        assert canonicalize(graph, passes=[former]).op_names() == expected
    assert former not in canonicalization_passes()


def test_a_graph_that_does_not_settle_is_refused() -> None:
    nodes: list[tuple[str, list[int], int]] = [("input", [], 0)]
    ends = [0, 0]
    for _ in range(40):
        for op in ("relu", "slice"):
            nodes += [(op, [end], 0) for end in ends]
            ends = [len(nodes) - 2, len(nodes) - 1]
    graph = net(*nodes, ("add", ends, 0))
    with pytest.raises(
        InvalidGraphError, match="graph 0: canonicalization still changes the graph"
    ):
        canonicalize(graph, passes=["merge_slices", "eliminate_common_subexpressions"])


def test_a_damaged_graph_is_refused() -> None:
    graph = chain(("relu", 0))
    with pytest.raises(InvalidGraphError, match="node 1: in-neighbour 1"):
        canonicalize(ArchGraph(graph.op, graph.attr, graph.in_ptr, graph.in_src + 1))


_RICH = [
    "conv",
    "linear",
    "batch_norm",
    "add",
    "mul",
    "div",
    "sub",
    "sigmoid",
    "split",
    "slice",
    "permute",
    "softmax",
    "matmul",
    "attention",
    "mean",
    "pow",
    "sqrt",
    "layer_norm",
    "pad",
    "relu6",
    "clip",
    "concat",
    "tanh",
    "erf",
    "identity",
    "constant",
    "roll",
    "relu",
]
_BITS = (0, 0, 0, POINTWISE, SCALAR, PARAM, PARAM | 1 << 23, SPACE, LAYOUT, 1 << 23, 1 << 11)


@st.composite
def rich_graphs(draw: st.DrawFn) -> ArchGraph:
    """Networks of the operators and attributes that passes look at, joined at random."""
    nodes: list[tuple[str, list[int], int]] = [("input", [], 0)]
    for node in range(1, draw(st.integers(2, 20))):
        near = st.integers(max(0, node - 4), node - 1)
        inputs = draw(st.lists(near, min_size=1, max_size=3))
        nodes.append((draw(st.sampled_from(_RICH)), inputs, draw(st.sampled_from(_BITS))))
    return net(*nodes)


@pytest.mark.slow
@given(st.one_of(graphs(), rich_graphs()))
@settings(max_examples=500, deadline=None)
def test_canonical_graphs_are_fixed_points(graph: ArchGraph) -> None:
    once = canonicalize(graph)
    batch_of(once).validate()
    assert canonicalize(once).same_structure(once)


@pytest.mark.slow
@given(rich_graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_the_result_does_not_depend_on_node_order(graph: ArchGraph, seed: int) -> None:
    other = renumbered(graph, topological_places(graph, seed))
    pair = batch_of(canonicalize(graph), canonicalize(other))
    first, second = structural_hash(pair).tolist()
    assert first == second


def test_a_batch_is_canonicalized_graph_by_graph_on_any_number_of_threads() -> None:
    items, _ = tiny_zoo()
    batch = batch_of(*items)
    one, two = canonicalize(batch), canonicalize(batch, num_threads=2)
    for graph, a, b in zip(items, one, two, strict=True):
        assert a.same_structure(b)
        assert a.same_structure(canonicalize(graph))
        assert a.meta == graph.meta


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "swin_t", "vit_b_16", "googlenet"])
def test_traced_networks_are_fixed_points(name: str) -> None:
    once = canonicalize(load_raw(f"torchvision:{name}"))
    assert canonicalize(once).same_structure(once)


def test_a_network_that_is_refused_does_not_stop_the_others() -> None:
    good = chain(("relu", 0))
    bad = ArchGraph(good.op, good.attr, good.in_ptr, good.in_src + 7, good.meta)
    first, second, third = canonicalize_each([good, bad, good])
    assert isinstance(second, InvalidGraphError)
    for graph in (first, third):
        assert isinstance(graph, ArchGraph)
        assert graph.same_structure(canonicalize(good))
    assert canonicalize_each([]) == []
