"""ArchitectureEncoder: networks in, vectors out. Training lives in ``narfast.pretrain``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narfast.batching import NodeMiniBatch, collate_motifs, renumber
from narfast.encoder_files import encoder_folder, fingerprint, load_model, save_model
from narfast.graph import ArchGraph, GraphBatch, structural_order
from narfast.motif_cache import MotifCache, MotifFolder
from narfast.nn.inputs import (
    MinedBatch,
    OperatorRows,
    load_rarity,
    macro_tensors,
    mine_batch,
    node_tensors,
    wide_tensors,
)
from narfast.nn.model import ArchitectureModel, EncoderConfig

__all__ = ["ArchitectureEncoder"]

# Operators of motifs that go through the model together, about. A processor is as fast with few,
# and temporaries of many megabytes, each of another size, fragment the heap; a GPU wants many.
_OPERATORS_CPU = 1 << 11
_OPERATORS = 1 << 18
_MOST_THREADS = 1024  # where a machine refuses more, OpenMP ends the program


class ArchitectureEncoder:
    """Embeds network architectures, so that similar designs have a high cosine.

    Safe to call from several threads, as long as none moves it to another device meanwhile; calls
    that ask for other threads than torch is set to take turns.

    On the CPU with one thread the vector of a network is the same to the last bit whatever is
    encoded with it or was before.
    """

    def __init__(self, model: ArchitectureModel, *, training: dict[str, Any] | None = None) -> None:
        """Wrap a model; most callers want ``from_pretrained``.

        Args:
            model: Weights. Put into evaluation mode; must not change afterwards.
            training: Notes on how the weights came about, saved with them.
        """
        self.model = model.eval().requires_grad_(False)
        self.training_notes = dict(training or {})
        self.motif_cache = MotifCache(model.config.motif_dim)
        self._rows = OperatorRows(model.config.operators)
        self._rarity = load_rarity(model) if model.config.wide_dim else None
        self._axes = _axes(model)
        self._lock = threading.RLock()

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "default") -> ArchitectureEncoder:
        """Open a saved encoder.

        Args:
            name_or_path: ``"default"`` for the one shipped with narfast, or a folder.

        Raises:
            CorruptFileError: The folder holds no encoder, or a damaged one.
        """
        model, document = load_model(encoder_folder(name_or_path))
        notes = document.get("training")
        return cls(model, training=notes if isinstance(notes, dict) else None)

    def keep_motifs(self, folder: str | Path) -> None:
        """Take vectors of motifs from a folder, and put new ones there with `motif_cache.save`.

        Raises:
            NarfastError: It is no folder.
            OSError: It cannot be made or read.
        """
        self.motif_cache = MotifCache(
            self.config.motif_dim,
            folder=MotifFolder(Path(folder), fingerprint=self.fingerprint),
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``model.safetensors`` and ``config.json`` into a folder, made if missing."""
        save_model(self.model, Path(folder), training=self.training_notes)

    @property
    def config(self) -> EncoderConfig:
        """The settings that fix the shape of the encoder."""
        return self.model.config

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.config.dim

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over configuration and weights: two encoders with the same one are the same."""
        return fingerprint(self.model)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def __repr__(self) -> str:
        return f"ArchitectureEncoder(dim={self.dim}, fingerprint={self.fingerprint[:12]})"

    @overload
    def encode(
        self,
        sources: Any,
        *,
        batch_size: int = ...,
        show_progress_bar: bool = ...,
        device: str | torch.device | None = ...,
        num_threads: int = ...,
        convert_to_tensor: Literal[False] = ...,
        normalize_embeddings: bool = ...,
    ) -> NDArray[np.float32]: ...

    @overload
    def encode(
        self,
        sources: Any,
        *,
        batch_size: int = ...,
        show_progress_bar: bool = ...,
        device: str | torch.device | None = ...,
        num_threads: int = ...,
        convert_to_tensor: Literal[True],
        normalize_embeddings: bool = ...,
    ) -> Tensor: ...

    def encode(
        self,
        sources: Any,
        *,
        batch_size: int = 64,
        show_progress_bar: bool = False,
        device: str | torch.device | None = None,
        num_threads: int = 1,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = True,
    ) -> NDArray[np.float32] | Tensor:
        """Embed networks.

        Args:
            sources: A list (or tuple, or ``GraphBatch``) of networks, or one network. A network is
                an ``ArchGraph`` (taken as it is) or anything that ``narfast.load`` accepts.
            batch_size: Networks encoded together; changes speed and memory, not the vectors.
            show_progress_bar: Show a bar with remaining time on the standard error stream.
            device: Move the encoder there first; None leaves it where it is.
            num_threads: Threads for mining and for torch. One by default: blocks are small, and
                on a busy machine several threads mostly wait for each other.
            convert_to_tensor: Return a torch tensor instead of a NumPy array.
            normalize_embeddings: Scale every vector to length 1.

        Returns:
            float32 (n, dim); for one network that is not in a list, float32 (dim,).

        Raises:
            NarfastError: A source cannot be loaded.
            ValueError: ``batch_size`` or ``num_threads`` is below 1, or the latter above 1,024.
        """
        if batch_size < 1:
            raise ValueError(f"encode: batch_size must be at least 1, not {batch_size}")
        if not 1 <= num_threads <= _MOST_THREADS:
            raise ValueError(
                f"encode: num_threads must be at least 1 and at most {_MOST_THREADS}, "
                f"not {num_threads}"
            )
        single = not isinstance(sources, (list, tuple, GraphBatch))
        items: Sequence[Any] = [sources] if single else sources
        same = device is None and num_threads == torch.get_num_threads()
        turn = nullcontext() if same else self._lock
        with turn, torch.inference_mode(), _torch_threads(num_threads):
            if device is not None and torch.device(device) != self.device:
                self.model.to(device)
                self.motif_cache.clear()
                self._axes = _axes(self.model)
            vectors = torch.empty(len(items), self.dim, device=self.device)
            for start in _progress(range(0, len(items), batch_size), show_progress_bar):
                stop = min(start + batch_size, len(items))
                graphs = _load(items, start, stop)
                vectors[start:stop] = self._encode_batch(graphs, num_threads)
            if normalize_embeddings:
                vectors = torch.nn.functional.normalize(vectors, dim=-1)
        result = vectors[0] if single else vectors
        if convert_to_tensor:
            return result.clone()  # outside inference mode: an ordinary tensor
        array: NDArray[np.float32] = result.cpu().numpy()
        return array

    def _encode_batch(self, graphs: GraphBatch, num_threads: int) -> Tensor:
        mined = mine_batch(graphs, miner=self.config.miner, num_threads=num_threads)
        table = self._motif_vectors(mined)
        macro = macro_tensors(mined, np.arange(len(mined)), device=self.device)
        wide = wide_tensors(self.model, self._rarity, graphs, self._axes)
        deep = self.model.embed_networks(
            table.index_select(0, macro.motif),
            macro.size,
            macro.multiplicity,
            macro.graph,
            wide.axes,
        )
        return self.model.join(deep, wide.vector)

    def _motif_vectors(self, mined: MinedBatch) -> Tensor:
        """Vectors float[U, motif_dim] of the distinct motifs; only new ones are computed."""
        unique = mined.unique

        def compute(missing: NDArray[np.int64]) -> Tensor:
            instance = unique.representative[missing]
            target = _OPERATORS_CPU if self.device.type == "cpu" else _OPERATORS
            vectors = []
            for part in _parts(instance, mined.size[instance], target):
                nodes = collate_motifs(mined.graphs, mined.macros, part)
                op, attr, graph = node_tensors(_ordered(nodes), self._rows, device=self.device)
                vectors.append(self.model.embed_motifs(op, attr, graph))
            return torch.cat(vectors)

        return self.motif_cache.get(unique.motif_id, compute)


def _axes(model: ArchitectureModel) -> Tensor:
    """The stored axes of the wide part at full precision: converting them takes time."""
    return model.wide_axes.float() if model.config.wide_dim else torch.empty(0)


def _parts(
    items: NDArray[np.int64], sizes: NDArray[np.int64], target: int
) -> list[NDArray[np.int64]]:
    """Cut a list wherever the sizes of its items have added up to another ``target``."""
    number = np.cumsum(sizes) // target
    return np.split(items, np.flatnonzero(np.diff(number)) + 1)


def _ordered(motifs: NodeMiniBatch) -> NodeMiniBatch:
    """Motifs with their nodes in an order that does not depend on where each was cut out."""
    first = np.repeat(motifs.segment_ptr[:-1], np.diff(motifs.segment_ptr))
    local = motifs.in_src - np.repeat(first, np.diff(motifs.in_ptr))
    arrays = (motifs.op, motifs.attr, motifs.segment_ptr, motifs.in_ptr, local.astype(np.int32))
    return renumber(motifs, first + structural_order(GraphBatch(*arrays)))


def _load(items: Sequence[Any], start: int, stop: int) -> GraphBatch:
    if isinstance(items, GraphBatch):
        return items.part(start, stop)
    graphs = []
    for i in range(start, stop):
        source = items[i]
        if not isinstance(source, ArchGraph):
            # Imported here: graphs can be encoded without any frontend.
            from narfast import load

            source = load(source)
        graphs.append(source)
    return GraphBatch.from_graphs(graphs)


@contextmanager
def _torch_threads(num_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if num_threads != before:
        torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        if num_threads != before:
            torch.set_num_threads(before)


def _progress(steps: range, show: bool) -> Iterator[int]:
    if not show:
        yield from steps
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(steps, description="Encoding", console=Console(stderr=True))
