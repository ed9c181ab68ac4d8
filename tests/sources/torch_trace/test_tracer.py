"""Tracing of torch modules: operators, attributes, fallbacks, and a module left as it was."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from narfast.errors import TraceError, UnsupportedSourceError
from narfast.graph import ArchGraph, canonicalize
from narfast.sources.torch_trace.tracer import trace

IMAGE = torch.zeros(1, 16, 32, 32)


class Function(nn.Module):
    """A module out of a function, with weights to use."""

    def __init__(self, function: Any, **weights: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, weight in weights.items():
            setattr(self, name, nn.Parameter(weight))

    def forward(self, *args: Tensor) -> Any:
        return self.function(self, *args)


def traced(function: Any, *inputs: Tensor, **weights: Tensor) -> ArchGraph:
    return trace(Function(function, **weights), inputs)


def attr_of(graph: ArchGraph, op: str) -> int:
    (position,) = [i for i, name in enumerate(graph.op_names()) if name == op]
    return int(graph.attr[position])


def ratio(attr: int) -> int:
    return (attr >> 7 & 15) - 8


PARAM, SCALAR, FIRST, LAST, SPACE, LAYOUT = (1 << bit for bit in (17, 18, 19, 20, 21, 22))


@pytest.mark.parametrize(
    ("layer", "kernel", "groups", "log_ratio"),
    [
        (nn.Conv2d(16, 64, 1), 1, 1, 2),
        (nn.Conv2d(16, 16, 3, padding=1, groups=16), 3, 3, 0),
        (nn.Conv2d(16, 32, 3, groups=4), 3, 2, 1),
        (nn.Conv2d(16, 4, 7), 5, 1, -2),
        (nn.ConvTranspose2d(16, 8, 2, stride=2), 2, 1, -1),
    ],
)
def test_convolutions(layer: nn.Module, kernel: int, groups: int, log_ratio: int) -> None:
    graph = trace(layer, IMAGE)
    assert graph.op_names()[0] == "input"
    op = "conv_transpose" if isinstance(layer, nn.ConvTranspose2d) else "conv"
    attr = attr_of(graph, op)
    assert attr & 7 == kernel
    assert attr >> 4 & 3 == groups
    assert ratio(attr) == log_ratio
    assert attr >> 14 & 3 == 2
    assert bool(attr & 8) == (layer.stride[0] > 1)


def test_stride_dilation_and_uneven_windows() -> None:
    attr = attr_of(trace(nn.Conv2d(16, 16, (1, 7), stride=2), IMAGE), "conv")
    assert attr & 8
    assert attr & 1 << 16
    assert not attr & 1 << 6
    attr = attr_of(trace(nn.Conv2d(16, 16, 3, dilation=(1, 2)), IMAGE), "conv")
    assert attr & 1 << 6
    assert not attr & 8
    attr = attr_of(trace(nn.Conv1d(16, 16, 3), IMAGE[0, :, 0]), "conv")
    assert attr >> 14 & 3 == 1
    attr = attr_of(trace(nn.MaxPool2d(3, stride=2), IMAGE), "max_pool")
    assert attr & 15 == 3 | 8
    attr = attr_of(trace(nn.AvgPool2d(2), IMAGE), "avg_pool")
    assert attr & 15 == 2 | 8  # an unset stride is the window


@pytest.mark.parametrize("shape", [(2, 32), (2, 5, 32), (2, 3, 4, 32)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_one_node_with_its_ratio(shape: tuple[int, ...], bias: bool) -> None:
    graph = trace(nn.Linear(32, 128, bias=bias), torch.zeros(shape))
    assert graph.op_names() == ["input", "linear"]
    assert ratio(attr_of(graph, "linear")) == 2


def test_products_with_weights_and_of_data() -> None:
    x, w = torch.zeros(2, 5, 32), torch.zeros(32, 8)
    assert ratio(attr_of(traced(lambda m, x: x @ m.w, x, w=w), "linear")) == -2
    graph = traced(lambda m, x: m.v @ x, x, v=torch.zeros(2, 8, 5))
    assert attr_of(graph, "matmul") & (PARAM | FIRST) == PARAM | FIRST
    graph = traced(lambda m, x: x @ x.transpose(1, 2), x)
    assert attr_of(graph, "matmul") == 0
    graph = traced(lambda m, x: torch.addmm(m.b, x[0], m.w), x, w=w, b=torch.zeros(8))
    assert graph.op_names() == ["input", "slice", "linear"]


def test_constants_are_bits_on_their_consumer() -> None:
    w, one = torch.zeros(1, 16, 1, 1), torch.zeros(1)
    cases: dict[str, tuple[Any, int]] = {
        "param": (lambda m, x: x * m.w, PARAM),
        "one element": (lambda m, x: x * m.one, SCALAR),
        "number": (lambda m, x: x * 2.0, SCALAR),
        "computed from weights": (lambda m, x: x * m.w.exp().mul(3), PARAM),
        "computed from one weight": (lambda m, x: x * m.one.exp(), SCALAR),
        "data": (lambda m, x: x * x.sigmoid(), 0),
    }
    for name, (function, expected) in cases.items():
        graph = traced(function, IMAGE, w=w, one=one)
        assert attr_of(graph, "mul") == expected, name
    for function, expected in (
        (lambda m, x: x - m.w, PARAM),
        (lambda m, x: m.w - x, PARAM | FIRST),
        (lambda m, x: 1 - x, SCALAR | FIRST),
        (lambda m, x: x - torch.ones(16, 1, 1, device=x.device), PARAM),
    ):
        assert attr_of(traced(function, IMAGE, w=w), "sub") == expected
    add = traced(lambda m, x: x + torch.ones(16, 1, 1, device=x.device), IMAGE)
    assert attr_of(add, "add") == PARAM
    mask = traced(lambda m, x: x.exp() + x.gt(0), IMAGE)
    assert attr_of(mask, "add") == 0  # computed from data, though without gradient


def test_addcmul_is_spelt_out() -> None:
    w = torch.zeros(16, 1, 1)
    graph = traced(lambda m, x: torch.addcmul(x, m.w, x.relu()), IMAGE, w=w)
    assert graph.same_structure(traced(lambda m, x: x + m.w * x.relu(), IMAGE, w=w))
    graph = traced(lambda m, x: torch.addcmul(m.w, x, x), IMAGE, w=w)
    assert graph.same_structure(traced(lambda m, x: m.w + x * x, IMAGE, w=w))
    graph = traced(lambda m, x: torch.addcdiv(x, x, m.w), IMAGE, w=w)
    assert graph.same_structure(traced(lambda m, x: x + x / m.w, IMAGE, w=w))


def test_powers_and_clips_keep_their_constant() -> None:
    for exponent, expected in ((2, 1), (0.5, 2), (3, 3), (7, 0)):
        attr = attr_of(traced(lambda m, x, e=exponent: x**e, IMAGE), "pow")
        assert attr >> 23 == expected
        assert attr & SCALAR
    assert attr_of(traced(lambda m, x: 2**x, IMAGE), "pow") & FIRST
    assert attr_of(trace(nn.ReLU6(), IMAGE), "clip") >> 23 == 1
    assert attr_of(traced(lambda m, x: x.clamp(0, 6), IMAGE), "clip") >> 23 == 1
    assert attr_of(traced(lambda m, x: x.clamp(0, 5), IMAGE), "clip") == 0


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        ((0, 2, 3, 1), LAYOUT),
        ((0, 3, 1, 2), LAYOUT),
        ((0, 1, 3, 2), 0),
        ((0, -2, -1, 1), LAYOUT),
    ],
)
def test_permutations_of_the_layout_are_marked(dims: tuple[int, ...], expected: int) -> None:
    assert attr_of(traced(lambda m, x: x.permute(dims), IMAGE), "permute") == expected


def test_reductions_know_space_from_the_last_axis() -> None:
    for dims, expected in (((2, 3), SPACE), ((-1, -2), SPACE), ((1, 2), SPACE), (3, LAST), (1, 0)):
        graph = traced(lambda m, x, d=dims: x.mean(d, keepdim=True), IMAGE)
        assert attr_of(graph, "mean") == expected, dims
    tokens = torch.zeros(2, 49, 64)
    assert attr_of(traced(lambda m, x: x.mean(1), tokens), "mean") == SPACE
    assert attr_of(traced(lambda m, x: x.amax(-1), tokens), "max") == LAST
    assert attr_of(trace(nn.AdaptiveAvgPool2d(1), IMAGE), "mean") == SPACE
    assert attr_of(traced(lambda m, x: x.softmax(-1), tokens), "softmax") == LAST
    assert attr_of(traced(lambda m, x: x.softmax(1), tokens), "softmax") == 0


def test_adaptive_pools_are_spelt_as_exporters_do() -> None:
    assert trace(nn.AdaptiveMaxPool2d(1), IMAGE).op_names()[1] == "global_max_pool"
    halved = trace(nn.AdaptiveAvgPool2d(16), IMAGE)
    assert attr_of(halved, "avg_pool") & 15 == 2 | 8
    assert trace(nn.AdaptiveAvgPool2d(32), IMAGE).op_names()[1] == "identity"
    assert trace(nn.AdaptiveAvgPool2d(7), IMAGE).op_names()[1] == "adaptive_avg_pool"


def test_a_window_on_the_whole_map_is_global_and_padding_by_nothing_is_nothing() -> None:
    def ops(function: Any) -> list[str]:
        return traced(function, torch.zeros(1, 3, 7, 7)).op_names()[1:]

    assert ops(lambda m, x: F.avg_pool2d(x, 7)) == ["global_avg_pool"]
    assert ops(lambda m, x: F.avg_pool2d(x, 32, ceil_mode=True)) == ["global_avg_pool"]
    assert ops(lambda m, x: F.max_pool2d(x, 7)) == ["global_max_pool"]
    assert ops(lambda m, x: F.avg_pool2d(x, 7, padding=3)) == ["avg_pool"]
    assert ops(lambda m, x: F.avg_pool2d(x, (7, 1))) == ["avg_pool"]
    assert ops(lambda m, x: F.pad(x, (0, 0, 0, 0)).tanh()) == ["identity", "tanh"]
    assert ops(lambda m, x: F.pad(x, (0, 1, 0, 0)).tanh()) == ["pad", "tanh"]


def test_indexing() -> None:
    assert traced(lambda m, x: x[:, 0], IMAGE).op_names() == ["input", "slice"]
    assert traced(lambda m, x: x[:, 2:5], IMAGE).op_names() == ["input", "slice"]
    assert traced(lambda m, x: x[:, [0, 3]], IMAGE).op_names() == ["input", "gather"]
    graph = traced(lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1), IMAGE)
    assert graph.op_names() == ["input", "split", "concat"]
    assert graph.inputs(2).tolist() == [1, 1]


class Attention(nn.Module):
    def __init__(self, mask: bool = False) -> None:
        super().__init__()
        self.qkv = nn.Linear(32, 96)
        self.bias = nn.Parameter(torch.zeros(4, 5, 5)) if mask else None

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).reshape(*x.shape[:2], 3, 4, 8).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        return F.scaled_dot_product_attention(q, k.tanh(), v.relu(), attn_mask=self.bias)


@pytest.mark.parametrize("mask", [False, True])
def test_attention_is_one_node_with_query_key_and_value(mask: bool) -> None:
    graph = trace(Attention(mask), torch.zeros(2, 5, 32))
    names = graph.op_names()
    assert Counter(names)["attention"] == 1
    assert Counter(names)["softmax"] == Counter(names)["matmul"] == 0
    operands = [names[i] for i in graph.inputs(names.index("attention"))]
    assert operands == ["split", "tanh", "relu"]


def test_multihead_attention_of_torch_is_seen_through() -> None:
    layer = nn.TransformerEncoderLayer(32, 4, batch_first=True)
    names = Counter(trace(layer, torch.zeros(2, 5, 32)).op_names())
    assert names["attention"] == 1
    assert names["linear"] == 4
    assert names["layer_norm"] == 2


@pytest.mark.parametrize(("kind", "op"), [(nn.LSTM, "lstm"), (nn.GRU, "gru"), (nn.RNN, "rnn")])
def test_recurrent_layers_are_one_node_each(kind: type[nn.RNNBase], op: str) -> None:
    graph = trace(kind(16, 8, num_layers=2, bidirectional=True), torch.zeros(7, 2, 16))
    assert graph.op_names() == ["input", op, op]
    assert graph.meta.untraced == 0


def test_embeddings_of_data_are_sources_and_of_positions_are_weights() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(100, 16), nn.Embedding(10, 16)

        def forward(self, ids: Tensor) -> Tensor:
            places = torch.arange(ids.shape[1], device=ids.device)
            return self.words(ids) + self.places(places)

    graph = trace(Tokens(), torch.zeros(2, 10, dtype=torch.int64))
    assert graph.op_names() == ["embedding", "add"]
    assert int(graph.attr[1]) == PARAM
    assert graph.meta.untraced == 0


def test_weights_computed_in_forward_leave_no_nodes() -> None:
    def standardized(m: Function, x: Tensor) -> Tensor:
        return F.conv2d(x, (m.w - m.w.mean((1, 2, 3), keepdim=True)) / m.w.std(), padding=1)

    graph = traced(standardized, IMAGE, w=torch.randn(8, 16, 3, 3))
    assert graph.op_names() == ["input", "conv"]


@dataclass
class Output:
    first: Tensor
    second: dict[str, list[Tensor]]


def test_nested_outputs_keep_every_branch() -> None:
    graph = traced(lambda m, x: Output(x.relu(), {"a": [x.tanh(), x.exp()]}), IMAGE)
    assert sorted(graph.op_names()) == ["exp", "input", "relu", "tanh"]


def test_parts_without_gradients_stay_visible() -> None:
    def frozen(m: Function, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = (x * m.w).relu()
        return x.detach().tanh()

    graph = traced(frozen, IMAGE, w=torch.zeros(16, 1, 1))
    assert graph.op_names() == ["input", "mul", "relu", "tanh"]
    assert graph.meta.trace_kind == "autograd"


def test_instance_norm_is_no_batch_norm_unless_its_statistics_are_stored() -> None:
    def ops(norm: nn.Module) -> list[str]:
        module = nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.Conv2d(8, 8, 3))
        return canonicalize(trace(module, torch.zeros(1, 3, 16, 16))).op_names()

    assert ops(nn.InstanceNorm2d(8)) == ["input", "conv", "instance_norm", "conv"]
    assert ops(nn.InstanceNorm2d(8, affine=True)) == ["input", "conv", "instance_norm", "conv"]
    assert ops(nn.InstanceNorm2d(8, track_running_stats=True)) == ops(nn.BatchNorm2d(8))


def test_in_place_operators_are_like_the_others() -> None:
    def in_place(m: Function, x: Tensor) -> Tensor:
        x = F.relu(x, inplace=True).flatten(2)
        x += m.w
        return x.sigmoid()

    graph = traced(in_place, IMAGE, w=torch.zeros(16, 1))
    assert graph.op_names() == ["input", "relu", "add", "reshape", "sigmoid"]
    assert int(graph.attr[2]) == PARAM


class MakesOnCpu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu() + torch.ones(32)  # made on the CPU, wherever x is


class NeedsDevice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            raise RuntimeError("runs on the CPU only")
        return x.relu()


class HalfPrecision(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x.to(torch.bfloat16))
        return out


class ChangesItself(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(16, 32, 32))

    def forward(self, x: Tensor) -> Tensor:
        self.w += 1
        return (x * self.w).relu()


class LooksAtValues(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu() if x.sum() >= 0 else x.tanh()


@pytest.mark.parametrize(
    ("module", "kind", "ops"),
    [
        (nn.ReLU(), "autograd", ["input", "relu"]),
        (HalfPrecision(), "bf16", ["input", "conv"]),
        (MakesOnCpu(), "autograd", ["input", "relu", "add"]),
        (NeedsDevice(), "fake", ["input", "relu"]),
        (ChangesItself(), "dispatch", ["input", "mul", "relu"]),
        (LooksAtValues(), "real", ["input", "relu"]),
    ],
)
def test_each_way_of_tracing_is_tried(module: nn.Module, kind: str, ops: list[str]) -> None:
    graph = trace(module, torch.ones(1, 16, 32, 32))
    assert graph.meta.trace_kind == kind
    assert graph.op_names() == ops


def test_dispatch_reads_the_same_design_as_autograd() -> None:
    class Net(nn.Module):
        def __init__(self, *, changes: bool) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, stride=2, groups=1)
            self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 4)
            self.scale = nn.Parameter(torch.ones(8, 1, 1))
            self.changes = changes

        def forward(self, x: Tensor) -> Tensor:
            if self.changes:
                self.scale += 1
            x = self.norm(self.stem(x)).relu() * self.scale
            return self.head(F.max_pool2d(x, 2).mean((2, 3))).softmax(-1)

    plain, changing = (trace(Net(changes=c), torch.zeros(1, 3, 32, 32)) for c in (False, True))
    assert (plain.meta.trace_kind, changing.meta.trace_kind) == ("autograd", "dispatch")
    keep = [i for i, name in enumerate(changing.op_names()) if name != "permute"]
    assert [changing.op_names()[i] for i in keep] == plain.op_names()
    assert changing.attr[keep].tolist() == plain.attr.tolist()


def test_dispatch_keeps_attention_whole() -> None:
    class Net(ChangesItself):
        def __init__(self) -> None:
            super().__init__()
            self.attention = Attention()

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(super().forward(x)[0, :5, 0][None])

    graph = trace(Net(), torch.zeros(1, 16, 32, 32))
    assert graph.meta.trace_kind == "dispatch"
    assert Counter(graph.op_names())["attention"] == 1
    assert graph.meta.untraced == 0


def test_the_users_module_is_not_changed() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 8))
    module.train()
    module[3].weight.requires_grad_(False)
    calls: list[str] = []
    module.register_forward_hook(lambda *_: calls.append("hook"))
    before = copy.deepcopy(module.state_dict())
    tensors = {name: id(p) for name, p in module.named_parameters()}
    state = torch.get_rng_state()
    trace(module, torch.ones(4, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(part.training for part in module.modules())
    assert {name: id(p) for name, p in module.named_parameters()} == tensors
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert all(p.device.type == "cpu" and p.grad is None for p in module.parameters())
    assert [p.requires_grad for p in module.parameters()] == [True] * 4 + [False, True]
    assert len(module._forward_hooks) == 1


def test_metadata() -> None:
    module = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2))
    graph = trace(module, torch.zeros(1, 8), name="mine", family="f", task="t")
    assert graph.meta.name == "mine"
    assert (graph.meta.family, graph.meta.task, graph.meta.source) == ("f", "t", "torch")
    assert graph.meta.params == 8 * 4 + 4 + 4 * 2 + 2
    assert graph.meta.input_shape == (1, 8)
    assert graph.meta.input_shapes == ((1, 8),)
    two = trace(nn.Bilinear(8, 4, 2), (torch.zeros(1, 8), torch.zeros(1, 4)))
    assert two.meta.input_shape == (1, 8)
    assert two.meta.input_shapes == ((1, 8), (1, 4))
    assert graph.meta.unknown_ops == {}


def test_operations_are_counted_as_torch_counts_them() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 32, (3, 5), stride=(2, 1), padding=(0, 2), dilation=(2, 1))
            self.grouped = nn.Conv2d(32, 32, 3, groups=4)
            self.up = nn.ConvTranspose2d(32, 16, 4, stride=2)
            self.attention = Attention()
            self.head = nn.Linear(32, 8, bias=False)
            self.w = nn.Parameter(torch.zeros(8, 3))

        def forward(self, x: Tensor) -> Tensor:
            x = self.up(self.grouped(self.stem(x)))
            x = self.attention(x.flatten(2)[:, :5, :32]).transpose(1, 2).flatten(2)
            x = self.head(x) @ self.w
            return x @ x.transpose(1, 2)

    net = Net().to("meta")
    image = torch.zeros(2, 3, 40, 40)
    with FlopCounterMode(display=False) as counter:
        net(image.to("meta"))
    assert trace(net, image).meta.flops == counter.get_total_flops() > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch itself
def test_a_compiled_module_is_traced_as_the_network_it_wraps() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    compiled = trace(torch.compile(module), torch.zeros(1, 4))  # type: ignore[arg-type]
    assert compiled.same_structure(trace(module, torch.zeros(1, 4)))
    assert compiled.meta.name == "Sequential"


def test_parameters_that_nothing_uses_are_counted() -> None:
    graph = traced(lambda m, x: x * m.a, IMAGE, a=torch.ones(1), b=torch.ones(1), c=torch.ones(2))
    assert graph.meta.untraced == 2


def test_keyword_and_nested_inputs() -> None:
    class Net(nn.Module):
        def forward(self, images: list[Tensor], *, scale: Tensor) -> Tensor:
            return torch.stack(images) * scale

    inputs = {"images": [torch.zeros(3, 4), torch.zeros(3, 4)], "scale": torch.zeros(1)}
    graph = trace(Net(), inputs)
    assert Counter(graph.op_names()) == {"input": 3, "concat": 1, "mul": 1}


def test_works_inside_inference_mode_and_no_grad() -> None:
    layer = nn.Linear(4, 4)
    with torch.inference_mode():
        assert trace(layer, torch.zeros(1, 4)).op_names() == ["input", "linear"]
    with torch.no_grad():
        assert trace(layer, torch.zeros(1, 4)).op_names() == ["input", "linear"]
        assert not torch.is_grad_enabled()


@pytest.mark.slow
def test_deep_networks_need_no_recursion() -> None:
    def deep(m: Function, x: Tensor) -> Tensor:
        for _ in range(3_000):
            x = x.relu()
        return x

    assert traced(deep, torch.zeros(1)).num_nodes == 3_001


def test_a_module_that_cannot_run_says_why_each_way_failed() -> None:
    def broken(m: Function, x: Tensor) -> Tensor:
        raise ValueError("my own mistake\nwith details")

    with pytest.raises(TraceError) as caught:
        traced(broken, IMAGE)
    message = str(caught.value)
    assert message.count("ValueError: my own mistake") == 5
    assert all(f"{kind}: " in message for kind in ("autograd", "bf16", "fake", "dispatch", "real"))
    assert "\n" not in message


def test_a_module_whose_output_ignores_the_input_is_refused() -> None:
    with pytest.raises(TraceError, match="no output depends on the input"):
        traced(lambda m, x: m.w * 2, IMAGE, w=torch.ones(3))


def test_wrong_inputs_and_not_a_module() -> None:
    with pytest.raises(TraceError, match="could not be traced"):
        trace(nn.Linear(4, 4), torch.zeros(1, 5))
    with pytest.raises(UnsupportedSourceError, match=r"needs a torch\.nn\.Module, got int"):
        trace(3, torch.zeros(1))  # type: ignore[arg-type]


def test_dispatch_follows_data_through_integers() -> None:
    class Quantized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Conv2d(16, 16, 3), nn.Conv2d(16, 16, 1)

        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return self.after((torch.sigmoid(self.before(x)) * 255).byte() / 255.0)

    graph = canonicalize(trace(Quantized(), IMAGE))  # a convolution of one by one is linear
    assert graph.op_names() == ["input", "conv", "sigmoid", "linear"]


def test_dispatch_leaves_out_indices() -> None:
    class Picking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.values, self.places = nn.Linear(32, 32), nn.Linear(32, 32)

        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return self.values(x).gather(1, self.places(x).to(torch.int64))

    graph = trace(Picking(), IMAGE)
    assert graph.op_names()[-1] == "gather"
    assert graph.in_ptr[-1] - graph.in_ptr[-2] == 1


def test_one_of_several_weights_is_a_number() -> None:
    graph = traced(lambda m, x: x * m.w.softmax(0)[1], IMAGE, w=torch.ones(3))
    assert attr_of(graph, "mul") & (PARAM | SCALAR) == SCALAR
