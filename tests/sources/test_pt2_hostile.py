"""Files that are no torch.export files, or no longer: one clear error each, never anything else."""

from __future__ import annotations

import copy
import json
import random
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narfast.errors import (
    CorruptFileError,
    InvalidGraphError,
    NarfastError,
    UnsupportedSourceError,
)
from narfast.sources.loader import load
from narfast.sources.pt2 import load_pt2
from narfast.sources.pt2.graph import read_program
from pt2_files import ConvNet, export, program_of

QUICKLY = 2.0  # seconds, for a file that promises the absurd


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    return export(ConvNet().eval(), (torch.rand(2, 3, 16, 16),), path)


@pytest.fixture(scope="module")
def program(file: Path) -> Any:
    """A whole program, without comments."""
    module = program_of(file)["graph_module"]
    for node in module["graph"]["nodes"]:
        node["metadata"] = {}
    return {"graph_module": {"graph": module["graph"], "signature": module["signature"]}}


def outcome(read: Callable[[], object], path: Path) -> str:
    """The message of the error, or the path where there was none."""
    try:
        read()
    except NarfastError as error:
        return str(error)
    return str(path)


def archive(path: Path, text: str | bytes, *, name: str = "net/models/model.json") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr(name, text)
    return path


def one_line(path: Path, kinds: type[Exception] | tuple[type[Exception], ...]) -> str:
    with pytest.raises(kinds) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 1000
    return message


def test_files_of_other_kinds(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "net.pt2"
    one_line(path, UnsupportedSourceError)  # there is none
    for content in (b"", b"\x08\x07", b"{}", bytes(range(256)) * 9, "Grüße".encode("latin-1")):
        path.write_bytes(content)
        one_line(path, UnsupportedSourceError)
    torch.save({"weight": torch.zeros(3)}, path)
    assert "torch.export.save" in one_line(path, UnsupportedSourceError)
    archive(path, b"text", name="readme.txt")
    one_line(path, UnsupportedSourceError)
    folder = tmp_path / "folder.pt2"
    folder.mkdir()
    one_line(folder, UnsupportedSourceError)


@pytest.mark.parametrize("kept", [2, 4, 100, 0.3, 0.7, 0.99, -1])
def test_truncated_files(tmp_path: Path, file: Path, kept: float) -> None:
    data = file.read_bytes()
    path = tmp_path / "net.pt2"
    path.write_bytes(data[: int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    one_line(path, CorruptFileError)


def test_damaged_bytes(tmp_path: Path, file: Path) -> None:
    """Any bytes may be others: an error or a graph, never anything else."""
    data, path, chance = file.read_bytes(), tmp_path / "net.pt2", random.Random(0)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(20):
            damaged[chance.randrange(2, len(data))] = chance.randrange(256)
        path.write_bytes(damaged)
        assert str(path) in outcome(lambda: load_pt2(path), path)


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "{}", "3", '"graph"', "{", "NaN", "\ufeff{}", '{"graph_module": 1}'),
        *('{"graph_module": {"graph": []}}', "9" * 5000, "[" * 100_000, '{"a":' * 100_000),
    ],
)
def test_text_that_is_no_program(tmp_path: Path, text: str) -> None:
    one_line(archive(tmp_path / "net.pt2", text), CorruptFileError)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    one_line(archive(tmp_path / "net.pt2", b"\xff\xfe{\x80"), CorruptFileError)


def test_headers_that_promise_the_absurd(tmp_path: Path) -> None:
    start = time.perf_counter()
    bomb = archive(tmp_path / "bomb.pt2", b" " * (64 << 20))
    assert "claims" in one_line(bomb, CorruptFileError)
    honest = archive(tmp_path / "net.pt2", "{}")
    data = honest.read_bytes()
    where = data.index(b"PK\x01\x02")
    for claimed in (2**32 - 2, 2**31, 1_000_000):
        path = tmp_path / "absurd.pt2"
        # Sizes in the central directory: compressed, whole.
        path.write_bytes(
            data[: where + 20] + struct.pack("<II", claimed, claimed) + data[where + 28 :]
        )
        one_line(path, CorruptFileError)
    assert time.perf_counter() - start < QUICKLY


