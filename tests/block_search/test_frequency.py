"""How common the pieces of a network are in a zoo, against counting by hand."""

from __future__ import annotations

import pytest

from narfast.block_search import document_frequency
from narfast.block_search.index import LEVELS
from narfast.errors import NarfastError
from narfast.explain import operator_label, summarize
from narfast.graph import build_graph
from narfast.operators import by_id, by_name
from oracles.occurrences import ngrams
from zoo_fakes import network


def words(ngram, level):
    name = (lambda op, attr: by_id(op).name) if level == "operators" else operator_label
    return " → ".join(name(op, attr) for op, attr in ngram)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("without", [None, "plain"])
def test_ngrams_by_hand(zoo, level, without):
    graph = network("plain", 3)
    found = document_frequency(graph, zoo, level=level, without_family=without)
    kept = [row for row in range(len(zoo)) if zoo.family_of(row) != without]
    have = {row: ngrams(zoo.graphs[row], level) for row in kept}
    own = ngrams(graph, level)
    pieces = [*found.operators, *found.ngrams]
    assert {p.label: p.count for p in pieces} == {words(n, level): c for n, c in own.items()}
    for ngram in own:
        (piece,) = (p for p in pieces if p.label == words(ngram, level))
        rows = [row for row in kept if ngram in have[row]]
        assert piece.size == len(ngram)
        assert piece.networks == len(rows)
        assert piece.families == len({zoo.family_of(row) for row in rows})
    assert found.networks == len(kept)
    assert [p.networks for p in found.ngrams] == sorted(p.networks for p in found.ngrams)


def test_motifs(zoo):
    graph = zoo.load("fake:smooth_4")
    found = document_frequency(graph, zoo)
    expected = {m.motif_id: (m.size, m.count, m.operators) for m in summarize(graph).motifs}
    assert {m.motif_id: (m.size, m.count, m.label) for m in found.motifs} == expected
    assert all(m.networks >= 1 and m.families >= 1 for m in found.motifs)
    others = document_frequency(graph, zoo, without_family="smooth")
    assert {m.networks for m in others.motifs if m.size > 2} == {0}


def test_what_the_zoo_has_not_is_counted_as_zero(zoo):
    ops = [by_name(name).id for name in ("input", "lstm", "fft")]
    graph = build_graph(ops, [0, 0, 0], [[], [0], [1]], [2])
    found = document_frequency(graph, zoo)
    assert {p.label: p.networks for p in found.operators}["fft"] == 0
    assert found.operators[-1].label == "input"
    assert found.operators[-1].networks == len(zoo)
    assert found.motifs[0].networks == 0


def test_a_block_that_the_miner_divides_otherwise_is_still_found(zoo):
    """One block alone is no repeat: the miner takes the whole chain as a motif."""
    ops = [by_name(name).id for name in ("conv", "relu")]
    attrs = zoo.load("fake:plain_4").attr[1:3].tolist()
    found = document_frequency(build_graph(ops, attrs, [[], [0]], [1]), zoo)
    assert found.motifs[0].networks >= 4


def test_levels_are_checked(zoo):
    with pytest.raises(NarfastError, match="no such level"):
        document_frequency(network("plain", 1), zoo, level="auto")
