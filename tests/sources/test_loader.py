"""One entry for every kind of source: names, files, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

import narfast
from narfast.errors import MissingDependencyError, TraceError, UnsupportedSourceError
from narfast.sources import loader, registry
from narfast.sources.libraries import base
from narfast.sources.loader import load, load_raw, trace

MODEL_FILE = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), torch.zeros(1, 3, 8, 8)

def with_attribute():
    module = nn.Linear(4, 4)
    module.example_inputs = torch.zeros(1, 4)
    return module

def wrong():
    return 3

def broken():
    raise ValueError("my mistake")
"""


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_model.py"
    path.write_text(MODEL_FILE)
    return path


@pytest.mark.parametrize(
    ("source", "family", "params", "blocks"),
    [
        ("timm:resnet50", "resnet", 25_557_032, {"add": 16, "max_pool": 1}),
        ("timm:vit_tiny_patch16_224", "vit", 5_717_416, {"attention": 12}),
        ("torchvision:resnet50", "resnet", 25_557_032, {"add": 16, "max_pool": 1}),
        ("torchvision:regnet_y_400mf", "regnet", 4_344_144, {"add": 16}),
        ("torchvision:vit_b_16", "vit", 86_567_656, {"attention": 12}),
    ],
)
def test_library_models(source: str, family: str, params: int, blocks: dict[str, int]) -> None:
    graph = load(source)
    names = Counter(graph.op_names())
    assert {op: names[op] for op in blocks} == blocks
    assert graph.meta.family == family
    assert graph.meta.params == params
    assert graph.meta.task == "image-classification"
    assert graph.meta.trace_kind == "autograd"
    assert f"{graph.meta.source}:{graph.meta.name}" == source
    assert graph.meta.unknown_ops == {}
    assert graph.meta.untraced == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("timm:resnet50", "torchvision:resnet50"),
        ("timm:mobilenetv2_100", "torchvision:mobilenet_v2"),
        ("timm:tf_efficientnet_b0", "torchvision:efficientnet_b0"),
        ("timm:convnext_tiny", "torchvision:convnext_tiny"),
        ("timm:densenet121", "torchvision:densenet121"),
        ("timm:mobilenetv3_large_100", "torchvision:mobilenet_v3_large"),
    ],
)
def test_two_code_bases_write_one_network_alike(one: str, other: str) -> None:
    assert load(one).structural_hash == load(other).structural_hash


@pytest.mark.slow
def test_different_networks_differ() -> None:
    assert load("timm:resnet50").structural_hash != load("timm:resnet101").structural_hash


def test_every_kind_of_torchvision_task_is_labelled() -> None:
    source = loader.library("torchvision")
    labels = {
        "fasterrcnn_resnet50_fpn": ("faster_rcnn", "object-detection"),
        "deeplabv3_resnet50": ("deeplabv3", "image-segmentation"),
        "r3d_18": ("resnet", "video-classification"),
        "raft_small": ("raft", "optical-flow"),
    }
    assert {name: source.labels(name) for name in labels} == labels
    assert set(labels) < set(source.list_names())


@pytest.mark.parametrize("name", ["r3d_18", "lraspp_mobilenet_v3_large"])
def test_inputs_suit_the_task(name: str) -> None:
    graph = load_raw(f"torchvision:{name}")
    assert graph.meta.untraced == 0
    assert graph.meta.input_shape is not None
    assert len(graph.meta.input_shape) == (5 if name == "r3d_18" else 4)


@pytest.mark.slow
def test_detection_models_show_the_heads_behind_their_proposals() -> None:
    graph = load_raw("torchvision:maskrcnn_resnet50_fpn")
    assert graph.meta.trace_kind == "real"
    assert graph.meta.unknown_ops == {}
    assert Counter(graph.op_names())["roi_align"] > 0
    assert Counter(graph.op_names())["conv_transpose"] == 1  # of the mask head
    assert graph.meta.untraced == 2  # the proposals' scores only pick which are looked at


def test_names_are_complete() -> None:
    timm, torchvision = (loader.library(name).list_names() for name in registry.LIBRARIES[:2])
    assert len(timm) > 1_000
    assert len(torchvision) > 100
    assert timm == sorted(set(timm), key=timm.index)


