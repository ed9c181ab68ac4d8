"""The ONNX reader against the `onnx` package, against files that cannot be read any other way,
and against everything that is not a readable ONNX file."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test.case.node
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from exports import VARIANTS, export, trained_looks
from narfast import _core, operators
from narfast.errors import (
    CorruptFileError,
    InvalidGraphError,
    NarfastError,
    UnsupportedSourceError,
)
from narfast.graph import ArchGraph, canonicalize
from narfast.sources.onnx import load_onnx, load_onnx_files
from onnx_files import field, varint, write_with_hole
from paths import DATA

FUZZ = DATA / "fuzz" / "onnx"


def f32(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.full(shape, 0.5, np.float32), name)


def i64(name: str, values: list[int]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def small_model(**options: object) -> onnx.ModelProto:
    """Convolution, batch norm, relu, pooling, classifier."""
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["a"], kernel_shape=[3, 3], strides=[2, 2]),
            helper.make_node("BatchNormalization", ["a", "s", "b", "m", "v"], ["n"]),
            helper.make_node("Relu", ["n"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "fc"], ["y"], transB=1),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])],
        [f32("w", 8, 3, 3, 3), *(f32(n, 8) for n in "sbmv"), f32("fc", 10, 8)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], **options)


def save(tmp_path: Path, model: onnx.ModelProto, name: str = "model.onnx") -> Path:
    path = tmp_path / name
    path.write_bytes(model.SerializeToString())
    return path


def assert_agrees(path: Path) -> None:
    """The reader's structure is that of the onnx package."""
    theirs = onnx.load(path, load_external_data=False)
    ours = _core.inspect_onnx(str(path))
    assert ours["ir_version"] == theirs.ir_version
    opsets = [o.version for o in theirs.opset_import if o.domain in ("", "ai.onnx")]
    assert not opsets or ours["opset"] == opsets[0]
    assert [(n[1], n[2], n[3]) for n in ours["nodes"]] == [
        (n.op_type, list(n.input), list(n.output)) for n in theirs.graph.node
    ]
    assert {k: (v[0], v[1]) for k, v in ours["initializers"].items()} == {
        t.name: (t.data_type, list(t.dims)) for t in theirs.graph.initializer
    }


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.mix = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.token_norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        x = x + nn.functional.silu(self.mix(x))
        x = self.token_norm(x.flatten(2).transpose(1, 2))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x.mean(1))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_exports_agree_with_onnx_package(tmp_path: Path, variant: str) -> None:
    torch.manual_seed(0)
    path = tmp_path / "net.onnx"
    export(trained_looks(Net()), (torch.rand(1, 3, 8, 8),), path, variant)
    assert_agrees(path)
    graph = load_onnx(path)
    assert graph.meta.name == "net"
    assert graph.meta.source == graph.meta.trace_kind == "onnx"
    assert graph.meta.input_shape == (1, 3, 8, 8)
    assert graph.meta.unknown_ops == {}
    counts = Counter(canonicalize(graph).op_names())
    assert counts["conv"] == 2
    assert counts["attention"] == 1
    assert counts["silu"] == 1
    assert counts["batch_norm"] == 0


def backend_models() -> Iterator[tuple[str, bytes]]:
    """Every model by which the onnx package tests backends: stored ones, one for each operator."""
    for path in sorted((Path(onnx.backend.test.__file__).parent / "data").rglob("model.onnx")):
        yield path.parent.name, path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their expected results overflow on purpose
        cases = onnx.backend.test.case.node.collect_testcases(None)
    for case in cases:
        yield case.name, case.model.SerializeToString()


