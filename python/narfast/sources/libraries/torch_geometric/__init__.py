"""Networks of PyTorch Geometric's model package, with the sizes of its documentation and examples.

Names are ``Class`` or ``Class-variant``. Inputs are small artificial graphs.

These are left out: tables of embeddings or memories (`Node2Vec`, `MetaPath2Vec`, `RENet`,
`TGNMemory`), methods without weights (`LabelPropagation`, `CorrectAndSmooth`,
`InnerProductDecoder`), `LPFormer` with its sparse tensors, and containers of other networks
(`MetaLayer`, `HeteroJumpingKnowledge`).
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from narfast.sources.libraries.base import build_without_weights, check_name, import_library
from narfast.sources.libraries.torch_geometric import parts

__all__ = ["build", "labels", "list_names"]

# ogbn-products, used in the library's ogbn_train.py: 100 features, 47 classes.
_PRODUCTS = {"in_channels": 100, "hidden_channels": 256, "out_channels": 47}
_CORA = {"in_channels": 1433, "out_channels": 7}  # the graph of most other examples
_JUMPS = (None, "last", "cat", "max", "lstm")  # modes of jumping knowledge
# Layers as in the examples: planetoid, ogbn_train.py, mutag_gin.py, pna.py.
_DEPTHS = {
    "GCN": (2, 3),
    "GraphSAGE": (2, 3),
    "GAT": (2, 3),
    "GATv2": (2, 3),
    "GIN": (2, 3, 5),
    "PNA": (2, 3, 4),
    "EdgeCNN": (2, 3),
}
_PNA = {  # from pna.py
    "aggregators": ["mean", "min", "max", "std"],
    "scalers": ["identity", "amplification", "attenuation"],
}


@dataclass(frozen=True)
class _Entry:
    group: str
    task: str
    module: Callable[[], nn.Module]
    inputs: Callable[[], Any]


def _basic(class_name: str, layers: int, jump: str | None) -> nn.Module:
    from torch_geometric.nn import models

    options: dict[str, Any] = {**_PRODUCTS, "num_layers": layers, "jk": jump}
    if class_name.startswith("GAT"):
        options.update(heads=2, v2=class_name == "GATv2")
        class_name = "GAT"
    elif class_name == "PNA":
        options.update(_PNA, deg=torch.tensor([0, 0, 0, parts.NODES]))
    module: nn.Module = getattr(models, class_name)(**options)
    return module


def _model(class_name: str, **options: Any) -> nn.Module:
    from torch_geometric.nn import models

    module: nn.Module = getattr(models, class_name)(**options)
    return module


def _schnet(**options: Any) -> nn.Module:
    return _model("SchNet", interaction_graph=parts.AllPairs(), **options)


def _near(class_name: str, **options: Any) -> nn.Module:
    return parts.WithNeighbours(_model(class_name, **options))


def _autoencoder(class_name: str, hidden: int | None, width: int) -> nn.Module:
    variational = class_name in ("VGAE", "ARGVA")
    options: dict[str, Any] = {
        "encoder": parts.GraphEncoder(width, hidden=hidden, variational=variational)
    }
    if class_name in ("ARGA", "ARGVA"):
        options["discriminator"] = parts.Discriminator(width, 64)
    return parts.Autoencoder(_model(class_name, **options))


def _summary(embeddings: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return embeddings.mean(dim=0).sigmoid()


def _corruption(x: torch.Tensor, edge_index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[torch.arange(x.size(0) - 1, -1, -1, device=x.device)], edge_index


def _infomax() -> nn.Module:
    return _model(
        "DeepGraphInfomax",
        hidden_channels=512,
        encoder=parts.PReluGCN(512),
        summary=_summary,
        corruption=_corruption,
    )


def _polynormer(stage: str, attention: bool) -> nn.Module:
    module: Any = _model("Polynormer", **_PRODUCTS, local_attn=attention)
    module._global = stage == "global"  # the second stage of training, also used for inference
    return module  # type: ignore[no-any-return]


def _gpse() -> nn.Module:
    return parts.OnData(_model("GPSE"))


def _node_inputs(width: int, *more: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, ...]:
    return (parts.features(width), parts.edges(), *(make() for make in more))


@cache
def _entries() -> dict[str, _Entry]:
    """Return every network by name."""
    table: dict[str, _Entry] = {}

    def add(
        name: str, task: str, module: Callable[[], nn.Module], inputs: Callable[[], Any]
    ) -> None:
        table[name] = _Entry(name.partition("-")[0], task, module, inputs)

    nodes, graphs, links = "node-classification", "graph-classification", "link-prediction"
    molecules = "graph-regression"
    for name, depths in _DEPTHS.items():
        for layers in depths:
            for jump in _JUMPS:
                variant = f"{name}-{layers}_layers" + (f"-jk_{jump}" if jump else "")
                add(variant, nodes, partial(_basic, name, layers, jump), partial(_node_inputs, 100))

    cora = partial(_node_inputs, 1433)
    unet = {**_CORA, "hidden_channels": 32, "depth": 3, "pool_ratios": [2000 / 2708, 0.5, 0.5]}
    for variant, added in (("", True), ("-concat", False)):
        module = partial(_model, "GraphUNet", **unet, sum_res=added)
        add(f"GraphUNet{variant}", nodes, module, cora)
    for layers, block in ((28, "res+"), (28, "res"), (28, "plain")):
        inputs = partial(_node_inputs, 8, partial(parts.edge_features, 8))
        add(
            f"DeepGCNLayer-{layers}_{block}", nodes, partial(parts.DeeperGCN, layers, block), inputs
        )
    for layers in (7, 112):
        reversible = partial(parts.ReversibleGNN, layers)
        add(f"GroupAddRev-{layers}_layers", nodes, reversible, partial(_node_inputs, 100))
    add("PMLP", nodes, partial(_model, "PMLP", **_CORA, hidden_channels=16, num_layers=2), cora)
    rect = partial(_model, "RECT_L", in_channels=200, hidden_channels=200, normalize=False)
    add("RECT_L", nodes, rect, partial(_node_inputs, 200))
    linkx = {"num_nodes": parts.NODES, "in_channels": 4814, "hidden_channels": 32}
    for layers in (1, 2):
        module = partial(_model, "LINKX", **linkx, out_channels=2, num_layers=layers)
        add(f"LINKX-{layers}_layers", nodes, module, partial(_node_inputs, 4814))
    batched = partial(_node_inputs, 100, parts.one_graph)
    for how in ("add", "cat"):
        module = partial(_model, "SGFormer", **_PRODUCTS, aggregate=how)
        add(f"SGFormer-{how}", nodes, module, batched)
    for stage in ("local", "global"):
        add(f"Polynormer-{stage}", nodes, partial(_polynormer, stage, False), batched)
        add(f"Polynormer-{stage}-local_attn", nodes, partial(_polynormer, stage, True), batched)
    label = partial(_model, "MaskLabel", num_classes=40, out_channels=128)
    add("MaskLabel", nodes, label, _label_inputs)
    add("GPSE", "feature-extraction", _gpse, _gpse_inputs)
    encoder = partial(_model, "GPSENodeEncoder", dim_emb=128, dim_pe_in=32, dim_pe_out=64)
    add("GPSENodeEncoder", "feature-extraction", encoder, _encoding_inputs)
    add("DeepGraphInfomax", "feature-extraction", _infomax, cora)

    signed = partial(_model, "SignedGCN", in_channels=64, hidden_channels=64, num_layers=2)
    add("SignedGCN", links, signed, partial(_node_inputs, 64, parts.edges))
    for layers in (2, 3):
        module = partial(_lightgcn, layers)
        add(f"LightGCN-{layers}_layers", links, module, partial(_node_inputs, 64))
    link = partial(_model, "ARLinkPredictor", in_channels=1433, hidden_channels=128)
    add("ARLinkPredictor", links, link, cora)
    for name in ("GAE", "VGAE"):
        add(name, links, partial(_autoencoder, name, 32, 16), cora)
        add(f"{name}-linear", links, partial(_autoencoder, name, None, 16), cora)
    for name in ("ARGA", "ARGVA"):
        add(name, links, partial(_autoencoder, name, 32, 32), cora)

    for readout in ("add", "mean"):
        add(f"SchNet-{readout}", molecules, partial(_schnet, readout=readout), parts.molecule)
    common = {"hidden_channels": 128, "out_channels": 1, "num_spherical": 7, "num_radial": 6}
    dimenet = partial(_near, "DimeNet", **common, num_blocks=6, num_bilinear=8)
    add("DimeNet", molecules, dimenet, parts.molecule)
    sizes = {"num_blocks": 4, "int_emb_size": 64, "basis_emb_size": 8, "out_emb_channels": 256}
    add(
        "DimeNetPlusPlus",
        molecules,
        partial(_near, "DimeNetPlusPlus", **common, **sizes),
        parts.molecule,
    )
    gnnff = partial(_near, "GNNFF", hidden_node_channels=5, hidden_edge_channels=5, num_layers=5)
    add("GNNFF", molecules, gnnff, parts.molecule)
    for variant, options in (
        ("", {}),
        ("-lmax_2", {"lmax": 2}),
        ("-vertex", {"vertex": True}),
        ("-max_min", {"vecnorm_type": "max_min"}),
    ):
        add(f"ViSNet{variant}", molecules, partial(_near, "ViSNet", **options), parts.molecule)
    fingerprint = {"in_channels": 39, "hidden_channels": 200, "out_channels": 1}
    attentive = partial(
        _model, "AttentiveFP", **fingerprint, edge_dim=10, num_layers=2, num_timesteps=2
    )
    add("AttentiveFP", molecules, attentive, _fingerprint_inputs)
    for layers in (3, 4):
        module = partial(_model, "NeuralFingerprint", **fingerprint, num_layers=layers)
        add(f"NeuralFingerprint-{layers}_layers", molecules, module, partial(_node_inputs, 39))
    mlp = {"in_channels": 16, "hidden_channels": 32, "out_channels": 128, "num_layers": 3}
    add("MLP", graphs, partial(_model, "MLP", **mlp), lambda: (parts.features(16),))
    return table


def _lightgcn(layers: int) -> nn.Module:
    model = _model("LightGCN", num_nodes=parts.NODES, embedding_dim=64, num_layers=layers)
    return parts.FromEmbeddings(model)


def _label_inputs() -> Any:
    mask = torch.arange(parts.NODES) % 2 == 0
    return parts.features(128), parts.one_graph(), mask


def _gpse_inputs() -> dict[str, torch.Tensor]:
    return {
        "x": parts.features(20),
        "edge_index": parts.edges(),
        "batch": parts.one_graph(),
        "y": torch.zeros(parts.NODES, 51),
        "y_graph": torch.zeros(1, 11),
    }


def _encoding_inputs() -> tuple[torch.Tensor, torch.Tensor]:
    return parts.features(64), parts.features(32)


def _fingerprint_inputs() -> tuple[torch.Tensor, ...]:
    return parts.features(39), parts.edges(), parts.edge_features(10), parts.one_graph()


def _import() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about torch.jit, which the import uses
        import_library("torch_geometric")
        importlib.import_module("torch_geometric.nn")


def list_names() -> list[str]:
    """Return every model class with its documented variants."""
    _import()
    return sorted(_entries())


def build(name: str) -> tuple[nn.Module, Any]:
    """Return a network without weights, and a small graph.

    Raises:
        UnsupportedSourceError: There is no such network.
        MissingDependencyError: PyTorch Geometric is not installed.
    """
    check_name("torch_geometric", name, list_names())
    entry = _entries()[name]
    return build_without_weights(entry.module), entry.inputs()


def labels(name: str) -> tuple[str, str]:
    """Return (group, task): the model class, and the task of its example."""
    entry = _entries()[name]
    return entry.group, entry.task
