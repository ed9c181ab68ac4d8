"""Finds out which decoders of segmentation_models_pytorch work over which encoders.

    python benchmarks/studies/smp_pairings.py sweep.jsonl [--encoders] [--decoders ...] [--write]
    python benchmarks/studies/smp_pairings.py --zoo DIR

Encoders are the library's own and every model of timm that it accepts: features at 1/2, 1/4, ... of
the image, and at no less than 1/16 or 1/8 for decoders that ask for it. ``--encoders`` tries that
for every model of timm, which is how the library makes its own table of encoders.

Without it, pairings are built and traced, decoder by decoder; DPT over the models of the modules
that data/sources/smp.toml names. One line per trial is appended to the sweep; run again, it goes on
where it stopped.

``--write`` turns a sweep into data/sources/smp_pairings.toml. A pairing that was traced is in it if
that worked; one that was not, if the library accepts the encoder at the decoder's stride and unet,
where it was tried, works over it. ``--zoo`` takes out the pairings that a zoo lists as not read.
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
from itertools import starmap
from pathlib import Path
from typing import Any

import torch

import narfast
from narfast.graph import canonicalize
from narfast.sources.libraries import smp as source
from narfast.sources.libraries.base import build_without_weights
from narfast.sources.torch_trace import tracer
from narfast.zoo import Zoo

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

STRIDES = {"deeplabv3": 8, "deeplabv3plus": 16, "pan": 16}
"""What decoders ask for as the last stride of an encoder, where it is not 32."""


def reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"


def refusal(smp: Any, encoder: str, stride: int = 32) -> str:
    """Why the library does not take an encoder that gives pyramids; empty if it does."""
    try:
        build_without_weights(
            lambda: smp.encoders.get_encoder(encoder, weights=None, output_stride=stride)
        )
    except Exception as error:
        return reason(error)
    return ""


def accepted(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row for each model of timm that has none: the strides at which it is an encoder."""
    smp, timm = source._smp(), source.import_library("timm")
    done = {row.get("encoder") for row in rows}
    for encoder in (f"tu-{name}" for name in timm.list_models()):
        if encoder not in done:
            with source._probing_once():
                why = {32: refusal(smp, encoder)}
                if not why[32]:
                    why |= {stride: refusal(smp, encoder, stride) for stride in (16, 8)}
            yield {"encoder": encoder, "strides": [s for s in why if not why[s]], "why": why[32]}


def candidates(rows: list[dict[str, Any]], decoders: list[str]) -> Iterator[tuple[str, str]]:
    """(decoder, encoder) that can work and have no row yet."""
    smp, timm = source._smp(), source.import_library("timm")
    modules = tomllib.loads((DATA / "smp.toml").read_text())["dpt_modules"]
    vision = {f"tu-{name}" for module in modules for name in timm.list_models(module=module)}
    strides = {row["encoder"]: row["strides"] for row in rows if "encoder" in row}
    encoders = [f"tu-{name}" for name in timm.list_models()]
    random.Random(0).shuffle(encoders)  # so that an unfinished sweep is a fair sample
    own = smp.encoders.get_encoder_names()
    done = {row.get("name") for row in rows}
    for decoder in decoders:
        for encoder in [*own, *encoders]:
            if decoder == "dpt":
                possible = encoder in vision
            else:
                possible = encoder in own or STRIDES.get(decoder, 32) in strides[encoder]
            if possible and f"{decoder}-{encoder}" not in done:
                yield decoder, encoder


def measure(decoder: str, encoder: str) -> dict[str, Any]:
    name = f"{decoder}-{encoder}"
    start, cpu = time.perf_counter(), time.process_time()
    built = start
    try:
        module, inputs = source.build_pairing(decoder, encoder)
        built = time.perf_counter()
        raw = tracer.trace(module, inputs, copy=False)
        traced, processor = time.perf_counter(), time.process_time() - cpu
        graph = canonicalize(raw)
    except Exception as error:
        what = "trace" if built > start else "build"
        seconds = round(time.perf_counter() - start, 4)
        return {"name": name, "error": f"{what}: {reason(error)}", "seconds": seconds}
    return {
        "name": name,
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


def write(rows: list[dict[str, Any]]) -> None:
    """Encoders with the same decoders stand together, so that the file is short and readable."""
    fitting: dict[str, set[str]] = collections.defaultdict(set)
    failed = {row["name"] for row in rows if "name" in row and "error" in row}
    for row in rows:
        if "encoder" in row and f"unet-{row['encoder']}" not in failed:
            fitting[row["encoder"]] = {
                d for d in ORDER if d != "dpt" and STRIDES.get(d, 32) in row["strides"]
            }
    traced = 0
    for row in rows:
        if "name" in row:
            decoder, _, encoder = row["name"].partition("-")
            works = "error" not in row
            (fitting[encoder].add if works else fitting[encoder].discard)(decoder)
            traced += works
    save(fitting, f"{traced} of them traced, the others by their strides")


def drop_failed(zoo: Zoo) -> None:
    fitting: dict[str, set[str]] = collections.defaultdict(set)
    for decoder, encoder in source.pairings():
        fitting[encoder].add(decoder)
    for failure in zoo.errors:
        library, _, name = failure.id.partition(":")
        decoder, _, encoder = name.partition("-")
        if library == "smp":
            fitting[encoder].discard(decoder)
    save(fitting, "the listed ones traced, of the others some by their strides")


def save(fitting: dict[str, set[str]], evidence: str) -> None:
    groups: dict[tuple[str, ...], list[str]] = collections.defaultdict(list)
    for encoder, names in fitting.items():
        if names:
            groups[tuple(sorted(names))].append(encoder)
    lines = [
        f"# Pairings of segmentation_models_pytorch {version('segmentation_models_pytorch')} with "
        f"timm {version('timm')} that work:",
        f"# {sum(map(len, fitting.values()))} over {sum(map(len, groups.values()))} encoders, "
        f"{evidence}.",
        "# Made by benchmarks/studies/smp_pairings.py, which says how; do not edit.",
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
    parser.add_argument("sweep", type=Path, nargs="?", help="JSON lines: one pairing each")
    parser.add_argument("--zoo", help="take out what this zoo could not read, without a sweep")
    parser.add_argument("--encoders", action="store_true", help="try the models of timm alone")
    parser.add_argument("--decoders", nargs="*", default=ORDER, help="those to try, in this order")
    parser.add_argument("--write", action="store_true", help="write the data file from the sweep")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if options.zoo:
        drop_failed(Zoo.open(options.zoo))
        return
    if options.sweep is None:
        parser.error("name a sweep or a zoo")
    # A pairing that fits is traced on shapes alone; a run with real weights is never needed.
    tracer._REAL_LIMIT = 0
    options.sweep.touch()
    rows = [json.loads(line) for line in options.sweep.read_text().splitlines()]
    if options.write:
        write(rows)
        return
    if options.encoders:
        trials = accepted(rows)
    else:
        trials = starmap(measure, candidates(rows, options.decoders))
    with options.sweep.open("a", encoding="utf-8") as file:
        for row in trials:
            file.write(json.dumps(row) + "\n")
            file.flush()
    print(f"finished: {options.sweep}", file=sys.stderr)


if __name__ == "__main__":
    main()
