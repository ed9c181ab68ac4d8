"""`find_blocks` over a made-up zoo, and over the shipped one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from narfast.block_search import BlockIndex, find_blocks
from narfast.block_search.index import LEVELS
from narfast.block_search.parts import induced
from narfast.errors import NarfastError
from narfast.graph import build_graph
from narfast.motifs import mine
from narfast.operators import by_name, pack_attributes
from narfast.zoo import Zoo
from oracles.occurrences import Plain, grown, is_occurrence, occurrences
from zoo_folders import open_zoo


def chain(*names, **attributes):
    ops = [by_name(name).id for name in names]
    attrs = [pack_attributes(**attributes) if name == "conv" else 0 for name in names]
    inputs = [[], *([i] for i in range(len(ops) - 1))]
    return build_graph(ops, attrs, inputs, [len(ops) - 1])


PLAIN = ("conv", "relu", "add")


def test_hits_have_counts_places_and_shares(zoo):
    found = find_blocks(chain(*PLAIN, kernel=3), zoo)
    assert found.level == "exact"
    depths = {f"fake:plain_{depth}": depth for depth in (4, 3, 2, 1)}
    assert [hit.id for hit in found.hits] == list(depths)
    for hit in found.hits:
        assert hit.count == depths[hit.id] == len(hit.places)
        assert hit.share == pytest.approx(3 * hit.count / hit.nodes)
        assert hit.places == tuple(range(1, 3 * hit.count, 3))
    assert found.networks == 4
    assert found.count == 10
    assert found.families == {"plain": 4}
    assert found.cut_short == 0


def test_auto_says_which_level_answered(zoo):
    assert find_blocks(chain(*PLAIN, kernel=3), zoo).level == "exact"
    assert find_blocks(chain(*PLAIN, kernel=7), zoo).level == "shapes"
    assert find_blocks(chain(*PLAIN, spatial_rank=3), zoo).level == "operators"
    nothing = find_blocks(chain("gelu", "gelu"), zoo)
    assert (nothing.level, nothing.hits, nothing.families) == ("operators", (), {})
    only = find_blocks(chain(*PLAIN, kernel=7), zoo, level="exact")
    assert (only.level, only.networks) == ("exact", 0)


def test_filters_and_limits(zoo):
    assert len(find_blocks(chain("add"), zoo, k=3).hits) == 3
    mixers = find_blocks(chain("add"), zoo, family="mixer", k=100)
    assert {hit.family for hit in mixers.hits} == {"mixer"}
    assert mixers.networks == len(mixers.hits)
    # A level counts as answered where a network of the family has the block.
    assert find_blocks(chain(*PLAIN, kernel=3), zoo, family="mixer").networks == 0
    with pytest.raises(NarfastError, match="did you mean mixer"):
        find_blocks(chain("add"), zoo, family="mixxer")
    with pytest.raises(NarfastError, match="k must be at least 1"):
        find_blocks(chain("add"), zoo, k=0)
    with pytest.raises(NarfastError, match="choose from auto, exact"):
        find_blocks(chain("add"), zoo, level="rough")


def test_the_result_as_json_and_as_text(zoo, zoo_path):
    found = find_blocks("fake:plain_3#motif:1", zoo_path)
    facts = json.loads(json.dumps(found.to_json()))
    assert facts["level"] == "exact"
    assert facts["block"]["operators"].startswith("conv")
    assert {"id", "name", "family", "source", "count", "places"} <= set(facts["hits"][0])
    text = str(found)
    assert "10 occurrences in 4 networks" in text
    assert "families  plain 4" in text
    assert "No network" in str(find_blocks(chain("gelu", "gelu"), zoo))
    assert "1 operator)" in str(find_blocks(chain("gelu"), zoo))


def test_a_few_graphs_are_picked_and_many_are_read(zoo_path, cache, monkeypatch):
    from narfast.block_search import index as module

    block = chain(*PLAIN, kernel=3)
    picked = find_blocks(block, open_zoo(zoo_path)).to_json()
    monkeypatch.setattr(module, "_PICKED", 0)
    assert find_blocks(block, open_zoo(zoo_path)).to_json() == picked


@pytest.fixture(scope="module")
def shipped():
    return Zoo.open("default")


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_the_shipped_zoo_has_what_a_scan_finds(shipped, level):
    """A sample of what benchmarks/studies/block_search.py does with all networks."""
    index = BlockIndex.of(shipped)
    rng = np.random.default_rng(5)
    rows = np.sort(rng.choice(len(shipped), 150, replace=False)).tolist()
    graphs = shipped.graphs_at(rows)
    small = [i for i, graph in enumerate(graphs) if graph.num_nodes < 2000]
    plain = {rows[i]: Plain(graphs[i], level) for i in small}
    for number in range(40):
        graph = graphs[small[int(rng.integers(len(small)))]]
        instance = mine(graph).node_instance
        nodes = (
            grown(graph, int(rng.integers(2, 20)), rng)
            if number % 2
            else np.flatnonzero(instance == instance[int(rng.integers(graph.num_nodes))])
        )
        block = induced(graph, nodes)
        found = index.search(shipped, block, level)
        first = dict(zip(found.rows.tolist(), found.nodes[found.ptr[:-1]].tolist(), strict=True))
        pattern = Plain(block, level)
        for row, network in plain.items():
            expected = bool(occurrences(pattern, network, first=True))
            assert expected == (row in first), (number, row)
            if row in first:
                assert is_occurrence(pattern, network, first[row])


def test_known_blocks_of_the_shipped_zoo(shipped):
    """Counts from the papers: 3+4+6+3 bottlenecks, of which four have a projection."""
    found = find_blocks("timm:resnet50#motif:1", shipped, k=1000)
    counts = {name: hit.count for hit in found.hits for name in hit.names}
    assert counts["resnet50"] == 12
    assert counts["resnet152"] == 46
    assert found.families["resnet"] > 20
    assert "vit" not in found.families
    wide = find_blocks("timm:resnet50#motif:1", shipped, level="shapes")
    assert wide.networks >= found.networks