def test_python_files(model_file: Path) -> None:
    graph = load_raw(f"{model_file}:build")
    assert graph.op_names() == ["input", "conv", "relu"]
    assert (graph.meta.name, graph.meta.source) == ("my_model", "python")
    assert load_raw(f"{model_file}:with_attribute").op_names() == ["input", "linear"]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("absent", UnsupportedSourceError, "has no such function; it has build, with_attribute"),
        ("wrong", UnsupportedSourceError, "must return .module, example_inputs., got int"),
        ("broken", TraceError, "running it failed: ValueError: my mistake"),
        ("not a name", UnsupportedSourceError, "name a function"),
    ],
)
def test_bad_functions_of_python_files(
    model_file: Path, function: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_raw(f"{model_file}:{function}")


def test_python_files_that_do_not_run(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_bytes(b"\x00\xff not python")
    with pytest.raises(TraceError, match=r"bad\.py:build: running it failed"):
        load_raw(f"{path}:build")
    with pytest.raises(UnsupportedSourceError, match="no such file"):
        load_raw(f"{tmp_path / 'absent.py'}:build")
    with pytest.raises(UnsupportedSourceError, match="name the function"):
        load_raw(str(path))


def test_python_files_may_import_their_neighbours(tmp_path: Path) -> None:
    (tmp_path / "narfast_test_neighbour.py").write_text("width = 5")
    path = tmp_path / "model.py"
    path.write_text(MODEL_FILE + "\nimport narfast_test_neighbour\n")
    before = list(sys.path)
    assert load_raw(f"{path}:build").num_nodes == 3
    assert sys.path == before


def test_python_files_that_exit_do_not_end_the_program(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("import sys\nsys.exit(3)")
    with pytest.raises(TraceError, match="SystemExit: 3"):
        load_raw(f"{path}:build")


def test_python_files_may_change_the_search_path(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(MODEL_FILE + "\nimport sys\nsys.path.pop(0)\n")
    before = list(sys.path)
    assert load_raw(f"{path}:build").num_nodes == 3
    assert sys.path == before


@pytest.mark.parametrize("ending", ["", ".onnx", ".json", ".py:build"])
def test_names_longer_than_a_file_can_have(ending: str) -> None:
    with pytest.raises(UnsupportedSourceError, match="longer than"):
        load("x" * 5000 + ending)


def test_an_unknown_pretrained_tag() -> None:
    with pytest.raises(UnsupportedSourceError, match=r"called 'resnet18\.bogus'; did you mean"):
        load("timm:resnet18.bogus")


def test_pretrained_tags_name_the_same_architecture() -> None:
    tagged, plain = load("timm:resnet18.a1_in1k"), load("timm:resnet18")
    assert tagged.structural_hash == plain.structural_hash
    assert tagged.meta.family == "resnet"


def test_graphs_and_modules_with_inputs_are_sources() -> None:
    module = nn.Linear(4, 4)
    graph = load_raw((module, torch.zeros(1, 4)))
    assert graph.op_names() == ["input", "linear"]
    assert load(graph) is graph
    assert load_raw(graph) is graph


def test_package_level_names() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU())
    raw = trace(module, torch.zeros(1, 3, 4, 4), canonical=False)
    assert raw.op_names() == ["input", "conv", "batch_norm", "relu"]
    canonical = narfast.trace(module, torch.zeros(1, 3, 4, 4), name="block")
    assert canonical.op_names() == ["input", "linear", "relu"]
    assert canonical.meta.name == "block"
    assert load((module, torch.zeros(1, 3, 4, 4)), passes=[]).same_structure(raw)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("timm:resnet5O", "timm has no model called 'resnet5O'; did you mean resnet50"),
        ("timm:", "timm has no model called ''"),
        ("torchvision:resnet_50", "did you mean .*resnet50"),
        ("tim:resnet50", "did you mean 'timm'"),
        ("torchvison:resnet50", "did you mean 'torchvision'"),
        ("resnet50", "names need a library, such as timm:resnet50"),
        ("", "names need a library"),
        ("absent.onnx", "absent.onnx: no such file"),
        ("absent.json", "absent.json: no such file"),
        ("model.h5", r"files ending in .h5 are not read; accepted are timm:NAME"),
        ("model.pt", "pickles can run code and are never loaded; export the model to ONNX"),
        ("record.pkl", "pickles"),
        ("a\0b.onnx", "null character"),
        (b"model.onnx", "not a source"),
        (3, "not a source"),
        (nn.Linear(1, 1), "use narfast.trace"),
    ],
)
def test_what_no_reader_takes(source: object, message: str) -> None:
    with pytest.raises(UnsupportedSourceError, match=message) as caught:
        load(source)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSourceError):
        load(tmp_path)
    weird = tmp_path / os.fsdecode(b"\xff\xfe.onnx")
    with pytest.raises(UnsupportedSourceError, match="no such file"):
        load(weird)


