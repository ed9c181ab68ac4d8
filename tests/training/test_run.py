"""Pre-training on a tiny zoo: learns, repeats itself, resumes, and reads its settings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from narfast.encoder.encoder import ArchitectureEncoder
from narfast.encoder_config import EncoderConfig
from narfast.errors import CorruptFileError, NarfastError
from narfast.graph import GraphBatch
from narfast.motifs import coarsen, mine
from narfast.training import checkpoint
from narfast.training import run as pretrain
from narfast.training.augment import AugmentConfig
from narfast.training.config import DataConfig, GraphStage, MotifStage, PretrainConfig
from networks import tiny_zoo
from oracles import learning as oracle
from paths import ROOT

GRAPHS, LABELS = tiny_zoo()

# Batches are tiny: a second thread would only wait for the first.
torch.set_num_threads(1)

CONFIG = PretrainConfig(
    name="tiny",
    encoder=EncoderConfig(
        feature_dim=8,
        motif_dim=16,
        macro_dim=16,
        deep_dim=16,
        wide_dim=8,
        wide_hops=1,
        wide_size=500,
        wide_axes=4,
        wide_share=0.3,
    ),
    data=DataConfig(test_families=("mixer",)),
    motif=MotifStage(epochs=2, batch_size=16),
    graph=GraphStage(epochs=3, batch_size=12, per_family=2, consistency=1.0, learning_rate=1e-2),
    augment=AugmentConfig(drop_node=0.05, insert_kind=0.2, clear_field=0.1),
)


def same(a: ArchitectureEncoder, b: ArchitectureEncoder) -> bool:
    x, y = a.tensors, b.tensors
    return set(x) == set(y) and all(np.array_equal(x[k], y[k]) for k in x)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ArchitectureEncoder, Path]:
    folder = tmp_path_factory.mktemp("run")
    return pretrain.run(CONFIG, GRAPHS, LABELS, folder, progress=False), folder


@pytest.mark.slow
def test_result_is_saved(trained: tuple[ArchitectureEncoder, Path]) -> None:
    encoder, folder = trained
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    loaded = ArchitectureEncoder.from_pretrained(folder)
    assert loaded.fingerprint == encoder.fingerprint
    notes = loaded.training_notes
    assert notes["networks"] == 16
    assert notes["families"] == 4
    assert len(notes["losses"]) == 5
    assert notes["quality"]["trained"]["queries"] == 16
    assert notes["quality"]["test"]["queries"] == 4
    assert "layer_norm" in encoder.config.operators
    assert "silu" not in encoder.config.operators  # only the held-out family has it


def test_training_is_deterministic_and_leaves_the_generator_alone(
    trained: tuple[ArchitectureEncoder, Path], tmp_path: Path
) -> None:
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    again = pretrain.run(CONFIG, GRAPHS, LABELS, tmp_path, progress=False)
    assert torch.equal(torch.rand(3), expected)
    assert same(again, trained[0])
    other = pretrain.run(replace(CONFIG, seed=1), GRAPHS, LABELS, tmp_path / "b", progress=False)
    assert not same(other, trained[0])


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", [1, 2, 4])
def test_killed_and_resumed(
    trained: tuple[ArchitectureEncoder, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_after: int,
) -> None:
    epoch = pretrain._Trainer._epoch
    calls: list[tuple[int, int]] = []

    def dying(self: Any, stage: int, number: int, optimizer: Any) -> float:
        if len(calls) == killed_after:
            raise KeyboardInterrupt
        calls.append((stage, number))
        return epoch(self, stage, number, optimizer)

    monkeypatch.setattr(pretrain._Trainer, "_epoch", dying)
    with pytest.raises(KeyboardInterrupt):
        pretrain.run(CONFIG, GRAPHS, LABELS, tmp_path, progress=False)
    assert len(list((tmp_path / "checkpoints").glob("*.safetensors"))) == 1
    assert not (tmp_path / "model.safetensors").exists()

    def counting(self: Any, stage: int, number: int, optimizer: Any) -> float:
        calls.append((stage, number))
        return epoch(self, stage, number, optimizer)

    monkeypatch.setattr(pretrain._Trainer, "_epoch", counting)
    resumed = pretrain.run(CONFIG, GRAPHS, LABELS, tmp_path, progress=False)
    assert calls == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert same(resumed, trained[0])
    assert resumed.training_notes["losses"] == trained[0].training_notes["losses"]


def leave_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "_report", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pretrain.run(CONFIG, GRAPHS, LABELS, folder, progress=False)


@pytest.mark.slow
def test_checkpoint_of_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_checkpoint(tmp_path, monkeypatch)
    with pytest.raises(CorruptFileError, match="other settings or other networks"):
        pretrain.run(replace(CONFIG, seed=5), GRAPHS, LABELS, tmp_path, progress=False)
    with pytest.raises(CorruptFileError, match="other settings or other networks"):
        pretrain.run(CONFIG, GRAPHS[1:], LABELS[1:], tmp_path, progress=False)
    shortest = replace(CONFIG, motif=MotifStage(epochs=0), graph=replace(CONFIG.graph, epochs=1))
    pretrain.run(shortest, GRAPHS, LABELS, tmp_path, resume=False, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["state", "tensors", "bit", "missing"])
def test_damaged_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    leave_checkpoint(tmp_path, monkeypatch)
    folder = tmp_path / "checkpoints"
    (tensors,) = folder.glob("*.safetensors")
    if damage == "state":
        (folder / "state.json").write_text("{")
    elif damage == "tensors":
        tensors.write_bytes(tensors.read_bytes()[:-8])
    elif damage == "bit":
        data = bytearray(tensors.read_bytes())
        data[-3] ^= 4
        tensors.write_bytes(data)
    else:
        tensors.unlink()
    with pytest.raises(CorruptFileError, match="damaged checkpoint"):
        pretrain.run(CONFIG, GRAPHS, LABELS, tmp_path, progress=False)


def test_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoint.load_checkpoint(tmp_path) is None


@pytest.mark.slow
def test_losses_fall(tmp_path: Path) -> None:
    config = replace(
        CONFIG,
        data=DataConfig(),
        motif=replace(CONFIG.motif, epochs=40, learning_rate=3e-3),
        graph=replace(CONFIG.graph, epochs=15),
    )
    encoder = pretrain.run(config, GRAPHS, LABELS, tmp_path, progress=False)
    losses = encoder.training_notes["losses"]
    assert np.mean(losses[30:40]) < 0.9 * np.mean(losses[:3])
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[40:42])
    assert encoder.training_notes["quality"]["trained"]["map"] > 0.95


@pytest.mark.parametrize("miner", ["neighbor_sequence", "fixed_size"])
def test_the_other_configuration(tmp_path: Path, miner: str) -> None:
    """One-hot, GCN, mean pooling, no structural features, frozen motif level: the paper's shape."""
    config = PretrainConfig(
        encoder=EncoderConfig(
            miner=miner,
            features="one_hot",
            layer="gcn",
            motif_dim=16,
            macro_dim=8,
            deep_dim=8,
            motif_readouts=("mean",),
            macro_readouts=("mean",),
            node_scalars=False,
        ),
        motif=MotifStage(epochs=1),
        graph=GraphStage(epochs=2, motif_learning_rate=0.0),
    )
    encoder = pretrain.run(config, GRAPHS, LABELS, tmp_path, progress=False)
    assert encoder.dim == 8
    assert set(encoder.tensors) == {
        f"{level}.layers.{k}.linear.{kind}"
        for level in ("motif", "macro")
        for k in range(3)
        for kind in ("weight", "bias")
    }


