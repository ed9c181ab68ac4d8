"""The models of transformers: model types, their classes, and released sizes.

The tables come from transformers' own auto classes, without importing modelling code. Data files of
this package have the released sizes, and the classes that the auto classes leave out.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from narfast.errors import MissingDependencyError
from narfast.sources.libraries.base import SOURCE_DATA, import_library

__all__ = ["Entry", "classes_of", "entries", "missing_defaults", "model_types", "task_of"]

# Auto mappings with the task of their models; more specific mappings come first, since many classes
# are in several.
_TASKS = {
    "CAUSAL_LM": "text-generation",
    "MASKED_LM": "fill-mask",
    "SEQ_TO_SEQ_CAUSAL_LM": "text2text-generation",
    "SPEECH_SEQ_2_SEQ": "automatic-speech-recognition",
    "CTC": "automatic-speech-recognition",
    "RNNT": "automatic-speech-recognition",
    "TDT": "automatic-speech-recognition",
    "IMAGE_TEXT_TO_TEXT": "image-text-to-text",
    "SEQUENCE_CLASSIFICATION": "text-classification",
    "TOKEN_CLASSIFICATION": "token-classification",
    "QUESTION_ANSWERING": "question-answering",
    "TABLE_QUESTION_ANSWERING": "table-question-answering",
    "VISUAL_QUESTION_ANSWERING": "visual-question-answering",
    "DOCUMENT_QUESTION_ANSWERING": "document-question-answering",
    "MULTIPLE_CHOICE": "multiple-choice",
    "NEXT_SENTENCE_PREDICTION": "next-sentence-prediction",
    "IMAGE_CLASSIFICATION": "image-classification",
    "SEMANTIC_SEGMENTATION": "image-segmentation",
    "INSTANCE_SEGMENTATION": "image-segmentation",
    "UNIVERSAL_SEGMENTATION": "image-segmentation",
    "IMAGE_SEGMENTATION": "image-segmentation",
    "IMAGE_MATTING": "image-segmentation",
    "MASK_GENERATION": "mask-generation",
    "OBJECT_DETECTION": "object-detection",
    "ZERO_SHOT_OBJECT_DETECTION": "zero-shot-object-detection",
    "DEPTH_ESTIMATION": "depth-estimation",
    "NORMAL_ESTIMATION": "normal-estimation",
    "POINTMAP_ESTIMATION": "pointmap-estimation",
    "POSE_ESTIMATION": "keypoint-detection",
    "KEYPOINT_DETECTION": "keypoint-detection",
    "KEYPOINT_MATCHING": "keypoint-matching",
    "TEXT_RECOGNITION": "image-to-text",
    "TABLE_RECOGNITION": "table-recognition",
    "IMAGE_TO_IMAGE": "image-to-image",
    "VIDEO_CLASSIFICATION": "video-classification",
    "AUDIO_CLASSIFICATION": "audio-classification",
    "AUDIO_FRAME_CLASSIFICATION": "audio-frame-classification",
    "AUDIO_XVECTOR": "audio-xvector",
    "TEXT_TO_SPECTROGRAM": "text-to-audio",
    "TEXT_TO_WAVEFORM": "text-to-audio",
    "AUDIO_TOKENIZATION": "audio-tokenization",
    "TIME_SERIES_CLASSIFICATION": "time-series-classification",
    "TIME_SERIES_REGRESSION": "time-series-regression",
    "TIME_SERIES_PREDICTION": "time-series-forecasting",
    "DECISION": "reinforcement-learning",
    "ZERO_SHOT_IMAGE_CLASSIFICATION": "zero-shot-image-classification",
    "MULTIMODAL_LM": "any-to-any",
    "RETRIEVAL": "retrieval",
    "MASKED_IMAGE_MODELING": "masked-image-modeling",
    "CAUSAL_IMAGE_MODELING": "image-generation",
    "TEXT_ENCODING": "feature-extraction",
    "IMAGE": "image-feature-extraction",
    "BACKBONE": "image-feature-extraction",
    "": "feature-extraction",
    "PRETRAINING": "pretraining",
}
# Classes that are not networks: without forward, or with only generate() calling the networks
# inside, or called with a session of frames and prompts. Their inner networks have names.
_DRIVERS = frozenset(
    [
        "BarkModel",
        "EdgeTamVideoModel",
        "Qwen2_5OmniForConditionalGeneration",
        "Sam2VideoModel",
        "Sam3TrackerVideoModel",
        "Sam3VideoModel",
    ]
)
# Built from their own model type's configuration, not from the types that the auto classes list.
_WRAPPERS = {"JevForDecision": "jev"}
# These need packages that the extra does not install: natten, torchaudio, detectron2. timm_backbone
# needs the name of a timm model, and the library timm lists those.
_NEEDING_MORE = frozenset({"dinat", "higgs_audio_v2_tokenizer", "layoutlmv2", "timm_backbone"})


@dataclass(frozen=True)
class Entry:
    """One network.

    Attributes:
        model_type: The model type of its configuration.
        class_name: Its class in transformers.
        task: Its purpose, in the vocabulary of the Hugging Face hub.
        changes: Fields of the configuration that differ from the default.
        source: Document that the changes come from.
    """

    model_type: str
    class_name: str
    task: str
    changes: dict[str, Any] = field(default_factory=dict)
    source: str = ""


def auto() -> Any:
    """Return the module with transformers' auto mappings."""
    import_library("transformers")
    try:
        return import_library("transformers.models.auto.modeling_auto")
    except (ImportError, AttributeError) as error:
        raise MissingDependencyError(
            f"this transformers cannot be read ({error}): pip install 'narfast[transformers]'"
        ) from error


