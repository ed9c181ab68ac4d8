"""The command line as a process of its own: streams, signals, imports."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

import narfast
from narfast.reading import isolation
from narfast.reading.worker_pool import read_apart
from processes import PYTHON_ROOT, shell, subprocess_run
from zoo_fakes import NAMES


def test_version_and_help():
    assert subprocess_run("--version").stdout == f"narfast {narfast.__version__}\n"
    result = subprocess_run("--help")
    for command in ("search", "inspect", "encode", "zoo", "pretrain", "evaluate"):
        assert command in result.stdout
    assert "verify" in subprocess_run("zoo").stderr  # a group alone: its help


def test_importing_is_light():
    code = (
        "import sys, narfast, narfast.cli.app\n"
        "print([m for m in ('torch', 'numba', 'timm', 'numpy', 'pyarrow') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_ROOT)}
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert output.stdout == "[]\n"


def test_every_public_name_is_listed():
    assert set(narfast.__all__) <= set(dir(narfast))
    assert set(narfast._LAZY) < set(narfast.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = narfast.nothing


@pytest.mark.slow
def test_a_process_prints_no_traceback(zoo_path):
    for arguments in (["zoo", "info", "missing"], ["search", "missing.onnx", "--zoo", zoo_path]):
        result = subprocess_run(*arguments)
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_process_answers_in_ascii_where_it_must(zoo_path):
    result = subprocess_run("zoo", "info", zoo_path, env={"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0
    assert "16 distinct" in result.stdout


@pytest.mark.slow
def test_a_reader_that_goes_away(zoo_path):
    result = shell(
        f"{sys.executable} -m narfast zoo info {zoo_path} | true; exit ${{PIPESTATUS[0]}}"
    )
    assert result.returncode == 1
    assert result.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["zoo info ZOO", "zoo info ZOO --json", "--version"])
def test_a_result_without_a_place_is_an_error(zoo_path, command):
    result = shell(f"{sys.executable} -m narfast {command.replace('ZOO', str(zoo_path))} >&-")
    assert result.returncode == 2
    assert result.stderr.startswith("error: stdout is closed")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_closed_stdout_does_not_matter_where_nothing_goes_there(zoo_path, tmp_path):
    output = tmp_path / "out.csv"
    command = f"zoo export {zoo_path} --format csv -o {output}"
    result = shell(f"{sys.executable} -m narfast {command} >&- 2>&- <&-")
    assert result.returncode == 0
    assert len(output.read_text().splitlines()) == len(NAMES) + 1


@pytest.mark.slow
def test_a_missing_file_is_told_before_anything_heavy_is_imported():
    code = (
        "import sys\n"
        "from narfast.cli import app as cli\n"
        "sys.argv[1:] = ['search', 'missing.onnx']\n"
        "try:\n"
        "    cli.main()\n"
        "except SystemExit as end:\n"
        "    print(end.code, [m for m in ('torch', 'numba') if m in sys.modules])\n"
    )
    result = shell(f"{sys.executable} -c {shlex.quote(code)}")
    assert result.stdout == "2 []\n"
    assert result.stderr == "error: missing.onnx: no such file; check the path\n"


@pytest.mark.slow
def test_a_file_whose_code_forks_and_prints_is_answered_once(tmp_path):
    path = tmp_path / "odd.py"
    path.write_text(
        "import os, torch\n"
        "os.write(1, b'noise')\n"
        "def build():\n"
        "    os.fork()\n"
        "    os.write(1, b'noise')\n"
        "    return torch.nn.Linear(2, 2), torch.zeros(1, 2)\n"
    )
    result = subprocess_run("inspect", f"{path}:build", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["nodes"] == 2


@pytest.mark.slow
def test_code_that_ends_its_process_is_an_error(run, monkeypatch, tmp_path, zoo_path):
    path = tmp_path / "model.py"
    path.write_text("")
    monkeypatch.setattr(
        isolation, "read_apart", partial(read_apart, loader="misbehaving:load_file")
    )
    for command in (["inspect"], ["search", "--zoo", zoo_path], ["zoo", "add", zoo_path]):
        result = run(*command, f"{path}:leaves")
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert "its process died (exit code 0)" in " ".join(result.stderr.split())
    result = run("zoo", "add", zoo_path, f"{path}:leaves", f"{path}:builds", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["added"] == ["fake:file"]
    assert list(report["errors"]) == [f"{path}:leaves"]


@pytest.mark.slow
def test_an_unwritable_zoo(zoo_path):
    # Root may write anywhere, so the parent is made a file system that refuses everyone.
    result = subprocess_run("zoo", "build", "/proc/zoo", "--source", "timm", "--no-embed")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_of_a_process(tmp_path, signum, code):
    script = tmp_path / "wait.py"
    script.write_text(
        "import signal, time, narfast\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # jobs may ignore it
        "from narfast.cli import app as cli\n"
        "def load(source):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(30)\n"
        "from narfast.sources import loader\n"
        "loader.load = load\n"
        "import sys\n"
        "sys.argv = ['narfast', 'inspect', 'anything']\n"
        "cli.main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in errors


def test_a_file_that_is_no_table_is_never_replaced(run, zoo_path, tmp_path):
    script = tmp_path / "my_model.py"
    script.write_text("def build(): ...")
    for arguments in (
        ["encode", "fake:plain_1", "-o", script],
        ["zoo", "export", zoo_path, "-o", script],
    ):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert "is not a parquet file" in result.stderr
        assert script.read_text() == "def build(): ..."


def test_more_hits_than_there_are_networks_and_a_zoo_without_a_name(run, zoo_path):
    result = run("search", "fake:plain_1", "-k", 10**18, "--zoo", zoo_path, "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)) == 16
    assert run("search", "fake:plain_1", "--zoo", "").exit_code == 2