@pytest.mark.slow
def test_frozen_motifs_stay(tmp_path: Path) -> None:
    frozen = replace(CONFIG, graph=replace(CONFIG.graph, motif_learning_rate=0.0))
    short = replace(frozen, graph=replace(frozen.graph, epochs=0))
    a = pretrain.run(frozen, GRAPHS, LABELS, tmp_path / "a", progress=False).tensors
    b = pretrain.run(short, GRAPHS, LABELS, tmp_path / "b", progress=False).tensors
    motif = [k for k in a if k.startswith("motif.")]
    assert motif
    assert all(np.array_equal(a[k], b[k]) for k in motif)
    assert not np.array_equal(a["macro.merge.weight"], b["macro.merge.weight"])


@pytest.mark.slow
def test_frozen_motifs_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(
        CONFIG,
        graph=replace(CONFIG.graph, motif_learning_rate=0.0),
        augment=AugmentConfig(),
    )
    once = pretrain.run(config, GRAPHS, LABELS, tmp_path / "once", progress=False)

    def anew(self: Any) -> torch.Tensor:
        motifs: torch.Tensor = self._embed_motifs(
            self.mined, np.arange(len(self.mined.unique.representative))
        )
        return motifs

    monkeypatch.setattr(pretrain._Trainer, "_frozen_motifs", anew)
    each = pretrain.run(config, GRAPHS, LABELS, tmp_path / "each", progress=False)
    for name, tensor in once.tensors.items():
        np.testing.assert_allclose(tensor, each.tensors[name], rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    config = replace(CONFIG, graph=replace(CONFIG.graph, temperature=1e-300))
    with pytest.raises(
        ValueError, match=r"loss of graph epoch 1 is nan; lower graph\.learning_rate"
    ):
        pretrain.run(config, GRAPHS, LABELS, tmp_path, progress=False)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.slow
def test_nothing_else_is_replaced(
    trained: tuple[ArchitectureEncoder, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NarfastError, match=r"already has config\.json"):
        pretrain.check_output(trained[1], CONFIG)
    (tmp_path / "file").touch()
    with pytest.raises(NarfastError, match="not a folder"):
        pretrain.check_output(tmp_path / "file", CONFIG)
    pretrain.check_output(tmp_path / "new" / "run", CONFIG)
    leave_checkpoint(tmp_path / "run", monkeypatch)
    pretrain.check_output(tmp_path / "run", CONFIG)


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"stage": "a"}, {"stage": 7}, {"epoch": 99}, {"epoch": -1}])
def test_impossible_progress_is_damage(
    change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_checkpoint(tmp_path, monkeypatch)
    path = tmp_path / "checkpoints" / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CorruptFileError, match="damaged checkpoint"):
        checkpoint.load_checkpoint(path.parent)


