"""A slice of `benchmarks/studies/mutate.py`: damaged files are refused or read, nothing else."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest

from paths import ROOT

BENCHMARKS = ROOT / "benchmarks" / "studies"
sys.path.insert(0, str(BENCHMARKS))

import mutate  # noqa: E402
from mutations import kinds, ways, workers  # noqa: E402

COUNT = 240

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is watched in /proc")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    kinds.make_seeds(folder, list(kinds.KINDS))
    return folder


@pytest.mark.slow
@linux
def test_no_damaged_file_ends_in_anything_but_an_error_of_one_line(seeds):
    names = list(kinds.KINDS)
    report = mutate.campaign(COUNT, names, seed=0, workers=1, seeds=seeds)
    assert report["failures"] == []
    assert set(report["kinds"]) == set(names)
    for row in report["kinds"].values():
        assert row["files"] == row["read"] + row["refused"] == COUNT // len(names)
        assert row["refused"]  # the damage is found
        assert row["read"]  # and does not make every file useless
    assert len(mutate.table_lines(report)) == 2 + len(names)


def failing(text):
    def read(folder):
        exec(text)

    return read


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pass", "read"),
        ("from narfast.errors import CorruptFileError\nraise CorruptFileError('x')", "refused"),
        ("from narfast.errors import NarfastError\nraise NarfastError('x\\ny')", "refused"),
        ("{}['key']", "exception"),
        ("raise MemoryError", "over memory"),
    ],
)
def test_outcomes(text, found, tmp_path):
    assert workers.outcome(failing(text), tmp_path)[0] == found


WATCHED = """
import os, sys, time
print("ready", flush=True)
for line in sys.stdin:
    if "0" in line:
        os.kill(os.getpid(), 11)
    if "1" in line:
        time.sleep(60)
    if "2" in line:
        block = bytearray(200_000_000)
        time.sleep(60)
    print('{"outcome": "read"}', flush=True)
"""


@linux
def test_a_worker_that_dies_hangs_or_grows_is_replaced(monkeypatch):
    monkeypatch.setattr(workers, "LIMITS", {"seconds": 0.5, "bytes": 100_000_000})
    worker = workers.Worker(Path(), 0)
    worker._command = [sys.executable, "-c", WATCHED]
    try:
        found = [worker.run("zoo", number)["outcome"] for number in (3, 0, 1, 2, 3)]
    finally:
        worker.close()
    assert found == ["read", "signal", "over time", "over memory", "read"]


def test_a_case_depends_on_its_name_alone():
    whole = [{"a.csv": b"source\nx\n", "b.csv": b"source\ny\n"}]
    first = [kinds.damaged("record", number, 0, whole) for number in range(50)]
    assert first == [kinds.damaged("record", number, 0, whole) for number in range(50)]
    assert first != [kinds.damaged("record", number, 1, whole) for number in range(50)]
    assert sum(files != whole[0] for files, _ in first) > 40


def test_what_is_sealed_again_is_believed(seeds, tmp_path):
    """Otherwise the campaign would only try checksums."""
    for name in ("zoo", "encoder"):
        kind = kinds.KINDS[name]
        files = kinds.read_seeds(seeds / name)[0]
        documents = {"zoo": "manifest.json", "encoder": "config.json"}
        value = json.loads(files[documents[name]])
        value["note" if name == "encoder" else "versions"] = {"x": "y"}
        files[documents[name]] = json.dumps(value).encode()
        kind.seal(files)
        kinds.write_all(files, tmp_path / name)
        kind.read(tmp_path / name)


def test_ways_leave_no_file_of_a_kind_out():
    chance = random.Random(0)
    for name in ("x.json", "x.pt2", "x.parquet", "x.safetensors", "x.onnx", "x.csv"):
        assert set(ways.BYTES) <= set(ways.ways_for(name))
    data = bytes(range(256))
    for way in ways.BYTES:
        assert any(way(data, chance) != data for _ in range(5))
        assert isinstance(way(b"", chance), bytes)
