"""``narfast zoo``, ``evaluate`` and ``pretrain``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import zoo_fakes
from narfast.training.config import DataConfig
from zoo_fakes import NAMES


@pytest.mark.slow
def test_zoo_build_and_info(run, tmp_path, monkeypatch):
    from narfast.zoo import builder

    monkeypatch.setattr(builder, "identifiers_of", lambda source: [*NAMES, "fake:bad_1"])
    monkeypatch.setattr(
        builder.build_zoo,
        "__kwdefaults__",
        {**builder.build_zoo.__kwdefaults__, "loader": "zoo_fakes:load_raw"},
    )
    result = run("zoo", "build", tmp_path / "zoo", "--source", "fake", "--json", "--workers", 1)
    assert result.exit_code == 0, result.output
    built = json.loads(result.stdout)
    assert built["distinct"] == 16
    assert list(built["errors"]) == ["fake:bad_1"]
    info = json.loads(run("zoo", "info", tmp_path / "zoo", "--json").stdout)
    assert {"distinct", "names", "by_source", "by_family", "format_version", "encoder"} <= set(info)
    assert "16 distinct" in run("zoo", "info", tmp_path / "zoo").stdout


def test_zoo_add_makes_a_zoo(run, tmp_path):
    new = tmp_path / "deep" / "new"
    failed = run("zoo", "add", new, "fake:bad_1")
    assert failed.exit_code == 2
    assert failed.stderr.splitlines()[-1].startswith("error: none of the sources could be read")
    assert not new.parent.exists()
    result = run("zoo", "add", new, "fake:plain_7", "fake:bad_1")
    assert result.exit_code == 0, result.output
    assert "added 1 names, 1 of them new structures; 1 structures in all" in result.stdout
    assert run("zoo", "verify", new).exit_code == 0
    assert [path.name for path in new.parent.iterdir()] == ["new"]
    (new.parent / "note.txt").write_text("mine")
    refused = run("zoo", "add", new.parent, "fake:plain_7")
    assert "exists and is not a zoo" in refused.stderr


def test_zoo_add_verify_embed(run, zoo_path):
    result = run("zoo", "add", zoo_path, "fake:plain_7", "fake:bad_1", "--json")
    assert result.exit_code == 0, result.output
    added = json.loads(result.stdout)
    assert added["added"] == ["fake:plain_7"]
    assert list(added["errors"]) == ["fake:bad_1"]
    assert run("zoo", "verify", zoo_path).stdout.startswith(f"{zoo_path}: whole, 17 structures")
    assert run("zoo", "embed", zoo_path, "--index-threads", 2).exit_code == 0
    failed = run("zoo", "add", zoo_path, "fake:bad_1")
    assert failed.exit_code == 2


def test_zoo_verify_of_a_damaged_zoo(run, zoo_path):
    path = zoo_path / "graphs.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    result = run("zoo", "verify", zoo_path, "--json")
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    assert not report["whole"]
    assert "graphs.parquet" in report["problems"][0]
    assert result.stderr.startswith("error: ")


def test_evaluate(run, zoo_path, tmp_path, monkeypatch):
    from narfast.evaluation import PROTOCOLS, protocols

    for name in PROTOCOLS.copy():
        monkeypatch.delitem(PROTOCOLS, name)
    monkeypatch.setitem(
        PROTOCOLS,
        "some-thing",
        lambda zoo: [
            protocols.same_family(zoo, range(len(zoo)), name="all", description="everything")
        ],
    )
    folder = tmp_path / "results"
    result = run("evaluate", "some-thing", "--zoo", zoo_path, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["queries"] == 16
    assert {"protocol", "methods", "families", "seed", "zoo", "versions"} <= set(report)
    every = run("evaluate", "all", "--zoo", zoo_path, "-o", folder, "--json")
    assert json.loads(every.stdout) == [report]
    assert json.loads((folder / "some_thing.json").read_text()) == report
    table = run("evaluate", "all", "--zoo", zoo_path)
    assert table.exit_code == 0
    assert "operator histogram" in table.stdout
    assert "NDCG@100" in table.stdout
    mine = run("evaluate", "all", "--zoo", zoo_path, "--encoder", "mine=default", "--json")
    (methods,) = (value["methods"] for value in json.loads(mine.stdout))
    assert methods.pop("mine") == methods["shipped encoder"]
    path = folder / "some_thing.json"
    less = {key: value for key, value in report["methods"].items() if "log1p" not in key}
    older = json.dumps({**report, "methods": less})
    path.write_text(older)
    one = [*("evaluate", "all", "--zoo", zoo_path), "--only", "operator histogram, log1p"]
    result = run(*one, "-o", folder)
    assert result.exit_code == 0, result.output
    assert "WL tf-idf" not in result.stdout
    assert json.loads(path.read_text()) == report
    path.write_text("{")
    result = run(*one, "-o", folder)
    assert result.exit_code == 2
    assert "some_thing.json: not a JSON file; choose another folder" in result.stderr
    assert path.read_text() == "{"
    assert "choose from 'operator histogram'" in run(*one[:-1], "nonsense").stderr
    nameless = run("evaluate", "all", "--zoo", zoo_path, "--encoder", "default")
    assert nameless.exit_code == 2
    assert "say NAME=DIR" in nameless.stderr


def test_evaluate_of_all_that_is_stopped_keeps_what_is_done(run, zoo_path, tmp_path, monkeypatch):
    from narfast.evaluation import PROTOCOLS, protocols

    def everything(zoo):
        return [protocols.same_family(zoo, range(len(zoo)), name="all", description="everything")]

    def stopped(zoo):
        raise KeyboardInterrupt

    for name in PROTOCOLS.copy():
        monkeypatch.delitem(PROTOCOLS, name)
    monkeypatch.setitem(PROTOCOLS, "first", everything)
    monkeypatch.setitem(PROTOCOLS, "second", stopped)
    result = run("evaluate", "all", "--zoo", zoo_path, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 130
    (report,) = json.loads(result.stdout)
    assert report["protocol"] == "first"
    assert json.loads((tmp_path / "out" / "first.json").read_text()) == report
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["first.json"]


def test_pretrain_hands_over_graphs_and_families(run, zoo_path, tmp_path, monkeypatch):
    import types

    calls = []
    stand_in = types.ModuleType("narfast.training.run")
    config = types.SimpleNamespace(
        data=DataConfig(test_families=("mixer",), test_libraries=("nowhere",))
    )
    paths = []
    stand_in.PretrainConfig = types.SimpleNamespace(
        from_toml=lambda path: paths.append(path) or config
    )
    stand_in.check_output = lambda folder, config, *, resume: None
    stand_in.run = lambda *arguments, **options: calls.append((arguments, options))
    monkeypatch.setitem(sys.modules, "narfast.training.run", stand_in)
    result = run("pretrain", "-c", "x.toml", "-o", tmp_path / "out", "--zoo", zoo_path)
    assert result.exit_code == 0, result.output
    (given, graphs, labels, output), options = calls[0]
    assert given is config
    assert paths == [Path("x.toml")]
    assert len(graphs) == len(labels) == 16
    assert set(labels) == set(zoo_fakes.BLOCKS)
    assert output == tmp_path / "out"
    held_out = {place for place, label in enumerate(labels) if label == "mixer"}
    libraries = options.pop("libraries")
    assert options == {"held_out": held_out, "resume": True}
    assert set(libraries) == {"fake"}
