"""What stands in several files outside the code says the same in each."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

import narfast
from paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()


def read_yaml(path):
    return yaml.safe_load((ROOT / path).read_text())


def test_one_version() -> None:
    assert PROJECT["project"]["version"] == narfast.__version__
    assert read_yaml("CITATION.cff")["version"] == narfast.__version__


def test_hooks_are_the_parts_of_lint() -> None:
    parts = re.search(r"^LINTS := (.*)$", MAKEFILE, re.M)[1].split()
    assert re.search(r"^lint: \$\(LINTS\) ", MAKEFILE, re.M)
    (local,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == [f"make {part}" for part in parts]


def test_python_versions_that_are_claimed_are_checked() -> None:
    prefix = "Programming Language :: Python :: "
    claimed = [name.removeprefix(prefix) for name in PROJECT["project"]["classifiers"]]
    claimed = [name for name in claimed if re.fullmatch(r"3\.\d+", name)]
    assert PROJECT["project"]["requires-python"] == f">={claimed[0]}"
    jobs = read_yaml(".github/workflows/ci.yml")["jobs"]
    checked = jobs["checks"]["strategy"]["matrix"]["python"]
    assert checked == [claimed[0], claimed[-1]]
    assert {"run": ".ci/run"} in jobs["checks"]["steps"]
    assert PROJECT["tool"]["cibuildwheel"]["build"].split() == [
        f"cp{version.replace('.', '')}-*" for version in claimed
    ]


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/*/*.yml")), ids=lambda path: path.stem)
def test_workflows_and_forms_are_yaml(path) -> None:
    content = read_yaml(path)
    assert content["name"]
    if path.parent.name == "ISSUE_TEMPLATE":
        asked = [part["id"] for part in content["body"] if part["type"] != "markdown"]
        assert len(asked) == len(set(asked)) > 0
