"""Files that a user names: regular ones are read, nothing else is, and nothing is waited for."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from narfast._files import open_regular, open_source, read_source
from narfast.bulk.sources import read_list
from narfast.errors import CorruptFileError, NarfastError, UnsupportedSourceError
from narfast.sources import (  # imported now: it takes longer than what is timed
    hf_config,  # noqa: F401
    pt2,  # noqa: F401
)
from narfast.sources.loader import load_raw


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """A test that waits for a pipe fails instead of hanging."""

    def give_up(*_: object) -> None:
        raise TimeoutError("waits")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 60)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_regular_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    link = tmp_path / "link"
    link.symlink_to(path)
    for name in (path, str(path), link):
        with open_regular(name) as stream:
            assert stream.read() == b"12345"
    assert read_source(path, limit=5, what="a file") == b"12345"
    with pytest.raises(CorruptFileError, match="more than 4 bytes are too many for a file"):
        read_source(path, limit=4, what="a file")
    with pytest.raises(UnsupportedSourceError, match="No such file or directory"):
        open_source(tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "absent")


def test_anything_else_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    for path in (pipe, Path("/dev/zero"), Path("/dev/null"), tmp_path):
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(CorruptFileError, match="not a regular file"):
            open_regular(path)
        with pytest.raises(UnsupportedSourceError, match="not a regular file"):
            read_source(path, limit=100, what="a file")
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(UnsupportedSourceError, match="cannot be read"):
        open_source(tmp_path / "socket")


@pytest.mark.parametrize("name", ["net.pt2", "net.onnx", "net.json", "config.json", "net.py"])
def test_a_pipe_is_no_source(tmp_path: Path, name: str) -> None:
    pipe = tmp_path / name
    os.mkfifo(pipe)
    source = f"hf:{pipe}" if name == "config.json" else str(pipe)
    with pytest.raises(NarfastError) as caught:
        load_raw(f"{source}:build" if name == "net.py" else source)
    assert name in str(caught.value)


def test_a_link_to_a_device_is_no_source(tmp_path: Path) -> None:
    for name in ("net.pt2", "net.onnx", "net.json"):
        (tmp_path / name).symlink_to("/dev/zero")
        with pytest.raises(UnsupportedSourceError, match="not a regular file"):
            load_raw(tmp_path / name)


def test_a_file_of_the_kernel_that_has_nothing_to_say(tmp_path: Path) -> None:
    kernel = Path("/proc/kmsg")
    try:
        os.close(os.open(kernel, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        pytest.skip("only root may read it")
    (tmp_path / "net.json").symlink_to(kernel)
    with pytest.raises(NarfastError, match=r"net\.json"):
        load_raw(tmp_path / "net.json")


def test_lists_come_from_pipes_and_tables_do_not(tmp_path: Path) -> None:
    pipe = tmp_path / "list"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=["timm:a\ntimm:b\n"])
    writer.start()
    assert list(read_list(str(pipe))) == ["timm:a", "timm:b"]
    writer.join()
    os.mkfifo(tmp_path / "list.parquet")
    with pytest.raises(CorruptFileError, match="not a regular file"):
        list(read_list(str(tmp_path / "list.parquet")))
