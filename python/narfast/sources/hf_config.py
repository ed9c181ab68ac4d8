"""Hugging Face configurations: ``hf:config.json``, ``hf:folder``, or ``hf:ORG/MODEL``.

Only the configuration is read, never weights; code that comes with it is never run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from narfast._documents import parse_limited
from narfast._files import read_source
from narfast.errors import CorruptFileError, NarfastError, TraceError, UnsupportedSourceError
from narfast.graph import ArchGraph
from narfast.sources._quiet import quiet
from narfast.sources.libraries.base import import_library
from narfast.taxonomy.families import classify

__all__ = ["load_hf", "read_config"]

_MAX_FILE = 16 << 20  # bytes; configurations have a few thousand
_MAX_NUMBER = 1 << 22  # limit of numeric fields
_MAX_LAYERS = 1_000
_MAX_ITEMS = 1_000_000  # items of a list
_MAX_TYPE = 100  # characters of a model type
_MAX_NAME = 300
_COUNTED = ("layers", "layer", "depth", "depths", "blocks", "stages", "heads")


def load_hf(where: str) -> ArchGraph:
    """Read the network that a Hugging Face configuration describes.

    Args:
        where: A ``config.json``, a folder with one, or the id of a model on the hub.

    Raises:
        UnsupportedSourceError: There is no such file, the hub cannot be reached, or transformers
            does not know the model type.
        CorruptFileError: The file is not a configuration, or its numbers are impossible.
        TraceError: The network could not be built or traced.
        MissingDependencyError: transformers is not installed.
    """
    from narfast.sources.libraries.transformers.build import LOGGER, model_class, network
    from narfast.sources.libraries.transformers.catalog import Entry
    from narfast.sources.torch_trace.tracer import trace

    fields, file = read_config(where)
    name = _name(where, fields)
    entry = Entry(*_class_of(fields, file))
    model = model_class(entry)
    reasons: list[str] = []
    for attention in (None, "eager"):
        try:
            with quiet(LOGGER):
                config = _config(fields, entry.model_type)
            module, inputs = network(model, config, attention=attention)
            graph = trace(module, inputs, name=name, source="hf", task=entry.task, copy=False)
            family = classify("hf", entry.model_type, name).family
            return graph.with_meta(group=entry.model_type, family=family)
        except NarfastError as error:
            reasons.append(str(error))
        except Exception as error:  # a model's constructor may raise anything
            reasons.append(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    why = "; ".join(dict.fromkeys(reasons))
    raise TraceError(
        f"{file}: {entry.class_name} could not be read ({why}); check the values of its fields"
    )


def _name(where: str, fields: dict[str, Any]) -> str:
    told = fields.get("_name_or_path")
    if isinstance(told, str) and told:
        return told[:_MAX_NAME]
    path = Path(where)
    return path.parent.name or path.stem if path.suffix == ".json" else path.name


def read_config(where: str) -> tuple[dict[str, Any], str]:
    """Return the checked fields of a configuration, and its file.

    Raises:
        UnsupportedSourceError: There is no such file, or the hub cannot be reached.
        CorruptFileError: The file is not a configuration, or its numbers are impossible.
    """
    path = Path(where)
    if where and path.is_dir():
        path = path / "config.json"
        if not path.is_file():
            raise UnsupportedSourceError(f"{where}: this folder has no config.json")
    elif not path.is_file():
        path = _from_hub(where)
    data = read_source(path, limit=_MAX_FILE, what="a config.json")
    try:
        fields = parse_limited(data)
    except ValueError as error:
        raise CorruptFileError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(fields, dict):
        raise CorruptFileError(f"{path}: must be one JSON object, but is another JSON value")
    for place, value in _numbers(fields):
        _check_number(path, place, value)
    return fields, str(path)


def _from_hub(where: str) -> Path:
    """Return the configuration of a model on the hub, from the cache if it is there."""
    looks_local = where.endswith(".json") or where.count("/") != 1 or where.startswith((".", "/"))
    if looks_local and where.count("/") != 0:
        raise UnsupportedSourceError(f"hf:{where}: no such file or folder; check the path")
    if not where or where.endswith(".json"):
        raise UnsupportedSourceError(
            f"hf:{where}: name a config.json, a folder with one, or a model of the hub, "
            "such as hf:google-bert/bert-base-uncased"
        )
    hub = import_library("huggingface_hub", extra="transformers")
    try:
        return Path(hub.hf_hub_download(where, "config.json"))
    except Exception as error:  # networks fail in many ways
        if hub.constants.HF_HUB_OFFLINE:
            why = "HF_HUB_OFFLINE is set and its config.json is not in the cache"
        else:
            why = f"its config.json could not be downloaded ({type(error).__name__})"
        raise UnsupportedSourceError(
            f"hf:{where}: no such file, and as a model of the hub: {why}; download config.json "
            "and give its path"
        ) from None


def _numbers(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every number and list below a value, with the name of its field."""
    stack = [("", value)]
    while stack:
        place, item = stack.pop()
        if isinstance(item, dict):
            stack.extend((str(k), v) for k, v in item.items())
        elif isinstance(item, list):
            yield place, item
            stack.extend((place, v) for v in item)
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            yield place, item


