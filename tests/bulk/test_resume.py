"""Bulk runs: nothing is lost or doubled when one is stopped."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bulk_runs import CELLS, engine, interrupt, sources_of
from narfast.bulk import Inputs, LocalEngine, encode_to_parquet, tables
from narfast.bulk.identity import Identities
from narfast.bulk.sources import Block, open_zoo
from narfast.errors import NarfastError
from narfast.zoo import Zoo
from zoo_fakes import NAMES, FakeEncoder, network


def test_an_interrupted_run_goes_on(tmp_path, small_parts):
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    inputs = Inputs([*CELLS[:50], "missing.onnx", *CELLS[50:90]])
    encode_to_parquet(inputs, whole, engine())

    def stop(done, total):
        if done > 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_to_parquet(inputs, output, engine(), progress=stop)
    assert not output.exists()
    done = []
    fresh = engine()
    report = encode_to_parquet(
        inputs, output, fresh, resume=True, progress=lambda n, total: done.append(n)
    )
    assert 56 <= report.resumed < done[0] <= 68
    assert fresh.encoder.calls == 91 - report.resumed
    assert output.read_bytes() == whole.read_bytes()
    errors = tables.errors_path(whole).read_bytes()
    assert tables.errors_path(output).read_bytes() == errors

    # A finished table is gone on from, too; what failed stays failed.
    longer = Inputs([*inputs.sources, *CELLS[90:100]])
    fresh = engine()
    report = encode_to_parquet(longer, output, fresh, resume=True)
    assert (report.rows, report.failed, report.resumed) == (100, 1, 91)
    assert fresh.encoder.calls == 10
    encode_to_parquet(longer, whole, engine())
    assert output.read_bytes() == whole.read_bytes()
    assert encode_to_parquet(longer, output, engine(), resume=True).resumed == 101
    assert output.read_bytes() == whole.read_bytes()
    assert tables.errors_path(output).read_bytes() == errors

    # Other sources are done anew from the first difference on.
    other = Inputs([*CELLS[:40], *CELLS[45:60]])
    report = encode_to_parquet(other, output, engine(), resume=True)
    assert (report.rows, report.failed, report.resumed) == (55, 0, 40)
    assert sources_of(output) == [*CELLS[:40], *CELLS[45:60]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.parquet",
        "out.parquet.resume",
        "whole.parquet",
        "whole.parquet.errors.csv",
        "whole.parquet.resume",
    ]


def test_parts_of_other_sources_are_done_anew(tmp_path, small_parts):
    output = tmp_path / "out.parquet"
    interrupt(output)
    changed = Inputs([*CELLS[:21], *CELLS[22:40]])
    report = encode_to_parquet(changed, output, engine(), resume=True)
    assert (report.rows, report.resumed) == (39, 21)
    assert sources_of(output) == changed.sources


def test_what_cannot_be_gone_on_from(tmp_path, monkeypatch):
    output = tmp_path / "out.parquet"
    inputs = Inputs(CELLS[:3])
    encode_to_parquet(inputs, output, engine())
    with pytest.raises(NarfastError, match="another encoder"):
        encode_to_parquet(inputs, output, engine(seed=5), resume=True)
    monkeypatch.setattr("narfast.bulk.tables.__version__", "99.0")
    with pytest.raises(NarfastError, match=r"made by narfast .*, this is 99.0"):
        encode_to_parquet(inputs, output, engine(), resume=True)
    encode_to_parquet(inputs, output, engine())
    assert encode_to_parquet(inputs, output, engine(), resume=True).resumed == 3
    output.write_bytes(b"PAR1 no")
    for resume in (True, False):
        with pytest.raises(NarfastError, match="damaged parquet file; choose another name"):
            encode_to_parquet(inputs, output, engine(), resume=resume)
    output.unlink()
    encode_to_parquet(inputs, output, engine())
    assert sources_of(output) == CELLS[:3]


def test_two_runs_do_not_write_one_table(tmp_path):
    output = tmp_path / "out.parquet"
    with tables.Parts(output, "x", 3), pytest.raises(NarfastError, match="another run"):
        encode_to_parquet(Inputs(CELLS[:3]), output, engine())


@pytest.mark.slow
def test_a_run_stopped_between_any_two_steps_on_disk(tmp_path, monkeypatch, small_parts):
    inputs = Inputs([*CELLS[:11], "missing.onnx", *CELLS[11:20]])
    whole = tmp_path / "whole.parquet"
    encode_to_parquet(inputs, whole, engine())
    steps = {name: getattr(Path, name) for name in ("replace", "rename", "unlink", "mkdir")}
    left = [0]

    def stopping(name):
        def step(path, *arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return steps[name](path, *arguments, **options)

        return step

    for name in steps:
        monkeypatch.setattr(Path, name, stopping(name))
    for moment in range(1, 100):
        output = tmp_path / f"{moment}.parquet"
        left[0] = moment
        try:
            encode_to_parquet(inputs, output, engine())
        except KeyboardInterrupt:
            left[0] = 0
            encode_to_parquet(inputs, output, engine(), resume=True)
            stopped = True
        else:
            stopped = left[0] <= 0
        assert output.read_bytes() == whole.read_bytes()
        errors = tables.errors_path(whole).read_bytes()
        assert tables.errors_path(output).read_bytes() == errors
        if not stopped:
            break
    assert moment > 8


def flip(path, place=0.5):
    """Flip a bit of a file, keeping its time of modification."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[round(place * (len(data) - 1))] ^= 0x40
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.slow
@pytest.mark.parametrize("damaged", ["", ".errors.csv", ".resume"])
def test_a_flipped_bit_in_what_is_finished(tmp_path, caplog, damaged):
    output = tmp_path / "out.parquet"
    inputs = Inputs([*CELLS[:20], "missing.onnx", *CELLS[20:40]])
    encode_to_parquet(inputs, output, engine())
    files = (output, tables.errors_path(output), tables.record_path(output))
    whole = [file.read_bytes() for file in files]
    vectors = pq.read_table(output).column("embedding").combine_chunks().flatten().to_numpy()
    path = output.with_name(output.name + damaged)
    places = [0.1, 0.5, 0.99]
    if not damaged:  # in a number of a vector, which the file format does not notice
        places = [(whole[0].find(vectors[20:24].tobytes()) + 3) / (len(whole[0]) - 1)]
    for place in places:
        flip(path, place)
        report = encode_to_parquet(inputs, output, engine(), resume=True)
        assert (report.rows, report.failed, report.resumed) == (40, 1, 0)
        assert "none of its rows can be kept" in caplog.text
        assert [file.read_bytes() for file in files] == whole
        caplog.clear()
    assert encode_to_parquet(inputs, output, engine(), resume=True).resumed == 41
    if damaged:
        path.unlink()
        assert encode_to_parquet(inputs, output, engine(), resume=True).resumed == 0
        assert "missing" in caplog.text
    assert [file.read_bytes() for file in files] == whole


