"""The interface of a model library as a source, and building of models without weights.

A file for each library implements `ModelSource` as module-level functions. It may also have
`fallbacks(name)`: alternative builds of a model, for use if no trace of the first build works.
"""

from __future__ import annotations

import difflib
import importlib
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from narfast._data import DATA
from narfast.errors import MissingDependencyError, UnsupportedSourceError

__all__ = [
    "SOURCE_DATA",
    "Fallback",
    "ModelSource",
    "build_without_weights",
    "check_name",
    "fallbacks_of",
    "import_library",
]


class ModelSource(Protocol):
    """A library whose models are loaded by name."""

    def list_names(self) -> list[str]:
        """Return every name that the library has, sorted."""

    def build(self, name: str) -> tuple[nn.Module, Any]:
        """Return the module, on the meta device if possible, and example inputs for `trace`."""

    def labels(self, name: str) -> tuple[str, str]:
        """Return (group, task). The group is the library's own, such as a module or a model type.

        `narfast.taxonomy.families` maps groups to a vocabulary that all libraries share.
        """


SOURCE_DATA = DATA / "sources"
"""Folder of the data files about model libraries."""

Fallback = tuple[str, Callable[[], tuple[nn.Module, Any]]]
"""(the difference to the first build, such as ``eager`` or ``small``; a builder)"""


def fallbacks_of(source: ModelSource, name: str) -> Iterable[Fallback]:
    """Return alternative builds of a model, in order; most libraries have none."""
    offered = getattr(source, "fallbacks", None)
    return () if offered is None else offered(name)


def import_library(package: str, *, extra: str | None = None) -> ModuleType:
    """Import an optional library, or say how to install it.

    Args:
        package: The package to import.
        extra: Its name in ``pip install narfast[...]``; `package` by default.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise MissingDependencyError(
            f"this source needs {package}, which is not installed: "
            f"pip install 'narfast[{extra or package}]'"
        ) from error


_MAX_LENGTH = 120  # characters of a name in an error


def check_name(library: str, name: str, names: Iterable[str]) -> None:
    """Raise UnsupportedSourceError, with close matches, unless the library has the name."""
    known = list(names)
    if name in known:
        return
    spelt = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name[:_MAX_LENGTH].lower(), spelt, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(spelt[other] for other in close)}?" if close else ""
    shown = repr(name if len(name) <= _MAX_LENGTH else name[:_MAX_LENGTH] + "…")
    raise UnsupportedSourceError(
        f"{library} has no model called {shown}{hint} (it has {len(known)} models)"
    )


_INTEGERS = frozenset({torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool})
_ALLOCATING = frozenset({"empty", "zeros", "ones", "full", "randn", "rand", "normal", "empty_like"})
# Functions that set initial values, which weights without storage cannot have.
_FILLING = frozenset(
    [
        "normal_",
        "uniform_",
        "trunc_normal_",
        "fill_",
        "zero_",
        "erfinv_",
        "copy_",
        "bernoulli_",
        "exponential_",
        "eye_",
        "constant_",
        "zeros_",
        "ones_",
        "kaiming_normal_",
        "kaiming_uniform_",
        "xavier_normal_",
        "xavier_uniform_",
        "orthogonal_",
        "dirac_",
        "sparse_",
        "clamp_",
        "mul_",
        "add_",
        "div_",
        "sub_",
    ]
)


class _WeightsOnMeta(TorchFunctionMode):
    """Places weights on meta when constructors allocate them; other tensors stay real.

    Many constructors compute small tables (``torch.linspace(...).tolist()``), which needs numbers.
    Weights are always allocated by one of a few functions.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _FILLING:
            filled = args[0] if args else kwargs.get("tensor")  # torch.nn.init passes a keyword
            if isinstance(filled, torch.Tensor) and filled.is_meta:
                return filled
        integers = kwargs.get("dtype") in _INTEGERS  # for example, tables of positions
        if name in _ALLOCATING and kwargs.get("device") is None and not integers:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def build_without_weights(build: Callable[[], nn.Module]) -> nn.Module:
    """Run a constructor without memory for the weights; return the first success.

    The attempts are: weights on meta and all else real; everything on meta; everything real.

    Args:
        build: Makes the module; called again for the next attempt.

    Raises:
        Exception: Raised by `build` with everything real.
    """
    for context in (_WeightsOnMeta, lambda: torch.device("meta")):
        try:
            with warnings.catch_warnings(), context():
                warnings.simplefilter("ignore")  # about initial weights, which do not exist here
                return build()
        except Exception:  # constructors fail on meta with many errors; try again
            continue
    return build()
