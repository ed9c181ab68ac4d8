"""diffusers as a source of networks: classes by default, and released checkpoints by name."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from importlib.util import find_spec
from types import ModuleType

import pytest

from narfast.errors import MissingDependencyError, UnsupportedSourceError
from narfast.explain import summarize
from narfast.sources import loader
from narfast.sources._torchvision_compat import import_torchvision
from narfast.sources.libraries import base
from narfast.sources.libraries.diffusers import _configuration, _released
from narfast.sources.loader import load, load_raw

pytestmark = pytest.mark.skipif(find_spec("diffusers") is None, reason="needs diffusers")
source = loader.library("diffusers")


def largest_count(graph: loader.ArchGraph) -> int:
    motifs = [motif for motif in summarize(graph).motifs if motif.count > 1]
    return max(motifs, key=lambda motif: motif.size * motif.count).count


@pytest.mark.slow
def test_the_unet_of_stable_diffusion_1_5_has_its_published_blocks() -> None:
    graph = load("diffusers:stable-diffusion-v1-5/unet")
    ops = Counter(graph.op_names())
    # 3 * 2 blocks down, 1 in the middle, 3 * 3 up: each attends to the image and to the prompt.
    assert ops["attention"] == 2 * (6 + 1 + 9)
    # 22 residual blocks of two norms, 16 transformers of one, and one at the end.
    assert ops["group_norm"] == 2 * 22 + 16 + 1
    assert ops["resize"] == 3
    assert graph.meta.params == 859_520_964
    assert source.labels(graph.meta.name) == ("unet_2d_condition", "diffusion")
    assert graph.meta.trace_kind == "autograd"
    assert graph.meta.unknown_ops == {}
    assert graph.meta.untraced == 0


@pytest.mark.slow
def test_dit_xl_2_has_28_blocks() -> None:
    graph = load("diffusers:DiT-XL-2-256/transformer")
    assert Counter(graph.op_names())["attention"] == 28
    assert largest_count(graph) == 28
    assert source.labels(graph.meta.name) == ("dit_transformer_2d", "diffusion")


@pytest.mark.slow
def test_flux_has_19_double_and_38_single_blocks() -> None:
    graph = load("diffusers:FLUX.1-dev/transformer")
    assert Counter(graph.op_names())["attention"] == 19 + 38
    counts = [motif.count for motif in summarize(graph).motifs if motif.size > 10]
    assert counts == [19 - 1, 38 - 1]  # one of each kind differs where text and image join or part
    assert graph.meta.params == pytest.approx(11.9e9, rel=0.01)
    assert graph.meta.untraced == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "millions", "task"),
    [
        ("stable-diffusion-v1-5/vae", 83.65, "autoencoder"),
        ("stable-diffusion-xl-base-1.0/unet", 2567.5, "diffusion"),
        ("stable-diffusion-2-1/unet", 865.9, "diffusion"),
        ("stable-diffusion-3-medium-diffusers/transformer", 2028.3, "diffusion"),
        ("ddpm-cifar10-32", 35.7, "diffusion"),
        ("bk-sdm-base/unet", 579.4, "diffusion"),
        ("taesd", 2.4, "autoencoder"),
    ],
)
def test_released_checkpoints_have_their_published_sizes(
    name: str, millions: float, task: str
) -> None:
    module, _ = source.build(name)
    assert sum(p.numel() for p in module.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)
    assert all(p.is_meta for p in module.parameters())
    assert source.labels(name)[1] == task


@pytest.mark.slow
def test_a_released_checkpoint_is_told_by_its_numbers() -> None:
    one, other = load("diffusers:sd-vae-ft-mse"), load("diffusers:stable-diffusion-v1-5/vae")
    assert one.structural_hash == other.structural_hash
    wide = load("diffusers:stable-diffusion-x4-upscaler/vae")
    assert wide.structural_hash != one.structural_hash


def test_every_released_configuration_says_where_it_is_published() -> None:
    entries = _released()
    assert len(entries) > 150
    for name, entry in entries.items():
        assert set(entry) <= {"class", "like", "config", "null", "source"}, name
        assert ("class" in entry) != ("like" in entry), name
        address = entry["source"]
        repository = name.partition("/")[0]
        if not address.startswith("https://github.com/huggingface/diffusers/"):
            assert address.split("/")[1] == repository, name  # owner/repository/blob/...


def test_fields_are_taken_over_from_the_entry_that_is_named() -> None:
    class_name, fields = _configuration("stable-diffusion-2-inpainting/unet")
    assert class_name == "UNet2DConditionModel"
    assert (fields["in_channels"], fields["cross_attention_dim"]) == (9, 1024)
    assert _configuration("bk-sdm-small/unet")[1]["mid_block_type"] is None
    assert _configuration("UNet2DModel") == ("UNet2DModel", {})


@pytest.mark.slow
def test_fields_are_fields_of_their_class() -> None:
    import_torchvision()  # before diffusers imports it
    models = pytest.importorskip("diffusers.models")
    for name in _released():
        class_name, fields = _configuration(name)
        accepted = inspect.signature(getattr(models, class_name).__init__).parameters
        assert fields.keys() <= accepted.keys(), name


def test_names_are_classes_and_released_checkpoints() -> None:
    names = source.list_names()
    assert names == sorted(set(names))
    assert set(_released()) < set(names)
    assert {"UNet2DConditionModel", "FluxTransformer2DModel", "AutoencoderKL"} < set(names)
    assert "HunyuanDiT2DModel" not in names  # has no default number of channels


def test_unknown_names_are_refused_with_close_ones() -> None:
    with pytest.raises(UnsupportedSourceError, match="did you mean UNet2DModel"):
        load_raw("diffusers:UNet2DModle")
    with pytest.raises(UnsupportedSourceError, match="no model called"):
        load_raw("diffusers:ModelMixin")  # a class of the library, but no network


def test_an_absent_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    source.list_names()  # torchvision, which is looked for first, is there
    found = importlib.import_module

    def missing(package: str, anchor: str | None = None) -> ModuleType:
        if package != "diffusers":
            return found(package, anchor)
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(base.importlib, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'narfast\[diffusers\]'"):
        source.list_names()


@pytest.mark.slow
def test_a_network_that_looks_at_numbers_is_run_narrow() -> None:
    offered = list(source.fallbacks("Lumina-Image-2.0/transformer"))  # type: ignore[attr-defined]
    assert [what for what, _ in offered] == ["small"]
    module, inputs = offered[0][1]()
    assert len(module.layers) == 26  # all of them
    assert inputs["encoder_hidden_states"].shape[-1] == 2304 // 8
    assert not list(source.fallbacks("FLUX.1-dev/transformer"))  # type: ignore[attr-defined]
