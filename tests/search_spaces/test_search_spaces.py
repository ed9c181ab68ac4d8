"""Search spaces: generated networks against traces of plain PyTorch modules; spellings, errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

import narfast
from narfast.graph import ArchGraph, GraphBatch, canonicalize, structural_hash
from narfast.search_spaces import darts, nasbench101, nasbench201
from narfast.search_spaces.darts import Genotype
from narfast.sources.loader import load_raw
from narfast.sources.registry import SEARCH_SPACES
from narfast.sources.torch_trace.tracer import trace
from oracles import nas_modules
from oracles import nasbench101 as brute_force

STEPS = "Genotype(normal={0}, normal_concat=[2], reduce={0}, reduce_concat=range(2, 3))"
PAIR = "[('skip_connect', 0), ('sep_conv_3x3', 1)]"


def traced(module: Callable[[], torch.nn.Module], side: int = 32) -> ArchGraph:
    with torch.device("meta"):
        built = module()
    return trace(built, torch.empty(1, 3, side, side, device="meta"), copy=False)


def assert_as_traced(graph: ArchGraph, expected: ArchGraph) -> None:
    assert graph.same_structure(expected), graph.meta.name
    assert graph.structural_hash == expected.structural_hash
    assert canonicalize(graph).structural_hash == canonicalize(expected).structural_hash
    for name in ("params", "flops", "input_shape"):
        assert getattr(graph.meta, name) == getattr(expected.meta, name)


def one(batch: GraphBatch) -> ArchGraph:
    assert len(batch) == 1
    return batch[0]


# Generated as traced


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DARTS_V2", "NASNet", "SNAS_aggressive"])
def test_published_genotypes_are_as_traced(name: str) -> None:
    genotype = darts.parse(name)
    graph = load_raw(f"darts:{name}")
    assert_as_traced(graph, traced(lambda: nas_modules.DartsNetwork(genotype)))
    assert graph.meta.name == name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AmoebaNet"])
def test_genotypes_for_imagenet_are_as_traced(name: str) -> None:
    genotype = darts.parse(name)
    graph = load_raw(f"darts:{name}@imagenet")
    assert_as_traced(graph, traced(lambda: nas_modules.DartsNetwork(genotype, True), 224))


@pytest.mark.slow
def test_random_genotypes_are_as_traced() -> None:
    drawn = list(darts.random_genotypes(2, seed=3))
    for graph, genotype in zip(darts.networks(drawn), drawn, strict=True):
        assert_as_traced(graph, traced(lambda g=genotype: nas_modules.DartsNetwork(g)))


def test_edits_change_as_many_edges_as_asked() -> None:
    for seed, genotype in enumerate(darts.random_genotypes(30, seed=5)):
        edits = seed % 16 + 1
        changed = darts.mutated(genotype, edits, seed=seed)
        before, after = (g.normal + g.reduce for g in (genotype, changed))
        assert sum(a != b for a, b in zip(before, after, strict=True)) == edits
        assert darts.parse(darts.text(changed)) == changed  # still two different states a step
        assert changed == darts.mutated(genotype, edits, seed=seed)


@pytest.mark.slow
def test_every_operator_of_darts_is_as_traced_at_both_strides() -> None:
    edges = tuple((name, state) for name in darts.OPERATORS[1:] for state in (0, 2))
    edges = (("skip_connect", 1), ("max_pool_3x3", 0), *edges)
    genotype = Genotype(edges, (3, 5, 7, 9, 11), edges, tuple(range(2, 12)))
    graph = one(darts.networks([genotype]))
    assert_as_traced(graph, traced(lambda: nas_modules.DartsNetwork(genotype)))


@pytest.mark.slow
def test_cells_of_nasbench101_are_as_traced() -> None:
    cells = nasbench101.cells()
    chosen = np.random.default_rng(5).choice(cells, 12, replace=False)
    chosen = np.concatenate([cells[:4], chosen])  # the smallest, and cells with uneven channels
    for graph, cell in zip(nasbench101.networks(chosen), chosen.tolist(), strict=True):
        module = nasbench101.unpack(cell)
        assert_as_traced(graph, traced(lambda m=module: nas_modules.Network101(*m)))


def test_a_module_of_nasbench101_is_part_of_its_network() -> None:
    cell = nasbench101.parse("0110/0011/0001/0000|input,conv3x3-bn-relu,maxpool3x3,output")
    module = nas_modules.Module101(*nasbench101.unpack(cell), 128, 128)
    graph = one(nasbench101.modules([cell]))
    assert_as_traced(graph, trace(module, torch.empty(1, 128, 32, 32, device="meta")))


@pytest.mark.slow
def test_cells_of_nasbench201_are_as_traced() -> None:
    chosen = np.random.default_rng(6).choice(nasbench201.NUM_CELLS, 12, replace=False)
    chosen = np.concatenate([[0, 1, 5, nasbench201.NUM_CELLS - 1], chosen])
    for graph in nasbench201.networks(chosen):
        assert_as_traced(graph, traced(lambda s=graph.meta.name: nas_modules.Network201(s)))


# Whole spaces


def test_nasbench101_has_one_cell_of_every_class() -> None:
    cells = nasbench101.cells()
    assert len(cells) == 423_624
    assert (np.diff(cells.astype(np.int64)) > 0).all()
    for vertices in range(2, 6):
        own = [nasbench101.unpack(c) for c in cells[cells >> np.uint64(31) == vertices].tolist()]
        forms = {brute_force.canonical_form(cell) for cell in brute_force.labelled_cells(vertices)}
        number = {name: i for i, name in enumerate(nasbench101.OPERATORS)}
        found = {
            brute_force.canonical_form(
                (
                    tuple(zip(*(i.tolist() for i in np.nonzero(matrix)), strict=True)),
                    (-1, *(number[name] for name in names[1:-1]), -2),
                )
            )
            for matrix, names in own
        }
        assert found == forms
        assert len(own) == len(forms)


def test_networks_of_nasbench101_differ() -> None:
    cells = nasbench101.cells()[::97]
    hashes = structural_hash(nasbench101.networks(cells))
    assert len(np.unique(hashes, axis=0)) == len(cells)


@pytest.mark.slow
def test_all_of_nasbench201_is_streamed_in_batches() -> None:
    names: list[str] = []
    hashes = []
    for batch in nasbench201.batches(batch_size=4000):
        batch.validate()
        names += [meta.name for meta in batch.metas]
        hashes.append(structural_hash(batch))
    assert [nasbench201.parse(name) for name in names] == list(range(nasbench201.NUM_CELLS))
    assert len(np.unique(np.concatenate(hashes), axis=0)) == 5_933


def test_none_edges_contribute_nothing() -> None:
    """What only `none` leads to is left out, also where an operator reads it."""
    direct = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
    behind = "|none~0|+|none~0|avg_pool_3x3~1|+|nor_conv_3x3~0|nor_conv_1x1~1|skip_connect~2|"
    skipping = "|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|"
    graphs = [load_raw(f"nasbench201:{cell}") for cell in (direct, behind, skipping)]
    assert graphs[0].same_structure(graphs[1])
    assert graphs[0].same_structure(graphs[2])
    nothing = narfast.load("nasbench201:|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    skip = narfast.load("nasbench201:|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    assert nothing.structural_hash == skip.structural_hash  # a factor is no part of a design


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_do_not_change_networks(threads: int) -> None:
    genotypes = list(darts.random_genotypes(7, seed=0))
    for make in (
        lambda n: darts.networks(genotypes, num_threads=n),
        lambda n: nasbench101.networks(nasbench101.cells()[::60_000], num_threads=n),
        lambda n: nasbench201.networks(range(0, 15_625, 2_000), num_threads=n),
    ):
        expected, batch = make(1), make(threads)
        assert batch.metas == expected.metas
        assert all(map(np.array_equal, batch.arrays, expected.arrays))


def test_random_genotypes_are_those_of_the_seed() -> None:
    few, many, other = (
        list(darts.random_genotypes(n, seed=seed)) for n, seed in ((5, 1), (600, 1), (5, 2))
    )
    assert many[:5] == few != other
    assert len(set(many)) == 600
    edges = [edge for genotype in many for edge in (*genotype.normal, *genotype.reduce)]
    assert {operator for operator, _ in edges} == set(darts.SEARCHED)
    for genotype in many:
        for cell in (genotype.normal, genotype.reduce):
            pairs = [(cell[i][1], cell[i + 1][1]) for i in range(0, 8, 2)]
            assert all(a != b and max(a, b) < 2 + step for step, (a, b) in enumerate(pairs))


def test_published_sizes() -> None:
    """Parameters as the papers report them, in millions."""
    reported = {"DARTS_V2": 3.3, "PC_DARTS_cifar": 3.6, "PDARTS": 3.4, "SNAS_moderate": 2.8}
    for name, millions in reported.items():
        params = load_raw(f"darts:{name}").meta.params
        assert params is not None
        assert params / 1e6 == pytest.approx(millions, abs=0.06)
    params = load_raw("darts:DARTS_V2@imagenet").meta.params
    assert params is not None
    assert params / 1e6 == pytest.approx(4.7, abs=0.05)


# Spellings


def test_spellings_are_read_back() -> None:
    for cell in nasbench101.cells()[::9_001].tolist():
        assert nasbench101.parse(nasbench101.text(cell)) == cell
        assert nasbench101.pack(*nasbench101.unpack(cell)) == cell
    for number in range(0, nasbench201.NUM_CELLS, 101):
        assert nasbench201.parse(nasbench201.text(number)) == number
    for genotype in darts.random_genotypes(20, seed=8):
        assert darts.parse(darts.text(genotype)) == genotype


def test_genotypes_as_people_write_them() -> None:
    expected = darts.parse("DARTS_V2")
    spelled = str(expected)
    flat = str(list(expected.normal))
    grouped = str([tuple(expected.normal[i : i + 2]) for i in range(0, 8, 2)])
    for variant in (
        spelled.replace("'", '"'),
        spelled.replace(", ", ",\n    "),
        spelled.replace("[2, 3, 4, 5]", "range(2, 6)"),
        spelled.replace(flat, grouped),
        spelled.replace("normal=", "")
        .replace("normal_concat=", "")
        .replace(", reduce=", ", ")
        .replace("reduce_concat=", ""),
    ):
        assert darts.parse(variant) == expected


def test_cells_of_nasbench101_as_people_write_them() -> None:
    plain = nasbench101.parse("010/001/000|input,conv3x3-bn-relu,output")
    matrix, names = "[[0, 1, 0], [0, 0, 1], [0, 0, 0]]", "['input', 'conv3x3-bn-relu', 'output']"
    for spelling in (
        f"{matrix}, {names}",
        f"({matrix}, {names})",
        f"ModelSpec(matrix={matrix}, ops={names})",
        "0 1 0 / 0 0 1 / 0 0 0 | input, conv3x3-bn-relu, output",
        # A vertex that leads nowhere, and one that comes from nowhere.
        "01010/00001/00001/00000/00000|input,conv3x3-bn-relu,maxpool3x3,maxpool3x3,output",
    ):
        assert nasbench101.parse(spelling) == plain


# Errors

BAD = [
    ("darts:DARTS_V3", "DARTS_V2"),
    ("darts:", "name a cell"),
    ("darts:DARTS_V2@cifer", "cifar or imagenet"),
    ("darts:__import__('os').system('true')", "it begins with"),
    ("darts:Genotype(normal=__import__('os'))", "cannot read"),
    ("darts:Genotype(" + "[" * 2000 + ")", "cannot read"),
    ("darts:Genotype(" + "normal=1, " * 400 + ")", "normal is given twice"),
    ("darts:Genotype(normal=range(0, 9999))", "small numbers"),
    ("darts:Genotype(normal=[('sep_conv_3x3', 0)])", "needs 'normal_concat'"),
    ("darts:" + STEPS.format(PAIR).replace("[2]", "[]"), "normal_concat must list states"),
    ("darts:" + STEPS.format(PAIR).replace("[2]", "[7]"), "normal_concat must list states"),
    ("darts:" + STEPS.format(PAIR).replace("[2]", "range(2, 99)"), "out of 2 to 2"),
    ("darts:" + STEPS.format("[('skip_connect', 0)]"), "two edges for each step"),
    ("darts:" + STEPS.format(PAIR.replace("1)", "2)")), "reads state 2"),
    ("darts:" + STEPS.format(PAIR.replace("sep_conv_3x3", "sep_conv_3x4")), "sep_conv_3x3"),
    ("darts:" + STEPS.format(PAIR.replace("sep", "sép")), "no operator"),
    ("darts:" + STEPS.format("[('none', 0), ('none', 1)]"), "only 'none' edges lead"),
    ("darts:" + STEPS.format("[[[['none', 0]]]]"), "pairs"),
    ("darts:" + STEPS.format(PAIR)[:60], "a genotype looks like"),
    ("darts:" + "x" * 5000, "5,000 characters"),
    ("nasbench101:", "name a cell"),
    ("nasbench101:01/00", "a cell looks like"),
    ("nasbench101:01/00|input", "as many operators"),
    ("nasbench101:01/00|output,input", "first operator must be input"),
    ("nasbench101:010/001|input,conv3x3-bn-relu,output", "square"),
    ("nasbench101:012/001/000|input,conv3x3-bn-relu,output", "hold 0 and 1"),
    ("nasbench101:010/101/000|input,conv3x3-bn-relu,output", "upper triangular"),
    ("nasbench101:010/000/000|input,conv3x3-bn-relu,output", "no path"),
    ("nasbench101:010/001/000|input,conv3x3,output", "conv3x3-bn-relu"),
    ("nasbench101:٠١/٠٠|input,output", "hold 0 and 1"),
    ("nasbench101:[[0, 5], [0, 0]], ['input', 'output']", "hold 0 and 1"),
    ("nasbench101:[['a']], ['input']", "numbers"),
    ("nasbench101:[[0, 1], [0, 0]]", "expected a matrix and a list"),
    ("nasbench101:[" + "[" * 3000, "cannot read"),
    ("nasbench101:" + "/".join(["0" * 2000] * 3), "characters"),
    (
        "nasbench101:0111110/0011110/0001110/0000111/0000011/0000001/0000000|input"
        + ",maxpool3x3" * 5
        + ",output",
        "too many",
    ),
    ("nasbench201:", "name a cell"),
    ("nasbench201:|nor_conv_3x3~0|", "3 nodes"),
    ("nasbench201:|a~0|+|a~0|a~1|+|a~0|a~1|a~2|", "no operator"),
    ("nasbench201:|nor_conv_3x4~0|+|none~0|none~1|+|none~0|none~1|none~2|", "nor_conv_3x3"),
    ("nasbench201:|none~0|+|none~0|none~2|+|none~0|none~1|none~2|", "must end in ~1"),
    ("nasbench201:|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2 must be 2 edge"),
    ("nasbench201:|none~0|+|none~0|none~1|+|none~0|none~1|none~2", "node 3 must be"),
    ("nasbench201:|none~²|+|none~0|none~1|+|none~0|none~1|none~2|", "must end in ~0"),
    ("nasbench201:" + "+" * 4000, "3 nodes"),
    ("nasbench201:\x00", "null"),
    ("nasbench210:|none~0|", "nasbench201"),
]


@pytest.mark.parametrize(("source", "hint"), BAD, ids=range(len(BAD)))
def test_bad_cells_are_refused_in_one_line(source: str, hint: str) -> None:
    with pytest.raises(narfast.UnsupportedSourceError) as error:
        narfast.load(source)
    message = str(error.value)
    assert hint in message
    assert "\n" not in message
    assert len(message) < 500


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="15,624"):
        nasbench201.networks([15_625])
    with pytest.raises(ValueError, match="15,624"):
        nasbench201.networks(np.array([-1]))
    for cell in (0, 1, 1 << 40, int(nasbench101.cells()[-1]) | 3):
        with pytest.raises(ValueError, match="not a cell"):
            nasbench101.networks([cell])
    with pytest.raises(ValueError, match="state 5"):
        darts.networks([Genotype((("none", 5), ("none", 0)), (2,), (("none", 0),) * 2, (2,))])
    with pytest.raises(ValueError, match="zip_conv"):
        darts.networks([Genotype((("zip_conv", 0),) * 2, (2,), (("none", 0),) * 2, (2,))])


@pytest.mark.slow
def test_spaces_need_no_torch() -> None:
    code = (
        "import sys, narfast; narfast.load('darts:NASNet'); "
        f"[__import__('narfast.search_spaces.' + s) for s in {SEARCH_SPACES}]; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
