"""Kinds of files: whole ones to start from, their checksums computed anew, and how they are read.

A kind is a row of `KINDS`; files are name -> bytes, relative to a folder.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mutations.ways import Mutation, ways_for

TESTS = Path(__file__).parents[3] / "tests"
DATA = TESTS / "data"

sys.path.insert(0, str(TESTS))  # a small encoder

Files = dict[str, bytes]


# ---- whole files, and how they are read


def networks() -> list[Any]:
    """A dozen small networks of the shipped zoo."""
    from narfast.zoo import Zoo

    zoo = Zoo.open("default")
    rows = sorted((entry.nodes, entry.row) for entry in zoo)[: 12 * 40 : 40]
    return [zoo[row] for _, row in rows]


def pt2_files() -> Iterator[Files]:
    """Two programs exported by torch."""
    import warnings

    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            x = self.norm(self.conv(x)).relu().flatten(2).transpose(1, 2)
            return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.cells = nn.Embedding(9, 4), nn.LSTM(4, 4, 2, batch_first=True)

        def forward(self, x: Any) -> Any:
            return torch.einsum("btc,bsc->bts", *[self.cells(self.embedding(x))[0]] * 2)

    inputs = (torch.rand(1, 3, 8, 8), torch.zeros(1, 5, dtype=torch.int64))
    for module, example in zip((Block(), Recurrent()), inputs, strict=True):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(folder, "net.pt2")
            torch.export.save(torch.export.export(module.eval(), (example,)), path)
            yield {"net.pt2": path.read_bytes()}


def record_files() -> Iterator[Files]:
    """NNRetrieval records in both forms."""
    lines = gzip.decompress((DATA / "nnretrieval_motifs.jsonl.gz").read_bytes()).splitlines()
    records = sorted(map(json.loads, lines), key=lambda record: len(record["raw_edges"]))
    for record in (records[0], records[len(records) // 2]):
        raw = {"name": record["name"], "raw_edges": record["raw_edges"]}
        place = {name: number for number, name in enumerate(record["clean_nodes"])}
        edges = [[place.get(a, a), place.get(b, b)] for a, b in record["clean_edges"]]
        clean = {"unique_nodes": record["clean_nodes"], "edge_index": edges}
        for document in (raw, clean):
            yield {"record.json": json.dumps(document).encode()}


def onnx_files() -> Iterator[Files]:
    """The three smallest files that the tests keep."""
    with zipfile.ZipFile(DATA / "onnx_exports.zip") as archive:
        small = sorted(archive.infolist(), key=lambda entry: (entry.file_size, entry.filename))
        for entry in [entry for entry in small if entry.filename.endswith(".onnx")][:3]:
            yield {"net.onnx": archive.read(entry)}


def zoo_files() -> Iterator[Files]:
    """A zoo with stored vectors, without and with an HNSW index."""
    import numpy as np

    from narfast.errors import Failure
    from narfast.zoo import Zoo
    from narfast.zoo.store import ZooContents, write_zoo

    entries = networks()
    contents = ZooContents.from_networks(
        [(record, entry.graph) for entry in entries for record in entry.records[:2]],
        errors=[Failure("timm:x", "too large")],
    )
    shipped = Zoo.open("default")
    contents = replace(
        contents,
        embeddings=np.stack([shipped[key].embedding for key in contents.groups]),
        encoder=dict(shipped.manifest.encoder or {}),
    )
    for exact_limit in (100, 0):
        with tempfile.TemporaryDirectory() as folder:
            write_zoo(Path(folder, "zoo"), contents, exact_limit=exact_limit)
            yield {path.name: path.read_bytes() for path in sorted(Path(folder, "zoo").iterdir())}


def encoder_files() -> Iterator[Files]:
    """A small encoder as initialized, with thresholds, with and without structural features."""
    from encoders import make_encoder
    from narfast.encoder.calibration import Calibration

    for structural in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            make_encoder(structural=structural).save_pretrained(folder)
            Calibration(same_family=0.9, related=0.7, nearest=(0.1, 0.5, 0.9)).save(folder)
            yield {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


class _Engine:
    """Stands in for the encoder of a bulk run: how tables are read is what is asked here."""

    dim, fingerprint = 4, "0" * 64

    def tables(self, blocks: Any) -> Iterator[Any]:
        import numpy as np

        from narfast.bulk.tables import row_table

        for block in blocks:
            rows = [(source, source, "0" * 32, 1, 1, None) for source in block.sources()]
            yield row_table(rows, np.zeros((len(rows), self.dim), np.float32), self.fingerprint)


SOURCES = [f"timm:network_{number}" for number in range(40)]


def table_files() -> Iterator[Files]:
    """Lists of sources, the output of a bulk run, and the parts of one that was killed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from narfast.bulk import Inputs, encode_to_parquet

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sources.parquet")
        pq.write_table(pa.table({"source": SOURCES, "note": SOURCES}), path)
        yield {"sources.parquet": path.read_bytes()}
        lines = ["source,reason", *(f'{source},"a, b"' for source in SOURCES)]
        yield {"sources.csv": "\n".join(lines).encode()}
        yield {"sources.txt": "\n".join(SOURCES).encode()}
        output = Path(folder, "out.parquet")
        encode_to_parquet(Inputs(SOURCES[:30]), output, _Engine())
        table = output.read_bytes()
        yield {"out.parquet": table}
        errors = "\n".join(["source,reason", *(f"{source},gone" for source in SOURCES[30:])])
        yield {"out.parquet": table, "out.parquet.errors.csv": errors.encode()}
        part = pq.read_table(output).append_column("error", pa.nulls(30, pa.string()))
        pq.write_table(part, Path(folder, "part"), use_dictionary=False)
        yield {"out.parquet.parts/000000.parquet": Path(folder, "part").read_bytes()}


