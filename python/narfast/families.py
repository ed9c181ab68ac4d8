"""One vocabulary of families for all libraries: what each calls a group of models, in one word."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Labels", "classify"]


@dataclass(frozen=True, slots=True)
class Labels:
    """Where a model belongs.

    Attributes:
        family: shared by all libraries, such as ``resnet``.
        subfamily: a line of models within it, such as ``seresnet``.
        size: as the name spells it, such as ``50``, ``base`` or ``b4``; None where it has none.
    """

    family: str
    subfamily: str
    size: str | None


def classify(source: str, group: str, name: str) -> Labels:
    """Places a library's model in the shared vocabulary.

    Args:
        source: The library, such as ``timm``.
        group: The library's own word for the group of models, such as a module or a model type.
        name: The model's name in the library.
    """
    return Labels(group, group, None)
