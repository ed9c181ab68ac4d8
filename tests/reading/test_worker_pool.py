"""Processes that read networks: whose answers count, what they may print, when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import misbehaving
from narfast.errors import Failure, NarfastError
from narfast.reading.graph_codec import unpack_graph
from narfast.reading.worker_pool import ReadingPool, read_apart, read_networks

LOADER = "misbehaving:load"


def read(*sources):
    """Read sources one after the other in one process; id -> number of blocks, or the reason."""
    found = {}
    for result in read_networks(sources, workers=1, loader=LOADER, timeout=20):
        if isinstance(result, Failure):
            found[result.id] = result.reason
        else:
            name, graph = unpack_graph(result)
            found[name] = graph.meta.params // 1000
    return found


@pytest.mark.slow
@pytest.mark.parametrize("way", ["forks", "forks_unseen_by_python"])
def test_a_forked_child_does_not_answer_for_the_next_network(way):
    assert read(way, "slow") == {way: 1, "slow": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "noise",
        "[1]",
        '{"started": true}',
        '{"task": 1, "nonce": "", "kind": "failed", "value": "made up"}',
    ],
)
def test_what_an_earlier_network_writes_on_the_channel_is_no_answer(line):
    source = f"scribbles_later:{line}"
    assert read(source, "slow") == {source: 1, "slow": 2}


@pytest.mark.slow
def test_a_network_is_not_blamed_for_the_death_that_an_earlier_one_prepared():
    assert read("dies_later", "slow", "plain") == {"dies_later": 1, "slow": 2, "plain": 1}


@pytest.mark.slow
def test_a_network_that_closes_the_channel_has_its_own_failure():
    found = read("closes_everything", "plain")
    assert found["closes_everything"] == "its process died (exit code 0)"
    assert found["plain"] == 1


def test_nothing_that_a_network_prints_reaches_us(capfd):
    assert read("prints") == {"prints": 1}
    assert capfd.readouterr() == ("", "")


def test_whatever_is_raised_is_a_failure():
    assert read("raises", "plain") == {"raises": "Odd: strange", "plain": 1}
    assert not issubclass(misbehaving.Odd, Exception)


@pytest.mark.slow
def test_reading_apart_names_the_source():
    assert read_apart("plain", loader=LOADER).meta.name == "plain"
    with pytest.raises(NarfastError, match=r"^fake:crash_1: its process died \(exit code 7\)"):
        read_apart("fake:crash_1", loader="zoo_fakes:load_raw")
    with pytest.raises(NarfastError, match=r"^fake:bad_1: no such network"):
        read_apart("fake:bad_1", loader="zoo_fakes:load_raw")


def ended(process, seconds):
    """Whether a process has ended, or does so within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def appeared(path, seconds=60):
    """The number in a file that another process is about to write."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not (path.exists() and path.read_text()):
        time.sleep(0.02)
    return int(path.read_text())


def test_what_a_network_has_started_ends_with_its_process(tmp_path):
    path = tmp_path / "pid"
    assert read(f"leaves_a_process:{path}") == {f"leaves_a_process:{path}": 1}
    assert ended(int(path.read_text()), 5)


_PARENT = """
import sys, threading
from narfast.reading.worker_pool import read_networks
def work():
    list(read_networks([f"spins:{sys.argv[1]}"], loader="misbehaving:load"))
if sys.argv[2] == "thread":
    threading.Thread(target=work).start()
else:
    work()
"""


@pytest.mark.slow
@pytest.mark.parametrize("starter", ["main", "thread"])
def test_a_process_ends_with_its_parent(tmp_path, starter):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    path = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, path, starter], env=environment)
    try:
        reader = appeared(path)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert ended(reader, 10)


@pytest.mark.slow
def test_a_process_outlives_the_thread_that_started_it():
    with ReadingPool(workers=1, loader=LOADER) as pool:
        pool.submit("slow")
        thread = threading.Thread(target=pool.results, args=(0,))
        thread.start()
        thread.join()
        results = []
        while pool.pending:
            results += pool.results()
    ((number, result),) = results
    assert (number, result["id"]) == (0, "slow")


# ---- SIGTERM

_BUILD = """
import sys
from functools import partial
from narfast.cli import app as cli
from narfast.zoo import builder
folder, pid = sys.argv[1:]
builder.identifiers_of = lambda source: ["plain", "slow", f"spins:{pid}"]
builder.build_zoo = partial(builder.build_zoo, loader="misbehaving:load")
sys.argv[1:] = ["zoo", "build", folder, "--source", "x", "--no-embed"]
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_sigterm_of_a_build_keeps_what_is_done_and_says_so(tmp_path, times):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _BUILD, tmp_path / "zoo", tmp_path / "pid"]
    build = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    reader = appeared(tmp_path / "pid")
    journal = tmp_path / "zoo.journal"
    while len(journal.read_bytes().splitlines()) < 3:
        time.sleep(0.02)
    for _ in range(times):  # timeout(1) sends it twice
        build.send_signal(signal.SIGTERM)
    _, errors = build.communicate(timeout=30)
    assert build.returncode == 143
    assert errors == f"terminated; 2 networks are kept in {journal}; the next build continues\n"
    assert ended(reader, 5)
