"""Building a zoo: workers that misbehave, kills at any moment, the journal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from random import Random

import numpy as np
import pytest

from narfast.errors import Failure, InvalidGraphError, NarfastError, UnsupportedSourceError
from narfast.graph import canonicalize_each
from narfast.reading.graph_codec import pack_graph, unpack_graph
from narfast.reading.worker_pool import read_networks
from narfast.sources import registry
from narfast.storage import format as folder
from narfast.zoo import Zoo, builder
from narfast.zoo.builder import build_zoo, identifiers_of, journal_path
from narfast.zoo.journal import Journal
from narfast.zoo.store import write_zoo
from paths import TESTS
from zoo_fakes import NAMES, FakeEncoder, contents, load

FILES = [folder.ARCHITECTURES, folder.GRAPHS, folder.EMBEDDINGS, folder.MANIFEST]


# ---- building


@pytest.mark.slow
def test_build(tmp_path):
    bad = [f"fake:{kind}_1" for kind in ("bad", "foreign", "interrupt", "crash", "hang")]
    seen = []
    report = build_zoo(
        tmp_path / "zoo",
        [*NAMES, *bad, NAMES[0]],
        encoder=FakeEncoder(),
        encoder_source="fake",
        loader="zoo_fakes:load_raw",
        timeout=4,
        on_network=lambda done, total, name: seen.append((done, total)),
    )
    assert len(report.zoo) == 16
    assert report.zoo.verify() == []
    assert report.zoo.errors == report.failures
    assert report.zoo.info()["errors"] == 5
    assert {failure.id: failure.reason for failure in report.failures} == {
        "fake:bad_1": "fake:bad_1: no such network; choose another",
        "fake:foreign_1": "ZeroDivisionError: a library's own error in two lines",
        "fake:interrupt_1": "KeyboardInterrupt:",
        "fake:crash_1": "its process died (exit code 7)",
        "fake:hang_1": "took longer than 4 s",
    }
    assert seen[-1] == (23, 23)
    assert not journal_path(tmp_path / "zoo").exists()
    direct = tmp_path / "direct"
    write_zoo(direct, contents(errors=report.failures).embedded(FakeEncoder(), source="fake"))
    assert report.zoo.checksum == Zoo.open(direct).checksum


@pytest.mark.slow
def test_a_kept_journal_makes_a_rebuild_read_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NARFAST_TEST_CALLS", str(tmp_path / "calls"))
    options = {"encoder": None, "loader": "zoo_fakes:load_once", "keep_journal": True}
    first = build_zoo(tmp_path / "zoo", NAMES[:4], workers=1, **options)
    second = build_zoo(tmp_path / "zoo", NAMES[:4], workers=1, **options)
    assert second.resumed == 4
    assert second.zoo.checksum == first.zoo.checksum
    assert len((tmp_path / "calls").read_text().splitlines()) == 4


_BUILD = """
import sys
from pathlib import Path
from zoo_fakes import NAMES, FakeEncoder
from narfast.zoo import builder
from narfast.zoo.builder import build_zoo
if __name__ == "__main__":
    report = build_zoo(Path(sys.argv[1]), [*NAMES, "fake:bad_1"], encoder=FakeEncoder(),
                       encoder_source="fake", workers=1, loader="zoo_fakes:load_once")
    print(report.zoo.checksum, report.resumed)
