"""The README's table of retrieval quality, from the results of ``narfast evaluate all``.

narfast evaluate all -o benchmarks/results
python benchmarks/retrieval_table.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CUT = "20"
COLUMNS = [  # protocol, setting, heading
    ("cross_library", "all", "other libraries"),
    ("heldout_family", "heldout-families", "unseen families"),
    ("size_ladder", "sizes", "other sizes"),
    ("paper_real", "timm", "timm"),
    ("paper_real", "whole-zoo", "whole zoo"),
]
MEASURES = ("mrr", "map", "ndcg")


def settings() -> list[dict[str, Any]]:
    return [
        json.loads((RESULTS / f"{protocol}.json").read_text())["settings"][setting]
        for protocol, setting, _ in COLUMNS
    ]


def short(value: float) -> str:
    return f"{value:.3f}".lstrip("0")


def table(values: list[dict[str, Any]], mean: str) -> list[str]:
    methods = list(values[0]["methods"])
    headings = [f"{m.upper()}, {name}" for _, _, name in COLUMNS for m in MEASURES]
    lines = [f"| method | {' | '.join(headings)} |", "|---" * (1 + len(headings)) + "|"]
    best = [max(v["methods"][m][k][CUT][mean] for m in methods) for v in values for k in MEASURES]
    for method in methods:
        cells = [v["methods"][method][k][CUT][mean] for v in values for k in MEASURES]
        shown = [
            f"**{short(c)}**" if c == top else short(c) for c, top in zip(cells, best, strict=True)
        ]
        lines.append(f"| {method} | {' | '.join(shown)} |")
    return lines


def intervals(values: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| setting | queries | families | MAP@20 of the encoder | best training-free |",
        "|---|--:|--:|---|---|",
    ]
    for value, (_, _, name) in zip(values, COLUMNS, strict=True):
        maps = {method: measures["map"][CUT] for method, measures in value["methods"].items()}
        encoder = maps.pop("shipped encoder")
        rival = max(maps, key=lambda method: maps[method]["mean"])
        cells = [
            f"{short(m['mean'])} ({short(m['low'])}–{short(m['high'])})"
            for m in (encoder, maps[rival])
        ]
        lines.append(
            f"| {name} | {value['queries']:,} | {value['families']} | {cells[0]} | "
            f"{cells[1]}, {rival} |"
        )
    return lines


def main() -> None:
    values = settings()
    lines = [
        *table(values, "mean"),
        "",
        "Every family counting the same, instead of every query:",
        "",
        *table(values, "family_mean"),
        "",
        "95 % bootstrap intervals over queries:",
        "",
        *intervals(values),
    ]
    path = ROOT / "README.md"
    text, count = re.subn(
        r"(<!-- retrieval: .*?-->\n).*?(<!-- retrieval ends -->)",
        lambda match: match[1] + "\n".join(lines) + "\n" + match[2],
        path.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if count != 1:
        raise SystemExit("README.md has no place for the table")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
