"""Finds out which decoders of segmentation_models_pytorch work over which encoders.

    python benchmarks/smp_pairings.py sweep.jsonl [--decoders NAME...] [--write]

Every decoder is tried over each of the library's own encoders and over each model of timm that the
library accepts as an encoder (features at 1/2, 1/4, ... of the image), DPT over the models of the
modules that data/sources/smp.toml names. A pairing works when it can be built and its graph read.
One line per pairing is appended to the sweep; run again, it goes on where it stopped.

``--write`` turns a sweep into data/sources/smp_pairings.toml. Where the sweep is not finished, an
encoder that works with one decoder counts as working with those that ask for the same features.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import sys
import textwrap
import time
import tomllib
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import narfast
from narfast.frontends import smp as source
from narfast.frontends import torch_module
from narfast.frontends._sources import build_without_weights
from narfast.graph import canonicalize

DATA = Path(narfast.__file__).parent / "data" / "sources"

ORDER = [
    "unet",
    "deeplabv3plus",
    "dpt",
    "deeplabv3",
    "fpn",
    "upernet",
    "segformer",
    "linknet",
    "manet",
    "unetplusplus",
    "pspnet",
    "pan",
]
"""Of trial: the first four are the first that ask an encoder for features of their kind."""

SAME_FEATURES = {"pan": "deeplabv3plus", "deeplabv3plus": "", "deeplabv3": "", "dpt": ""}
"""Decoders that ask an encoder for the same features, where that is not unet: stride 16."""


def reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"


def refusal(smp: Any, encoder: str) -> str | None:
    """Why the library does not take an encoder for decoders that read pyramids."""
    try:
        build_without_weights(lambda: smp.encoders.get_encoder(encoder, weights=None))
    except Exception as error:
        return reason(error)
    return None


def candidates(rows: list[dict[str, Any]], decoders: list[str]) -> Iterator[tuple[str, str, str]]:
    """(decoder, encoder, why it cannot work if that is known), without what is in `rows`."""
    smp, timm = source._smp(), source.import_library("timm")
    modules = tomllib.loads((DATA / "smp.toml").read_text())["dpt_modules"]
    vision = {f"tu-{name}" for module in modules for name in timm.list_models(module=module)}
    encoders = [f"tu-{name}" for name in timm.list_models()]
    random.Random(0).shuffle(encoders)  # so that an unfinished sweep is a fair sample
    encoders[:0] = smp.encoders.get_encoder_names()
    done = {row["name"] for row in rows}
    refused: dict[str, str] = {}
    for row in rows:
        decoder, _, encoder = row["name"].partition("-")
        if decoder != "dpt":
            what, _, why = row.get("error", "").partition(": ")
            refused[encoder] = why if what == "encoder" else ""
    for decoder in decoders:
        for encoder in encoders:
            if f"{decoder}-{encoder}" in done:
                continue
            if decoder == "dpt":
                if encoder in vision:
                    yield decoder, encoder, ""
                continue
            if encoder not in refused:
                refused[encoder] = refusal(smp, encoder) or ""
            yield decoder, encoder, refused[encoder]


def measure(decoder: str, encoder: str) -> dict[str, Any]:
    start, cpu = time.perf_counter(), time.process_time()
    built = start
    try:
        module, inputs = source.build_pairing(decoder, encoder)
        built = time.perf_counter()
        raw = torch_module.trace(module, inputs, copy=False)
        traced, processor = time.perf_counter(), time.process_time() - cpu
        graph = canonicalize(raw)
    except Exception as error:
        what = "trace" if built > start else "build"
        return {"error": f"{what}: {reason(error)}", "seconds": time.perf_counter() - start}
    return {
        "structural_hash": str(graph.structural_hash),
        "seconds": round(traced - start, 4),
        "build_s": round(built - start, 4),
        "cpu_s": round(processor, 4),
        "nodes": graph.num_nodes,
        "params": raw.meta.params,
        "trace_kind": raw.meta.trace_kind,
        "unknown_ops": raw.meta.unknown_ops,
        "untraced": raw.meta.untraced,
    }


def inferred(tried: dict[str, bool], decoders: list[str]) -> set[str]:
    """The decoders that one encoder works with.

    Args:
        tried: Whether the decoders that were tried work.
        decoders: All of them.
    """
    fitting = {decoder for decoder, works in tried.items() if works}
    for decoder in decoders:
        if decoder not in tried and tried.get(SAME_FEATURES.get(decoder, "unet"), False):
            fitting.add(decoder)
    return fitting


def write(rows: list[dict[str, Any]], decoders: list[str]) -> None:
    """Encoders with the same decoders stand together, so that the file is short and readable."""
    tried: dict[str, dict[str, bool]] = collections.defaultdict(dict)
    for row in rows:
        decoder, _, encoder = row["name"].partition("-")
        tried[encoder][decoder] = "error" not in row
    pyramids = [decoder for decoder in decoders if decoder != "dpt"]
    fitting = {encoder: inferred(known, pyramids) for encoder, known in tried.items()}
    groups: dict[tuple[str, ...], list[str]] = collections.defaultdict(list)
    for encoder, names in fitting.items():
        if names:
            groups[tuple(sorted(names))].append(encoder)
    traced = sum(sum(known.values()) for known in tried.values())
    lines = [
        f"# Pairings of segmentation_models_pytorch {version('segmentation_models_pytorch')} with "
        f"timm {version('timm')} that work:",
        f"# {sum(map(len, fitting.values()))} over {sum(map(len, groups.values()))} encoders, "
        f"{traced} of them built and traced, the others inferred.",
        "# Made by benchmarks/smp_pairings.py, which says how; do not edit.",
    ]
    for names, encoders in sorted(groups.items(), key=lambda g: (-len(g[1]), g[0])):
        lines += ["", "[[group]]"]
        for key, values in (("decoders", names), ("encoders", sorted(encoders))):
            listed = textwrap.wrap(
                " ".join(f'"{value}",' for value in values),
                98,
                initial_indent="  ",
                subsequent_indent="  ",
                break_on_hyphens=False,
                break_long_words=False,
            )
            lines += [f"{key} = [", *listed, "]"]
    (DATA / "smp_pairings.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweep", type=Path, help="JSON lines: one pairing each")
    parser.add_argument("--decoders", nargs="*", default=ORDER, help="those to try, in this order")
    parser.add_argument("--write", action="store_true", help="write the data file from the sweep")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    # A pairing that fits is traced on shapes alone; a run with real weights is never needed.
    torch_module._REAL_LIMIT = 0
    options.sweep.touch()
    rows = [json.loads(line) for line in options.sweep.read_text().splitlines()]
    if options.write:
        write(rows, ORDER)
        return
    with options.sweep.open("a", encoding="utf-8") as file:
        for decoder, encoder, why in candidates(rows, options.decoders):
            found = {"error": f"encoder: {why}"} if why else measure(decoder, encoder)
            file.write(json.dumps({"name": f"{decoder}-{encoder}", **found}) + "\n")
            file.flush()
    print(f"finished: {options.sweep}", file=sys.stderr)


if __name__ == "__main__":
    main()
