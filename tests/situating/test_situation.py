"""`narfast.situate` over a small zoo and the shipped one: results, JSON, page, mistakes."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest

import narfast
from narfast.errors import NarfastError
from narfast.graph import build_graph, canonicalize
from narfast.operators import by_name
from narfast.situating import situate
from narfast.situating.page import _APART, _places
from narfast.zoo import NetworkRecord
from narfast.zoo.store import ZooContents, write_zoo
from zoo_fakes import FakeEncoder, contents, load, network
from zoo_folders import open_zoo


@pytest.fixture(scope="module")
def shipped():
    return narfast.Zoo.open("default")


@pytest.fixture(scope="module")
def resnet(shipped):
    return situate("timm:resnet50", shipped)


def test_twins_are_left_out_and_few_networks_suffice(zoo):
    found = situate("fake:plain_2", zoo)
    assert set(found.known_as) == {"fake:plain_2", "fake:plain_2_copy", "other:plain_2"}
    assert len(found.neighbours) == len(zoo) - 1
    assert found.query.structural_hash not in {n.hit.structural_hash for n in found.neighbours}
    assert [n.place for n in found.neighbours] == list(range(1, len(zoo)))
    assert found.call.nearest == "plain"
    assert found.novelty.percentile is not None
    assert len(found.comparisons) == 3


def test_fewer_neighbours(zoo):
    found = situate(network("smooth", 9), zoo, neighbours=1)
    assert found.known_as == ()
    assert len(found.neighbours) == len(found.comparisons) == 1
    assert found.map.tree == ((1, 0),)
    assert len(found.to_json()["map"]["positions"]) == 2


def test_what_no_other_network_has(zoo):
    ops = [by_name(name).id for name in ("input", "conv", "lstm", "fft")]
    graph = canonicalize(build_graph(ops, [0] * 4, [[], [0], [1], [2]], [3]))
    rare = situate(graph, zoo).rare
    assert {piece.label for piece in rare.operators} == {"fft", "lstm"}
    assert "lstm → fft" in {piece.label for piece in rare.ngrams}
    assert rare.blocks
    assert all(piece.networks == 0 for piece in (*rare.blocks, *rare.operators, *rare.ngrams))
    assert rare.networks == len(zoo)


def test_the_own_structure_does_not_count_as_another(zoo, tmp_path):
    odd = canonicalize(
        build_graph([by_name(n).id for n in ("input", "lstm", "fft")], [0] * 3, [[], [0], [1]], [2])
    )
    records = [(NetworkRecord.of("odd:one", odd), odd)]
    records += [(NetworkRecord.of(n, load(n)), load(n)) for n in ("fake:plain_1", "fake:mixer_1")]
    made = ZooContents.from_networks(records).embedded(FakeEncoder(), source="fake")
    write_zoo(tmp_path / "odd", made)
    found = situate("odd:one", open_zoo(tmp_path / "odd"))
    assert found.rare.networks == 2
    assert {piece.label for piece in found.rare.operators} == {"fft", "lstm"}


def test_json(zoo):
    value = json.loads(json.dumps(situate("fake:mixer_2", zoo).to_json(), allow_nan=False))
    assert {"neighbours", "family", "confidence", "novelty", "rare"} <= value.keys()
    assert 0 <= value["novelty"] <= 100
    assert 0 <= value["confidence"] <= 1
    assert {"blocks", "operators", "ngrams"} <= value["rare"].keys()
    first = value["neighbours"][0]
    assert {"id", "names", "family", "score", "relation", "percentile", "version"} <= first.keys()
    count = len(value["neighbours"]) + 1
    assert np.array(value["map"]["similarity"]).shape == (count, count)
    assert len(value["map"]["tree"]) == count - 1
    assert len(value["differences"]) == 3


def test_the_text_names_all_parts(zoo):
    text = str(situate("fake:norms_2", zoo))
    for words in ("family", "novelty", "by family", "Beside the nearest", "query"):
        assert words in text


def test_a_resnet_is_among_resnets(resnet):
    assert resnet.call.family == "resnet"
    assert resnet.call.confidence > 0.9
    assert resnet.novelty.percentile < 10
    assert resnet.neighbours[0].hit.family == "resnet"
    assert resnet.neighbours[0].version
    assert not resnet.rare.blocks
    assert len(resnet.neighbours) == 24
    places = [n.place for _, members in resnet.families() for n in members]
    assert sorted(places) == list(range(1, 25))
    assert any("bottleneck" in line for line in resnet.comparisons[0].sentences())
    paragraph = resnet.paragraph()
    assert "the nearest 24 are of the famil" in paragraph
    assert f"It is of the family resnet (confidence {resnet.call.confidence:.2f})" in paragraph


def test_a_made_up_design_is_of_no_family(shipped):
    ops = ["input", "conv", "lstm", "fft", "lstm", "fft", "sigmoid", "lstm", "fft", "softmax"]
    inputs = [[], *([i] for i in range(len(ops) - 1))]
    odd = build_graph([by_name(n).id for n in ops], [0] * len(ops), inputs, [len(ops) - 1])
    found = situate(canonicalize(odd), shipped)
    assert found.call.family is None
    assert found.call.confidence < 0.5
    assert found.novelty.percentile > 50
    assert found.rare
    assert "none of the known families" in str(found.call)


class Checker(HTMLParser):
    """Collects what a page loads, and finds elements that are not closed."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.nodes = 0

    def handle_starttag(self, tag, attributes):
        facts = dict(attributes)
        assert not {"src", "href"} & facts.keys(), "a page loads nothing"
        self.nodes += facts.get("class") == "node"
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole(resnet):
    page = resnet.to_html()
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.nodes == 25
    assert "http" not in page
    assert "prefers-color-scheme:dark" in page
    for words in ("resnet101", "Novelty", "bottleneck"):
        assert words in page
    assert page == resnet.to_html()


def test_names_in_pages_are_text(zoo):
    graph = network("plain", 7, name="<b>bold</b>$title")
    page = situate(graph, zoo).to_html()
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;$title" in page


def test_networks_on_the_map_do_not_cover_each_other():
    places = _places(np.zeros((25, 2)))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(25) * 99
    assert apart.min() > 0.8 * _APART


def test_mistakes(zoo, tmp_path):
    with pytest.raises(NarfastError, match="a vector cannot be situated"):
        situate(zoo.embeddings[0], zoo)
    with pytest.raises(NarfastError, match="at least 1, got 0"):
        situate("fake:plain_1", zoo, neighbours=0)
    with pytest.raises(NarfastError, match="not in the zoo"):
        situate("zoo:nothing", zoo)
    with pytest.raises(NarfastError, match="nowhere"):
        situate("fake:plain_1", tmp_path / "nowhere")
    write_zoo(tmp_path / "plain", contents())
    with pytest.raises(NarfastError, match="narfast zoo embed"):
        situate("fake:plain_1", tmp_path / "plain")
    one = [(NetworkRecord.of("fake:plain_1", load("fake:plain_1")), load("fake:plain_1"))]
    made = ZooContents.from_networks(one).embedded(FakeEncoder(), source="fake")
    write_zoo(tmp_path / "one", made)
    with pytest.raises(NarfastError, match="no other network to compare with"):
        situate("fake:plain_1", open_zoo(tmp_path / "one"))
