"""Folders of zoos: opened, used, and edited by hand."""

from __future__ import annotations

from narfast.storage import format as folder
from narfast.zoo import Zoo
from zoo_fakes import FakeEncoder

FILES = [folder.ARCHITECTURES, folder.GRAPHS, folder.EMBEDDINGS, folder.MANIFEST]


def open_zoo(path):
    return Zoo.open(path, encoder=FakeEncoder())


def use_everything(zoo):
    """Touch every file of a zoo."""
    for entry in zoo:
        assert entry.graph.num_nodes
        assert entry.embedding.any()
    zoo.search(zoo.embeddings[0])


def edited_manifest(zoo_path, **changes):
    """Change a manifest and give it a fresh, valid checksum."""
    path = zoo_path / folder.MANIFEST
    manifest = folder.Manifest.from_bytes(path.read_bytes(), path)
    path.write_bytes(folder.dataclasses.replace(manifest, **changes).to_bytes())


def put(zoo_path, name, data):
    """Put other bytes into a zoo and tell the manifest: only the content is wrong then."""
    (zoo_path / name).write_bytes(data)
    path = zoo_path / folder.MANIFEST
    files = dict(folder.Manifest.from_bytes(path.read_bytes(), path).files)
    files[name] = {"bytes": len(data), "sha256": folder._sha256(data)}
    edited_manifest(zoo_path, files=files)
