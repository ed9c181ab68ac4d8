"""Replacing files: whatever happens meanwhile, there is the old one or the new one."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from narfast._files import open_regular, replacing
from narfast.errors import CorruptFileError


def put(path, data):
    with replacing(path) as stream:
        stream.write(data)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_is_there_when_the_body_ends(tmp_path):
    path = tmp_path / "a"
    put(path, b"old")
    with replacing(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    with pytest.raises(TypeError), replacing(path) as stream:
        stream.write("half")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]
    plain = tmp_path / "b"
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode
    with replacing(path, mode=0o600):
        pass
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_killed_writer_left_is_removed_and_a_living_one_keeps_its_own(tmp_path):
    path = tmp_path / "a"
    code = (
        "import os, sys; from pathlib import Path; from narfast._files import replacing\n"
        "with replacing(Path(sys.argv[1])) as stream:\n"
        "    stream.write(b'half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    (left,) = names(tmp_path)
    assert left.startswith(".a.new-")
    for other in (".a.new-mine", ".b.new-abcd_123", "a.new-abcd_123"):
        (tmp_path / other).touch()
    os.mkfifo(tmp_path / ".a.new-pipe_123")
    with replacing(path):
        assert not (tmp_path / left).exists()
        put(path, b"meanwhile")
    assert names(tmp_path) == [
        ".a.new-mine",
        ".a.new-pipe_123",
        ".b.new-abcd_123",
        "a",
        "a.new-abcd_123",
    ]


def test_many_writers_of_one_file(tmp_path):
    path = tmp_path / "a"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: put(path, b"%d" % n * 1000), range(10, 90)))
    assert len(path.read_bytes()) == 2000
    assert names(tmp_path) == ["a"]


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/null"):
        with pytest.raises(CorruptFileError, match="not a regular file"):
            open_regular(path)
    for name in ("a\0b", "a\ud800"):
        with pytest.raises(CorruptFileError, match="not a name that a file can have"):
            open_regular(name)
    put(tmp_path / "a", b"data")
    with open_regular(tmp_path / "a") as stream:
        assert stream.read() == b"data"
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
