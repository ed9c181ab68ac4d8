"""What a library of models must offer to be a source, and how its models are built without weights.

One small file per library implements `ModelSource` as module-level functions, and may offer
`fallbacks(name)` beside it: other ways of building a model, for when no trace of the first worked.
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
    """A library of models by name."""

    def list_names(self) -> list[str]:
        """Every name that the library offers, sorted."""

    def build(self, name: str) -> tuple[nn.Module, Any]:
        """The module, on the meta device where possible, and example inputs for `trace`."""

    def labels(self, name: str) -> tuple[str, str]:
        """(group, task): the library's own group of models, such as a module or a model type.

        Groups are mapped into one vocabulary of families by `narfast.taxonomy.families`.
        """


SOURCE_DATA = DATA / "sources"
"""Where files lie that say what is known of a library's models."""

Fallback = tuple[str, Callable[[], tuple[nn.Module, Any]]]
"""(what is different, such as ``eager`` or ``small``; builds module and example inputs)"""


def fallbacks_of(source: ModelSource, name: str) -> Iterable[Fallback]:
    """Other ways of building a model, in the order to try; none for most libraries."""
    offered = getattr(source, "fallbacks", None)
    return () if offered is None else offered(name)


def import_library(package: str, *, extra: str | None = None) -> ModuleType:
    """Imports an optional library, or says how to install it.

    Args:
        package: What is imported.
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


_LONGEST = 120  # characters of a name that an error repeats


def check_name(library: str, name: str, names: Iterable[str]) -> None:
    """Raises UnsupportedSourceError, with close matches, unless the library has the name."""
    known = list(names)
    if name in known:
        return
    spelt = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name[:_LONGEST].lower(), spelt, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(spelt[other] for other in close)}?" if close else ""
    shown = repr(name if len(name) <= _LONGEST else name[:_LONGEST] + "…")
    raise UnsupportedSourceError(
        f"{library} has no model called {shown}{hint} (it has {len(known)} models)"
    )


_INTEGERS = frozenset({torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool})
_ALLOCATING = frozenset({"empty", "zeros", "ones", "full", "randn", "rand", "normal", "empty_like"})
# Initial values, which weights without storage cannot have.
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
    """Places what constructors allocate for weights on meta; keeps what they compute with real.

    Many constructors compute small tables (``torch.linspace(...).tolist()``), which needs numbers;
    weights are always allocated by one of a few functions.
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
            filled = args[0] if args else kwargs.get("tensor")  # torch.nn.init passes it by name
            if isinstance(filled, torch.Tensor) and filled.is_meta:
                return filled
        integers = kwargs.get("dtype") in _INTEGERS  # tables of positions and the like
        if name in _ALLOCATING and kwargs.get("device") is None and not integers:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def build_without_weights(build: Callable[[], nn.Module]) -> nn.Module:
    """Runs a constructor so that its weights take no memory, by the first way that works.

    The ways: weights on meta and everything else real; everything on meta; everything real.

    Args:
        build: Makes the module; called again when a way fails.

    Raises:
        Exception: Whatever `build` raises when everything is real.
    """
    for context in (_WeightsOnMeta, lambda: torch.device("meta")):
        try:
            with warnings.catch_warnings(), context():
                warnings.simplefilter("ignore")  # about initial weights, which are never made
                return build()
        except Exception:  # constructors fail on meta in many ways; the next way is tried
            continue
    return build()