def test_absent_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match=r"narfast\[timm\]"):
        load("timm:resnet50")


def test_unknown_library_is_refused() -> None:
    with pytest.raises(UnsupportedSourceError, match="timm, torchvision"):
        loader.library("keras")


def test_zoo_entries() -> None:
    stored = load("zoo:timm:resnet18")
    assert stored.meta.name == "resnet18"
    assert stored.structural_hash == load("timm:resnet18").structural_hash
    with pytest.raises(UnsupportedSourceError, match="no such entry"):
        load("zoo:absent")


@pytest.mark.parametrize(
    "source",
    [
        "timm:resnet18",
        "hf:some/config.json",
        "model.onnx",
        Path("model.pt2"),
        "record.json",
        "my_model.py:build",
        (nn.ReLU(), torch.zeros(1)),
    ],
)
def test_kinds_that_run_code_or_open_paths_can_be_refused(source: object) -> None:
    with pytest.raises(UnsupportedSourceError, match="not allowed here; allowed: darts, nas"):
        load(source, allow=registry.UNTRUSTED_KINDS)  # type: ignore[arg-type]


def test_a_refusal_says_nothing_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "there.py").touch()
    (tmp_path / "there").touch()
    for kind in ("there.py:build", "there", "x:there"):
        texts = [f"{tmp_path}/{kind}", f"{tmp_path}/{kind}".replace("there", "not_there")]
        answers = []
        for text in texts:
            for read in (load, narfast.search):
                with pytest.raises(UnsupportedSourceError) as raised:
                    read(text, allow=registry.UNTRUSTED_KINDS)  # type: ignore[operator]
                answers.append(str(raised.value).replace(text, "SOURCE"))
        assert len(set(answers)) == 1, answers


def test_what_is_allowed_is_read() -> None:
    graph = load("zoo:timm:resnet18", allow=["zoo"])
    assert load(graph, allow=()) is graph
    assert load("darts:NASNet", allow=registry.UNTRUSTED_KINDS).num_nodes
    with pytest.raises(UnsupportedSourceError, match="'zoo' are not allowed here; allowed: none"):
        load("zoo:timm:resnet18", allow=())
    with pytest.raises(
        UnsupportedSourceError, match=r"must be a collection of kinds, such as {'zoo'}"
    ):
        load("zoo:timm:resnet18", allow="zoo")
    with pytest.raises(UnsupportedSourceError, match="no kind of source is called 'onx'"):
        load("zoo:timm:resnet18", allow=["onx"])


def test_constructors_keep_small_computations_real_and_weights_on_meta() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            rates = torch.linspace(0, 0.1, 4).tolist()
            self.layers = nn.ModuleList(nn.Linear(4096, 4096) for _ in rates)
            nn.init.trunc_normal_(self.layers[0].weight)
            self.rate = rates[-1]

    net = base.build_without_weights(Net)
    assert all(p.device.type == "meta" for p in net.parameters())
    assert net.rate == pytest.approx(0.1)


def test_constructor_errors_are_the_librarys_own() -> None:
    def build() -> nn.Module:
        raise ValueError("no such option")

    with pytest.raises(ValueError, match="no such option"):
        base.build_without_weights(build)


@pytest.mark.slow
def test_importing_the_sources_imports_no_library_and_warns_of_nothing() -> None:
    program = (
        "import sys, narfast.sources.loader\n"
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules)\n"
        "narfast.sources.loader.library('torchvision').list_names()\n"
        "import timm\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)