def test_a_list_of_errors_from_elsewhere(tmp_path, caplog):
    output = tmp_path / "out.parquet"
    encode_to_parquet(Inputs(CELLS[:3]), output, engine())
    tables.errors_path(output).write_text(f"source,reason\n{CELLS[3]},no\n")
    report = encode_to_parquet(Inputs(CELLS[:4]), output, engine(), resume=True)
    assert (report.rows, report.failed, report.resumed) == (4, 0, 0)
    assert "belongs to another table" in caplog.text


def test_a_flipped_bit_in_a_part(tmp_path, small_parts, caplog):
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    encode_to_parquet(Inputs(CELLS[:60]), whole, engine())
    interrupt(output)
    parts = sorted(Path(f"{output}.parts").glob("*.parquet"))
    assert len(parts) > 3
    flip(parts[2])
    report = encode_to_parquet(Inputs(CELLS[:60]), output, engine(), resume=True)
    assert (report.rows, report.resumed) == (60, 16)
    assert f"{parts[2]}: damaged" in caplog.text
    assert output.read_bytes() == whole.read_bytes()


@pytest.fixture
def files(tmp_path):
    """Forty small files that each name a network."""
    paths = [tmp_path / f"{number:02d}.onnx" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_text(NAMES[number % 16])
    time.sleep(0.1)
    return paths


def rewrite(path, text):
    """Change a file so that its time of modification stays."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("finished", [True, False])
def test_a_file_that_has_changed_is_read_again(tmp_path, files, small_parts, caplog, finished):
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    inputs = Inputs([str(path) for path in files])
    loading = engine(loader="zoo_fakes:load_named_in_file")
    if finished:
        encode_to_parquet(inputs, output, loading)
    else:
        interrupt(output, inputs, loading)
    size = files[21].stat().st_size
    rewrite(files[21], "fake:smooth_9")
    assert files[21].stat().st_size == size
    report = encode_to_parquet(inputs, output, loading, resume=True)
    assert (report.rows, report.resumed) == (40, 21)
    assert f"{files[21]}: may have changed since the earlier run" in caplog.text
    encode_to_parquet(inputs, whole, loading)
    assert output.read_bytes() == whole.read_bytes()
    assert pq.read_table(output)["name"][21].as_py() == "smooth_9"


@pytest.mark.slow
def test_a_file_that_comes_goes_or_moves(tmp_path, files):
    output = tmp_path / "out.parquet"
    late = tmp_path / "late.onnx"
    inputs = Inputs([*map(str, files), str(late)])
    loading = engine(loader="zoo_fakes:load_named_in_file")

    def encode():
        report = encode_to_parquet(inputs, output, loading, resume=True)
        return report.rows, report.failed, report.resumed

    assert [encode(), encode()] == [(40, 1, 0), (40, 1, 41)]
    late.write_text("fake:mixer_2")
    time.sleep(0.1)
    assert [encode(), encode()] == [(41, 0, 40), (41, 0, 41)]
    files[30].unlink()
    assert [encode(), encode()] == [(40, 1, 30), (40, 1, 41)]
    files[8].rename(files[2])
    time.sleep(0.1)
    assert [encode(), encode()] == [(39, 2, 2), (39, 2, 41)]


def test_rows_that_another_machine_read_are_not_kept(tmp_path):
    """A file that is not here may have changed there."""

    class Elsewhere(LocalEngine):
        def tables(self, blocks):
            here = engine()
            return here.tables(replace(block, names=tuple(CELLS[: len(block)])) for block in blocks)

    output = tmp_path / "out.parquet"
    inputs = Inputs(["/somewhere/else.onnx"])
    encode_to_parquet(inputs, output, Elsewhere(FakeEncoder()))
    assert tables.record_path(output).read_text().startswith("1 ?\n")


def test_identities_of_named_sources(tmp_path, zoo_path, monkeypatch):
    versions = {"timm": "1"}
    monkeypatch.setattr("narfast.bulk.identity.library_versions", lambda: versions)
    monkeypatch.chdir(tmp_path)
    for name in ("models.py", "blocks.py", "package/__init__.py", "package/a.py", "other/b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "config.json").write_text("{}")
    os.mkfifo(tmp_path / "pipe.onnx")
    time.sleep(0.1)
    hf = f"hf:{tmp_path}"
    names = ["timm:resnet18", "models.py:build", hf, "zoo:fake:plain_1", CELLS[0], "config.json"]
    odd = ["no.onnx", "pipe.onnx", "a\0b", "x" * 5000]

    def identities():
        block = Block("named", (*names, *odd), zoo=zoo_path)
        return dict(zip(block.names, Identities().of(block), strict=True))

    def changed(before):
        return {name for name, identity in identities().items() if identity != before[name]}

    first = identities()
    assert first[CELLS[0]] == ""
    assert first["no.onnx"] == "absent"
    assert [name for name in first if first[name] is None] == odd[1:]
    assert changed(first) == set()
    versions["timm"] = "2"
    assert changed(first) == {"timm:resnet18", "models.py:build", hf}
    versions["timm"] = "1"
    (tmp_path / "other/b.py").write_text("1")  # no package: it cannot be imported
    assert changed(first) == set()
    for module in ("models.py", "blocks.py", "package/a.py"):
        before = identities()
        rewrite(tmp_path / module, "")
        assert changed(before) == {"models.py:build"}
    before = identities()
    (tmp_path / "new.py").touch()
    assert identities()["models.py:build"] is None  # so fresh that a change might not show
    time.sleep(0.1)
    assert changed(before) == {"models.py:build"}
    before = identities()
    rewrite(tmp_path / "config.json", "[]")
    assert changed(before) == {"config.json", hf}
    before = identities()
    zoo = Zoo.open(zoo_path)
    zoo.embed(FakeEncoder(seed=3), source="other")
    open_zoo.cache_clear()
    assert changed(before) == set()  # vectors of a zoo are not used
    zoo.add([network("plain", 9)])
    open_zoo.cache_clear()
    assert changed(before) == {"zoo:fake:plain_1"}


def test_what_killed_runs_left_goes_with_the_next(tmp_path, small_parts):
    output = tmp_path / "out.parquet"
    interrupt(output)
    folder = Path(f"{output}.parts")
    (folder / "000099.tmp").touch()
    shutil.copytree(folder, tmp_path / ".out.parquet.parts.gone")
    for name in ("", ".errors.csv", ".resume"):
        (tmp_path / f".out.parquet{name}.new-abcd_123").touch()
    with tables.Parts(output, FakeEncoder().fingerprint, 8):
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
        assert not list(folder.glob("*.tmp"))
    encode_to_parquet(Inputs(CELLS[:60]), output, engine(), resume=True)
    assert sorted(tmp_path.iterdir()) == [output, tables.record_path(output)]
