"""The tables and the picture of speed, from what the benchmarks wrote under ``results/``.

`tables.py` puts them in their places.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import numpy as np

RESULTS = Path(__file__).parents[1] / "results"
PICTURE = RESULTS / "speed.svg"
MACHINE = "linux-x86_64-2-cores"  # the one that the summary and the picture speak of
ONNX = "read an ONNX file"
QUERY = "query, ONNX ResNet-50, shipped zoo"
REPEATS = "repeats beside one sort and hash pass"
SEARCH, QUERIES = "vector search, 256 numbers, 200 queries", 200
ZOO = "encode the zoo's stored graphs"
PROCESS = "narfast search resnet50.onnx, whole process"
PEERS = [  # what, group, ours, the peer, aim
    (
        "encode the zoo's stored graphs, beside the torch model with the same weights",
        ZOO,
        "test_narfast",
        "test_torch_model",
        "at least 4 times",
    ),
    (
        "the same by two threads, beside one",
        ZOO,
        "test_two_threads",
        "test_narfast",
        "at least 1.85 times",
    ),
    (
        "encode 256 networks of the zoo, beside PyTorch Geometric's GCN on their graphs",
        "encode 256 networks of the zoo",
        "test_narfast",
        "test_pyg_gcn",
        "at least 100 times",
    ),
    (
        "motifs and macro graph of 2,000 nodes, beside a twin of the released Python",
        "neighbor_sequence and macro graph, 2,000 nodes",
        "test_narfast",
        "test_twin_of_the_release",
        "at least 1,000 times",
    ),
    (
        "read an ONNX file of 100 MB, beside `onnx.load`",
        ONNX,
        "test_narfast[100MB]",
        "test_onnx_load[100MB]",
        "at least 50 times",
    ),
    (
        "trace timm's ResNet-50, beside `torch.export`",
        "trace a network",
        "test_narfast[timm:resnet50]",
        "test_torch_export[timm:resnet50]",
        "",
    ),
]
STAGES = ("read", "canonicalize", "encode", "search")
BLUE, ORANGE, GREEN = "#4878a8", "#d08030", "#58a066"


@cache
def timings() -> dict[str, Any]:
    """What ``make bench`` measured on the machine of docs/results.md: group, then benchmark."""
    groups = _results(MACHINE)["groups"]
    return {title: group["benchmarks"] for title, group in groups.items()}


def _results(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def _median(group: str, name: str) -> float:
    return float(timings()[group][name]["median_seconds"])


def summary() -> list[str]:
    """What is measured beside what was aimed at."""
    rows = []
    for what, group, ours, peer, aim in PEERS:
        if group not in timings():  # not measured since it was added
            continue
        took, theirs = _median(group, ours), _median(group, peer)
        rows.append((what, f"{_time(took)}, {_ratio(theirs / took)} times as fast", aim))
    small, large = (_median(ONNX, f"test_weights_as_a_hole[{size}]") for size in ("5MB", "5GB"))
    growth = growths().values()
    longest, steepest = max(g.ours[-1] for g in growth), max(g.exponent for g in growth)
    warm, new = (_median(QUERY, f"test_whole{which}") for which in ("", "_of_new_motifs"))
    rows += [
        (
            "read an ONNX file of 5 GB, beside one of 5 MB with the same graph",
            f"{_time(large)}, {large / small:.2f} times as long",
            "at most 2 times",
        ),
        (
            "mine a million nodes (`repeats`), and how that grows from a thousand on",
            f"{_time(longest)}, exponent {steepest:.2f}",
            "an exponent of at most 1.1",
        ),
        (
            "answer a query by an ONNX ResNet-50, everything included",
            f"{_time(warm)}; {_time(new)} where none of its motifs was seen before",
            "at most 2.5 ms; 4 ms",
        ),
        *_process_row(),
        *_searches(),
        *_bulk_rows(),
    ]
    lines = ["| what | measured | aim |", "|---|---|---|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _process_row() -> Iterator[tuple[str, str, str]]:
    if PROCESS in timings():
        bench = timings()[PROCESS]["test_narfast"]
        took = f"{_time(bench['median_seconds'])}, at most {bench['peak_mb']:,} MB"
        yield (
            f"`narfast search resnet50.onnx`, the whole process, {bench['install']}",
            took,
            "at most 0.6 s, 250 MB",
        )


def _searches() -> Iterator[tuple[str, str, str]]:
    found = []
    for case, vectors in (("10k", "10,000 vectors"), ("1m", "a million vectors")):
        ours, bare = (
            timings()[SEARCH][f"test_{who}[{case}]"] for who in ("narfast", "bare_usearch")
        )
        medians = (each["median_seconds"] / QUERIES for each in (ours, bare))
        found.append((vectors, *medians, ours["recall"]))
    report = _results("nas_index")
    ours, bare = (report["methods"][name] for name in ("narfast", "bare usearch"))
    vectors = f"{report['vectors']:,} vectors of NAS-Bench-101"
    found.append((vectors, ours["query_ms"] / 1e3, bare["query_ms"] / 1e3, ours["recall"]))
    for vectors, took, theirs, recall in found:
        yield (
            f"search {vectors} by HNSW, beside bare usearch",
            f"{_time(took)} a query, {took / theirs:.2f} times as long, recall@10 {recall:.3f}",
            "at most 1.2 times, recall@10 .99",
        )


def _bulk_rows() -> Iterator[tuple[str, str, str]]:
    report = _results("bulk_encode")
    threads, whole = f"by {report['workers']} threads", report["nasbench101"]
    yield (
        f"generate, mine and encode NAS-Bench-101, {whole['networks']:,} networks, {threads}",
        f"{whole['seconds']:,.0f} s, {max(mb for _, mb in whole['memory_mb']):,} MB, "
        f"{100 * _growth(whole):.0f} % more than after the first tenth",
        "at most 5 % more",
    )
    if "onnx" in report:
        made = report["onnx"]
        count, most = max(made["workers"].items(), key=lambda item: int(item[0]))
        yield (
            f"encode {made['files']:,} small ONNX files from disk, {count} workers beside one",
            f"{most['files_per_second']:,} a second, {most['times_as_fast']:.2f} times as fast",
            "at least 500 a second, 1.8 times",
        )
    for name, graphs in (("zoo", "the shipped zoo's"), ("stored", "repeated")):
        made = report[name]
        yield (
            f"encode {made['networks']:,} stored graphs, {graphs}, {threads}",
            f"{made['networks_per_second']:,} a second",
            "",
        )


def _growth(made: dict[str, Any]) -> float:
    """How much more memory a run held at most than after its first tenth, as a share."""
    held = [megabytes for _, megabytes in made["memory_mb"]][1:]
    return max(held) / held[0] - 1


def speed() -> list[str]:
    """Every suite of ``make bench``: medians, spread, and how many times as long as ours."""
    lines = []
    for path in sorted(RESULTS.glob("*-cores.json")):
        document = json.loads(path.read_text())
        lines += [f"On `{document['machine']}`, {document['threads']} thread:", ""]
        for title, group in document["groups"].items():
            lines += [
                f"**{title}** (load of the machine {group['load_average'][0]:.1f})",
                "",
                "| what | median | middle half | rounds | beside ours |",
                "|---|--:|--:|--:|--:|",
            ]
            for name, bench in group["benchmarks"].items():
                case = re.search(r"\[.*\]$", name)
                ours = group["benchmarks"].get(f"test_narfast{case[0] if case else ''}")
                median, spread = bench["median_seconds"], bench["interquartile_range_seconds"]
                ratio = "" if ours is None else f"{median / ours['median_seconds']:,.1f}"
                lines.append(
                    f"| {name.removeprefix('test_').replace('_', ' ')}{_extra(bench)} | "
                    f"{_time(median)} | {_time(spread)} | {bench['rounds']} | {ratio} |"
                )
            lines.append("")
    return lines


@dataclasses.dataclass(frozen=True)
class Growth:
    """Seconds of `repeats`, and of one sort and hash pass, over graphs of one shape."""

    nodes: list[int]
    ours: list[float]
    floor: list[float]

    @property
    def exponent(self) -> float:
        return float(np.polyfit(np.log(self.nodes), np.log(self.ours), 1)[0])

    @property
    def most(self) -> float:
        return max(took / floor for took, floor in zip(self.ours, self.floor, strict=True))


def growths() -> dict[str, Growth]:
    """How mining grows from a thousand nodes to a million, by the shape of the graph."""
    times = timings()[REPEATS]
    found: dict[str, Growth] = {}
    for name, bench in times.items():
        case = re.fullmatch(r"test_repeats\[(.*)-(\d+)\]", name)
        if case:
            growth = found.setdefault(case[1], Growth([], [], []))
            growth.nodes.append(int(case[2]))
            growth.ours.append(bench["median_seconds"])
            floor = times[f"test_sort_and_hash[{case[1]}-{case[2]}]"]
            growth.floor.append(floor["median_seconds"])
    return found


def mining() -> list[str]:
    """`repeats` beside one sort and hash pass: the largest ratio, and how it grows."""
    lines = [
        "| shape | at a million nodes | most times the pass | exponent of growth |",
        "|---|--:|--:|--:|",
    ]
    for shape, growth in growths().items():
        cells = f"{_time(growth.ours[-1])} | {growth.most:.1f} | {growth.exponent:.2f}"
        lines.append(f"| {shape} | {cells} |")
    return lines


def floors() -> list[str]:
    """Time of every stage of bulk encoding beside the least that it must do."""
    document = _results("floors")
    counts = sorted({stage["threads"] for stage in document["stages"]})
    heads = " | ".join(f"{count} thread{'s' * (count > 1)} | times the floor" for count in counts)
    lines = [
        f"{document['graphs']:,} networks of {document['nodes'] / document['graphs']:.0f} "
        f"operators each, {document['distinct_motifs']:,} distinct motifs; "
        f"{document['gigabytes_a_second']:.1f} GB/s and {document['gigaflops']:.0f} GFLOP/s of one "
        f"thread measured, load {document['load_average'][0]:.1f}.",
        "",
        f"| stage, a network | bytes | operations | floor, 1 thread | {heads} |",
        "|---|--:|--:|--:" + "|--:|--:" * len(counts) + "|",
    ]
    by_name: dict[str, dict[int, dict[str, Any]]] = {}
    for stage in document["stages"]:
        by_name.setdefault(stage["stage"], {})[stage["threads"]] = stage
    for name, by_threads in by_name.items():
        first = by_threads[counts[0]]
        cells = [
            f"{first['bytes']:,.0f}",
            f"{first['operations']:,.0f}",
            _time(first["floor"]),
        ]
        for stage in by_threads.values():
            cells += [_time(stage["seconds"]), f"{stage['seconds'] / stage['floor']:,.1f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    search = document["exact_search_of_one_query"]
    lines += [
        "",
        f"Exact search of one query: {_time(search['seconds'])}, "
        f"{search['seconds'] / search['floor']:.1f} times its floor.",
        "",
        "| operations of a network | thousand |",
        "|---|--:|",
        *(f"| {name} | {count / 1e3:,.0f} |" for name, count in document["operations"].items()),
    ]
    return lines


def colors() -> list[str]:
    """Distinct colours for each node, and the rows that the engine multiplies."""
    document = _results("floors")
    lines = [
        "| distinct colours for each node | nodes | within a network: 0, 1, 2 hops "
        "| across all: 0, 1, 2 hops |",
        "|---|--:|--:|--:|",
    ]
    for name, found in document["colors"].items():
        shares = (", ".join(f"{each:.3f}" for each in found[key]) for key in ("within", "across"))
        lines.append(f"| {name} | {found['nodes']:,} | {' | '.join(shares)} |")
    for name, rows in document["rows_multiplied"].items():
        *multiplied, _ = rows["colors"]
        shown = ", ".join(f"{count:,}" for count in multiplied)
        lines += [
            "",
            f"Rows multiplied by the layers of {name}: {shown}; nodes: {rows['nodes']:,}.",
        ]
    return lines


def threads() -> list[str]:
    """How encoding grows with threads."""
    document = _results("threads")
    machine = document["machine"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, Python {document['python']}, load "
        f"{machine['load_before'][0]:.1f} before; medians of {document['rounds']} rounds in turns.",
        "",
        "| networks | threads | time | a second | times as fast |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, made in document["collections"].items():
        title = {"zoo": "the shipped zoo's", "nasbench201": "NAS-Bench-201"}[name]
        for count, each in made["threads"].items():
            cells = f"{_time(each['median_seconds'])} | {each['networks_per_second']:,}"
            shown = f"{title}, {made['networks']:,}"
            lines.append(f"| {shown} | {count} | {cells} | {each['times_as_fast']:.2f} |")
    return lines


def oracle() -> list[str]:
    """How far the core is from the torch model."""
    document = _results("oracle")
    lines = [
        f"The torch model on {document['device']}, torch {document['torch']}, in single precision; "
        f"networks that differ by more than {document['tolerance']:g} are asked again in double.",
        "",
        "| configuration | weights | networks | largest difference | largest 1 - cosine "
        "| asked again | largest difference to double |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    titles = {"zoo": "the zoo's", "exports": "exports", "nas": "of NAS spaces"}
    for name, made in document["configurations"].items():
        for key, found in made["sets"].items():
            cells = f"{found['largest_difference']:.1e} | {found['largest_cosine_distance']:.1e}"
            networks = f"{found['networks']:,} {titles[key]}"
            exact = found["largest_difference_to_double"]
            again = f"{found['asked_again_in_double']} | {'' if exact is None else f'{exact:.1e}'}"
            lines.append(f"| `{name}` | {made['weights']} | {networks} | {cells} | {again} |")
    return lines


def bulk() -> list[str]:
    """Whole collections encoded as `narfast encode` does, and one network of NAS-Bench-101."""
    report = _results("bulk_encode")
    lines = [
        f"{report['workers']} workers, load {report['machine']['load_before']} before:",
        "",
        "| what | networks | time | processor | a second | memory: first, half, last, most "
        "| most beside the first tenth |",
        "|---|--:|--:|--:|--:|---|--:|",
    ]
    for name, what in (
        ("nasbench101", "NAS-Bench-101, generated"),
        ("zoo", "stored graphs of the shipped zoo"),
        ("stored", "the same, repeated"),
    ):
        made = report[name]
        held = [megabytes for _, megabytes in made["memory_mb"]]
        memory = ", ".join(f"{m:,}" for m in (held[0], held[len(held) // 2], held[-1], max(held)))
        cells = f"{made['seconds']:.0f} s | {made['processor_seconds']:.0f} s"
        lines.append(
            f"| {what} | {made['networks']:,} | {cells} | {made['networks_per_second']:,} "
            f"| {memory} MB | +{100 * _growth(made):.0f} % |"
        )
    if "onnx" in report:
        made = report["onnx"]
        lines += [
            "",
            f"{made['files']:,} ONNX files, {made['bytes'] / 1e6:,.0f} MB, from disk:",
            "",
            "| workers | time | files a second | times as fast |",
            "|--:|--:|--:|--:|",
        ]
        for count, each in made["workers"].items():
            cells = f"{each['median_seconds']:.1f} s | {each['files_per_second']:,}"
            lines.append(f"| {count} | {cells} | {each['times_as_fast']:.2f} |")
    stages = sorted(report["stages_us"].items(), key=lambda stage: -stage[1])
    times = ", ".join(f"{stage} {microseconds:,.0f}" for stage, microseconds in stages)
    lines += ["", f"One network of NAS-Bench-101, one thread, in microseconds: {times}."]
    machine = report["machine"]
    known, new = (_hours(report[name]) for name in ("stored", "nasbench101"))
    lines += [
        "",
        "**Projected, not measured**: 100 million stored graphs whose motifs are mostly known "
        f"take {known[0]:.0f} hours on the benchmark machine ({machine['cpu']}, {machine['cores']} "
        f"cores), {known[1]:.0f} of one processor, from the line of repeated graphs. Networks that "
        "each bring a motif of their own take "
        f"{new[0]:.0f} hours, {new[1]:.0f} of one processor, from the line of NAS-Bench-101. "
        "`--engine ray` divides the latter by the processors that it is given, less what "
        "starting and moving take.",
    ]
    return lines


def _hours(made: dict[str, Any]) -> tuple[float, float]:
    """Hours for a hundred million networks: by the clock, and of processors."""
    each = 1e8 / made["networks"] / 3600
    return each * made["seconds"], each * made["processor_seconds"]


def nas_index() -> list[str]:
    """HNSW search over the vectors of NAS-Bench-101."""
    report = _results("nas_index")
    low, high = report["cosine_of_the_tenth"]
    lines = [
        f"{report['vectors']:,} vectors of {report['dim']} numbers, {report['queries']:,} queries, "
        f"load {report['load_average'][0]:.1f}; the tenth nearest has a cosine between {low} and "
        f"{high} for most queries.",
        "",
        f"| index | built by {report['build_threads']} threads in | a query, one thread "
        "| recall@10 |",
        "|---|--:|--:|--:|",
    ]
    for name, made in report["methods"].items():
        built = f"{made['build_seconds']:,.0f} s" if made["build_seconds"] else ""
        width = f", {made['width']} candidates" if "width" in made else ""
        cells = f"{built} | {_time(made['query_ms'] / 1e3)} | {made['recall']:.3f}"
        lines.append(f"| {name}{width} | {cells} |")
    return lines


def draw() -> None:
    """Draw a query by stages, the growth of mining, and the memory of encoding."""
    plt.rcParams.update({"svg.hashsalt": "narfast", "svg.fonttype": "none", "font.size": 8})
    figure, (query, mined, memory) = plt.subplots(1, 3, figsize=(9.5, 2.8), layout="constrained")
    stages = {name: 1e3 * _median(QUERY, f"test_{name}") for name in STAGES}
    bars = query.barh(list(stages), list(stages.values()), color=BLUE, height=0.6)
    query.bar_label(bars, [f"{took:.2f} ms" for took in stages.values()], padding=2)
    query.set_xlim(0, 1.35 * max(stages.values()))
    query.invert_yaxis()
    query.xaxis.set_visible(False)
    query.tick_params(axis="y", length=0)
    query.spines["bottom"].set_visible(False)
    query.set_title("A query by an ONNX ResNet-50")

    for (shape, growth), color in zip(growths().items(), (BLUE, ORANGE, GREEN), strict=True):
        mined.plot(growth.nodes, growth.ours, "o-", color=color, markersize=3, label=shape)
        mined.plot(growth.nodes, growth.floor, ":", color=color)
    mined.set(xscale="log", yscale="log", xlabel="nodes", ylabel="seconds")
    mined.legend(frameon=False, loc="lower right")
    mined.set_title("Mining repeats (dotted: sort and hash)")

    report = _results("bulk_encode")
    for name, color, label in (
        ("nasbench101", BLUE, "NAS-Bench-101"),
        ("stored", ORANGE, "stored graphs"),
    ):
        done, held = zip(*report[name]["memory_mb"], strict=True)
        memory.plot([n / 1e3 for n in done], held, "o-", color=color, markersize=3, label=label)
    memory.set(xlabel="thousand networks encoded", ylabel="MB held")
    memory.set_ylim(bottom=0)
    memory.legend(frameon=False, loc="lower right")
    memory.set_title("Memory of encoding")

    for axis in (query, mined, memory):
        axis.spines[["top", "right"]].set_visible(False)
        axis.title.set(fontsize=9, fontweight="bold")
    figure.savefig(PICTURE, metadata={"Date": None})


def _extra(bench: dict[str, Any]) -> str:
    known = {
        "recall": "recall {:.3f}",
        "width": "{} candidates",
        "build_seconds": "built in {:,.0f} s",
        "peak_mb": "at most {:,} MB",
        "install": "{}",
    }
    found = [text.format(bench[key]) for key, text in known.items() if key in bench]
    if bench.get("build_threads", 1) > 1:
        found.append(f"by {bench['build_threads']} threads")
    return f" ({', '.join(found)})" if found else ""


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2f}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{seconds * 1e9:,.3g} ns"