"""


@pytest.fixture
def build_in_a_process(tmp_path, monkeypatch):
    """Starts `_BUILD` on a folder."""
    script = tmp_path / "build.py"
    script.write_text(_BUILD)
    paths = [*sys.path, str(TESTS)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("NARFAST_TEST_CALLS", str(tmp_path / "calls"))

    def start(zoo):
        command = [sys.executable, str(script), str(zoo)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    return start


def finish(process):
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    checksum, resumed = output.split()
    return checksum, int(resumed)


@pytest.mark.slow
def test_a_killed_build_resumes_to_the_same_checksum(tmp_path, build_in_a_process):
    calls = tmp_path / "calls"
    process = build_in_a_process(tmp_path / "zoo")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if calls.exists() and len(calls.read_text().splitlines()) >= 5:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "zoo").exists()
    journal = journal_path(tmp_path / "zoo")
    with journal.open("ab") as stream:
        stream.write(b'{"crc":1,"line":{"rec')  # as if killed in the middle of a line
    checksum, resumed = finish(build_in_a_process(tmp_path / "zoo"))
    assert resumed >= 3
    assert len(calls.read_text().splitlines()) < 2 * len(NAMES)
    failure = Failure("fake:bad_1", "fake:bad_1: no such network; choose another")
    whole = contents(errors=(failure,)).embedded(FakeEncoder(), source="fake")
    assert checksum == write_zoo(tmp_path / "direct", whole).checksum


@pytest.mark.slow
def test_killed_twenty_times_at_random_moments(tmp_path, build_in_a_process):
    started = time.monotonic()
    checksum, _ = finish(build_in_a_process(tmp_path / "zoo"))
    undisturbed = time.monotonic() - started
    random = Random(0)
    kills = ends = 0
    while kills < 20:
        shutil.rmtree(tmp_path / "zoo", ignore_errors=True)
        process = build_in_a_process(tmp_path / "zoo")
        try:
            process.wait(timeout=random.uniform(0.3, 1.0) * undisturbed)
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
        if process.returncode == 0:  # it had come to its end in the pieces so far
            ends += 1
            assert Zoo.open(tmp_path / "zoo").checksum == checksum
            assert not journal_path(tmp_path / "zoo").exists()
    again, resumed = finish(build_in_a_process(tmp_path / "zoo"))
    assert again == checksum
    assert resumed or ends


@pytest.mark.slow
def test_a_finished_zoo_is_not_built_again(tmp_path, monkeypatch):
    monkeypatch.setenv("NARFAST_TEST_CALLS", str(tmp_path / "calls"))
    wanted = [*NAMES, "fake:bad_1"]

    def build(names, **options):
        return build_zoo(
            tmp_path / "zoo", names, loader="zoo_fakes:load_once", workers=1, **options
        )

    def reads():
        return len((tmp_path / "calls").read_text().splitlines())

    first = build(wanted, encoder=None)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "zoo").iterdir()}
    second = build(wanted, encoder=None)
    assert (second.resumed, second.failures) == (len(wanted), first.failures)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "zoo").iterdir()}
    assert before == after
    assert reads() == len(wanted)
    smaller = build(wanted[:5], encoder=None)  # nothing new to read
    assert (len(smaller.zoo.records), reads()) == (5, len(wanted))
    embedded = build(wanted[:5], encoder=FakeEncoder(), encoder_source="fake")
    assert (embedded.zoo.embeddings.shape, reads()) == ((5, 8), len(wanted))
    whole = build(wanted, encoder=None)
    assert (whole.zoo.checksum, reads()) == (first.zoo.checksum, 2 * len(wanted) - 5)
    assert build(wanted, encoder=None, fresh=True).zoo.checksum == first.zoo.checksum
    assert reads() == 3 * len(wanted) - 5


@pytest.mark.slow
def test_a_zoo_of_other_versions_is_read_anew(tmp_path, monkeypatch):
    options = {"encoder": None, "loader": "zoo_fakes:load_raw", "workers": 1}
    build_zoo(tmp_path / "zoo", NAMES[:3], **options)
    versions = builder.library_versions()
    monkeypatch.setattr(builder, "library_versions", lambda: {**versions, "torch": "0"})
    assert build_zoo(tmp_path / "zoo", NAMES[:3], **options).resumed == 0


def test_a_zoo_of_older_tracing_code_is_read_anew(tmp_path, monkeypatch):
    options = {"encoder": None, "loader": "zoo_fakes:load_raw", "workers": 1}
    build_zoo(tmp_path / "zoo", NAMES[:3], **options)
    assert build_zoo(tmp_path / "zoo", NAMES[:3], **options).resumed == 3
    monkeypatch.setattr(registry, "TRACING_VERSION", registry.TRACING_VERSION + 1)
    zoo = Zoo.open(tmp_path / "zoo", encoder=FakeEncoder())
    zoo.embed(FakeEncoder(), source="fake")  # does not read, so does not make graphs newer
    zoo.add([load(NAMES[5])])
    assert "tracing" not in Zoo.open(tmp_path / "zoo").manifest.versions
    built = build_zoo(tmp_path / "zoo", NAMES[:3], **options)
    assert built.resumed == 0
    assert built.zoo.manifest.versions["tracing"] == str(registry.TRACING_VERSION)
    assert build_zoo(tmp_path / "zoo", NAMES[:3], **options).resumed == 3


def test_a_network_that_canonicalization_refuses_is_listed(tmp_path, monkeypatch):
    refused = load(NAMES[1]).structural_hash

    def refuse(graphs, **options):
        return [
            InvalidGraphError("not settled") if g.structural_hash == refused else g
            for g in canonicalize_each(graphs, **options)
        ]

    monkeypatch.setattr(builder, "canonicalize_each", refuse)
    options = {"encoder": None, "loader": "zoo_fakes:load_raw", "workers": 1}
    built = build_zoo(tmp_path / "zoo", NAMES[:3], **options)
    assert [(failure.id, failure.reason) for failure in built.failures] == [
        (NAMES[1], "not settled")
    ]
    assert built.zoo.errors == built.failures
    assert NAMES[0] in built.zoo
    with pytest.raises(NarfastError, match="none of 1 networks could be read; the first error"):
        build_zoo(tmp_path / "other", NAMES[1:2], **options)


@pytest.mark.slow
def test_a_damaged_zoo_is_read_anew(tmp_path):
    options = {"encoder": None, "loader": "zoo_fakes:load_raw", "workers": 1}
    first = build_zoo(tmp_path / "zoo", NAMES[:3], **options)
    (tmp_path / "zoo" / "graphs.parquet").write_bytes(b"")
    again = build_zoo(tmp_path / "zoo", NAMES[:3], **options)
    assert (again.resumed, again.zoo.checksum) == (0, first.zoo.checksum)


@pytest.mark.slow
def test_a_network_that_needs_too_much_memory_is_cut_off(tmp_path):
    report = build_zoo(
        tmp_path / "zoo",
        ["fake:plain_1", "fake:mixer_1", "fake:mixer_2"],
        encoder=None,
        loader="zoo_fakes:load_hungry",
        workers=1,
        memory=500 << 20,
    )
    assert report.failures == (Failure("fake:plain_1", "needed more than 0.524 GB"),)
    assert len(report.zoo) == 2


def test_a_build_of_nothing_is_an_error(tmp_path):
    with pytest.raises(NarfastError, match="no networks"):
        build_zoo(tmp_path / "zoo", [], encoder=None)
    with pytest.raises(NarfastError, match=r"none of 1 networks could be read.*choose another"):
        build_zoo(tmp_path / "zoo", ["fake:bad_1"], encoder=None, loader="zoo_fakes:load_raw")
    with pytest.raises(UnsupportedSourceError, match="timm"):
        identifiers_of("keras")


@pytest.mark.slow
def test_workers_leave_no_process_behind():
    results = read_networks(["fake:hang_1", "fake:plain_1"], loader="zoo_fakes:load_raw")
    first = next(results)
    assert unpack_graph(first)[0] == "fake:plain_1"
    started = time.monotonic()
    results.close()  # kills the one that hangs
    assert time.monotonic() - started < 5


# ---- the journal


def test_packed_graphs_round_trip():
    graph = load("fake:smooth_3")
    packed = json.loads(json.dumps(pack_graph("fake:smooth_3", graph)))
    identifier, again = unpack_graph(packed)
    assert identifier == "fake:smooth_3"
    assert again.meta == graph.meta
    assert again.same_structure(graph)
    assert again.op.dtype == np.uint16


def fill(path, header):
    with Journal(path, header=header) as journal:
        for name in ("fake:plain_1", "fake:plain_2"):
            journal.add(pack_graph(name, load(name)))
        journal.fail(Failure("fake:bad_1", "reason"))


def test_a_second_build_of_one_zoo_is_refused(tmp_path):
    with (
        Journal(tmp_path / "journal", header={}),
        pytest.raises(NarfastError, match="another build"),
    ):
        Journal(tmp_path / "journal", header={})


@pytest.mark.parametrize("cut", [1, 30])
def test_a_journal_drops_a_line_cut_off(tmp_path, cut):
    path = tmp_path / "journal"
    fill(path, {"version": 1})
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, header={"version": 1}) as journal:
        assert list(journal.done) == ["fake:plain_1", "fake:plain_2"]
        assert journal.failed == {}
        journal.fail(Failure("fake:bad_2", "reason"))
    with Journal(path, header={"version": 1}) as journal:
        assert list(journal.failed) == ["fake:bad_2"]


def test_a_journal_of_other_versions_is_not_used(tmp_path, caplog):
    path = tmp_path / "journal"
    fill(path, {"version": 1})
    with Journal(path, header={"version": 2}) as journal:
        assert not journal.done
    assert "starting again" in caplog.text


@pytest.mark.parametrize("line", [b"[" * 99_999, b'{"crc":1278161592,"line":[1]}', b"[]"])
def test_a_line_of_another_kind_ends_a_journal(tmp_path, line):
    path = tmp_path / "journal"
    fill(path, {"version": 1})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], line + b"\n", *lines[2:]]))
    with Journal(path, header={"version": 1}) as journal:
        assert list(journal.done) == ["fake:plain_1"]


def test_a_flipped_bit_ends_a_journal(tmp_path):
    path = tmp_path / "journal"
    fill(path, {"version": 1})
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"plain_2", b"plain_3")
    path.write_bytes(b"".join(lines))
    with Journal(path, header={"version": 1}) as journal:
        assert list(journal.done) == ["fake:plain_1"]


def test_a_file_that_is_no_journal_is_left_alone(tmp_path):
    path = tmp_path / "journal"
    path.write_text("my notes\n")
    with pytest.raises(NarfastError, match="move it away"):
        Journal(path, header={})
    assert path.read_text() == "my notes\n"


@pytest.mark.slow
def test_a_loader_that_cannot_be_imported_is_named():
    for loader, reason in (("no_such_module:load", "No module"), ("zoo_fakes:nope", "nope")):
        results = list(read_networks(["fake:plain_1", "fake:plain_2"], loader=loader))
        assert [reason in result.reason for result in results] == [True, True]


@pytest.mark.slow
def test_waiting_for_a_busy_processor_does_not_count_as_time(tmp_path, monkeypatch):
    (tmp_path / "slow_network.py").write_text(
        "import time\nfrom zoo_fakes import load_raw\n"
        "def load(source):\n    time.sleep(2.5)\n    return load_raw(source)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def read(share_of_processor):
        monkeypatch.setattr(
            "narfast.reading.worker_pool._processor_seconds",
            lambda process: share_of_processor * time.monotonic(),
        )
        (result,) = read_networks(["fake:plain_1"], loader="slow_network:load", timeout=2)
        return type(result)

    assert read(1.0) is Failure
    assert read(0.5) is dict  # of 2 s it got 1 s, then half a second of the one that it is given
    assert read(0.0) is Failure  # it waits for something else


@pytest.mark.slow
def test_the_start_of_a_process_does_not_count_as_time_of_its_first_network(tmp_path, monkeypatch):
    (tmp_path / "slow_loader.py").write_text(
        "import time\ntime.sleep(4)\nfrom zoo_fakes import load_raw\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    results = list(read_networks(["fake:plain_1"], loader="slow_loader:load_raw", timeout=3))
    assert [type(result) for result in results] == [dict]
