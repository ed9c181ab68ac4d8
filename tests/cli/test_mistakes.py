"""How commands end on mistakes, system errors and signals."""

from __future__ import annotations

import contextlib

import pyarrow.parquet as pq
import pytest

from narfast.cli._process import Terminated
from narfast.sources import loader


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "fake:bad_1"],
        ["search", "fake:plain_1", "--zoo", "/nonexistent"],
        ["search", "zoo:nothing"],
        ["inspect", "fake:bad_1"],
        ["draw", "fake:bad_1"],
        ["draw", "fake:plain_1", "-o", "net.pdf"],
        ["draw", "fake:plain_1", "-o", "/proc/nothing/net.svg"],
        ["draw", "fake:plain_1", "-o", "net.svg", "--open", "nonsense"],
        ["evaluate", "nonsense"],
        ["zoo", "info", "/nonexistent"],
        ["zoo", "verify", "/nonexistent"],
        ["zoo", "add", "/proc/nothing", "fake:plain_1"],
        ["zoo", "add", "/", "fake:plain_1"],
        ["zoo", "build", "OUT", "--source", "keras"],
        ["encode", "fake:plain_1", "-o", "/proc/nothing/out.parquet"],
        ["frobnicate"],
        ["--nonsense"],
        ["encode"],
        ["zoo", "frobnicate"],
        ["evaluate", "paper-real", "--seed", "-1"],
        ["evaluate", "paper-real", "--nonsense"],
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(run, zoo_path, arguments):
    if arguments[0] in ("search", "evaluate") and "--zoo" not in arguments:
        arguments = [*arguments, "--zoo", zoo_path]
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device", "out/x"), "out/x: no space left on device; free"),
        (PermissionError(13, "Permission denied", "out/x"), "out/x: permission denied; check"),
        (OSError(30, "Read-only file system", "out/x"), "out/x: read-only file system; choose"),
        (MemoryError(), "out of memory"),
    ],
)
def test_system_errors_are_one_line(run, monkeypatch, error, expected):
    def fail(source):
        raise error

    monkeypatch.setattr(loader, "load", fail)
    result = run("inspect", "anything")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {expected}")
    assert len(result.stderr.splitlines()) == 1


def test_a_bug_is_not_hidden(run, monkeypatch):
    def fail(source):
        raise ZeroDivisionError

    monkeypatch.setattr(loader, "load", fail)
    assert isinstance(run("inspect", "anything").exception, ZeroDivisionError)


STOPS = [(KeyboardInterrupt, "interrupted", 130), (Terminated, "terminated", 143)]


@pytest.mark.parametrize(("stop", "word", "code"), STOPS)
def test_ctrl_c_and_sigterm(run, monkeypatch, stop, word, code):
    def interrupt(source):
        raise stop

    monkeypatch.setattr(loader, "load", interrupt)
    result = run("inspect", "anything")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr == f"{word}\n"


@pytest.mark.parametrize(("stop", "word", "code"), STOPS)
def test_a_stopped_run_says_what_is_kept(run, tmp_path, monkeypatch, stop, word, code):
    @contextlib.contextmanager
    def bar(verb, unit):
        def progress(done, total):
            raise stop

        yield progress

    output = tmp_path / "out.parquet"
    monkeypatch.setattr("narfast.cli.encode.bar", bar)
    result = run("encode", "fake:plain_1", "fake:plain_2", "-o", output)
    assert result.exit_code == code
    assert (
        result.stderr == f"{word}; 2 sources are kept in {output}.parts; continue with --resume\n"
    )
    monkeypatch.undo()
    assert len(pq.read_table(tmp_path / "out.parquet.parts")) == 2
