"""Released sizes have the parameter counts that are known of them, or that the name says.

The table's counts were written down from memory before they were compared; an exact agreement of
eight digits is what makes them evidence.
"""

from __future__ import annotations

import csv
import re
from importlib.util import find_spec

import pytest

from narfast.sources.loader import library
from paths import DATA

TABLE = DATA / "published_params.csv"
FEW = 1.2e9  # larger networks have more layers, which take longer to build


def parameters(name: str) -> int:
    """Parameters of a network that is built without weights."""
    source, _, rest = name.partition(":")
    network, _ = library(source).build(rest)
    return sum(parameter.numel() for parameter in network.parameters())


def published() -> dict[str, int]:
    """Parameter counts of released models, by name in transformers."""
    with TABLE.open(encoding="utf-8") as file:
        return {row["name"]: int(row["params"]) for row in csv.DictReader(file)}


def stated(name: str) -> float:
    """The size in a name: 125 million in ``opt-125m``, 1.7 billion in ``bloom-1b7``."""
    found = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)([bBmM])(\d?)(?![a-zA-Z0-9])", name)
    assert found is not None, name
    whole, unit, tenths = found.groups()
    return float(f"{whole}.{tenths}" if tenths else whole) * (1e9 if unit in "bB" else 1e6)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("transformers") is None, reason="needs transformers")
@pytest.mark.parametrize("name", [n for n, params in published().items() if params < FEW][::6])
def test_the_count_is_the_published_one(name: str) -> None:
    assert parameters(f"transformers:{name}") == published()[name]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("transformers") is None, reason="needs transformers")
@pytest.mark.parametrize(
    "name",
    [
        "EuroBERT-210m",
        "ettin-encoder-17m",
        "ettin-decoder-68m",
        "galactica-125m",
        "megatron-bert-uncased-345m",
        "nllb-200-distilled-600M",
        "rwkv-4-169m-pile/RwkvForCausalLM",
        "llama-160m/LlamaForCausalLM",
        "Sheared-LLaMA-1.3B",
        "TinyLlama-1.1B-Chat-v1.0",
    ],
)
def test_the_count_is_the_one_in_the_name(name: str) -> None:
    assert parameters(f"transformers:{name}") == pytest.approx(stated(name), rel=0.08)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("transformers") is None, reason="needs transformers")
@pytest.mark.parametrize(
    ("name", "millions"),  # as in the model cards
    [
        ("t5-efficient-tiny", 15.58),
        ("t5-efficient-tiny-nl32", 67.06),
        ("t5-efficient-mini", 31.23),
        ("t5-efficient-small", 60.52),
        ("t5-efficient-base", 222.93),
    ],
)
def test_variants_of_t5_have_the_heads_that_were_released(name: str, millions: float) -> None:
    assert parameters(f"transformers:{name}") == pytest.approx(millions * 1e6, rel=0.002)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("diffusers") is None, reason="needs diffusers")
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("stable-diffusion-2-1/unet", 865_910_724),
        ("stable-diffusion-xl-base-1.0/unet", 2_567_463_684),
        ("stable-diffusion-v1-5/vae", 83_653_863),
        ("SD3-Controlnet-Canny", 595e6 - 192 * 192 * 1536),  # 1.19 GB, less a table of positions
    ],
)
def test_parts_of_diffusion_models_have_their_published_counts(name: str, params: float) -> None:
    assert parameters(f"diffusers:{name}") == pytest.approx(params, rel=0.005)
