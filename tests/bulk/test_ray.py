"""The engine on a cluster: the same table as here, also where a node is lost on the way."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from dataclasses import asdict
from types import SimpleNamespace

import pyarrow as pa
import pytest

from narfast.bulk import Block, Inputs, LocalEngine, ReadingLimits, encode_to_parquet, tables
from narfast.bulk.engines import ray as distributed
from narfast.encoder.encoder import ArchitectureEncoder
from narfast.errors import MissingDependencyError, NarfastError
from narfast.search_spaces import nasbench201
from narfast.zoo.store import write_zoo
from zoo_fakes import contents

CELLS = [f"nasbench201:{nasbench201.text(cell)}" for cell in range(0, 15_625, 6)]


def test_without_ray_the_command_is_named(monkeypatch):
    monkeypatch.setattr(distributed.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'narfast\[ray\]'"):
        distributed.RayEngine("default", 1, ReadingLimits())


@pytest.mark.parametrize(
    ("error", "address", "message"),
    [
        (
            RuntimeError("Version mismatch:\nRay: 2.60"),
            "auto",
            "auto: Ray cannot be used .*Ray: 2.60",
        ),
        (ConnectionError("none\nat all"), "x:1", "x:1: no Ray cluster there .*leave --ray-address"),
        (RuntimeError(), None, "Ray cannot be started here .*--engine local"),
    ],
)
def test_a_cluster_that_cannot_be_used(monkeypatch, error, address, message):
    def init(**options):
        raise error

    ray = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(distributed.importlib.util, "find_spec", lambda name: ray)
    with pytest.raises(NarfastError, match=message) as raised:
        distributed.RayEngine("default", 1, ReadingLimits(), address=address)
    assert "\n" not in str(raised.value)


def test_ray_does_not_take_sigterm_from_a_program_that_handles_it(monkeypatch):
    def init(**options):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))

    def handler(*_):
        pass

    ray = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(distributed.importlib.util, "find_spec", lambda name: ray)
    before = signal.signal(signal.SIGTERM, handler)
    try:
        distributed.RayEngine("default", 1, ReadingLimits())
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_actor_saves_motifs_and_reads_relative_paths(tmp_path, monkeypatch, zoo_folder):
    monkeypatch.chdir(tmp_path.parent)  # an actor starts anywhere; undone after the test
    cache = tmp_path / "motifs"
    actor = distributed._BlockEncoder("default", {}, str(cache), str(tmp_path))
    blocks = [Block("zoo", stop=2, zoo="zoo"), Block("named", tuple(CELLS[:3]))]
    for number, block in enumerate(blocks):
        batch = pa.table({"number": [number], "block": [json.dumps(asdict(block))]})
        answer = actor(batch)
        table = pa.ipc.open_stream(answer.column("table")[0].as_py()).read_all()
        assert table.column("error").null_count == len(block)
        assert table.column("source").to_pylist() == [*block.sources()]
        assert len(list(cache.glob("*/*.safetensors"))) == number + 1


@pytest.fixture
def zoo_folder(tmp_path):
    write_zoo(tmp_path / "zoo", contents())


@pytest.fixture
def cluster(monkeypatch):
    """Two worker nodes of one processor each beside a head that does no work."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'narfast[ray]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # beside other work the workers would starve
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    yield cluster, nodes
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_lost_node_loses_and_doubles_nothing(cluster, tmp_path):
    import ray

    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    inputs = Inputs([*CELLS[:1000], "missing.onnx", *CELLS[1000:], "nothing:x"])
    limits = ReadingLimits()
    local = LocalEngine(ArchitectureEncoder.from_pretrained(), 1, limits)
    expected = encode_to_parquet(inputs, here, local)

    whole, nodes = cluster
    lost = []
    loss = threading.Thread(
        target=whole.remove_node, args=(nodes[0],), kwargs={"allow_graceful": False}
    )

    def lose_a_node(done, total):
        both_at_work = ray.available_resources().get("CPU", 0) == 0
        if not lost and (both_at_work or done > total // 2):
            lost.append(done)
            loss.start()

    report = encode_to_parquet(
        inputs, there, distributed.RayEngine("default", 2, limits), progress=lose_a_node
    )
    loss.join()
    assert lost[0] < len(CELLS)
    deadline = time.monotonic() + 60  # the head hears of the loss by missing heartbeats
    while (alive := sum(node["Alive"] for node in ray.nodes())) > 2 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert alive == 2
    assert report == expected
    assert (report.rows, report.failed) == (len(CELLS), 2)
    assert there.read_bytes() == here.read_bytes()
    errors = [tables.errors_path(path).read_bytes() for path in (here, there)]
    assert errors[0] == errors[1]
