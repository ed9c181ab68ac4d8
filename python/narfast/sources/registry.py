"""All kinds of sources, one row each: facts for the loader, help texts, errors and docs.

To add a model library, add a row here, a file in `libraries/`, an extra in pyproject.toml and, if
needed, a data file. Nothing that a kind of source needs is imported here.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from narfast._version import __version__
from narfast.errors import UnsupportedSourceError

__all__ = [
    "KINDS",
    "LIBRARIES",
    "LISTED",
    "SEARCH_SPACES",
    "SOURCES",
    "STORED",
    "TRACING_VERSION",
    "UNTRUSTED_KINDS",
    "SourceKind",
    "accepted",
    "check_allowed",
    "kind_of",
    "library_version",
    "library_versions",
    "may_open_paths",
    "prefix_hint",
    "unsupported",
]

TRACING_VERSION = 1
"""Increased whenever a source gives another raw graph than before; ``narfast zoo build`` then reads
zoos of older versions again. `tests/sources/test_tracing_version.py` checks on a sample whether it
must increase. Readers of libraries are not sampled: after a change of one, increase it by hand."""


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """A kind of source.

    Attributes:
        name: name in ``allow=`` and error messages; the prefix of prefixed sources.
        spelling: how a user writes such a source.
        description: description for help texts and docs.
        group: kind of reader. The module of a ``library`` builds modules to trace; all other
            modules have a function that returns a raw graph.
        module: module under ``narfast``, imported when such a source is first read.
        function: function of the module; a library has none.
        suffix: suffix of such files, such as ``.onnx``.
        extra: extra that installs its dependencies (``pip install narfast[...]``), or None.
        distribution: name on PyPI of the library whose version determines the graphs.
        runs_code: whether reading runs Python code of the library or of the file.
        opens_path: whether the source names a file or folder.
    """

    name: str
    spelling: str
    description: str
    group: Literal["library", "search space", "prefix", "file", "object"]
    module: str
    function: str = ""
    suffix: str = ""
    extra: str | None = None
    distribution: str | None = None
    runs_code: bool = False
    opens_path: bool = False

    @property
    def prefixed(self) -> bool:
        """Whether its sources start with its name and a colon."""
        return self.group in ("library", "search space", "prefix")


def _library(name: str, description: str, distribution: str | None = None) -> SourceKind:
    return SourceKind(
        name=name,
        spelling=f"{name}:NAME",
        description=description,
        group="library",
        module=f"sources.libraries.{name}",
        extra=name,
        distribution=distribution or name,
        runs_code=True,
    )


def _search_space(name: str, spelling: str, description: str) -> SourceKind:
    return SourceKind(
        name=name,
        spelling=f"{name}:{spelling}",
        description=description,
        group="search space",
        module=f"search_spaces.{name}",
        function="load",
    )


SOURCES = (
    _library("timm", "image models"),
    _library("torchvision", "models for images and video"),
    _library("open_clip", "CLIP models", "open_clip_torch"),
    _library("vit_pytorch", "vision transformers", "vit-pytorch"),
    _library("torch_geometric", "graph networks"),
    _library("diffusers", "networks of diffusion pipelines"),
    _library("transformers", "models for text, images, audio and video"),
    _library("smp", "segmentation models", "segmentation-models-pytorch"),
    _library("monai", "models for medical images"),
    _search_space("darts", "GENOTYPE", "a genotype, or the name of a published one"),
    _search_space("nasbench101", "CELL", "a cell: its matrix and operations"),
    _search_space("nasbench201", "CELL", "a cell in the benchmark's own notation"),
    SourceKind(
        name="hf",
        spelling="hf:CONFIG",
        description="a Hugging Face config.json, its folder, or a model in the cache",
        group="prefix",
        module="sources.hf_config",
        function="load_hf",
        extra="transformers",
        distribution="transformers",
        runs_code=True,
        opens_path=True,
    ),
    SourceKind(
        name="zoo",
        spelling="zoo:ID",
        description="a network of the zoo",
        group="prefix",
        module="sources.stored",
        function="load_stored",
    ),
    SourceKind(
        name="onnx",
        spelling="model.onnx",
        description="an ONNX file; weights are not read",
        group="file",
        module="sources.onnx",
        function="load_onnx",
        suffix=".onnx",
        opens_path=True,
    ),
    SourceKind(
        name="pt2",
        spelling="model.pt2",
        description="a file of torch.export; weights are not read",
        group="file",
        module="sources.pt2",
        function="load_pt2",
        suffix=".pt2",
        opens_path=True,
    ),
    SourceKind(
        name="record",
        spelling="record.json",
        description="a record of NNRetrieval's data",
        group="file",
        module="sources.nnretrieval",
        function="load_record",
        suffix=".json",
        opens_path=True,
    ),
    SourceKind(
        name="python",
        spelling="my_model.py:build",
        description="a function of a Python file that returns a module and inputs; runs the file",
        group="file",
        module="sources.python_file",
        function="load_python",
        suffix=".py",
        extra="torch",
        runs_code=True,
        opens_path=True,
    ),
    SourceKind(
        name="module",
        spelling="(module, example_inputs)",
        description="a torch.nn.Module in memory, with inputs for it",
        group="object",
        module="sources.torch_trace.tracer",
        function="trace",
        extra="torch",
        runs_code=True,
    ),
)
"""All kinds of sources, in the order of help texts and docs."""

_BY_NAME = {kind.name: kind for kind in SOURCES}
STORED = _BY_NAME["zoo"]
"""The kind of sources that name networks of a zoo."""

KINDS = frozenset(_BY_NAME)
"""Names of all kinds of sources."""

UNTRUSTED_KINDS = frozenset(
    kind.name for kind in SOURCES if not (kind.runs_code or kind.opens_path)
)
"""Kinds that run no code and open no path; a service may allow them to anyone."""

LIBRARIES = tuple(kind.name for kind in SOURCES if kind.group == "library")
"""Libraries whose models are loaded by name, as ``library:name``."""

SEARCH_SPACES = tuple(kind.name for kind in SOURCES if kind.group == "search space")
"""Search spaces whose cells can be sources, such as ``darts:DARTS_V2``."""


LISTED = (*LIBRARIES, "darts")
"""Kinds whose networks can be listed and built into a zoo."""


def accepted(*, objects: bool = True) -> str:
    """Return all spellings of sources in one line, for help texts and errors.

    Args:
        objects: Whether to list sources that are not texts, too.
    """
    return ", ".join(kind.spelling for kind in SOURCES if objects or kind.group != "object")


def kind_of(source: str) -> SourceKind | None:
    """Return the kind of a source by its spelling; the source need not exist. None for none.

    A known prefix determines the kind, regardless of the rest.
    """
    prefix, colon, _ = source.partition(":")
    kind = _BY_NAME.get(prefix) if colon else None
    if kind is not None and kind.prefixed:
        return kind
    if source.rpartition(":")[0].endswith(".py"):
        return _BY_NAME["python"]
    suffix = PurePath(source).suffix.lower()
    return next((k for k in SOURCES if k.suffix and k.suffix == suffix), None)


def unsupported(source: object, why: str) -> UnsupportedSourceError:
    """Return the error for a source that no reader accepts; it lists the accepted sources."""
    return UnsupportedSourceError(f"{source}: {why}; accepted are {accepted()}, or an ArchGraph")


def prefix_hint(prefix: str) -> str:
    """Describe an unknown prefix, with the most similar known one."""
    known = [kind.name for kind in SOURCES if kind.prefixed]
    close = difflib.get_close_matches(prefix.lower(), known, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    return f"no kind of source has the prefix {prefix!r}{hint}"


def check_allowed(kind: SourceKind, allow: Collection[str] | None, source: object) -> None:
    """Refuse a source of a kind that the caller does not permit.

    Args:
        kind: Kind of the source.
        allow: Names of permitted kinds; None permits all.
        source: The source, for the message.

    Raises:
        UnsupportedSourceError: The kind is not permitted, or `allow` names an unknown kind.
    """
    if allow is None:
        return
    if isinstance(allow, str):
        raise UnsupportedSourceError(f"allow: must be a collection of kinds, such as {{{allow!r}}}")
    unknown = sorted(set(allow) - KINDS)
    if unknown:
        raise UnsupportedSourceError(
            f"allow: no kind of source is called {unknown[0]!r}; kinds are {', '.join(_BY_NAME)}"
        )
    if kind.name not in allow:
        permitted = ", ".join(name for name in _BY_NAME if name in allow) or "none"
        raise UnsupportedSourceError(
            f"{source}: sources of the kind {kind.name!r} are not allowed here; allowed: "
            f"{permitted}"
        )


def may_open_paths(allow: Collection[str]) -> bool:
    """Return whether one of the permitted kinds names a file or folder."""
    return any(kind.opens_path for kind in SOURCES if kind.name in allow)


def library_version(library: str) -> str | None:
    """Return the installed version of a source's library; None if it is missing."""
    import importlib.metadata  # slower to import than the rest of the module

    kind = _BY_NAME.get(library)
    try:
        found = importlib.metadata.version((kind and kind.distribution) or library)
    except importlib.metadata.PackageNotFoundError:
        return None
    # Builds of one version for different devices ("2.13.0+cpu") trace the same graphs.
    return found.partition("+")[0]


def library_versions() -> dict[str, str]:
    """Return all versions that determine raw graphs: narfast, its tracing, the libraries."""
    versions = {name: library_version(name) for name in sorted(("torch", *LIBRARIES))}
    tracing = {} if TRACING_VERSION == 1 else {"tracing": str(TRACING_VERSION)}
    return {
        "narfast": __version__,
        **tracing,
        **{name: version for name, version in versions.items() if version},
    }
