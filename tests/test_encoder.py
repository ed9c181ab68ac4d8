"""ArchitectureEncoder: shapes, independence of batching, files that are not what they should be."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from safetensors.numpy import save
from safetensors.torch import load_file, save_file

import narfast
from narfast import operators
from narfast.encoder import ArchitectureEncoder
from narfast.encoder_files import save_model
from narfast.errors import CorruptFileError, NarfastError
from narfast.graph import GraphBatch
from narfast.motif_cache import MotifCache, MotifFolder
from narfast.nn.inputs import OperatorRows, mine_batch, store_rarity
from narfast.nn.model import ArchitectureModel, EncoderConfig
from narfast.wide import LabelRarity, principal_axes
from networks import network, tiny_zoo

GRAPHS, _ = tiny_zoo()

# Batches are tiny: a second thread would only wait for the first.
torch.set_num_threads(1)


def make_encoder(*, wide: bool = True, **settings: Any) -> ArchitectureEncoder:
    torch.manual_seed(0)
    batch = GraphBatch.from_graphs(GRAPHS)
    rarity = LabelRarity.fit(batch, hops=1, size=500)
    size = len(rarity.label)
    shape = {"wide_dim": 8, "wide_size": size, "wide_axes": 4, "wide_share": 0.5} if wide else {}
    config = EncoderConfig(
        operators=tuple(info.name for info in operators.table()),
        feature_dim=8,
        motif_dim=16,
        macro_dim=16,
        deep_dim=12,
        **shape,  # type: ignore[arg-type]
        **settings,
    )
    model = ArchitectureModel(config)
    if wide:
        counts = rarity.counts(rarity.labels(batch), batch.node_ptr)
        store_rarity(model, rarity, principal_axes(counts, size, 4))
    return ArchitectureEncoder(model, training={"note": "random"})


@pytest.fixture(scope="module")
def encoder() -> ArchitectureEncoder:
    return make_encoder()


def test_shapes(encoder: ArchitectureEncoder) -> None:
    vectors = encoder.encode(GRAPHS)
    assert vectors.shape == (len(GRAPHS), encoder.dim) == (20, 20)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dim)
    assert encoder.encode(GRAPHS[0]).shape == (encoder.dim,)
    np.testing.assert_allclose(encoder.encode(GRAPHS[0]), vectors[0], atol=1e-6)
    tensor = encoder.encode(GRAPHS, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    assert not tensor.is_inference()
    np.testing.assert_array_equal(tensor.numpy(), vectors)
    np.testing.assert_array_equal(encoder.encode(GraphBatch.from_graphs(GRAPHS)), vectors)


def test_vectors_tell_networks_apart(encoder: ArchitectureEncoder) -> None:
    similarity = encoder.encode(GRAPHS) @ encoder.encode(GRAPHS).T
    np.fill_diagonal(similarity, 0)
    assert similarity.max() < 1 - 1e-5


@pytest.mark.parametrize(
    "kind", [{}, {"wide": False}, {"layer": "gcn", "features": "one_hot"}, {"layer": "gat"}]
)
def test_neither_batches_nor_threads_change_vectors(kind: dict[str, Any]) -> None:
    encoder = make_encoder(**kind)
    together = encoder.encode(GRAPHS)
    before = torch.get_num_threads()
    for options in ({"batch_size": 1}, {"batch_size": 7}, {"num_threads": 1}, {"num_threads": 2}):
        encoder.motif_cache.clear()
        np.testing.assert_allclose(encoder.encode(GRAPHS, **options), together, atol=1e-5)
    assert torch.get_num_threads() == before
    encoder.motif_cache.clear()
    backwards = encoder.encode(GRAPHS[::-1])[::-1]
    np.testing.assert_allclose(backwards, together, atol=1e-5)


def test_each_motif_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make_encoder()
    encoded = []
    embed = encoder.model.embed_motifs

    def counting(op: Any, attr: Any, graph: Any) -> Any:
        encoded.append(len(graph.segment_ptr) - 1)
        return embed(op, attr, graph)

    monkeypatch.setattr(encoder.model, "embed_motifs", counting)
    first = encoder.encode(GRAPHS, batch_size=4)
    assert sum(encoded) == len(encoder.motif_cache) > 0
    instances = encoder.encode(GRAPHS, batch_size=5)
    assert sum(encoded) == len(encoder.motif_cache)
    np.testing.assert_allclose(first, instances, atol=1e-6)


def test_cache_empties_past_its_limit() -> None:
    cache = MotifCache(2, limit=3)
    ids = np.arange(10, dtype=np.uint64).reshape(5, 2)
    values = torch.arange(10.0).reshape(5, 2)
    asked = []

    def compute(missing: Any) -> torch.Tensor:
        asked.append(missing.tolist())
        return values[torch.from_numpy(missing)]

    assert cache.get(ids[:2], compute).tolist() == values[:2].tolist()
    assert cache.get(ids[:4], compute).tolist() == values[:4].tolist()
    assert cache.get(ids[:4], compute).tolist() == values[:4].tolist()
    assert asked == [[0, 1], [2, 3]]
    assert cache.get(ids, compute).tolist() == values.tolist()
    assert asked[2:] == [[4]]
    assert len(cache) == 1
    assert ids[0] not in cache
    assert ids[4] in cache


def test_motifs_are_kept_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = make_encoder().encode(GRAPHS)
    for part in (GRAPHS[:7], GRAPHS[7:]):
        writer = make_encoder()
        writer.keep_motifs(tmp_path)
        writer.encode(part)
        writer.motif_cache.save()
        writer.motif_cache.save()  # nothing new
    (folder,) = tmp_path.iterdir()
    files = sorted(folder.iterdir())
    assert len(files) == 2

    reader = make_encoder()
    reader.keep_motifs(tmp_path)
    monkeypatch.setattr(reader.model, "embed_motifs", None)  # not needed any more
    np.testing.assert_array_equal(reader.encode(GRAPHS), expected)

    other = make_encoder(wide=False)
    other.keep_motifs(tmp_path)
    assert len(other.motif_cache) == 0

    damaged = bytearray(files[0].read_bytes())
    damaged[-1] ^= 1
    files[0].write_bytes(damaged)
    files[1].write_bytes(files[1].read_bytes()[:100])
    again = make_encoder()
    again.keep_motifs(tmp_path)
    assert len(again.motif_cache) == 0
    assert caplog.text.count("damaged") == 2
    assert not any(folder.iterdir())
    np.testing.assert_array_equal(again.encode(GRAPHS), expected)
    (tmp_path / "file").touch()
    with pytest.raises(NarfastError, match="not a folder"):
        again.keep_motifs(tmp_path / "file")


def test_many_files_of_motifs_become_one(tmp_path: Path) -> None:
    folder = MotifFolder(tmp_path, fingerprint="x")
    for i in range(40):
        folder.write(np.array([[i, i]], np.uint64), np.full((1, 3), i, np.float32))
    assert len(MotifCache(3, folder=folder)) == 40
    assert len(list(folder.path.iterdir())) == 1
    cache = MotifCache(3, folder=folder)
    ids = np.array([[7, 7], [39, 39]], np.uint64)
    assert cache.get(ids, lambda _: torch.empty(0)).tolist() == [[7] * 3, [39] * 3]


def put(folder: MotifFolder, data: bytes) -> Path:
    """Put bytes among the files of motifs, under the name that they vouch for."""
    path = folder.path / (hashlib.sha256(data).hexdigest() + ".safetensors")
    path.write_bytes(data)
    return path


def test_files_of_motifs_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ids, vectors = np.array([[1, 1]], np.uint64), np.ones((1, 3), np.float32)
    folder = MotifFolder(tmp_path, fingerprint="x")
    good = folder.write(ids, vectors)
    other = MotifFolder(tmp_path, fingerprint="y").write(ids, vectors)
    header = safetensors.safe_open(good, "np").metadata()
    monkeypatch.setattr(narfast, "__version__", "99.0")
    assert MotifFolder(tmp_path, fingerprint="x").path != folder.path
    bad = [
        put(folder, b"garbage"),
        put(folder, b""),
        put(folder, other.read_bytes()),
        *(
            put(folder, save(tensors, metadata=header))
            for tensors in (
                {"vectors": vectors},
                {"motif_id": ids.astype(np.int64), "vectors": vectors},
                {"motif_id": ids[:, :1], "vectors": vectors},
                {"motif_id": ids, "vectors": vectors.astype(np.float64)},
                {"motif_id": ids, "vectors": vectors[:, :2]},
                {"motif_id": ids.reshape(2), "vectors": vectors},
            )
        ),
        put(folder, save({"motif_id": ids, "vectors": vectors})),
    ]
    cache = MotifCache(3, folder=folder)
    assert len(cache) == 1
    assert list(folder.path.iterdir()) == [good]
    assert all(path.name in caplog.text for path in bad)
    assert caplog.text.count("encoded anew") == len(bad)

    # A folder in the place of a file, whether or not something is in it.
    for inside in (False, True):
        good.unlink()
        good.mkdir()
        if inside:
            (good / "note").touch()
        caplog.clear()
        cache = MotifCache(3, folder=folder)
        assert "a folder" in caplog.text
        cache.get(ids, lambda _: torch.from_numpy(vectors))
        cache.save()
        assert good.is_file()
    assert [path.name for path in folder.path.rglob("note")] == ["note"]


def test_only_damaged_files_of_motifs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = MotifFolder(tmp_path, fingerprint="x")
    for i in range(40):
        (folder.path / f"{i}.safetensors").touch()
    assert len(MotifCache(3, folder=folder)) == 0
    assert caplog.text.count(": damaged;") == 40
    folder.path.rmdir()
    folder.path.touch()
    again = MotifFolder(tmp_path, fingerprint="x")
    assert "not a folder" in caplog.text
    assert again.path.is_dir()


def test_a_full_folder_of_motifs_gets_no_duplicates(tmp_path: Path) -> None:
    folder = MotifFolder(tmp_path, fingerprint="x")
    ids = np.arange(40, dtype=np.uint64).reshape(20, 2)
    vectors = torch.arange(20.0)[:, None].expand(20, 3).contiguous()
    for start in (0, 2, 4):  # as of processes that do not know of each other
        folder.write(np.tile(ids[start : start + 4], (2, 1)), np.zeros((8, 3), np.float32))
    sizes = [len(load_file(path)["motif_id"]) for path in folder.path.iterdir()]
    assert sizes == [4, 4, 4]
    before = sorted(folder.path.iterdir())
    for _ in range(2):
        cache = MotifCache(3, limit=5, folder=folder)
        assert len(cache) == 5
        kept = [i for i in range(20) if ids[i] in cache]
        for start in range(0, 20, 2):
            cache.get(ids[start : start + 2], lambda missing: vectors[torch.from_numpy(missing)])
        assert [i for i in range(20) if i in kept and ids[i] in cache] == kept
        assert len(cache) <= 5 + 5 + 2
        cache.save()
        assert sorted(folder.path.iterdir()) == before

    roomy = MotifCache(3, limit=12, folder=folder)
    for _ in range(3):
        roomy.clear()
        roomy.get(ids, lambda missing: vectors[torch.from_numpy(missing)])
        roomy.save()
    assert len(list(folder.path.iterdir())) == 4
    assert len(MotifCache(3, limit=100, folder=folder)) == 12


@pytest.mark.parametrize(
    "kind", [{}, {"wide": False}, {"layer": "gcn", "features": "one_hot"}, {"layer": "gat"}]
)
def test_company_does_not_change_a_bit(kind: dict[str, Any]) -> None:
    encoder = make_encoder(**kind)
    alone = np.concatenate([encoder.encode([graph]) for graph in GRAPHS])
    for order in (range(len(GRAPHS)), range(len(GRAPHS))[::-1]):
        for batch_size in (1, 3, 64):
            encoder.motif_cache.clear()
            graphs = [GRAPHS[i] for i in order]
            vectors = encoder.encode(graphs, batch_size=batch_size)
            np.testing.assert_array_equal(vectors, alone[list(order)])


def test_motifs_go_through_the_model_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make_encoder()
    expected = encoder.encode(GRAPHS)
    encoder.motif_cache.clear()
    monkeypatch.setattr("narfast.encoder._OPERATORS_CPU", 8)
    sizes: list[int] = []
    embed = encoder.model.embed_motifs

    def watched(op: torch.Tensor, *rest: Any) -> torch.Tensor:
        sizes.append(len(op))
        return embed(op, *rest)

    monkeypatch.setattr(encoder.model, "embed_motifs", watched)
    np.testing.assert_array_equal(encoder.encode(GRAPHS), expected)
    mined = mine_batch(GraphBatch.from_graphs(GRAPHS), miner=encoder.config.miner)
    assert len(sizes) > 1
    assert max(sizes) < 8 + mined.size.max()


def test_threads_take_turns(encoder: ArchitectureEncoder) -> None:
    expected = encoder.encode(GRAPHS)
    encoder.motif_cache.clear()
    results: list[Any] = [None] * 4

    def work(k: int) -> None:
        results[k] = encoder.encode(GRAPHS, batch_size=3 + k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_without_normalization() -> None:
    encoder = make_encoder(wide=False)
    raw = encoder.encode(GRAPHS, normalize_embeddings=False)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(lengths - 1).max() > 0.01
    np.testing.assert_allclose(raw / lengths, encoder.encode(GRAPHS), atol=1e-6)


def test_bad_arguments(encoder: ArchitectureEncoder) -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        encoder.encode(GRAPHS, batch_size=0)
    for num_threads in (0, 10**6):
        with pytest.raises(ValueError, match="num_threads must be at least 1"):
            encoder.encode(GRAPHS, num_threads=num_threads)
    with pytest.raises(NarfastError):
        encoder.encode(["no-such-file.onnx"])


def test_operators_are_matched_by_name() -> None:
    """A longer operator table must not shift the rows of a trained encoder."""
    rows = OperatorRows(["relu", "unknown/convolution", "unknown/activation"])
    by_name = {info.name: rows.table[info.id] for info in operators.table()}
    assert by_name["relu"] == 1
    assert by_name["gelu"] == 3
    assert by_name["input"] == 0
    unit = OperatorRows([info.name for info in operators.table()])
    assert unit.table.tolist() == list(range(1, len(operators.table()) + 1))


def test_save_and_load(encoder: ArchitectureEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path / "saved")
    loaded = ArchitectureEncoder.from_pretrained(tmp_path / "saved")
    assert loaded.fingerprint == encoder.fingerprint
    assert loaded.config == encoder.config
    assert loaded.training_notes == {"note": "random"}
    np.testing.assert_allclose(loaded.encode(GRAPHS), encoder.encode(GRAPHS), atol=1e-6)
    assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    other = make_encoder(dropout=0.2)
    assert other.fingerprint != encoder.fingerprint


@pytest.fixture
def folder(encoder: ArchitectureEncoder, tmp_path: Path) -> Path:
    encoder.save_pretrained(tmp_path)
    return tmp_path


def refuse(folder: Path, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message):
        ArchitectureEncoder.from_pretrained(folder)


def test_missing_folder(tmp_path: Path) -> None:
    refuse(tmp_path / "nothing", "not an encoder folder")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["empty", "truncated", "random", "gone"])
def test_damaged_files(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        noise = np.random.default_rng(0).bytes(1000)
        path.write_bytes({"empty": b"", "truncated": data[: len(data) // 2]}.get(damage, noise))
    refuse(folder, name)


def test_a_configuration_that_nests_without_end_or_is_a_pipe(folder: Path) -> None:
    path = folder / "config.json"
    path.write_bytes(b"[" * 100_000)
    refuse(folder, "not valid JSON")
    path.unlink()
    os.mkfifo(path)
    refuse(folder, "not a regular file")


@pytest.mark.parametrize("position", [8, 200, -40, -1])
def test_a_flipped_bit_in_the_weights(folder: Path, position: int) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    refuse(folder, "checksum")


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_other_version(folder: Path) -> None:
    edit_config(folder, format_version=99)
    refuse(folder, "format version 99")


@pytest.mark.parametrize("document", ["[]", "3", '{"encoder": []}'])
def test_configuration_of_another_kind(folder: Path, document: str) -> None:
    (folder / "config.json").write_text(document)
    refuse(folder, "not an encoder configuration")


def test_edited_settings(folder: Path, encoder: ArchitectureEncoder) -> None:
    settings = json.loads((folder / "config.json").read_text())["encoder"]
    edit_config(folder, encoder={**settings, "motif_dim": 2**60})
    refuse(folder, "motif_dim")
    edit_config(folder, encoder={**settings, "dropout": 0.7})
    refuse(folder, "fingerprint")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operators": [{"a": 1}]}, r"encoder.operators\[0\] must be a text"),
        ({"operators": "conv"}, "encoder.operators must be a list"),
        ({"motif_readouts": [[["mean"]]]}, r"encoder.motif_readouts\[0\] must be a text"),
        ({"attribute_fields": [["kernel", 0]]}, r"attribute_fields\[0\] must be a list of 3"),
        (
            {"attribute_fields": [["kernel", None, 3]]},
            r"attribute_fields\[0\]\[1\] must be a whole",
        ),
        ({"miner": ["repeats"]}, "miner must be str"),
        ({"dropout": float("nan")}, "NaN is no JSON number"),
    ],
)
def test_settings_of_the_wrong_kind(folder: Path, changes: dict[str, Any], message: str) -> None:
    settings = json.loads((folder / "config.json").read_text())["encoder"]
    edit_config(folder, encoder={**settings, **changes})
    refuse(folder, message)


@pytest.mark.parametrize("name", ["fingerprint", "weights_sha256", "format_version"])
def test_a_field_that_is_missing_or_of_the_wrong_kind(folder: Path, name: str) -> None:
    edit_config(folder, **{name: {"a": 1}})
    refuse(folder, f"field {name} must be")
    document = json.loads((folder / "config.json").read_text())
    del document[name]
    (folder / "config.json").write_text(json.dumps(document))
    refuse(folder, f"field {name} must be there; it is missing")


def test_weights_of_another_shape(encoder: ArchitectureEncoder, tmp_path: Path) -> None:
    """Checksums that agree do not make the contents right."""
    model = make_encoder().model
    model.scale = torch.nn.Parameter(torch.ones(1))
    save_model(model, tmp_path)
    refuse(tmp_path, "unexpected tensor 'scale'")

    model = make_encoder().model
    model.wide_idf = torch.zeros(3)
    save_model(model, tmp_path)
    refuse(tmp_path, r"'wide_idf' is torch.float32\[3\]")

    for damage in ("wide_block", "wide_label", "wide_idf"):
        model = make_encoder().model
        getattr(model, damage).fill_(0 if damage == "wide_idf" else 255)
        save_model(model, tmp_path)
        refuse(tmp_path, "labels of the wide part are damaged")

    model = make_encoder().model
    model.wide_idf = model.wide_idf.double()
    save_model(model, tmp_path)
    refuse(tmp_path, "torch.float64")

    model = make_encoder().model
    with torch.no_grad():
        model.macro.merge.bias[0] = float("nan")
    save_model(model, tmp_path)
    refuse(tmp_path, "nan or infinity")


def test_weights_are_plain_safetensors(folder: Path, encoder: ArchitectureEncoder) -> None:
    tensors = load_file(folder / "model.safetensors")
    assert set(tensors) == set(encoder.model.state_dict())
    save_file(tensors, folder / "again.safetensors")


def test_one_edit_changes_little(encoder: ArchitectureEncoder) -> None:
    """Untrained weights too: nearby graphs have nearby vectors."""
    a, b, c = encoder.encode([network("vit", 8), network("vit", 9), network("vgg", 9)])
    assert a @ b > 0.98
    assert a @ b > a @ c
