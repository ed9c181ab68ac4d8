"""One vocabulary of families for the models of all libraries.

``data/families.csv`` has the table of families and defines what a family is. Sub-families and sizes
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
_ANY = "*"  # group of the rows that hold for all groups of a library
_NAMED = frozenset({"timm", "torchvision"})  # libraries whose names tell sub-families
_CODECS = frozenset({"movq", "vae", "vqvae"})  # parts of a release to which its size does not apply
_SAME_GROUPS = {"hf": "transformers"}  # kinds of sources that share a library's groups


@dataclass(frozen=True, slots=True)
class Labels:
    """The place of a model in the vocabulary.

    Attributes:
        family: shared by all libraries, such as ``resnet``.
        subfamily: a line of models within it, such as ``seresnet``.
        size: as the name spells it, such as ``50``, ``base`` or ``b4``; None if it has none.
    """

    family: str
    subfamily: str
    size: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: maps names of a group of a library to a family.

    Attributes:
        source: the library.
        group: the library's own name for the group of models.
        pattern: regular expression to search for in the name; empty for all other names.
        family: see `Labels`.
        subfamily: see `Labels`; empty to derive it from the name or the group.
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
    """Return the table, in the order of the file."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        lines = (line for line in file if line.strip() and not line.startswith("#"))
        return tuple(Row(**fields) for fields in csv.DictReader(lines))


@cache
def _by_group() -> dict[tuple[str, str], list[tuple[re.Pattern[str], Row]]]:
    """Return the rows of each group; the row for all other names comes last."""
    table: dict[tuple[str, str], list[tuple[re.Pattern[str], Row]]] = {}
    for row in sorted(rows(), key=lambda row: not row.pattern):
        table.setdefault((row.source, row.group), []).append((re.compile(row.pattern), row))
    return table


def _family_of_group(library: str, group: str) -> str:
    if library == "diffusers":  # its modules are called transformer_flux, latte_transformer_3d
        group = re.sub(r"^transformer_(?=[a-z])|_transformer_[123]d$", "", group)
    return _word(group)


def _word(group: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", group.lower()).strip("_") or "unknown"


def _find(library: str, group: str, name: str) -> Row | None:
    for place in (_ANY, group):
        for pattern, row in _by_group().get((library, place), ()):
            if pattern.search(name):
                return row
    return None


def _untagged(name: str) -> str:
    """Remove the tag of a timm name that tells the training of the weights: resnet50.a1_in1k."""
    return name.partition(".")[0]


def _encoder(name: str) -> Labels:
    """Label an encoder of segmentation_models_pytorch (its own or timm's); it has no group."""
    model = _untagged(re.sub(r"^(tu|timm)-", "", name))
    row = _find("smp", "encoder", model) or _find("timm", _ANY, model)
    stem, size = parse_name(model)
    return Labels(row.family if row else _word(stem).partition("_")[0], _word(stem), size)


def _over_encoder(decoder: str, name: str) -> Labels:
    """Label a decoder over an encoder; sub-family and size are those of the encoder."""
    row = _find("smp", decoder, name)
    encoder = _encoder(name.partition("-")[2])
    return Labels(row.family if row else _word(decoder), encoder.family, encoder.size)


def _size(library: str, group: str, name: str) -> str | None:
    if library == "open_clip":  # the image tower's size, if the text tower is named first
        return parse_name(name[max(name.find("ViT-"), 0) :])[1]
    if library in ("transformers", "diffusers"):  # RELEASE, RELEASE/PART or a class
        release, slash, part = name.partition("/")
        if part in _CODECS or (not slash and release.isidentifier() and release[0].isupper()):
            return None
        size = parse_name(release, group)[1]
        doubtful = r"\d+(\.\d+)?|\w*[a-z]\d+" if library == "diffusers" else r"\d"  # versions
        return None if size is None or re.fullmatch(doubtful, size) else size
    if library == "torch_geometric":  # its depth, as in GIN-5_layers
        layers = re.search(r"-(\d+)_", name)
        return layers[1] if layers else None
    if library == "vit_pytorch":
        return parse_name(name.partition(".")[2])[1] if "-" not in name else None
    return parse_name(name)[1] if library in (*_NAMED, "monai") else None


def classify(source: str, group: str, name: str) -> Labels:
    """Place a library's model in the shared vocabulary; never fails.

    Args:
        source: The library, such as ``timm``.
        group: The library's own name for the group of models, such as a module or a model type.
        name: The model's name in the library.
    """
    library = _SAME_GROUPS.get(source, source)
    if library == "timm":
        name = _untagged(name)
    if library == "smp":
        return _over_encoder(group, name)
    row = _find(library, group, name)
    line = parse_name(name)[0] if library in _NAMED else group
    return Labels(
        row.family if row else _family_of_group(library, group),
        (row.subfamily if row else "") or _word(line),
        _size(library, group, name),
    )
