"""Reading ONNX files of 1, 100 and 400 MB of weights, beside `onnx.load`, in one run.

The graphs are the same, so our time must not grow with the weights. What is read is asserted. Files
of 5 MB and 5 GB have a hole for weights; `onnx.load` cannot read more than 2 GB.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from narfast.graph import canonicalize
from narfast.sources.onnx import load_onnx
from onnx_files import write_with_hole

BLOCKS = 50
SIZES = [1, 100, 400]
HOLES = {"5MB": 5 << 20, "5GB": 5 << 30}


def model_of(megabytes):
    """``BLOCKS`` convolutions with batch norm and relu; their weights make up the size."""
    side = max(1, int((megabytes * 2**20 / 4 / BLOCKS / 9) ** 0.5))
    nodes, weights, value = [], [], "x"
    for i in range(BLOCKS):
        nodes += [
            helper.make_node("Conv", [value, f"w{i}"], [f"c{i}"], kernel_shape=[3, 3]),
            helper.make_node("BatchNormalization", [f"c{i}", *[f"n{i}"] * 4], [f"b{i}"]),
            helper.make_node("Relu", [f"b{i}"], [f"r{i}"]),
        ]
        weights.append(numpy_helper.from_array(np.ones((side, side, 3, 3), np.float32), f"w{i}"))
        weights.append(numpy_helper.from_array(np.ones(side, np.float32), f"n{i}"))
        value = f"r{i}"
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, side, 256, 256])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size}MB")
def model(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    onnx.save(model_of(request.param), path)
    assert path.stat().st_size > 0.9 * request.param * 2**20
    return path


@pytest.mark.benchmark(group="read an ONNX file")
def test_onnx_load(benchmark, model):
    loaded = benchmark.pedantic(onnx.load, (model,), rounds=5, warmup_rounds=1)
    assert len(loaded.graph.node) == 3 * BLOCKS


@pytest.mark.benchmark(group="read an ONNX file")
def test_narfast(benchmark, model):
    graph = benchmark(lambda: canonicalize(load_onnx(model)))
    assert graph.num_nodes == 2 * BLOCKS + 1


@pytest.mark.benchmark(group="read an ONNX file")
@pytest.mark.parametrize("size", HOLES.values(), ids=HOLES.keys())
def test_weights_as_a_hole(benchmark, tmp_path, size):
    path = tmp_path / "hole.onnx"
    write_with_hole(path, model_of(1), size)
    graph = benchmark(lambda: canonicalize(load_onnx(path)))
    assert graph.num_nodes == 2 * BLOCKS + 1
    assert graph.meta.params > size // 4
