"""open_clip as a source of networks: both towers in one graph, named as open_clip names them."""

from __future__ import annotations

import importlib
from collections import Counter
from importlib.util import find_spec
from types import ModuleType

import pytest

from narfast.errors import MissingDependencyError, UnsupportedSourceError
from narfast.explain import summarize
from narfast.sources import loader
from narfast.sources.libraries import base
from narfast.sources.loader import load, load_raw

pytestmark = pytest.mark.skipif(find_spec("open_clip") is None, reason="needs open_clip")
source = loader.library("open_clip")


@pytest.mark.slow
def test_vit_b_32_has_two_towers_of_twelve_blocks() -> None:
    graph = load("open_clip:ViT-B-32")
    ops = Counter(graph.op_names())
    assert ops["attention"] == 12 + 12
    assert ops["gelu"] == 12 + 12
    assert ops["embedding"] == 1
    assert ops["conv"] == 1  # the patches
    assert ops["input"] == 1  # token ids are not differentiable: they begin at the embedding
    assert graph.meta.params == 151_277_313  # OpenAI's ViT-B/32
    assert graph.meta.task == "image-text"
    assert graph.meta.trace_kind == "autograd"
    assert graph.meta.untraced == 0
    largest = max(summarize(graph).motifs, key=lambda motif: motif.size * motif.count)
    assert largest.count == 24


@pytest.mark.slow
def test_quick_gelu_is_a_gelu() -> None:
    plain, quick = load("open_clip:ViT-B-32"), load("open_clip:ViT-B-32-quickgelu")
    assert plain.structural_hash == quick.structural_hash


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "group", "expected"),
    [
        # 3+4+6+3 bottlenecks, an attention pool; 12 blocks of text.
        ("RN50", "modified_resnet", {"attention": 1 + 12, "max_pool": 0}),
        ("coca_ViT-B-32", "coca", {"attention": 12 + 1 + 12 + 2 * 12}),  # pool, cross-attention
        ("ViT-B-16-SigLIP", "siglip", {"attention": 12 + 1 + 12}),  # attention pooling
        ("roberta-ViT-B-32", "vit", {"attention": 12 + 12, "tanh": 0}),  # pooled by its mean
        ("mt5-base-ViT-B-32", "vit", {"attention": 12 + 12}),
        ("convnext_base", "convnext", {"attention": 12}),
    ],
)
def test_known_structures(name: str, group: str, expected: dict[str, int]) -> None:
    graph = load(f"open_clip:{name}")
    ops = Counter(graph.op_names())
    assert {op: ops[op] for op in expected} == expected
    assert source.labels(name) == (group, "image-text")
    assert graph.meta.trace_kind == "autograd"
    assert graph.meta.unknown_ops == {}
    # A bias that SigLIP returns as it is, for the loss, is used by no operator.
    assert graph.meta.untraced == (1 if group == "siglip" else 0)


# Millions of parameters, by open_clip's docs/model_profile.csv.
PUBLISHED = {
    "coca_roberta-ViT-B-32": 420.37,
    "mt5-base-ViT-B-32": 365.71,
    "mt5-xl-ViT-H-14": 2306.75,
    "nllb-clip-base": 501.89,
    "nllb-clip-large": 1399.22,
    "roberta-ViT-B-32": 212.72,
    "xlm-roberta-base-ViT-B-32": 366.12,
    "xlm-roberta-large-ViT-H-14": 1193.01,
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "millions"), PUBLISHED.items())
def test_text_towers_of_hugging_face_have_their_published_sizes(name: str, millions: float) -> None:
    module, _ = source.build(name)
    assert sum(p.numel() for p in module.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)
    assert all(p.is_meta for p in module.parameters())


def test_names_are_all_of_those_that_need_no_download() -> None:
    import open_clip

    assert set(source.list_names()) == set(open_clip.list_models())
    assert source.list_names() == sorted(source.list_names())


def test_unknown_names_are_refused_with_close_ones() -> None:
    with pytest.raises(UnsupportedSourceError, match="did you mean ViT-B-32"):
        load_raw("open_clip:ViT-B-33")
    with pytest.raises(UnsupportedSourceError, match="no model called ''"):
        load_raw("open_clip:")


def test_an_absent_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    source.list_names()  # torchvision, which is looked for first, is there
    found = importlib.import_module

    def missing(package: str, anchor: str | None = None) -> ModuleType:
        if package != "open_clip":
            return found(package, anchor)
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(base.importlib, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'narfast\[open_clip\]'"):
        source.list_names()
