"""One vocabulary of families for all libraries: what each calls a group of models, in one word.

The rule of what is a family and the table of it are ``data/families.csv``. Sub-families and sizes
come from the table too, or else from the names (`narfast.taxonomy.model_names`).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache

from narfast._data import DATA
from narfast.taxonomy.model_names import parse_name

__all__ = ["Labels", "Row", "classify", "rows"]

_FILE = DATA / "families.csv"
_ANY = "*"  # the group of rows that hold for all groups of a library
_NAMED = frozenset({"timm", "torchvision"})  # their names, not their groups, tell sub-families
_CODECS = frozenset({"movq", "vae", "vqvae"})  # parts of a release that its size is not about
_SAME_GROUPS = {"hf": "transformers"}  # sources that take another's groups


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


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what a library's group, or the names in it that match, belong to.

    Attributes:
        source: the library.
        group: its own word for the group of models.
        pattern: regular expression searched for in the name; empty for every other name.
        family: see `Labels`.
        subfamily: see `Labels`; empty for the one that the name or the group gives.
        evidence: the paper, or the library's file or documentation, that names the design.
    """

    source: str
    group: str
    pattern: str
    family: str
    subfamily: str
    evidence: str


@cache
def rows() -> tuple[Row, ...]:
    """The table, as it stands in the file."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        lines = (line for line in file if line.strip() and not line.startswith("#"))
        return tuple(Row(**fields) for fields in csv.DictReader(lines))


@cache
def _by_group() -> dict[tuple[str, str], list[tuple[re.Pattern[str], Row]]]:
    """Rows of each group, the one for every other name last."""
    table: dict[tuple[str, str], list[tuple[re.Pattern[str], Row]]] = {}
    for row in sorted(rows(), key=lambda row: not row.pattern):
        table.setdefault((row.source, row.group), []).append((re.compile(row.pattern), row))
    return table


def _family_of_group(source: str, group: str) -> str:
    if source == "diffusers":  # its modules are called transformer_flux, latte_transformer_3d
        group = re.sub(r"^transformer_(?=[a-z])|_transformer_[123]d$", "", group)
    return _word(group)


def _word(group: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", group.lower()).strip("_") or "unknown"


def _find(source: str, group: str, name: str) -> Row | None:
    for place in (_ANY, group):
        for pattern, row in _by_group().get((source, place), ()):
            if pattern.search(name):
                return row
    return None


def _untagged(name: str) -> str:
    """A name of timm without what says how the weights were trained, as in resnet50.a1_in1k."""
    return name.partition(".")[0]


def _encoder(name: str) -> Labels:
    """An encoder of segmentation_models_pytorch, its own or timm's; no group is given."""
    model = _untagged(re.sub(r"^(tu|timm)-", "", name))
    row = _find("smp", "encoder", model) or _find("timm", _ANY, model)
    stem, size = parse_name(model)
    return Labels(row.family if row else _word(stem).partition("_")[0], _word(stem), size)


def _over_encoder(decoder: str, name: str) -> Labels:
    """A decoder over an encoder: the encoder's family is the line, its size the size."""
    row = _find("smp", decoder, name)
    encoder = _encoder(name.partition("-")[2])
    return Labels(row.family if row else _word(decoder), encoder.family, encoder.size)


def _size(source: str, group: str, name: str) -> str | None:
    if source == "open_clip":  # the image tower's, where the text tower is named first
        return parse_name(name[max(name.find("ViT-"), 0) :])[1]
    if source in ("transformers", "diffusers"):  # RELEASE, RELEASE/PART or a class
        release, slash, part = name.partition("/")
        if part in _CODECS or (not slash and release.isidentifier() and release[0].isupper()):
            return None
        size = parse_name(release, group)[1]
        doubtful = r"\d+(\.\d+)?|\w*[a-z]\d+" if source == "diffusers" else r"\d"  # versions
        return None if size is None or re.fullmatch(doubtful, size) else size
    if source == "torch_geometric":  # its depth, as in GIN-5_layers
        layers = re.search(r"-(\d+)_", name)
        return layers[1] if layers else None
    if source == "vit_pytorch":
        return parse_name(name.partition(".")[2])[1] if "-" not in name else None
    return parse_name(name)[1] if source in (*_NAMED, "monai") else None


def classify(source: str, group: str, name: str) -> Labels:
    """Places a library's model in the shared vocabulary; never fails.

    Args:
        source: The library, such as ``timm``.
        group: The library's own word for the group of models, such as a module or a model type.
        name: The model's name in the library.
    """
    source = _SAME_GROUPS.get(source, source)
    if source == "timm":
        name = _untagged(name)
    if source == "smp":
        return _over_encoder(group, name)
    row = _find(source, group, name)
    line = parse_name(name)[0] if source in _NAMED else group
    return Labels(
        row.family if row else _family_of_group(source, group),
        (row.subfamily if row else "") or _word(line),
        _size(source, group, name),
    )