def test_texts_of_absurdly_many_values(tmp_path: Path) -> None:
    """Three bytes of text can take sixty of memory: values are counted before they are made."""
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as writer:
        writer.writestr("net/models/model.json", b"[" + b"[]," * 6_000_000 + b"1]")
    start = time.perf_counter()
    assert "more than 10,000,000 values" in one_line(path, CorruptFileError)
    assert time.perf_counter() - start < QUICKLY


def test_names_that_lead_elsewhere(tmp_path: Path, program: Any) -> None:
    """Nothing is extracted, so that a path in the archive is only a name."""
    path = archive(tmp_path / "net.pt2", json.dumps(program), name="../../../tmp/models/model.json")
    assert load_pt2(path).num_nodes > 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.pt2"]


Change = tuple[str, Any]


def changed(program: Any, *changes: Change) -> Any:
    """A copy of a program with values at dotted paths replaced."""
    result = copy.deepcopy(program)
    for where, value in changes:
        *path, last = where.split(".")
        part = result["graph_module"]
        for step in path:
            part = part[int(step)] if step.lstrip("-").isdigit() else part[step]
        part[int(last) if last.lstrip("-").isdigit() else last] = value
    return result


def tensor(name: str) -> dict[str, Any]:
    return {"name": "x", "arg": {"as_tensor": {"name": name}}}


def test_cycles_and_names_that_lead_nowhere(program: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    nodes = program["graph_module"]["graph"]["nodes"]
    last = nodes[-1]["outputs"][0]["as_tensor"]["name"]
    for name, word in ((last, "cyclic"), ("nobody", "dangling")):
        with pytest.raises(InvalidGraphError, match=word):
            read_program(changed(program, ("graph.nodes.0.inputs.0", tensor(name))), path, {})
    shuffled = changed(program, ("graph.nodes", nodes[::-1]))
    with pytest.raises(InvalidGraphError, match="cyclic"):
        read_program(shuffled, path, {})
    with pytest.raises(InvalidGraphError, match="no output"):
        read_program(changed(program, ("signature.output_specs", [])), path, {})


def test_absurd_sizes(program: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    for size in (2**60, 2**200, -3, 0):
        huge = changed(program, ("graph.tensor_values.p_head_weight.sizes", [{"as_int": size}] * 2))
        start = time.perf_counter()
        graph = read_program(huge, path, {})
        assert graph.num_nodes > 10
        assert time.perf_counter() - start < QUICKLY
    long = [{"as_int": 2**31 - 1}] * 40
    with pytest.raises(CorruptFileError, match="parameters"):
        read_program(changed(program, ("graph.tensor_values.p_head_weight.sizes", long)), path, {})


def test_more_dimensions_than_any_tensor_has(program: Any, tmp_path: Path) -> None:
    """Their product alone would take minutes."""
    many = [{"as_int": 2**31 - 1}] * 300_000
    huge = changed(program, ("graph.tensor_values.p_head_weight.sizes", many))
    start = time.perf_counter()
    with pytest.raises(InvalidGraphError, match="300,000 dimensions"):
        read_program(huge, tmp_path / "net.pt2", {})
    assert time.perf_counter() - start < QUICKLY


def test_arguments_inside_each_other(program: Any, tmp_path: Path) -> None:
    argument: dict[str, Any] = {"as_tensor": {"name": "x"}}
    for _ in range(2_000):
        argument = {"as_optional_tensor": argument}
    named = {"name": "x", "arg": argument}
    with pytest.raises(CorruptFileError, match="nested too deep"):
        read_program(changed(program, ("graph.nodes.0.inputs.0", named)), tmp_path / "n.pt2", {})


def call(target: str, inputs: list[Any], result: str) -> dict[str, Any]:
    outputs = [{"as_tensor": {"name": result}}]
    return {"target": target, "inputs": inputs, "outputs": outputs, "metadata": {}}


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("torch.ops.aten.lstm.input", {"num_layers": {"as_int": 10**9}}),
        ("torch.ops.aten.lstm.input", {"num_layers": {"as_string": "two"}}),
        ("torch.ops.aten.einsum.default", {"equation": {"as_string": "ab,bc->ac"}}),
        ("torch.ops.aten.einsum.default", {"equation": {"as_string": "a" * 2000}}),
        ("torch.ops.aten.einsum.default", {"equation": {"as_string": "ij->ijk"}}),
    ],
)
def test_composites_that_do_not_fit(
    program: Any, tmp_path: Path, target: str, arguments: dict[str, Any]
) -> None:
    named = [{"name": name, "arg": value} for name, value in arguments.items()]
    last = program["graph_module"]["graph"]["nodes"][-1]["outputs"][0]["as_tensor"]["name"]
    node = call(target, [*named, tensor("x")], last)
    with pytest.raises(InvalidGraphError):
        read_program(changed(program, ("graph.nodes.-1", node)), tmp_path / "net.pt2", {})


