"""What all suites share: one thread, and a condensed record of every run under ``results/``."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from narfast.sources.registry import library_versions

RESULTS = Path(__file__).parents[1] / "results"
THREADS = 1


def pytest_configure() -> None:
    torch.set_num_threads(THREADS)


def machine() -> str:
    return f"{platform.system()}-{platform.machine()}-{os.cpu_count()}-cores".lower()


def pytest_benchmark_update_json(config: Any, benchmarks: list[Any], output_json: Any) -> None:
    """Put medians and spreads into ``results/<machine>.json``; other groups there stay.

    Quick runs, which leave out what is slow, are not recorded.
    """
    if config.getoption("markexpr"):
        return
    path = RESULTS / f"{machine()}.json"
    groups = json.loads(path.read_text())["groups"] if path.exists() else {}
    facts = {
        "command": "python -m pytest " + " ".join(sys.argv[1:]),
        "load_average": os.getloadavg(),
        "versions": library_versions(),
        "python": platform.python_version(),
    }
    fresh: dict[str, Any] = {}
    for bench in output_json["benchmarks"]:
        group = fresh.setdefault(bench["group"], {**facts, "benchmarks": {}})
        stats = bench["stats"]
        group["benchmarks"][bench["name"]] = {
            "median_seconds": stats["median"],
            "interquartile_range_seconds": stats["iqr"],
            "rounds": stats["rounds"],
            **bench["extra_info"],
        }
    document = {
        "machine": machine(),
        "threads": THREADS,
        "groups": dict(sorted((groups | fresh).items())),
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
