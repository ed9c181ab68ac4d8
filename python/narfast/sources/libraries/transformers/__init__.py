"""Models of transformers by name: model types, classes, and released sizes.

``bert`` is the base model of a model type, ``BertForMaskedLM`` a class with its default
configuration, ``bert-large-uncased`` the base model of a released size, and
``bert-large-uncased/BertForMaskedLM`` a class in that size. Every class can be loaded in every
size. The list has the classes with released checkpoints, not those whose heads users train.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import nn

from narfast.sources.libraries.base import Fallback, check_name
from narfast.sources.libraries.transformers.build import (
    default_config,
    model_class,
    narrow_config,
    network,
)
from narfast.sources.libraries.transformers.catalog import Entry, classes_of, entries, model_types

__all__ = ["build", "fallbacks", "labels", "list_names"]

_NARROWER = 8  # divisor of widths if a network must be run

_TRAINED_BY_USERS = frozenset(
    [
        "text-classification",
        "token-classification",
        "question-answering",
        "multiple-choice",
        "next-sentence-prediction",
        "pretraining",
        "feature-extraction",
        "image-feature-extraction",
        "masked-image-modeling",
    ]
)
"""Tasks whose classes are not listed in released sizes."""


def list_names() -> list[str]:
    """Return every model type, every class, every released size, and its released classes."""
    return sorted(
        name
        for name, entry in entries().items()
        if "/" not in name or entry.task not in _TRAINED_BY_USERS
    )


def _entry(name: str) -> Entry:
    entry = entries().get(name)
    if entry is None:
        for model_type in model_types():  # a base model's class is listed as its type only
            classes = classes_of(model_type)
            if name in classes:
                return Entry(model_type, name, classes[name])
        check_name("transformers", name, entries())
        raise KeyError(name)
    return entry


def build(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """Return a model without weights, and keyword arguments for its forward pass.

    Raises:
        UnsupportedSourceError: transformers has no such model.
        MissingDependencyError: transformers is not installed.
    """
    entry = _entry(name)
    return network(model_class(entry), default_config(entry))


def labels(name: str) -> tuple[str, str]:
    """Return (model type, task)."""
    entry = _entry(name)
    return entry.model_type, entry.task


def fallbacks(name: str) -> Iterable[Fallback]:
    """Return alternative builds of a model.

    They are: attention and experts without fused kernels; a narrow copy, small enough to be run if
    data determine the computation; and the network with text as its only input.
    """
    entry = _entry(name)
    yield "eager", partial(_eager, entry)
    yield "small", partial(_small, entry)
    yield "text", partial(_text, entry)


def _eager(entry: Entry) -> tuple[nn.Module, dict[str, Any]]:
    return network(model_class(entry), default_config(entry), attention="eager", experts="eager")


def _small(entry: Entry) -> tuple[nn.Module, dict[str, Any]]:
    return network(model_class(entry), narrow_config(default_config(entry), _NARROWER))


def _text(entry: Entry) -> tuple[nn.Module, dict[str, Any]]:
    return network(model_class(entry), default_config(entry), text_only=True)