@cache
def model_types() -> frozenset[str]:
    """Return every model type that has a configuration."""
    import_library("transformers")
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return frozenset(CONFIG_MAPPING_NAMES)


@cache
def _tables() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return classes by mapping and model type."""
    module = auto()
    tables: dict[str, dict[str, tuple[str, ...]]] = {}
    for kind in ("", *(k for k in _TASKS if k not in ("", "PRETRAINING")), "PRETRAINING"):
        stem = f"MODEL_FOR_{kind}" if kind else "MODEL"
        found = getattr(module, f"{stem}_MAPPING_NAMES", None) or getattr(
            module, f"{stem}_NAMES", None
        )
        if found is not None:
            tables[kind] = {
                model_type: value if isinstance(value, tuple) else (value,)
                for model_type, value in found.items()
            }
    return tables


@cache
def _unmapped() -> dict[str, dict[str, str]]:
    """Return tasks of classes without an auto mapping, by model type and class."""
    import_library("transformers")
    import transformers

    exported = transformers._class_to_module
    found: dict[str, dict[str, str]] = {}
    with (SOURCE_DATA / "transformers_classes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["model_type"] in model_types() and row["class"] in exported:
                found.setdefault(row["model_type"], {})[row["class"]] = row["task"]
    return found


@cache
def classes_of(model_type: str) -> dict[str, str]:
    """Return the tasks of a model type's classes; the base model comes first, if there is one."""
    found: dict[str, str] = {}
    if model_type in _NEEDING_MORE:
        return found
    order = {kind: rank for rank, kind in enumerate(_TASKS)}
    ranks: dict[str, int] = {}
    for kind, table in _tables().items():
        for name in table.get(model_type, ()):
            found.setdefault(name, "")
            if order[kind] < ranks.get(name, len(order)):
                ranks[name] = order[kind]
                found[name] = _TASKS[kind]
    for name, task in _unmapped().get(model_type, {}).items():
        found.setdefault(name, task)
    wrappers = {name for name, own in _WRAPPERS.items() if own != model_type}
    for name in found.keys() & (_DRIVERS | wrappers):
        del found[name]
    return found


def _own_class(model_type: str, name: str) -> bool:
    """Whether a class was written for this model type, not taken from another."""
    import transformers
    from transformers.models.auto.configuration_auto import model_type_to_module_name

    module = str(transformers._class_to_module.get(name, ""))
    package = f"models.{model_type_to_module_name(model_type)}."
    return not module or module.startswith(package)


def _sizes() -> Iterable[tuple[str, str, dict[str, Any], str]]:
    """Yield (name, model type, changes, source) of the released sizes."""
    table = tomllib.loads((SOURCE_DATA / "transformers_sizes.toml").read_text(encoding="utf-8"))
    for group in table["group"]:
        shared = group.get("shared", {})
        for name, changes in group["sizes"].items():
            given = {**shared, **changes}
            changed = {k: None if v == "null" else v for k, v in given.items()}
            yield name, group["type"], changed, group["source"]


@cache
def missing_defaults() -> dict[str, dict[str, Any]]:
    """Return fields, by model type, that have no usable default."""
    return tomllib.loads((SOURCE_DATA / "transformers_defaults.toml").read_text(encoding="utf-8"))


@cache
def entries() -> dict[str, Entry]:
    """Return every network by name.

    Names are a model type (its base model), a class with its default configuration, a released
    size (its base model), ``size/Class``, and ``type/Class`` if a type uses another type's class.
    """
    found: dict[str, Entry] = {}
    borrowed: dict[str, Entry] = {}
    for model_type in sorted(model_types()):
        for position, (name, task) in enumerate(classes_of(model_type).items()):
            entry = Entry(model_type, name, task)
            if position == 0:
                found[model_type] = entry
            elif _own_class(model_type, name):
                found.setdefault(name, entry)
            else:
                borrowed[f"{model_type}/{name}"] = entry
    found.update(borrowed)
    for size, model_type, changes, source in _sizes():
        if model_type not in model_types():
            continue
        for position, (name, task) in enumerate(classes_of(model_type).items()):
            key = size if position == 0 else f"{size}/{name}"
            found[key] = Entry(model_type, name, task, changes, source)
    return found


def task_of(model_type: str, class_name: str) -> str:
    """Return the task of a class; ``feature-extraction`` if it is unknown."""
    return classes_of(model_type).get(class_name) or "feature-extraction"
