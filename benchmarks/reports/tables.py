"""Writes the tables of docs/results.md, benchmarks/README.md and SECURITY.md from the results.

    narfast evaluate all -o benchmarks/results [--encoder NAME=DIR ...] [--only METHOD]
    narfast evaluate PROTOCOL -o benchmarks/results/seed_1 --encoder "seed 1=DIR"
    python benchmarks/studies/ablations.py
    python benchmarks/studies/mutate.py --count 20000 --out benchmarks/results/mutations.json
    python benchmarks/studies/oracle.py
    python benchmarks/studies/block_search.py
    python benchmarks/studies/situate.py
    python benchmarks/studies/alignment.py
    python benchmarks/reports/tables.py

A table stands between two marks, ``<!-- NAME: ... -->`` and ``<!-- NAME ends -->``; one whose
results are not there stays as it is.
"""

from __future__ import annotations

import collections
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import speed

from narfast.evaluation.corpus import Corpus
from narfast.evaluation.methods import SHIPPED, by_encoder
from narfast.evaluation.protocols import EXPORTS, cross_format
from narfast.evaluation.report import rankings_of
from narfast.zoo import Zoo

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.append(str(ROOT / "benchmarks" / "studies"))

import mutate  # noqa: E402

CUT = "20"
COLUMNS = [  # protocol, task, heading
    ("cross_library", "all", "other libraries"),
    ("heldout_family", "heldout-families", "unseen families"),
    ("size_ladder", "sizes", "other sizes"),
    ("cross_format", "exports", "ONNX exports"),
    ("paper_real", "timm", "timm"),
    ("paper_real", "whole-zoo", "whole zoo"),
    ("paper_nas", "darts", "DARTS"),
]
PAPER = {  # what the paper reports, at 20: MRR, MAP, NDCG
    ("paper_real", "whole-zoo"): {
        "GCN": (0.737, 0.598, 0.686),
        "GAT": (0.756, 0.542, 0.610),
        "motifs, two levels": (0.825, 0.593, 0.705),
    },
    ("paper_nas", "darts"): {
        "GCN": (1.0, 0.927, 0.953),
        "GAT": (1.0, 0.941, 0.961),
        "motifs, two levels": (1.0, 0.952, 0.969),
    },
}


def short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0").replace("-0.", "-.")


def interval(metric: dict[str, float]) -> str:
    return f"{short(metric['mean'])} ({short(metric['low'])} to {short(metric['high'])})"


def retrieval() -> list[str]:
    """Every method in every protocol, and how sure the differences are."""
    columns = [
        (heading, _task(protocol, name))
        for protocol, name, heading in COLUMNS
        if (RESULTS / f"{protocol}.json").exists()
    ]
    lines = []
    for measure, mean, title in (
        ("map", "mean", "MAP@20"),
        ("mrr", "mean", "MRR@20"),
        ("ndcg", "mean", "NDCG@20"),
        ("map", "family_mean", "MAP@20, every family counting the same instead of every query"),
    ):
        lines += [f"{title}:", "", *_methods(columns, measure, mean), ""]
    lines += [
        "How sure that is, for MAP@20: 95 % bootstrap intervals over queries; the difference, "
        "query by query, to the best other method, with an interval that resamples whole families, "
        "and how often signs drawn at random for families give as much (p).",
        "",
        "| task | queries | families | encoder | best other method | difference | p |",
        "|---|--:|--:|---|---|---|--:|",
    ]
    for heading, value in columns:
        maps = {method: measures["map"][CUT] for method, measures in value["methods"].items()}
        encoder = maps.pop(SHIPPED)
        rival = max(maps, key=lambda method: maps[method]["mean"])
        ahead = value["ahead"][rival]["map"][CUT]
        lines.append(
            f"| {heading} | {value['queries']:,} | {value['families']} | {interval(encoder)} | "
            f"{interval(maps[rival])}, {rival} | {interval(ahead)} | {ahead['p_value']:.3f} |"
        )
    return lines


def _task(protocol: str, name: str) -> dict[str, Any]:
    document = json.loads((RESULTS / f"{protocol}.json").read_text())
    task: dict[str, Any] = document["settings"][name]
    return task


