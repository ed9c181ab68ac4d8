"""Write ``gated_resnet.onnx``: a ResNet with squeeze-and-excitation that is in no library.

It is the network that ``demo_torch.py`` has as an ``nn.Module``, written as an exporter would, with
onnx alone. Weights have names, types and shapes and no values: their bytes are said to lie in a
file that is not there, so the file is small, and no more than the structure can be read.

    python examples/make_gated_resnet.py  # needs onnx: pip install onnx
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

DEPTHS = (2, 3, 5, 2)
CLASSES = 10
TARGET = Path(__file__).with_name("gated_resnet.onnx")


class Network:
    """The nodes and weights of a graph, in order."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Append a node and return what its output is called."""
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def weight(self, name: str, *shape: int) -> str:
        """Append a weight without values and return its name."""
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="left_out.data")
        self.weights.append(tensor)
        return name

    def convolution(self, x: str, name: str, shape: tuple[int, int, int], stride: int = 1) -> str:
        """A convolution of shape (inside, outside, kernel) without bias, and its batch norm."""
        inside, outside, kernel = shape
        weight = self.weight(f"{name}.weight", outside, inside, kernel, kernel)
        x = self.add(
            "Conv",
            *(x, weight),
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
        )
        parts = ("scale", "bias", "mean", "var")
        return self.add(
            "BatchNormalization", x, *(self.weight(f"{name}.norm.{p}", outside) for p in parts)
        )

    def linear(self, x: str, name: str, inside: int, outside: int) -> str:
        weight = self.weight(f"{name}.weight", outside, inside)
        return self.add("Gemm", x, weight, self.weight(f"{name}.bias", outside), transB=1)

    def gate(self, x: str, name: str, width: int) -> str:
        """Squeeze-and-excitation: every channel is scaled by what all of space says of it."""
        scale = self.add("Flatten", self.add("GlobalAveragePool", x))
        scale = self.add("Relu", self.linear(scale, f"{name}.squeeze", width, width // 16))
        scale = self.add("Sigmoid", self.linear(scale, f"{name}.excite", width // 16, width))
        return self.add("Mul", x, self.add("Unsqueeze", scale, "axes_2_3"))

    def bottleneck(self, x: str, name: str, inside: int, width: int, stride: int) -> str:
        narrow = width // 4
        y = self.add("Relu", self.convolution(x, f"{name}.conv1", (inside, narrow, 1)))
        y = self.add("Relu", self.convolution(y, f"{name}.conv2", (narrow, narrow, 3), stride))
        y = self.convolution(y, f"{name}.conv3", (narrow, width, 1))
        y = self.gate(y, f"{name}.gate", width)
        if stride > 1 or inside != width:
            x = self.convolution(x, f"{name}.shortcut", (inside, width, 1), stride)
        return self.add("Relu", self.add("Add", y, x))


def gated_resnet() -> onnx.ModelProto:
    """The network, for images of 112 x 112."""
    net = Network()
    x = net.add("Relu", net.convolution("image", "stem", (3, 64, 7), 2))
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    inside = 64
    for stage, depth in enumerate(DEPTHS):
        width = 256 * 2**stage
        for block in range(depth):
            stride = 2 if block == 0 and stage > 0 else 1
            x = net.bottleneck(x, f"stage{stage}.block{block}", inside, width, stride)
            inside = width
    x = net.linear(net.add("Flatten", net.add("GlobalAveragePool", x)), "head", inside, CLASSES)
    axes = helper.make_tensor("axes_2_3", TensorProto.INT64, [2], [2, 3])
    graph = helper.make_graph(
        net.nodes,
        "gated_resnet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, CLASSES])],
        [*net.weights, axes],
    )
    model = helper.make_model(
        graph,
        producer_name="examples/make_gated_resnet.py",
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_bytes(gated_resnet().SerializeToString(deterministic=True))
    print(f"{target}: {target.stat().st_size:,} bytes")
