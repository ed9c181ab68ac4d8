"""Metrics, baselines and protocols, against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from narfast.errors import NarfastError
from narfast.evaluation import CUTOFFS, evaluate, protocols
from narfast.evaluation.baselines import (
    cosine_similarities,
    log_counts,
    operator_histogram,
    operator_ngrams,
    tf_idf,
    wl_counts,
)
from narfast.evaluation.corpus import Corpus
from narfast.evaluation.methods import METHODS, by_encoder
from narfast.evaluation.metrics import (
    compare_scores,
    per_query_scores,
    rank,
    summarize_scores,
)
from narfast.evaluation.protocols import (
    PROTOCOLS,
    cross_format,
    cross_library,
    heldout_family,
    paper_nas,
    same_family,
    size_ladder,
)
from narfast.evaluation.report import merged, rankings_of
from narfast.graph import ArchGraph, GraphBatch, build_graph
from narfast.operators import by_name
from narfast.structural_features import structural_labels
from narfast.taxonomy.splits import Split, standard_split
from narfast.zoo import NetworkRecord, Zoo
from narfast.zoo.store import ZooContents, write_zoo
from zoo_fakes import BLOCKS, FakeEncoder, network


def oracle(ranking: list[int], relevant: set[int], cut: int) -> tuple[float, float, float]:
    """RR, AP / min(|relevant|, k) and NDCG at a cut-off, by their definitions."""
    top = ranking[:cut]
    places = [place for place, row in enumerate(top, 1) if row in relevant]
    reciprocal = 1 / places[0] if places else 0.0
    precision = sum(found / place for found, place in enumerate(places, 1))
    gain = sum(1 / math.log2(place + 1) for place in places)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(len(relevant), cut) + 1))
    return reciprocal, precision / min(len(relevant), cut), gain / ideal


def test_metrics_of_a_case_done_by_hand():
    # Relevant at ranks 1, 3 and 5 of 5; one more relevant row was not returned.
    scores = per_query_scores([np.array([4, 9, 2, 8, 7])], [np.array([2, 4, 7, 11])])
    assert scores["mrr"][20][0] == 1.0
    assert scores["map"][20][0] == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 4)
    gain = 1 / math.log2(2) + 1 / math.log2(4) + 1 / math.log2(6)
    ideal = sum(1 / math.log2(place + 1) for place in (1, 2, 3, 4))
    assert scores["ndcg"][20][0] == pytest.approx(gain / ideal)


def test_map_divides_by_what_the_cut_can_hold():
    # 30 relevant rows fill the first 20 places: perfect at 20, although 10 are missing.
    rows = np.arange(30)
    scores = per_query_scores([rows], [rows])
    assert scores["map"][20][0] == pytest.approx(1.0)
    assert scores["ndcg"][20][0] == pytest.approx(1.0)


def test_metrics_agree_with_the_oracle():
    rng = np.random.default_rng(0)
    rankings, relevant = [], []
    for _ in range(60):
        rankings.append(rng.permutation(150)[: rng.integers(0, 150)])
        relevant.append(rng.choice(150, size=rng.integers(1, 120), replace=False))
    scores = per_query_scores(rankings, relevant)
    for query, (ranking, rows) in enumerate(zip(rankings, relevant, strict=True)):
        for cut in CUTOFFS:
            expected = oracle(ranking.tolist(), set(rows.tolist()), cut)
            found = [scores[name][cut][query] for name in ("mrr", "map", "ndcg")]
            assert found == pytest.approx(expected, abs=1e-9)


def test_a_query_without_relevant_rows_is_refused():
    with pytest.raises(ValueError, match="at least one relevant"):
        per_query_scores([np.array([1])], [np.array([], dtype=np.int64)])


def test_means_and_intervals():
    rankings = [np.array([0]), np.array([0]), np.array([1])]
    relevant = [np.array([0])] * 3
    scores = per_query_scores(rankings, relevant)
    scored = summarize_scores(scores, ["a", "a", "b"], seed=1)
    for metric in (scored["mrr"]["20"], scored["hit"]["1"]):
        assert metric.mean == pytest.approx(2 / 3)
        assert metric.family_mean == pytest.approx(1 / 2)
        assert metric.low < metric.mean < metric.high
        assert metric.family_low == 0.0
        assert metric.family_high == 1.0
    assert scored == summarize_scores(scores, ["a", "a", "b"], seed=1)


def test_differences_are_taken_query_by_query_and_resampled_by_family():
    families = [name for name in "abcdefghij" for _ in range(4)]
    rng = np.random.default_rng(0)
    base = {"map": {20: rng.uniform(0.2, 0.6, len(families))}}
    better = {"map": {20: base["map"][20] + rng.uniform(0.05, 0.15, len(families))}}
    found = compare_scores(better, base, families)["map"]["20"]
    assert 0.05 < found.low < found.mean < found.high < 0.15
    assert found.p_value < 0.01  # ten families all agree: one draw of signs in 512 does so too
    back = compare_scores(base, better, families)["map"]["20"]
    assert back.mean == pytest.approx(-found.mean)
    assert compare_scores(base, base, families)["map"]["20"].p_value == 1.0
    # All the gain in one family is no evidence, however many queries it has.
    lucky = base["map"][20].copy()
    lucky[:4] += 0.3
    assert compare_scores({"map": {20: lucky}}, base, families)["map"]["20"].p_value == 1.0


def test_rank_removes_and_breaks_ties_as_told():
    scores = np.array([0.5, 0.9, 0.5, 0.5])
    allowed = np.array([True, False, True, True])
    assert rank(scores, allowed, 2, np.array([3, 0, 1, 2])).tolist() == [2, 3]


# ---- baselines


def chain(names: str) -> ArchGraph:
    ops = names.split()
    inputs = [[i - 1] if i else [] for i in range(len(ops))]
    return build_graph([by_name(op).id for op in ops], [0] * len(ops), inputs, [len(ops) - 1])


def dense(matrix):
    table = np.zeros((len(matrix), matrix.columns))
    table[matrix.rows(), matrix.column] = matrix.value
    return table


def test_operator_histogram_counts():
    batch = GraphBatch.from_graphs([chain("input conv relu conv"), chain("input relu")])
    counts = dense(operator_histogram(batch))
    assert sorted(counts[0].tolist()) == [1, 1, 2]
    assert sorted(counts[1].tolist()) == [0, 1, 1]


def test_log_counts():
    counts = operator_histogram(GraphBatch.from_graphs([chain("input conv relu conv")]))
    np.testing.assert_allclose(dense(log_counts(counts)), np.log1p(dense(counts)), rtol=1e-6)


def test_the_histogram_is_there_plain_as_logarithms_and_as_tf_idf():
    names = [name for name in METHODS if name.startswith("operator")]
    assert names[:3] == ["operator histogram", "operator histogram, log1p", "operator tf-idf"]


def test_ngrams_count_runs_of_operators_within_a_network():
    batch = GraphBatch.from_graphs([chain("input conv relu conv relu"), chain("conv relu")])
    counts = dense(operator_ngrams(batch, 3))
    # input, conv, relu; input conv, conv relu, relu conv; three triples, of which one repeats none.
    assert sorted(counts[0][counts[0] > 0].tolist()) == [1, 1, 1, 1, 1, 1, 2, 2, 2]
    assert counts[1].sum() == 3
    assert counts[0][counts[1] > 0].tolist() == [2, 2, 2]


def test_wl_labels_see_exactly_their_hops():
    first = chain("input conv relu conv relu tanh")
    second = chain("input conv relu conv relu sigmoid")
    batch = GraphBatch.from_graphs([first, second])
    for hops, labels in enumerate(
        structural_labels(batch, hops=3)[4:]
    ):  # rows 4 to 7 see attributes too
        a, b = labels[:6], labels[6:]
        # The last operator differs; after h rounds the labels differ up to h steps away from it.
        assert (a == b).tolist() == [place < 5 - hops for place in range(6)]


def test_wl_labels_tell_direction_and_ignore_node_order():
    forward = chain("input relu tanh")
    backward = chain("input tanh relu")
    relu, tanh, add, source = (by_name(n).id for n in ("relu", "tanh", "add", "input"))
    diamond = build_graph([source, relu, tanh, add], [0] * 4, [[], [0], [0], [1, 2]], [3])
    swapped = build_graph([source, tanh, relu, add], [0] * 4, [[], [0], [0], [1, 2]], [3])
    batch = GraphBatch.from_graphs([forward, backward, diamond, swapped])
    labels = structural_labels(batch, hops=2)[5]
    assert set(labels[:3].tolist()).isdisjoint(labels[3:6].tolist())
    assert sorted(labels[6:10].tolist()) == sorted(labels[10:].tolist())


def test_tf_idf_and_cosine_equal_dense_arithmetic():
    graphs = [network(family, depth) for family in BLOCKS for depth in (1, 2, 5)]
    counts = wl_counts(GraphBatch.from_graphs(graphs), 2)
    queries, database = np.array([0, 3, 7]), np.arange(2, len(graphs))
    weighted = tf_idf(counts, database)
    table = dense(counts)
    df = (table[database] > 0).sum(axis=0)
    idf = 1 + np.log((1 + len(database)) / (1 + df))
    expected = np.where(table > 0, (1 + np.log(np.maximum(table, 1))) * idf, 0)
    np.testing.assert_allclose(dense(weighted), expected, rtol=1e-6)
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    found = cosine_similarities(weighted, queries, database)
    np.testing.assert_allclose(found, unit[queries] @ unit[database].T, atol=1e-6)


# ---- protocols


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    networks = []
    for family in BLOCKS:
        for depth in range(1, 9):
            graph = network(family, depth, source="timm")
            networks.append((NetworkRecord.of(f"timm:{graph.meta.name}", graph), graph))
    twin = network("plain", 3, name="plain_twin", source="timm")
    networks.append((NetworkRecord.of("timm:plain_twin", twin), twin))
    lonely = chain("input tanh sigmoid").with_meta(name="lonely", source="timm", family="lonely")
    networks.append((NetworkRecord.of("timm:lonely", lonely), lonely))
    foreign = network("plain", 11, name="plain_11", source="torchvision")
    networks.append((NetworkRecord.of("torchvision:plain_11", foreign), foreign))
    path = tmp_path_factory.mktemp("zoos") / "zoo"
    contents = ZooContents.from_networks(networks).embedded(FakeEncoder(), source="fake")
    write_zoo(path, contents)
    return Zoo(path, encoder=FakeEncoder())


def test_paper_real_asks_what_it_says(zoo):
    timm, whole = PROTOCOLS["paper-real"](zoo)
    assert len(timm.queries) == 32  # 4 families of 8; the twin is no structure, lonely no query
    assert len(timm.database) == 33
    assert len(whole.queries) == 33
    assert "lonely" not in timm.families
    for query, rows, family in zip(timm.queries, timm.relevant, timm.families, strict=True):
        assert query not in rows
        assert len(rows) == 7
        assert {zoo[int(row)].family for row in rows} == {family}


def test_held_out_families_are_searched_for_among_everything(zoo):
    split = Split(test_families=frozenset({"mixer", "unknown"}))
    (task,) = heldout_family(zoo, split)
    assert task.families == ("mixer",) * 8
    assert len(task.database) == len(zoo)
    for query, rows in zip(task.queries, task.relevant, strict=True):
        assert query not in rows
        assert len(rows) == 7
    (chosen_on,) = heldout_family(zoo, split, validation=True)
    assert len(chosen_on.queries) == 0


def test_across_libraries_only_what_others_offer_is_found(zoo):
    split = Split(test_libraries=frozenset({"torchvision"}))
    together, apart = cross_library(zoo, split)
    assert apart.name == "torchvision"
    assert [zoo[int(row)].id for row in apart.queries] == ["torchvision:plain_11"]
    assert {zoo[int(row)].family for row in apart.relevant[0]} == {"plain"}
    assert len(apart.relevant[0]) == 8
    offered = [bool(entry.sources - {"torchvision"}) for entry in zoo]
    np.testing.assert_array_equal(apart.candidates, [offered])
    np.testing.assert_array_equal(together.queries, apart.queries)
    ranking = rankings_of(apart, constant(None, apart), seed=0)[0]
    assert apart.queries[0] not in ranking
    assert len(ranking) == sum(offered)


def test_a_ladder_leads_from_one_size_to_the_others(tmp_path):
    networks = []
    for place, (name, family) in enumerate(
        [("resnet18", "resnet"), ("resnet50", "resnet"), ("resnet101", "resnet"), ("vgg11", "vgg")]
    ):
        graph = network("plain", 2 + place, name=name, source="timm")
        record = NetworkRecord.of(f"timm:{name}", graph.with_meta(group=family))
        networks.append((record, graph))
    write_zoo(tmp_path / "zoo", ZooContents.from_networks(networks))
    ladder = Zoo.open(tmp_path / "zoo")
    (task,) = size_ladder(ladder)
    asked = {
        ladder[int(query)].name: {ladder[int(row)].name for row in rows}
        for query, rows in zip(task.queries, task.relevant, strict=True)
    }
    assert asked == {
        "resnet18": {"resnet50", "resnet101"},
        "resnet50": {"resnet18", "resnet101"},
        "resnet101": {"resnet18", "resnet50"},
    }


def test_the_standard_split_is_whole():
    split = standard_split()
    assert split.validation_families.isdisjoint(split.test_families)
    assert split.validation_libraries.isdisjoint(split.test_libraries)
    assert min(map(len, vars(split).values())) >= 2
    assert split.holds_out(["resnet"], ["timm", "torchvision"])
    assert split.holds_out(["resnet", min(split.test_families)], ["timm"])
    assert not split.holds_out(["resnet"], ["timm"])


def test_exports_are_searched_for_in_the_zoo(zoo, tmp_path):
    networks = []
    for exporter in ("script", "dynamo"):
        for identifier in ("timm:plain_3", "timm:mixer_5", "timm:absent"):
            family, depth = ("plain", 3) if "plain" in identifier else ("mixer", 5)
            graph = network(family, depth, name=identifier, source=exporter)
            if exporter == "dynamo":  # the export differs from the network a little
                graph = network(family, depth + 1, name=identifier, source=exporter)
            networks.append((NetworkRecord.of(f"{exporter}:{identifier}", graph), graph))
    write_zoo(tmp_path / "exports", ZooContents.from_networks(networks))
    both, dynamo, script = cross_format(zoo, tmp_path / "exports")
    assert (dynamo.name, script.name) == ("dynamo", "script")
    assert len(both.queries) == 4
    assert len(script.queries) == 2
    assert {zoo[int(rows[0])].id for rows in script.relevant} == {"timm:plain_3", "timm:mixer_5"}
    assert all(len(rows) == 1 for rows in both.relevant)
    assert both.queries.min() >= len(zoo)
    for exporter, task, expected in (("script", script, 1.0), ("dynamo", dynamo, 0.0)):
        corpus = Corpus(zoo, task.extra)
        ranked = rankings_of(task, by_encoder()(corpus, task), seed=0)
        hit = per_query_scores(ranked, task.relevant)["hit"][1]
        assert hit.mean() == expected, exporter


@pytest.mark.slow
def test_variants_of_one_genotype_belong_together(zoo):
    (task,) = paper_nas(zoo)
    assert len(set(task.families)) == 60
    assert 1400 < len(task.queries) <= 1500  # edits may meet: distinct structures alone count
    assert set(task.queries.tolist()) == set(task.database.tolist())
    assert task.database.min() == len(zoo)
    for query, rows, family in zip(task.queries, task.relevant, task.families, strict=True):
        assert query not in rows
        assert {task.families[int(row) - len(zoo)] for row in rows} == {family}
    again = paper_nas(zoo)[0]
    np.testing.assert_array_equal(again.extra.op, task.extra.op)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["paper-nas", "heldout-family", "cross-library"])
def test_a_perfect_method_scores_one_and_a_constant_one_does_not(zoo, protocol, monkeypatch):
    split = Split(
        test_families=frozenset({"mixer", "plain"}), test_libraries=frozenset({"torchvision"})
    )
    monkeypatch.setattr(protocols, "standard_split", lambda: split)

    def perfect(corpus, task):
        place = {int(row): i for i, row in enumerate(task.database)}
        result = np.zeros((len(task.queries), len(task.database)), dtype=np.float32)
        for query, rows in enumerate(task.relevant):
            result[query, [place[int(row)] for row in rows]] = 1
        return result

    report = evaluate(protocol, zoo, methods={"perfect": perfect, "constant": constant}).to_json()
    values = {
        name: [metric["mean"] for by_cut in measures.values() for metric in by_cut.values()]
        for name, measures in report["methods"].items()
    }
    assert values["perfect"] == pytest.approx([1.0] * 10)
    assert max(values["constant"]) < 0.9


def one_hot(corpus, task):
    zoo = corpus.zoo
    families = sorted({entry.family or "" for entry in zoo})
    table = np.zeros((len(zoo), len(families)), dtype=np.float32)
    for entry in zoo:
        table[entry.row, families.index(entry.family or "")] = 1
    return table[task.queries] @ table[task.database].T


def constant(corpus, task):
    return np.ones((len(task.queries), len(task.database)), dtype=np.float32)


def test_perfect_and_constant_methods(zoo):
    methods = {"one-hot": one_hot, "constant": constant}
    report = evaluate("paper-real", zoo, methods=methods, seed=3).to_json()
    for by_cut in report["methods"]["one-hot"].values():
        for metric in by_cut.values():
            assert list(metric.values()) == pytest.approx([1.0] * 6)
    # Chance: the mean over many random orders of the same database.
    task = PROTOCOLS["paper-real"](zoo)[0]
    rng = np.random.default_rng(0)
    draws = [
        oracle(rng.permutation(np.setdiff1d(task.database, [q])).tolist(), set(rows), 100)
        for _ in range(40)
        for q, rows in zip(
            task.queries.tolist(), map(np.ndarray.tolist, task.relevant), strict=True
        )
    ]
    chance = dict(zip(("mrr", "map", "ndcg"), np.mean(draws, axis=0), strict=True))
    for name, expected in chance.items():
        metric = report["methods"]["constant"][name]["100"]
        spread = metric["high"] - metric["low"]
        assert abs(metric["mean"] - expected) < spread
        assert metric["mean"] < 0.75


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: np.where(np.arange(s.size).reshape(s.shape) == 7, np.nan, s), "1 similarities"),
        (lambda s: s[:-1], "similarities must be"),
        (lambda s: s[:, :-1], "similarities must be"),
        (lambda s: s.astype(str), "similarities must be"),
        (lambda s: None, "similarities must be"),
    ],
)
def test_similarities_are_checked(zoo, change, message):
    methods = {"odd": lambda corpus, task: change(constant(corpus, task))}
    with pytest.raises(NarfastError, match=f"method 'odd' in task 'timm': {message}"):
        evaluate("paper-real", zoo, methods=methods)


@pytest.mark.parametrize("change", [lambda v: v[:-1], lambda v: v * np.nan])
def test_vectors_of_an_encoder_are_checked(zoo, change):
    class Odd(FakeEncoder):
        fingerprint = "odd"

        def encode(self, sources):
            return change(super().encode(sources))

    with pytest.raises(NarfastError, match="must give one vector"):
        evaluate("paper-real", zoo, methods={"odd": by_encoder(Odd())})


@pytest.mark.slow
def test_report_has_what_programs_read(zoo):
    report = evaluate("paper-real", zoo).to_json()
    assert report["protocol"] == "paper-real"
    assert set(report["methods"]) == set(METHODS)
    assert report["queries"] == 32
    assert report["families"] == 4
    assert report["zoo"] == zoo.checksum
    assert report["seed"] == 0
    assert {"narfast", "numpy", "python"} <= set(report["versions"])
    assert set(report["settings"]) == {"timm", "whole-zoo"}
    for measures in report["methods"].values():
        assert set(measures) == {"mrr", "map", "ndcg", "hit"}
        for measure, by_cut in measures.items():
            assert set(by_cut) == ({"1"} if measure == "hit" else {"20", "50", "100"})
            for metric in by_cut.values():
                assert 0 <= metric["low"] <= metric["mean"] <= metric["high"] <= 1
    assert report["methods"]["WL tf-idf, 1 hop"]["map"]["20"]["mean"] > 0.9
    encoder, other = (
        report["methods"][name]["map"]["20"]["mean"]
        for name in ("shipped encoder", "operator histogram")
    )
    ahead = report["ahead"]["operator histogram"]["map"]["20"]
    assert ahead["mean"] == pytest.approx(encoder - other)
    assert "shipped encoder" not in report["ahead"]
    assert evaluate("paper-real", zoo).to_json() == report


def test_a_method_is_added_to_a_report_and_the_others_are_kept(zoo):
    names = ["operator histogram", "WL tf-idf, 1 hop", "shipped encoder"]
    methods = {**{name: METHODS[name] for name in names}, "rival": constant}
    old = evaluate("paper-real", zoo, methods=methods).to_json()
    added = ("operator histogram, log1p", "shipped encoder")
    report = evaluate("paper-real", zoo, methods={name: METHODS[name] for name in added})
    # A constant method has one ranking for each query, whatever else is run beside it.
    whole = evaluate("paper-real", zoo, methods={**methods, added[0]: METHODS[added[0]]}).to_json()
    result = merged(old, report)
    assert result == whole
    assert list(result["methods"]) == [names[0], added[0], *names[1:], "rival"]
    assert list(result["settings"]["whole-zoo"]["methods"]) == list(result["methods"])
    assert merged(result, report) == result

    # What was made elsewhere says so; what is run again does not.
    foreign = {**old, "zoo": "another", "versions": {"narfast": "0"}}
    result = merged(foreign, report)
    origin = {key: foreign[key] for key in ("zoo", "encoder", "versions")}
    assert result["kept"] == dict.fromkeys((names[0], names[1], "rival"), origin)
    assert result["zoo"] == zoo.checksum
    assert merged(result, report)["kept"] == result["kept"]
    again = evaluate("paper-real", zoo, methods={name: METHODS[name] for name in names})
    assert set(merged(result, again)["kept"]) == {"rival"}


def test_reports_of_other_queries_are_not_mixed(zoo):
    report = evaluate("paper-real", zoo, methods={"constant": constant})
    whole = report.to_json()
    fewer = {**whole, "settings": {"timm": whole["settings"]["timm"]}}
    damaged = ({}, [], {**whole, "settings": 1}, {**whole, "methods": None})
    for other in ({**whole, "seed": 1}, {**whole, "protocol": "paper-nas"}, fewer, *damaged):
        with pytest.raises(NarfastError, match="same queries"):
            merged(other, report)


def test_the_query_itself_is_never_ranked(zoo):
    task = same_family(zoo, range(len(zoo)), name="all", description="")
    similarities = constant(None, task)
    for query, ranking in zip(task.queries, rankings_of(task, similarities, seed=0), strict=True):
        assert query not in ranking
        assert len(ranking) == len(zoo) - 1


def test_unknown_protocol_and_zoo_without_labels(zoo, tmp_path):
    with pytest.raises(NarfastError, match="choose from cross-format, cross-library"):
        evaluate("nonsense", zoo)
    graph = chain("input relu")
    path = tmp_path / "zoo"
    write_zoo(path, ZooContents.from_networks([(NetworkRecord.of("timm:a", graph), graph)]))
    with pytest.raises(NarfastError, match="no queries"):
        evaluate("paper-real", Zoo.open(path))