@pytest.mark.slow
def test_backend_models_agree_with_onnx_package(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    read, refused = 0, []
    for name, data in backend_models():
        path.write_bytes(data)
        assert_agrees(path)
        try:
            load_onnx(path)
            read += 1
        except InvalidGraphError as error:
            refused.append((name, str(error)))
    assert read > 1500
    # Sequences of constants, shapes of inputs, and the like.
    assert len(refused) < 60
    reason = "no output of the graph depends on an input"
    assert [name for name, error in refused if reason not in error] == []


def test_helper_model(tmp_path: Path) -> None:
    path = save(tmp_path, small_model())
    assert_agrees(path)
    graph = load_onnx(path)
    names = ["input", "conv", "batch_norm", "relu", "global_avg_pool", "reshape", "linear"]
    assert graph.op_names() == names
    conv = operators.pack_attributes(
        kernel=3, stride=2, groups=1, in_channels=3, out_channels=8, spatial_rank=2
    )
    assert graph.attr[1] == conv
    assert graph.attr[6] == operators.pack_attributes(in_channels=8, out_channels=10)
    # Running statistics are not learnt parameters.
    assert graph.meta.params == 8 * 27 + 2 * 8 + 80
    assert graph.meta.input_shape == (-1, 3, 32, 32)
    assert graph.meta.input_shapes == ((-1, 3, 32, 32),)


@pytest.mark.parametrize("opset", [7, 9, 11, 12, 13, 15, 18, 21])
def test_axes_in_every_opset(tmp_path: Path, opset: int) -> None:
    """Axes moved from attributes to inputs; softmax changed its default axis."""
    as_input = opset >= 18
    mean = (
        helper.make_node("ReduceMean", ["x", "axes"], ["a"], keepdims=0)
        if as_input
        else helper.make_node("ReduceMean", ["x"], ["a"], axes=[-2, -1], keepdims=0)
    )
    graph = helper.make_graph(
        [mean, helper.make_node("Softmax", ["a"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [i64("axes", [-2, -1])] if as_input else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    raw = load_onnx(save(tmp_path, model))
    assert raw.op_names() == ["input", "mean", "softmax"]
    assert raw.attr[1] == operators.pack_attributes(space_axes=True)
    # (1, 8) is left: axis 1, the default before opset 13, is the last one too.
    assert raw.attr[2] == operators.pack_attributes(last_axis=True)


WINDOWS = {
    "transposed convolution": helper.make_node(
        "ConvTranspose", ["x", "w"], ["y"], strides=[2, 3], pads=[1, 0, 1, 2], dilations=[2, 1],
        output_padding=[1, 0],
    ),
    "transposed convolution of given size": helper.make_node(
        "ConvTranspose", ["x", "w"], ["y"], strides=[2, 3], output_shape=[30, 61]
    ),
    "pooling, rounded up": helper.make_node(
        "MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1
    ),
    "padding of some axes": helper.make_node("Pad", ["x", "pads", "", "axes"], ["y"]),
    "padding by nothing": helper.make_node("Pad", ["x", "zeros"], ["y"]),
    "resize by scales": helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest"),
    "resize to sizes": helper.make_node(
        "Resize", ["x", "", "", "sizes"], ["y"], mode="linear", keep_aspect_ratio_policy="stretch"
    ),
}  # fmt: skip


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("short", [0, 1])
def test_sizes_after_windows(tmp_path: Path, window: str, short: int) -> None:
    """A slice as long as the map is nothing, and one that is shorter by one is a slice."""
    node = WINDOWS[window]
    weights = [
        f32("w", 4, 5, 3, 2),
        i64("pads", [1, 2, 3, 0]),
        i64("axes", [-2, 3]),
        i64("zeros", [0] * 8),
        numpy_helper.from_array(np.array([1, 1, 1.7, 2.5], np.float32), "scales"),
        i64("sizes", [1, 4, 20, 19]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 14, 15])]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)

    def model(nodes: list[onnx.NodeProto], more: list[onnx.TensorProto]) -> onnx.ModelProto:
        graph = helper.make_graph(nodes, "net", inputs, [output], [*weights, *more])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])

    inferred = onnx.shape_inference.infer_shapes(model([node], []), strict_mode=True)
    shape = [d.dim_value for d in inferred.graph.output[0].type.tensor_type.shape.dim]
    for axis in (2, 3):
        first = onnx.NodeProto()
        first.CopyFrom(node)
        first.output[0] = "map"
        slice_ = helper.make_node("Slice", ["map", "from", "to", "axis"], ["y"])
        ends = [i64("from", [0]), i64("to", [shape[axis] - short]), i64("axis", [axis])]
        graph = load_onnx(save(tmp_path, model([first, slice_], ends)))
        assert ("slice" in graph.op_names()) == bool(short)
        assert ("pad" in graph.op_names()) == (window == "padding of some axes")


def test_a_size_that_rounding_decides_is_unknown(tmp_path: Path) -> None:
    """0.7 of 10 is 7 to PyTorch and 6 to the onnx package: a slice of 6 may be one."""
    graph = helper.make_graph(
        [
            helper.make_node("Resize", ["x", "", "scales"], ["map"], mode="nearest"),
            helper.make_node("Slice", ["map", "from", "to", "axis"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 10, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.array([1, 1, 0.7, 0.7], np.float32), "scales"),
            *(i64(name, [value]) for name, value in {"from": 0, "to": 6, "axis": 2}.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    assert "slice" in load_onnx(save(tmp_path, model)).op_names()


def test_every_operator_of_the_default_domain_is_known() -> None:
    """All but those of text processing, which no network of layers contains."""
    text = {"ImageDecoder", "RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit"}
    text |= {"TfIdfVectorizer", "If", "Loop", "Scan", "SequenceMap"}  # control flow is inlined
    schemas = {s.name for s in onnx.defs.get_all_schemas() if s.domain == ""}
    missing = {name for name in schemas if operators.lookup("onnx", name) is None}
    assert missing == text


def _model(graph: bytes) -> bytes:
    return b"\x08\x08" + field(8, b"\x10\x11") + field(7, graph)


def test_five_gigabytes_of_weights_cost_nothing(tmp_path: Path) -> None:
    """A sparse file: reading its weights would take seconds, and onnx cannot load it at all."""
    size = 5 * 2**30
    small = small_model()
    path = tmp_path / "huge.onnx"
    write_with_hole(path, small, size)
    start = time.perf_counter()
    huge = load_onnx(path)
    elapsed = time.perf_counter() - start
    assert huge.same_structure(load_onnx(save(tmp_path, small)))
    assert huge.meta.params == 8 * 27 + 2 * 8 + 80 + size // 4
    assert elapsed < 0.5


_SHRINK = """
import os, shutil, sys, threading
from narfast import _core
whole, path = sys.argv[1:]
kinds = set()
for i in range(20):
    shutil.copy(whole, path)
    threading.Timer(0.004 * i, os.truncate, (path, 4096)).start()
    (result,) = _core.read_onnx([path.encode()])
    kinds.add(result[0] if len(result) == 2 else "graph")
    if len(result) == 2:
        assert path in result[1], result
print(*sorted(kinds))
"""


@pytest.mark.slow
def test_a_file_that_shrinks_while_it_is_read_is_damaged(tmp_path: Path) -> None:
    """Under a memory map this was a bus error, the end of the process."""
    whole = tmp_path / "whole.onnx"
    whole.write_bytes(_chain(100_000))
    child = subprocess.run(
        [sys.executable, "-c", _SHRINK, whole, tmp_path / "shrinks.onnx"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    assert "CorruptFileError" in child.stdout.split()


@pytest.mark.slow
def test_long_texts_and_names_are_not_read(tmp_path: Path) -> None:
    """An attribute may hold a compiled engine: it says nothing of the structure."""
    graph = helper.make_graph(
        [helper.make_node("Engine", ["x"], ["y"], domain="mine", blob=b"e" * (64 << 20))],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    path = save(tmp_path, helper.make_model(graph))
    start = time.process_time()
    assert load_onnx(path).num_nodes == 2
    assert time.process_time() - start < 0.02
    path.write_bytes(field(7, field(1, field(4, b"R" * (2 << 20)))))
    with pytest.raises(CorruptFileError, match="a name has 2097152 bytes"):
        load_onnx(path)


def test_external_data_is_not_opened(tmp_path: Path) -> None:
    model = small_model()
    inside = load_onnx(save(tmp_path, model))
    folder = tmp_path / "external"
    folder.mkdir()
    onnx.save(
        model,
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    (folder / "weights.bin").unlink()
    outside = load_onnx(folder / "model.onnx")
    assert outside.same_structure(inside)
    assert outside.meta.params == inside.meta.params


def test_many_files_on_threads(tmp_path: Path) -> None:
    paths = [save(tmp_path, small_model(), f"{i}.onnx") for i in range(6)]
    paths[2].write_bytes(b"not a model")
    paths[4] = tmp_path / "absent.onnx"
    one = load_onnx_files(paths, num_threads=1)
    two = load_onnx_files(paths, num_threads=2)
    for first, second in zip(one, two, strict=True):
        if isinstance(first, ArchGraph):
            assert isinstance(second, ArchGraph)
            assert first.same_structure(second)
            assert first.meta == second.meta
        else:
            assert type(first) is type(second)
            assert str(first) == str(second)
    assert [isinstance(r, ArchGraph) for r in two] == [True, True, False, True, False, True]


def _chain(length: int) -> bytes:
    """`length` relu nodes in a row, written by hand: onnx would need minutes."""
    relu = field(4, b"Relu")
    names = [b"%x" % i for i in range(length + 1)]
    nodes = b"".join(field(1, field(1, a) + field(2, b) + relu) for a, b in pairwise(names))
    value = field(1, names[0]), field(1, names[-1])
    return _model(nodes + field(11, value[0]) + field(12, value[1]))


@pytest.mark.slow
def test_the_gil_is_released(tmp_path: Path) -> None:
    path = tmp_path / "chain.onnx"
    path.write_bytes(_chain(200_000))
    ticks = 0
    reader = threading.Thread(target=load_onnx, args=(path,))
    reader.start()
    while reader.is_alive():
        ticks += 1
        time.sleep(0.001)
    # With the GIL held throughout, this thread would have got a handful of turns at most.
    assert ticks > 10


@pytest.mark.slow
def test_two_million_nodes_in_a_row(tmp_path: Path) -> None:
    path = tmp_path / "chain.onnx"
    path.write_bytes(_chain(1_999_999))
    assert load_onnx(path).num_nodes == 2_000_000
    path.write_bytes(_chain(2_000_001))
    with pytest.raises(InvalidGraphError, match="more than 2000000"):
        load_onnx(path)


OTHER_FORMATS = {
    "empty": b"",
    "text": b"# a text file, not a model\n" * 4,
    "json": b'{"model_type": "bert", "hidden_size": 768}',
    "zip": b"PK\x03\x04" + bytes(60),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.",
    "png": b"\x89PNG\r\n\x1a\n" + bytes(60),
    "safetensors": struct.pack("<Q", 20) + b'{"a":{}}' + bytes(40),
    "gguf": b"GGUF\x03\x00\x00\x00" + bytes(20),
    "another protobuf": b"\x08\x01\x12\x03abc",
}


@pytest.mark.parametrize("kind", OTHER_FORMATS)
def test_other_formats_are_recognised(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file.onnx"
    path.write_bytes(OTHER_FORMATS[kind])
    with pytest.raises(UnsupportedSourceError, match=r"file\.onnx: not an ONNX file"):
        load_onnx(path)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.onnx", tmp_path, Path("/dev/null"), tmp_path / ("x" * 300)):
        with pytest.raises(UnsupportedSourceError, match="cannot read"):
            load_onnx(path)
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    with pytest.raises(UnsupportedSourceError, match="regular file"):
        load_onnx(pipe)


def test_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.onnx"
    Path(os.fsdecode(path)).write_bytes(b"no model, but a name")
    with pytest.raises(UnsupportedSourceError, match=r"caf\\xe9"):
        load_onnx(os.fsdecode(path))


def test_truncated_files(tmp_path: Path) -> None:
    """Cut anywhere, a file is refused: never a crash, never half a network."""
    whole = small_model().SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises((CorruptFileError, UnsupportedSourceError), match=r"cut\.onnx"):
            load_onnx(path)


def test_random_and_flipped_bytes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    whole = bytearray(small_model().SerializeToString())
    path = tmp_path / "bad.onnx"
    read = 0
    for round_ in range(300):
        if round_ % 3 == 0:
            path.write_bytes(random.bytes(int(random.integers(1, 400))))
        else:
            flipped = bytearray(whole)
            for at in random.integers(0, len(whole), 3):
                flipped[at] = random.integers(256)
            path.write_bytes(flipped)
        (result,) = load_onnx_files([path])
        if isinstance(result, NarfastError):
            assert "bad.onnx" in str(result)
        else:
            read += 1  # a flipped weight byte does not matter
    assert 0 < read < 200


IMPOSSIBLE_GRAPHS = {
    "cycle": ([("Add", "xb", "a"), ("Relu", "a", "b"), ("Relu", "b", "y")], "cycle"),
    "dangling": ([("Relu", "z", "y")], "nothing produces"),
    "no output": ([("Relu", "x", "a")], "nothing produces"),
    "twice": ([("Relu", "x", "y"), ("Tanh", "x", "y")], "produced twice"),
    "self": ([("Add", "xy", "y")], "cycle"),
}


@pytest.mark.parametrize("kind", IMPOSSIBLE_GRAPHS)
def test_impossible_graphs(tmp_path: Path, kind: str) -> None:
    nodes, message = IMPOSSIBLE_GRAPHS[kind]
    graph = helper.make_graph(
        [helper.make_node(t, list(i), list(o)) for t, i, o in nodes],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    with pytest.raises(InvalidGraphError, match=f"model.onnx: .*{message}"):
        load_onnx(save(tmp_path, helper.make_model(graph)))


def test_absurd_claims(tmp_path: Path) -> None:
    path = tmp_path / "absurd.onnx"
    huge = b"\x08" + varint(1 << 60) + b"\x10\x01" + field(8, b"w")
    path.write_bytes(_model(field(5, huge)))
    assert path.stat().st_size < 100
    with pytest.raises(CorruptFileError, match=r"absurd\.onnx: damaged at byte \d+.*elements"):
        load_onnx(path)
    path.write_bytes(_model(b"\x0a" + varint(1 << 60)))
    with pytest.raises(CorruptFileError, match="claims 1152921504606846976 bytes"):
        load_onnx(path)
    path.write_bytes(_model(field(1, field(4, b"Re\xfflu"))))
    with pytest.raises(CorruptFileError, match="not UTF-8"):
        load_onnx(path)


@pytest.mark.parametrize("path", sorted(FUZZ.iterdir()), ids=lambda path: path.name)
def test_fuzzer_inputs(path: Path) -> None:
    """The fuzzer's seeds; an input that it finds to crash or hang the reader is to be added."""
    (result,) = load_onnx_files([path])
    if isinstance(result, NarfastError):
        assert path.name in str(result)
    else:
        canonicalize(result)