PRINTING = """
import sys
from torch import nn
import torch

print("noise")

class Leaving(nn.Module):
    def forward(self, x):
        sys.exit(0)

def build():
    print("more noise")
    return nn.Linear(4, 4), torch.zeros(1, 4)

def leaving():
    return Leaving(), torch.zeros(1, 4)

def a_class():
    return nn.Linear, torch.zeros(1, 4)
"""


def test_what_user_code_prints_is_not_on_stdout_and_it_cannot_end_the_program(tmp_path, capsys):
    path = tmp_path / "model.py"
    path.write_text(PRINTING)
    assert load(f"{path}:build").op_names() == ["input", "linear"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "more noise" in printed.err
    with pytest.raises(TraceError, match=r"model\.py: leaving could not be traced .*SystemExit"):
        load(f"{path}:leaving")
    with pytest.raises(UnsupportedSourceError, match=r"model\.py:a_class: must return a torch"):
        load(f"{path}:a_class")


def test_whatever_user_code_raises_is_an_error_that_says_where(tmp_path):
    path = tmp_path / "odd.py"
    path.write_text(
        "import torch\n"
        "class Odd(BaseException): ...\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        raise Odd('while it ran')\n"
        "def build():\n"
        "    raise Odd('while it was built')\n"
        "def net():\n"
        "    return Net(), torch.zeros(1)\n"
    )
    for function, when in (("build", "while it was built"), ("net", "while it ran")):
        with pytest.raises(
            TraceError, match=rf"odd\.py:{function}: running it failed: Odd: {when}"
        ):
            load(f"{path}:{function}")


def test_a_forked_child_of_user_code_goes_no_further(tmp_path):
    path = tmp_path / "forks.py"
    path.write_text(
        "import os, pathlib, torch\n"
        "def build():\n"
        "    child = os.fork()\n"
        "    if child:\n"
        f"        pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(child))\n"
        "    else:\n"
        "        raise RuntimeError\n"
        "    return torch.nn.Linear(2, 2), torch.zeros(1, 2)\n"
    )
    own = os.getpid()
    try:
        assert load(f"{path}:build").num_nodes == 2
    finally:
        if os.getpid() != own:
            os._exit(9)
    _, status = os.waitpid(int((tmp_path / "child").read_text()), 0)
    assert status == 0


def test_files_do_not_share_neighbours_of_one_name(tmp_path):
    for folder, kind in (("first", "ReLU"), ("second", "Tanh")):
        (tmp_path / folder / "parts").mkdir(parents=True)
        (tmp_path / folder / "parts" / "__init__.py").write_text("from parts.acts import act\n")
        (tmp_path / folder / "parts" / "acts.py").write_text(
            f"import torch\nact = torch.nn.{kind}()\n"
        )
        (tmp_path / folder / "model.py").write_text(
            "import torch\n"
            "class Net(torch.nn.Module):\n"
            "    def forward(self, x):\n"
            "        from parts import act\n"
            "        return act(x)\n"
            "def build():\n"
            "    return Net(), torch.zeros(1, 2)\n"
        )
    names = [
        load(f"{tmp_path / folder}/model.py:build").op_names() for folder in ("first", "second")
    ]
    assert names == [["input", "relu"], ["input", "tanh"]]
    assert not any(name.startswith("parts") for name in sys.modules)


@pytest.mark.slow
def test_user_code_can_import_torchvision_and_only_then_is_it_imported(tmp_path):
    path = tmp_path / "vision.py"
    path.write_text(
        "import torch\n"
        "def build():\n"
        "    from torchvision.models import alexnet\n"
        "    return alexnet(), torch.zeros(1, 3, 224, 224)\n"
        "def plain():\n"
        "    return torch.nn.Linear(2, 2), torch.zeros(1, 2)\n"
    )
    program = (
        "import sys, narfast\n"
        f"narfast.load({f'{path}:plain'!r})\n"
        "assert 'torchvision' not in sys.modules\n"
        f"print(narfast.load({f'{path}:build'!r}).meta.params)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "61100840\n"


def test_names_are_suggested_whatever_their_case():
    with pytest.raises(UnsupportedSourceError, match=r"did you mean .*resnet50"):
        load("timm:RESNET50")
    with pytest.raises(UnsupportedSourceError) as caught:
        load("timm:" + "x" * 5000)
    assert len(str(caught.value)) < 300