def read_network(folder: Path) -> None:
    """As ``narfast inspect`` does."""
    import narfast
    from narfast.explain import summarize

    (path,) = folder.iterdir()
    summarize(narfast.load(str(path)))


def read_zoo(folder: Path) -> None:
    """As ``zoo verify``, ``zoo info``, ``zoo errors``, ``zoo export`` and ``search`` do."""
    import narfast
    from narfast.zoo import Zoo
    from narfast.zoo.export import export_zoo

    zoo = Zoo.open(folder)

    def search() -> None:
        query = next(iter(zoo))
        narfast.search(query.id, zoo, 3).to_json()
        narfast.search(query.id, zoo, 3, where=lambda record: (record.params or 0) >= 0)

    every(
        zoo.verify,
        zoo.info,
        lambda: zoo.errors,
        lambda: zoo.graph_rows(0, len(zoo)),
        lambda: export_zoo(zoo, folder.with_name("result.parquet"), "parquet"),
        search,
    )


def read_encoder(folder: Path) -> None:
    """Open it, encode with it, and say what a score means."""
    from narfast.encoder.calibration import Calibration
    from narfast.encoder.encoder import ArchitectureEncoder

    def thresholds() -> None:
        found = Calibration.load(folder)
        if found is not None:
            found.word(0.8, same_structure=False)
            found.percentile(0.8)

    every(
        thresholds,
        lambda: ArchitectureEncoder.from_pretrained(folder).encode(query_graphs(), num_threads=1),
    )


_GRAPHS: list[Any] = []


def query_graphs() -> list[Any]:
    if not _GRAPHS:
        _GRAPHS.extend(entry.graph for entry in networks()[:2])
    return _GRAPHS


def read_tables(folder: Path) -> None:
    """As ``narfast encode --from LIST`` and ``--resume`` do."""
    from narfast.bulk import Inputs, encode_to_parquet

    lists = [str(path) for path in folder.glob("sources.*")]
    inputs = Inputs((), lists) if lists else Inputs(SOURCES)
    encode_to_parquet(inputs, folder / "out.parquet", _Engine(), resume=True)


def every(*steps: Callable[[], object]) -> None:
    """Take every step, whatever is refused on the way; raise the first refusal in the end."""
    from narfast.errors import NarfastError

    refused: list[NarfastError] = []
    for step in steps:
        try:
            step()
        except NarfastError as error:
            refused.append(error)
    if refused:
        raise refused[0]


# ---- checksums computed anew


def seal_nothing(files: Files) -> None:
    """These files have no checksums."""


def seal_zoo(files: Files) -> None:
    """Sizes and SHA-256 of the files, and of the manifest."""

    def seal(document: Any) -> None:
        for name, facts in document["files"].items():
            data = files[name]
            facts.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        body = {key: value for key, value in document.items() if key != "checksum"}
        document["checksum"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    change_document(files, "manifest.json", seal)


def seal_encoder(files: Files) -> None:
    """SHA-256 of the weights, and the fingerprint of settings and weights."""

    def seal(document: Any) -> None:
        weights = hashlib.sha256(files["model.safetensors"])
        settings = json.dumps(document["encoder"], sort_keys=True).encode()
        document["weights_sha256"] = weights.hexdigest()
        document["fingerprint"] = hashlib.sha256(settings + weights.digest()).hexdigest()

    change_document(files, "config.json", seal)


def change_document(files: Files, name: str, change: Callable[[Any], None]) -> None:
    """Change a JSON file in place; what is no longer such a document stays as it is."""
    try:
        document = json.loads(files[name])
        change(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    files[name] = json.dumps(document).encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Kind:
    """One kind of file: whole ones, how they are read, how they are sealed."""

    title: str
    make: Callable[[], Iterator[Files]]
    read: Callable[[Path], None]
    seal: Callable[[Files], None] = seal_nothing


KINDS = {
    "pt2": Kind("`.pt2` files", pt2_files, read_network),
    "record": Kind("NNRetrieval records", record_files, read_network),
    "onnx": Kind("ONNX files", onnx_files, read_network),
    "zoo": Kind("zoo folders, checksums anew", zoo_files, read_zoo, seal_zoo),
    "encoder": Kind("encoder folders, checksums anew", encoder_files, read_encoder, seal_encoder),
    "table": Kind("lists and tables of `encode`", table_files, read_tables),
}


# ---- cases


def damaged(kind: str, number: int, seed: int, whole: Sequence[Files]) -> tuple[Files, str]:
    """The files of a case and what was done to them; a case depends on its name alone."""
    chance = random.Random(f"{seed}:{kind}:{number}")
    files = dict(chance.choice(whole))
    names = sorted(files)
    name = names[0] if len(names) == 1 else chance.choice(names)
    done = []
    for _ in range(chance.choice((1, 1, 1, 2))):
        way: Mutation = chance.choice(ways_for(name))
        with suppress(Exception):
            files[name] = way(files[name], chance)  # what the first has broken may stop the second
            done.append(way.__name__)
    if chance.random() < 0.95:
        KINDS[kind].seal(files)
    return files, f"{name}: {', '.join(done)}"


def write(files: Mapping[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def make_seeds(folder: Path, kinds: Sequence[str]) -> None:
    """Write the whole files of each kind into folders of their own."""
    for kind in kinds:
        for number, files in enumerate(KINDS[kind].make()):
            write_all(files, folder / kind / f"{number:02d}")


def write_all(files: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True)
    write(files, folder)


def read_seeds(folder: Path) -> list[Files]:
    return [
        {
            str(path.relative_to(one)): path.read_bytes()
            for path in sorted(one.rglob("*"))
            if path.is_file()
        }
        for one in sorted(folder.iterdir())
    ]
