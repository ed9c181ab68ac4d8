"""What works where neither torch nor Numba is installed, and what the rest says there."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import narfast
from narfast._optional import require
from narfast.errors import MissingDependencyError
from narfast.sources.registry import LIBRARIES
from paths import DATA, ROOT

EXAMPLE = ROOT / "examples" / "gated_resnet.onnx"
CELL = "nasbench201:" + "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
TORCH = "pip install 'narfast[torch]'"

# Every Python process finds no torch and no Numba; pandas may be there and must stay unused.
HIDE = """
import importlib.machinery as machinery
real = machinery.PathFinder.find_spec
hidden = ("torch", "numba", "llvmlite", "torchvision", "timm", "transformers", "pandas")
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in hidden else real(name, path, target)
machinery.PathFinder.find_spec = find_spec
"""

RUNNER = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from narfast.cli.app import main
answers = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    answers.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""


@pytest.fixture
def bare(tmp_path):
    """Run Python in a process that has the base install alone."""
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text(HIDE)
    places = [str(tmp_path / "hide"), str(Path(narfast.__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def commands(bare, *lines):
    """(exit code, stdout, stderr) of each command, run one after the other in one process."""
    return json.loads(bare("-c", RUNNER, json.dumps([list(map(str, line)) for line in lines])))


def test_nothing_is_there_to_be_imported(bare):
    code = "import importlib.util as u; print([u.find_spec(n) for n in ('torch', 'numba')])"
    assert bare("-c", code) == "[None, None]\n"


@pytest.mark.slow
def test_commands_that_need_no_torch(bare, tmp_path):
    with gzip.open(DATA / "nnretrieval_motifs.jsonl.gz") as lines:
        record = tmp_path / "record.json"
        record.write_text(json.dumps({"raw_edges": json.loads(next(lines))["raw_edges"]}))
    networks = [
        *("timm:resnet18", "timm:resnet50", "timm:resnet26d", "timm:seresnet50"),
        *("timm:vgg11", "timm:vgg13", "timm:vgg11_bn", "torchvision:vgg16"),
    ]
    lines = [
        ["search", EXAMPLE, "--json", "-k", 3],
        ["search", CELL],
        ["search", "zoo:timm:resnet50"],
        ["inspect", EXAMPLE],
        ["inspect", record],
        ["encode", EXAMPLE, CELL, "zoo:timm:resnet50", "-o", "out.parquet", "--workers", 2],
        ["zoo", "add", "mini", *(f"zoo:{name}" for name in networks)],
        ["search", record, "--zoo", "mini"],
        ["zoo", "info", "mini"],
        ["zoo", "embed", "mini"],
        ["zoo", "verify", "mini"],
        ["zoo", "export", "mini"],
        ["zoo", "build", "found", "--source", "darts"],
        ["evaluate", "paper-real", "--zoo", "mini", "--json"],
    ]
    answers = commands(bare, *lines)
    for line, (code, out, err) in zip(lines, answers, strict=True):
        assert code == 0, (line, out, err)
    assert json.loads(answers[0][1])[0]["name"] == "seresnet50"
    assert json.loads(answers[-1][1])["protocol"] == "paper-real"


@pytest.mark.slow
def test_what_needs_torch_says_how_to_install_it(bare, tmp_path):
    (tmp_path / "model.py").write_text("def build(): pass")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    libraries = [f"{name}:x" for name in LIBRARIES]
    said = {
        "model.py:build": f"model.py:build: reading it needs torch.*{TORCH}",
        "hf:config.json": "hf:config.json: reading it needs torch.*'narfast[transformers]'",
        **{f"{name}:x": f"{name}: .* needs torch.*'narfast[{name}]'" for name in LIBRARIES},
    }
    pretrain = ["pretrain", "-c", ROOT / "configs" / "default.toml", "-o", "encoder"]
    answers = commands(
        bare,
        *(["inspect", source] for source in said),
        ["search", "model.py:build"],
        ["encode", "model.py:build", *libraries, "-o", "out.parquet", "--workers", 1],
        pretrain,
        ["zoo", "build", "new", "--source", "all"],
        ["zoo", "build", "new", "--source", "timm"],
    )
    messages = [*said.values(), said["model.py:build"], "none of the sources could be read"]
    messages.append("training an encoder needs torch and numba, which are.*'narfast[train]'")
    messages.append("reading all libraries needs torch.*'narfast[all]'")
    messages.append("timm: reading its networks needs torch.*'narfast[timm]'")
    for (code, out, err), message in zip(answers, messages, strict=True):
        begin, *parts = message.split(".*")
        assert code == 2
        assert out == ""
        last = err.splitlines()[-1]
        assert last.startswith(f"error: {begin}")
        assert all(part in last for part in parts), last
        assert "Traceback" not in err


@pytest.mark.slow
def test_functions_that_need_torch_say_how_to_install_it(bare):
    said = bare(
        "-c",
        "import narfast\n"
        "encoder = narfast.ArchitectureEncoder.from_pretrained()\n"
        "graph = narfast.load('darts:DARTS_V2')\n"
        "for call in (\n"
        "    lambda: encoder.encode(graph, device='cuda'),\n"
        "    lambda: encoder.encode(graph, convert_to_tensor=True),\n"
        "    lambda: narfast.trace(None, None),\n"
        "    lambda: narfast.load((None, None)),\n"
        "):\n"
        "    try:\n"
        "        call()\n"
        "    except narfast.MissingDependencyError as error:\n"
        "        print(error)\n",
    ).splitlines()
    subjects = ("encode(device='cuda')", "encode(convert_to_tensor=True)", "narfast.trace", "read")
    for line, subject in zip(said, subjects, strict=True):
        assert line.startswith(subject)
        assert line.endswith(TORCH)
    assert "torch and numba, which are not installed" in said[0]


@pytest.mark.slow
def test_a_torch_export_file_is_read(bare, tmp_path):
    import torch

    from pt2_files import ConvNet, export

    path = export(ConvNet().eval(), (torch.zeros(1, 3, 32, 32),), tmp_path / "net.pt2")
    code = f"import narfast; print(narfast.load({str(path)!r}).structural_hash)"
    assert bare("-c", code).strip() == narfast.load(str(path)).structural_hash


@pytest.mark.slow
def test_the_demo(bare):
    shown = bare(ROOT / "examples" / "demo.py")
    file, cells = shown.split("2. Two cells")
    assert "seresnet50" in file
    assert "DARTS_V2" in cells
    assert "make demo-torch" in cells.splitlines()[-1]


@pytest.mark.slow
def test_nothing_slow_is_imported_by_a_search(bare):
    slow = ("pyarrow.compute", "pyarrow.dataset", "usearch", "scipy", "onnx", "ray")
    code = (
        "import io, sys\n"
        "from contextlib import redirect_stdout\n"
        "from narfast.cli.app import main\n"
        f"sys.argv[1:] = ['search', {str(EXAMPLE)!r}, '--json']\n"
        "try:\n"
        "    with redirect_stdout(io.StringIO()):\n"
        "        main()\n"
        "except SystemExit:\n"
        f"    print([m for m in {(*slow, 'rich')!r} if m in sys.modules])\n"
    )
    assert bare("-c", code) == "[]\n"


def test_dependencies_are_declared_where_they_are_needed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert not [d for d in project["dependencies"] if d.startswith(("torch", "numba"))]
    extras = project["optional-dependencies"]
    assert [d.partition(">")[0] for d in extras["torch"]] == ["torch", "numba"]
    for name in (*LIBRARIES, "cuda"):
        assert "narfast[torch]" in extras[name]
    (every,) = extras["all"]
    assert set(every.partition("[")[2].rstrip("]").split(",")) == set(LIBRARIES)
    assert not any("torch" in d for d in (*extras["evaluation"], *extras["ray"]))


def test_require():
    require("json", "numpy", by="a test")
    with pytest.raises(MissingDependencyError) as caught:
        require("json", "no_such_package", by="x.y: this", extra="some")
    assert str(caught.value) == (
        "x.y: this needs no_such_package, which is not installed: pip install 'narfast[some]'"
    )