def _check_number(path: Path, place: str, value: Any) -> None:
    if isinstance(value, list):
        if len(value) > _MAX_ITEMS:
            raise CorruptFileError(f"{path}: {place[:80]} has {len(value):,} items")
        return
    if not isinstance(value, int) or place.endswith(("_id", "_ids", "_token", "_index")):
        return
    counted = place.rpartition("_")[2] in _COUNTED or place.startswith(("num_layers", "n_layer"))
    limit = _MAX_LAYERS if counted else _MAX_NUMBER
    absurd = abs(value) > limit or (counted and value < 0)
    if absurd and not place.startswith(("rope", "max_", "model_max", "original_max")):
        raise CorruptFileError(f"{path}: {place[:80]} = {_short(value)} is not a network's size")


def _short(value: int) -> str:
    return str(value) if value.bit_length() < 200 else f"a number of {value.bit_length():,} bits"


def _class_of(fields: dict[str, Any], file: str) -> tuple[str, str, str]:
    """Return (model type, class, task) for the class in the configuration, or the base model."""
    from narfast.sources.libraries.transformers.catalog import classes_of, model_types, task_of

    model_type = fields.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise CorruptFileError(f"{file}: has no model_type, so the kind of its network is unknown")
    model_type = model_type[:_MAX_TYPE]
    if model_type not in model_types():
        if "auto_map" in fields:
            raise UnsupportedSourceError(
                f"{file}: model type {model_type!r} comes with its own code (auto_map), which is "
                "never run; use a model type that transformers knows, or my_model.py:build"
            )
        from difflib import get_close_matches

        close = get_close_matches(model_type, sorted(model_types()), n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise UnsupportedSourceError(
            f"{file}: the installed transformers has no model type {model_type!r}{hint}"
        )
    known = classes_of(model_type)
    named = fields.get("architectures")
    for name in named if isinstance(named, list) else ():
        if isinstance(name, str) and name in known:
            return model_type, name, task_of(model_type, name)
    if not known:
        raise UnsupportedSourceError(f"{file}: model type {model_type!r} has no model of its own")
    name = next(iter(known))
    return model_type, name, task_of(model_type, name)


def _config(fields: dict[str, Any], model_type: str) -> Any:
    from transformers import CONFIG_MAPPING

    # Fields about quantized weights or code do not belong to the design.
    left_out = ("auto_map", "quantization_config", "model_type", "architectures", "dtype")
    own = {k: v for k, v in fields.items() if k not in (*left_out, "torch_dtype")}
    return CONFIG_MAPPING[model_type].from_dict(own)