def _methods(columns: list[tuple[str, dict[str, Any]]], measure: str, mean: str) -> list[str]:
    lines = [
        f"| method | {' | '.join(heading for heading, _ in columns)} |",
        "|---" + "|--:" * len(columns) + "|",
    ]
    best = [max(m[measure][CUT][mean] for m in v["methods"].values()) for _, v in columns]
    for method in columns[0][1]["methods"]:
        values = [v["methods"][method][measure][CUT][mean] for _, v in columns]
        cells = [
            f"**{short(value)}**" if value == top else short(value)
            for value, top in zip(values, best, strict=True)
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def paper() -> list[str]:
    """The paper's numbers beside those of the same protocol here."""
    lines = ["| set | method | MRR@20 | MAP@20 | NDCG@20 |", "|---|---|--:|--:|--:|"]
    for (protocol, name), reported in PAPER.items():
        title = "Real" if protocol == "paper_real" else "NAS"
        for method, values in reported.items():
            cells = " | ".join(short(value) for value in values)
            lines.append(f"| {title}, as the paper reports it | {method} | {cells} |")
        for method, measures in _task(protocol, name)["methods"].items():
            cells = " | ".join(short(measures[m][CUT]["mean"]) for m in ("mrr", "map", "ndcg"))
            lines.append(f"| {title}, ours | {method} | {cells} |")
    return lines


def seeds() -> list[str]:
    """The same configuration trained from another seed, beside the shipped encoder."""
    lines = [
        "| task | measure at 20 | shipped encoder, seed 0 | seed 1 | within the interval |",
        "|---|---|---|--:|---|",
    ]
    for protocol, name, heading in COLUMNS:
        if not (RESULTS / "seed_1" / f"{protocol}.json").exists():
            continue
        methods = _task(f"seed_1/{protocol}", name)["methods"]
        for measure in ("mrr", "map", "ndcg"):
            shipped, other = methods[SHIPPED][measure][CUT], methods["seed 1"][measure][CUT]
            within = shipped["low"] <= other["mean"] <= shipped["high"]
            lines.append(
                f"| {heading} | {measure.upper()} | {interval(shipped)} | {short(other['mean'])} "
                f"| {'yes' if within else 'no'} |"
            )
    return lines


def ablations() -> list[str]:
    """What each part of the encoder gives, on the validation half."""
    variants = json.loads((RESULTS / "ablations.json").read_text())["variants"]
    lines = [
        "| variant | families MRR | families MAP | by family | MONAI MRR | MONAI MAP |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, variant in variants.items():
        families, monai = variant["unseen families"], variant["MONAI"]
        cells = [families["mrr"], families["map"], families["family_map"]]
        cells += [monai["mrr"], monai["map"]]
        shown = " | ".join(short(cell) for cell in cells)
        lines.append(f"| `{name}`: {variant['description']} | {shown} |")
    return lines


def exports() -> list[str]:
    """How much of the zoo comes back from ONNX files, and what is different where it does not."""
    zoo, read = Zoo.open("default"), Zoo.open(EXPORTS)
    lines = [
        "| exporter | asked for | exported and read | equal hash | hit@1 "
        "| cosine of those that differ: least, median |",
        "|---|--:|--:|--:|--:|---|",
    ]
    differing: dict[str, list[str]] = {}
    for task in cross_format(zoo)[1:]:  # one for each exporter, as `evaluate` ranks them
        corpus = Corpus(zoo, task.extra)
        ranked = rankings_of(task, by_encoder()(corpus, task), seed=0)
        hits, cosines, equal = 0, [], 0
        for query, relevant, ranking in zip(task.queries, task.relevant, ranked, strict=True):
            target, entry = zoo[int(relevant[0])], read[int(query) - len(zoo)]
            hit = ranking[0] == target.row
            hits += hit
            if target.structural_hash == entry.structural_hash:
                equal += 1
                continue
            cosines.append(float(corpus.vectors()[query] @ corpus.vectors()[target.row]))
            change = _changes(entry.graph.op_names(), target.graph.op_names())
            found = f"{task.name}:{target.id}{'' if hit else ' (missed)'}"
            differing.setdefault(change, []).append(found)
        count = len(task.queries)
        failed = sum(failure.id.startswith(f"{task.name}:") for failure in read.errors)
        spread = f"{min(cosines):.3f}, {np.median(cosines):.3f}" if cosines else ""
        lines.append(
            f"| {task.name} | {count + failed} | {count} | {equal} | {hits / count:.3f} | "
            f"{spread} |"
        )
    lines += [
        "",
        "Exports that differ, by the operators that they have more or fewer of than the trace. "
        "(Where the hash is equal and the hit not the first, another structure has the very same "
        "vector.)",
        "",
        "| more or fewer | exports | such as |",
        "|---|--:|---|",
    ]
    for change, ids in sorted(differing.items(), key=lambda item: (-len(item[1]), item[0])):
        missed = [i for i in ids if i.endswith("(missed)")]
        lines.append(f"| {change} | {len(ids)} | {', '.join((missed or ids)[:3])} |")
    return lines


def _changes(found: list[str], expected: list[str]) -> str:
    counts = collections.Counter(found)
    counts.subtract(expected)
    signs = sorted(f"{'+' if n > 0 else '−'}{name}" for name, n in counts.items() if n)
    return ", ".join(signs) or "the same, in another order or with other attributes"


def mutations() -> list[str]:
    """How damaged files were taken."""
    return mutate.table_lines(json.loads((RESULTS / "mutations.json").read_text()))


def block_search() -> list[str]:
    """How long a search by block takes, and what a scan of all networks says of it."""
    result = json.loads((RESULTS / "block_search.json").read_text())
    seconds = result["seconds"]
    lines = [
        f"{result['blocks']} blocks of {result['block_sizes']['median']:g} operators in the median "
        f"and {result['block_sizes']['max']} at most, {result['structures']:,} structures, "
        f"{result['operators']:,} operators, load {result['load_average'][0]:.1f}. The index takes "
        f"{seconds['build the index, one thread']:.1f} s to build (one thread, after "
        f"{seconds['read all graphs']:.1f} s for reading the graphs), "
        f"{1e3 * seconds['read the index']:.0f} ms to read and "
        f"{result['index_bytes'] / 1e6:.1f} MB on disk.",
        "",
        "| level | a search: median | 95 % | longest | by the clock: median | longest "
        "| found by the scan | of these by the index | confirmed | left open by the scan |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for level, row in result["levels"].items():
        used, clock = row["processor"], row["clock"]
        lines.append(
            f"| `{level}` | {used['median_ms']:.1f} ms | {used['p95_ms']:.1f} ms "
            f"| {used['max_ms']:.1f} ms | {clock['median_ms']:.1f} ms | {clock['max_ms']:.1f} ms "
            f"| {row['pairs_by_scan']:,} | {100 * row['recall']:.2f} % "
            f"| {100 * row['precision']:.2f} % | {row['pairs_undecided_by_scan']} |"
        )
    return lines


def situate() -> list[str]:
    """How well new designs are told from known ones, and families in other libraries."""
    result = json.loads((RESULTS / "situate.json").read_text())
    novelty = result["novelty"]
    new, known, alone = novelty["new"], novelty["known"], novelty["alone_in_their_family"]
    unseen = novelty["known_that_training_never_saw"]
    lines = [
        "| networks | number | families | median percentile | area under the curve, with known |",
        "|---|--:|--:|--:|--:|",
        f"| of a test family, without this family | {new['networks']:,} | {new['families']} "
        f"| {new['median']:.1f} | {short(novelty['auc'])} (family means "
        f"{short(novelty['auc_of_family_means'])}) |",
        f"| alone in their family | {alone['networks']:,} | {alone['networks']:,} "
        f"| {alone['median']:.1f} | {short(alone['auc_to_known'])} |",
        f"| of other families, without themselves | {known['networks']:,} | {known['families']} "
        f"| {known['median']:.1f} | |",
        f"| of these, in validation families | {unseen['networks']:,} | {unseen['families']} "
        f"| {unseen['median']:.1f} | {short(unseen['auc'])} with test families |",
        "",
        "| asked for | networks | family elsewhere | called rightly | calls that are right "
        "| the same, of those elsewhere | nearest of the family | family nowhere else "
        "| rightly none |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows = {
        "test part, relatives present": result["relatives_present"],
        "test libraries, from other libraries": result["all_test_libraries"],
        **{
            name + (" (test)" if name in result["test_libraries"] else ""): row
            for name, row in result["libraries"].items()
        },
        "all libraries": result["all_libraries"],
    }
    keys = ("true_positive_rate", "precision", "precision_of_known", "nearest_right")
    for name, row in rows.items():
        cells = [_percent(row[key]) for key in keys]
        lines.append(
            f"| {name} | {row['networks']:,} | {row['elsewhere']:,} | {' | '.join(cells)} "
            f"| {row['nowhere_else']:,} | {_percent(row['none_rightly'])} |"
        )
    return lines


def alignment() -> list[str]:
    """How much of two networks is matched, and in what time, beside a diff of operator names."""
    result = json.loads((RESULTS / "alignment.json").read_text())
    lines = [
        f"Milliseconds of the processor, one thread, the least of {result['repeats']}; load "
        f"{result['load_average'][0]:.1f}.",
        "",
        "| networks | operators | matched | edges kept | ms | sequence diff: matched | edges kept "
        "| ms | times as long |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in result["pairs"]:
        ours, diff = row["align"], row["sequence_diff"]
        lines.append(
            f"| `{row['a']}`, `{row['b']}` | {row['nodes'][0]:,}, {row['nodes'][1]:,} "
            f"| {ours['matched']:.3f} | {ours['kept_edges']:.3f} | {ours['processor_ms']:.2f} "
            f"| {diff['matched']:.3f} | {diff['kept_edges']:.3f} | {diff['processor_ms']:.2f} "
            f"| {diff['processor_ms'] / ours['processor_ms']:.0f} |"
        )
    return lines


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


TABLES: list[tuple[str, str, str, Callable[[], list[str]]]] = [  # file, name, needs, lines
    ("docs/results.md", "retrieval", "cross_library.json", retrieval),
    ("SECURITY.md", "mutations", "mutations.json", mutations),
    ("docs/results.md", "speed", f"{speed.MACHINE}.json", speed.summary),
    ("benchmarks/README.md", "paper", "paper_nas.json", paper),
    ("benchmarks/README.md", "seeds", "seed_1/*.json", seeds),
    ("benchmarks/README.md", "ablations", "ablations.json", ablations),
    ("benchmarks/README.md", "bulk", "bulk_encode.json", speed.bulk),
    ("benchmarks/README.md", "nas-index", "nas_index.json", speed.nas_index),
    ("benchmarks/README.md", "blocks", "block_search.json", block_search),
    ("benchmarks/README.md", "situate", "situate.json", situate),
    ("benchmarks/README.md", "alignment", "alignment.json", alignment),
    ("benchmarks/README.md", "exports", "cross_format.json", exports),
    ("benchmarks/README.md", "threads", "threads.json", speed.threads),
    ("benchmarks/README.md", "oracle", "oracle.json", speed.oracle),
    ("benchmarks/README.md", "floors", "floors.json", speed.floors),
    ("benchmarks/README.md", "colors", "floors.json", speed.colors),
    ("benchmarks/README.md", "mining", f"{speed.MACHINE}.json", speed.mining),
    ("benchmarks/README.md", "speed", "*-cores.json", speed.speed),
]


def main() -> None:
    for file, name, needed, lines in TABLES:
        if not any(RESULTS.glob(needed)):
            print(f"{file}: no {needed}, so the table {name} stays as it is")
            continue
        path = ROOT / file
        text = path.read_text(encoding="utf-8")
        place = re.search(rf"<!-- {name}: .*?-->\n(.*?)<!-- {name} ends -->", text, re.DOTALL)
        if place is None:
            raise SystemExit(f"{file} has no place for the table {name}")
        made = "\n".join(lines()) + "\n"
        path.write_text(text[: place.start(1)] + made + text[place.end(1) :], encoding="utf-8")
    speed.draw()


if __name__ == "__main__":
    main()