def test_messages_and_reports_stay_short(program: Any, tmp_path: Path) -> None:
    """What a file calls things may have any length."""
    path, long = tmp_path / "net.pt2", "x" * 1_000_000
    last = program["graph_module"]["graph"]["nodes"][-1]["outputs"][0]["as_tensor"]["name"]
    odd = call(f"torch.ops.aten.{long}.default", [tensor("x")], last)
    graph = read_program(changed(program, ("graph.nodes.-1", odd)), path, {})
    assert max(map(len, graph.meta.unknown_ops)) <= 80
    layers = [{"name": "num_layers", "arg": {"as_string": long}}, tensor("x")]
    for node in (
        call("torch.ops.aten.lstm.input", layers, last),
        call("torch.ops.aten.relu.default", [tensor(long)], last),
    ):
        with pytest.raises(InvalidGraphError) as caught:
            read_program(changed(program, ("graph.nodes.-1", node)), path, {})
        assert len(str(caught.value)) < 1000


def test_subgraphs_inside_each_other(program: Any, tmp_path: Path) -> None:
    graph = copy.deepcopy(program["graph_module"]["graph"])
    graph["inputs"] = graph["outputs"] = [{"as_tensor": {"name": "x"}}]
    graph["nodes"] = []
    for _ in range(60):
        inner = {"name": "graph", "arg": {"as_graph": {"name": "g", "graph": graph}}}
        node = call("torch.ops.higher_order.wrap_with_set_grad_enabled", [inner, tensor("x")], "x")
        graph = {**graph, "nodes": [node]}
    with pytest.raises(InvalidGraphError, match="nested"):
        read_program(changed(program, ("graph.nodes", graph["nodes"])), tmp_path / "net.pt2", {})


def places(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a program has values: the keys that lead to each."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    found = []
    for key, value in items if isinstance(part, (dict, list)) else ():
        found.append((*path, key))
        if isinstance(value, (dict, list)):
            found += places(value, (*path, key))
    return found


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def places_of(program: Any) -> list[tuple[Any, ...]]:
    return places(program["graph_module"])


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_programs_with_other_values(
    program: Any, places_of: list[tuple[Any, ...]], tmp_path: Path, data: st.DataObject
) -> None:
    """A wrong schema, anywhere: an error with the file's name, or a graph."""
    result = copy.deepcopy(program)
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(places_of))
        part = result["graph_module"]
        try:
            for step in path:
                part = part[step]
            if data.draw(st.booleans()):
                part[last] = data.draw(JUNK)
            else:
                del part[last]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    file = tmp_path / "net.pt2"
    message = outcome(lambda: read_program(result, file, {}), file)
    assert str(file) in message
    assert "\n" not in message
