"""What the zoo holds, as the picture and the tables of docs/results.md.

    python benchmarks/reports/zoo_picture.py [--zoo DIR]

Writes benchmarks/results/zoo.svg, and the part of docs/results.md between the two marks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from narfast.zoo import Zoo

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "benchmarks" / "results" / "zoo.svg"
BEGIN, END = "<!-- zoo: made by benchmarks/reports/zoo_picture.py -->", "<!-- zoo ends -->"
PANELS = {
    "by library": "distinct_by_source",
    "by coarse class": "by_coarse_class",
    "by task": "by_task",
    "by family": "by_family",
}
SHOWN = 14


def shortened(counts: Mapping[str, int]) -> dict[str, int]:
    """The largest counts, and the rest as one."""
    items = list(counts.items())
    if len(items) <= SHOWN:
        return dict(items)
    rest = items[SHOWN - 1 :]
    return {**dict(items[: SHOWN - 1]), f"{len(rest)} others": sum(count for _, count in rest)}


def draw(info: Mapping[str, Any], path: Path) -> None:
    plt.rcParams.update(
        {
            "svg.hashsalt": "narfast",
            "svg.fonttype": "none",
            "font.size": 8,
            "font.family": "sans-serif",
        }
    )
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 6), layout="constrained")
    for axis, (title, key) in zip(axes.flat, PANELS.items(), strict=True):
        counts = shortened(info[key])
        names = [name or "(none)" for name in counts]
        bars = axis.barh(names, list(counts.values()), color="#4878a8", height=0.75)
        axis.bar_label(bars, [f"{count:,}" for count in counts.values()], padding=2)
        axis.set_title(title, loc="left", fontweight="bold", fontsize=9)
        axis.invert_yaxis()
        axis.set_xlim(0, 1.15 * max(counts.values()))
        axis.xaxis.set_visible(False)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    figure.suptitle(
        f"{info['distinct']:,} distinct structures under {info['names']:,} names, "
        f"{len(info['by_family']):,} families",
        x=0.01,
        ha="left",
    )
    figure.savefig(path, metadata={"Date": None})


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def tables(info: Mapping[str, Any], failures: Mapping[str, int]) -> str:
    """Counts in Markdown."""
    total = info["distinct"]
    lines = [
        f"{info['distinct']:,} distinct structures (widths and exact kernel sizes do not count) "
        f"under {info['names']:,} names, in {len(info['by_family']):,} families; "
        f"{info['bytes'] / 1e6:.1f} MB.",
        "",
        "![The zoo by library, coarse class, task and family](../benchmarks/results/zoo.svg)",
        "",
        row("library", "version", "names", "distinct structures", "share", "not read"),
        row("---", "---", "--:", "--:", "--:", "--:"),
    ]
    for source, distinct in info["distinct_by_source"].items():
        names = info["by_source"][source]
        lines.append(
            row(
                source,
                info["versions"].get(source, ""),
                f"{names:,}",
                f"{distinct:,}",
                f"{distinct / total:.0%}",
                failures.get(source, 0),
            )
        )
    for title, key in (("coarse class", "by_coarse_class"), ("task", "by_task")):
        lines += ["", row(title, "distinct structures"), row("---", "--:")]
        lines += [row(name or "none", f"{count:,}") for name, count in shortened(info[key]).items()]
    families = ", ".join(
        f"{name} {count:,}" for name, count in list(info["by_family"].items())[:40]
    )
    lines += ["", f"The largest families: {families}, …"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", default="default")
    options = parser.parse_args()
    zoo = Zoo.open(options.zoo)
    info = zoo.info()
    failures: dict[str, int] = {}
    for failure in zoo.errors:
        source = failure.id.partition(":")[0]
        failures[source] = failures.get(source, 0) + 1
    draw(info, PICTURE)
    page = ROOT / "docs" / "results.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{page}: has no place for the tables ({BEGIN} ... {END})")
    page.write_text(f"{before}{BEGIN}\n{tables(info, failures)}\n{END}{after}")
    print(json.dumps({key: info[key] for key in ("names", "distinct", "by_source")}, indent=1))


if __name__ == "__main__":
    main()
