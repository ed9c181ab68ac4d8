"""ArchitectureEncoder: maps networks to vectors. `narfast.training` trains it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from narfast import _core
from narfast._optional import require
from narfast.encoder.motif_cache import MotifCache
from narfast.encoder.storage import Tensors, Weights, encoder_folder, read_encoder
from narfast.encoder_config import EncoderConfig
from narfast.graph import ArchGraph, GraphBatch

if TYPE_CHECKING:
    import torch

    from narfast.nn.inference import TorchInference
    from narfast.nn.model import ArchitectureModel

__all__ = ["ArchitectureEncoder"]

_MAX_THREADS = 1024
# Default batch sizes: on the CPU, large ones keep all threads busy; a device must hold the batch.
_ON_CPU, _ELSEWHERE = 4096, 256


class ArchitectureEncoder:
    """Embeds network architectures: similar designs have a high cosine.

    The core computes on the CPU, without torch; on other devices, the torch model computes. On the
    CPU, the vector of a network is always the same to the last bit: it depends neither on other
    networks encoded before or together with it, nor on the number of threads, nor on the machine.
    Several threads may share an encoder.
    """

    def __init__(
        self,
        config: EncoderConfig,
        tensors: Tensors,
        *,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        """Wrap weights; most callers need ``from_pretrained``.

        Args:
            config: Settings that fix the shape of the encoder.
            tensors: The state of ``narfast.nn.model.ArchitectureModel``; must not change
                afterwards.
            training: Notes on the training, saved with the weights.

        Raises:
            CorruptFileError: The tensors do not match the configuration.
        """
        weights = Weights(config, tensors, dict(training or {}))
        self._start(weights, weights.core())

    def _start(self, weights: Weights, core: _core.Encoder) -> None:
        self._weights = weights
        self._core = core
        self._torch: TorchInference | None = None
        self.motif_cache = MotifCache(core)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "default") -> ArchitectureEncoder:
        """Open a saved encoder.

        Args:
            name_or_path: ``"default"`` for the one shipped with narfast, or a folder.

        Raises:
            CorruptFileError: The folder has no encoder, or a damaged one.
        """
        weights, core, fingerprint = read_encoder(encoder_folder(name_or_path))
        encoder = cls.__new__(cls)
        encoder._start(weights, core)
        encoder.fingerprint = fingerprint
        return encoder

    @classmethod
    def from_model(
        cls, model: ArchitectureModel, *, training: Mapping[str, Any] | None = None
    ) -> ArchitectureEncoder:
        """Take over the current weights of a torch model."""
        state = model.state_dict().items()
        tensors = {name: tensor.detach().cpu().numpy().copy() for name, tensor in state}
        return cls(model.config, tensors, training=training)

    def use_motif_cache(self, folder: str | Path) -> None:
        """Read motif vectors from a folder; `motif_cache.save` writes new ones there.

        Raises:
            NarfastError: It is not a folder.
            OSError: It cannot be created or read.
        """
        self.motif_cache = MotifCache(
            self._core, folder=Path(folder), fingerprint=self.fingerprint, dim=self.config.motif_dim
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``model.safetensors`` and ``config.json`` into a folder; create it if missing."""
        self._weights.save(Path(folder))

    @property
    def config(self) -> EncoderConfig:
        """The settings that fix the shape of the encoder."""
        return self._weights.config

    @property
    def tensors(self) -> Tensors:
        """The weights by name, as they are saved."""
        return self._weights.tensors

    @property
    def training_notes(self) -> Mapping[str, Any]:
        """Notes on the training of the weights."""
        return self._weights.training

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.config.dim

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of configuration and weights; equal fingerprints mean equal encoders."""
        return self._weights.fingerprint()

    def __repr__(self) -> str:
        return f"ArchitectureEncoder(dim={self.dim}, fingerprint={self.fingerprint[:12]})"

    @overload
    def encode(
        self,
        sources: Any,
        *,
        batch_size: int | None = ...,
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
        batch_size: int | None = ...,
        show_progress_bar: bool = ...,
        device: str | torch.device | None = ...,
        num_threads: int = ...,
        convert_to_tensor: Literal[True],
        normalize_embeddings: bool = ...,
    ) -> torch.Tensor: ...

    def encode(
        self,
        sources: Any,
        *,
        batch_size: int | None = None,
        show_progress_bar: bool = False,
        device: str | torch.device | None = None,
        num_threads: int = 0,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = True,
    ) -> NDArray[np.float32] | torch.Tensor:
        """Embed networks.

        Args:
            sources: A list (or tuple, or ``GraphBatch``) of networks, or one network. A network is
                an ``ArchGraph`` (encoded as it is) or anything that ``narfast.load`` accepts.
            batch_size: Networks encoded together; changes speed and memory, not the vectors. The
                default is 4,096 on the CPU and 256 elsewhere.
            show_progress_bar: Show a bar with remaining time on standard error.
            device: Where to compute; None is the CPU. Other devices need torch. Their vectors are
                close to those of the CPU, but not equal to the last bit.
            num_threads: Threads of the core; 0 for all cores.
            convert_to_tensor: Return a torch tensor on the device instead of a NumPy array.
            normalize_embeddings: Scale every vector to length 1.

        Returns:
            float32 (n, dim); float32 (dim,) for one network that is not in a list.

        Raises:
            NarfastError: A source cannot be loaded.
            MissingDependencyError: `device` or `convert_to_tensor` needs torch, which is missing.
            ValueError: ``batch_size`` is below 1, or ``num_threads`` below 0 or above 1,024.
        """
        on_cpu = device is None or str(device).partition(":")[0] == "cpu"
        if batch_size is None:
            batch_size = _ON_CPU if on_cpu else _ELSEWHERE
        if batch_size < 1:
            raise ValueError(f"encode: batch_size must be at least 1, not {batch_size}")
        if not 0 <= num_threads <= _MAX_THREADS:
            raise ValueError(
                f"encode: num_threads must be at least 0 and at most {_MAX_THREADS}, "
                f"not {num_threads}"
            )
        single = not isinstance(sources, (list, tuple, GraphBatch))
        items: Sequence[Any] = [sources] if single else sources
        vectors = np.empty((len(items), self.dim), dtype=np.float32)
        for start in _progress(range(0, len(items), batch_size), show_progress_bar):
            stop = min(start + batch_size, len(items))
            graphs = _load(items, start, stop)
            if device is None or on_cpu:
                vectors[start:stop] = self._core.encode(
                    *graphs.arrays, normalize=normalize_embeddings, num_threads=num_threads
                )
                self.motif_cache.save_if_due()
            else:
                vectors[start:stop] = self._on(device).encode(
                    graphs, normalize=normalize_embeddings, num_threads=num_threads
                )
        result = vectors[0] if single else vectors
        if convert_to_tensor:
            require("torch", by="encode(convert_to_tensor=True)")
            import torch

            return torch.from_numpy(result).to(device or "cpu")
        return result

    def _on(self, device: str | torch.device) -> TorchInference:
        """The torch model on a device."""
        if self._torch is None or str(self._torch.device) != str(device):
            require("torch", "numba", by=f"encode(device={str(device)!r})")
            from narfast.nn.inference import TorchInference

            self._torch = TorchInference(
                self.config, self.tensors, self._weights.label_idf(), device
            )
        return self._torch


def _load(items: Sequence[Any], start: int, stop: int) -> GraphBatch:
    if isinstance(items, GraphBatch):
        return items.part(start, stop)
    graphs = []
    for i in range(start, stop):
        source = items[i]
        if not isinstance(source, ArchGraph):
            # Imported late: encoding graphs needs no reader of sources.
            from narfast.sources.loader import load

            source = load(source)
        graphs.append(source)
    return GraphBatch.from_graphs(graphs)


def _progress(steps: range, show: bool) -> Iterator[int]:
    if not show:
        yield from steps
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(steps, description="Encoding", console=Console(stderr=True))