def test_libraries_take_turns() -> None:
    members = np.array([7, 3, 9, 1, 5])
    library = np.array(["a", "a", "a", "b", "b"])
    assert pretrain._in_turn(members, library).tolist() == [7, 1, 3, 5, 9]


@pytest.mark.slow
@pytest.mark.parametrize("positives", ["family", "itself"])
def test_a_graph_network_without_motifs_or_labels(positives: str, tmp_path: Path) -> None:
    config = replace(
        CONFIG,
        encoder=EncoderConfig(
            miner="whole", features="one_hot", layer="gat", motif_dim=16, macro_dim=16, deep_dim=16
        ),
        motif=MotifStage(epochs=0),
        graph=replace(
            CONFIG.graph,
            positives=positives,
            classify=0.0,
            consistency=0.0,
            mix_libraries=True,
        ),
    )
    libraries = ["a", "b"] * (len(GRAPHS) // 2)
    encoder = pretrain.run(config, GRAPHS, LABELS, tmp_path, libraries=libraries, progress=False)
    vectors = encoder.encode(GRAPHS)
    assert vectors.shape == (len(GRAPHS), 16)
    with pytest.raises(ValueError, match="libraries; give one for each"):
        pretrain.run(config, GRAPHS, LABELS, tmp_path, libraries=["a"])


def test_unlabelled_networks_are_left_out(tmp_path: Path) -> None:
    labels = [None if label == "vgg" else label for label in LABELS]
    short = replace(CONFIG, motif=MotifStage(epochs=0), graph=replace(CONFIG.graph, epochs=1))
    encoder = pretrain.run(short, GRAPHS, labels, tmp_path, progress=False)
    assert encoder.training_notes["networks"] == 12
    assert encoder.training_notes["quality"]["trained"]["queries"] == 12


def test_bad_data(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="20 graphs but 1 labels"):
        pretrain.run(CONFIG, GRAPHS, ["a"], tmp_path, progress=False)
    with pytest.raises(ValueError, match="at least two networks"):
        pretrain.run(CONFIG, GRAPHS[:1], ["resnet"], tmp_path, progress=False)


def test_family_quality() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [str(x) for x in rng.integers(0, 6, 30)]
    for depth in (3, 20, 50):
        fast = pretrain.family_quality(vectors, labels, set(labels), depth=depth)
        mrr, precision = oracle.family_quality((vectors @ vectors.T).tolist(), labels, depth)
        assert fast["mrr"] == pytest.approx(mrr, abs=1e-4)
        assert fast["map"] == pytest.approx(precision, abs=1e-4)


def test_mined_batches_of_the_core_collate() -> None:
    """The kernels' slow twins use made-up motifs; this runs them over real ones."""
    from narfast.nn.collate import collate_motifs, unique_motifs
    from oracles import collate

    graphs = GraphBatch.from_graphs(GRAPHS)
    macros = coarsen(graphs, mine(graphs))
    unique = unique_motifs(macros.motif_id)
    nodes = collate_motifs(graphs, macros, unique.representative)
    slow = collate.collate_motifs(graphs, macros, unique.representative.tolist())
    assert nodes.op.tolist() == slow[0]
    assert nodes.in_src.tolist() == slow[3]
    assert unique.count.max() >= 5


# Settings.


@pytest.mark.parametrize("name", ["default", "paper", "gcn", "gat", "graphcl", "ablation"])
def test_shipped_configurations(name: str) -> None:
    path = ROOT / "configs" / f"{name}.toml"
    config = PretrainConfig.from_toml(path)
    assert config.name == name
    assert config.encoder.dim <= 256
    if name == "paper":
        assert config.encoder.miner == "neighbor_sequence"
        assert (config.encoder.motif_dim, config.encoder.macro_dim) == (512, 256)
        assert (config.motif.learning_rate, config.graph.learning_rate) == (1e-4, 1e-3)
        assert (config.motif.batch_size, config.graph.batch_size) == (128, 512)
        assert config.graph.epochs == 15


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 1", "unknown or misplaced setting 'colour'"),
        ("graph = 1", "unknown or misplaced setting 'graph'"),
        ("seed = 'x'", "seed must be int"),
        ("[graph]\nepoch = 1", "unknown setting graph.epoch"),
        ("[graph]\nepochs = 1.5", "graph.epochs must be int"),
        ("[graph]\nlearning_rate = -1", "graph.learning_rate must not be negative"),
        ("[graph]\nbatch_size = 0", "graph.batch_size must be at least 1"),
        ("[graph]\nlearning_rate = 1e300", "graph.learning_rate must be at most 1"),
        ("[graph]\ncontrast = 0\nclassify = 0", "nothing to learn"),
        ("[graph]\npositives = 'others'", "graph.positives must be 'family' or 'itself'"),
        ("[data]\nsplit = 'mine'", "data.split must be 'standard'"),
        ("[encoder]\nminer = 'x'", "miner must be one of"),
        ("[encoder]\nlayer = 'gat'\nmotif_dim = 10", "multiples of 4"),
        ("[graph]\ntemperature = 0.0", "graph.temperature must be above zero"),
        ("[motif]\nradius = 0", "motif.radius must be at least 1"),
        ("[data]\ntest_families = 'vit'", "data.test_families must be a list"),
        ("[encoder]\nmotif_dim = 0", "motif_dim must lie in"),
        ("[augment]\ndrop_node = 2", "augment.drop_node must be a probability"),
        ("[graph", "default.toml"),
        ("[graph]\nlearning_rate = nan", "graph.learning_rate must be finite"),
        ("[graph]\nlearning_rate = 1" + "0" * 400, "graph.learning_rate is too large"),
        ("seed = 1" + "0" * 30, "seed must be at most"),
        ("seed = " + "[" * 10_000, "default.toml"),
    ],
)
def test_bad_settings(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(CorruptFileError, match=message) as caught:
        PretrainConfig.from_toml(path)
    assert "bad.toml" in str(caught.value)
    with pytest.raises(CorruptFileError, match="cannot be read"):
        PretrainConfig.from_toml(tmp_path / "none.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CorruptFileError, match=r"bad\.toml"):
        PretrainConfig.from_toml(path)
