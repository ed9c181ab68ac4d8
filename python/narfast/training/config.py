"""Frozen settings of a pre-training run, read from TOML."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from narfast._files import open_regular
from narfast._settings import read_settings
from narfast.encoder_config import EncoderConfig
from narfast.errors import CorruptFileError
from narfast.taxonomy.splits import Split, standard_split
from narfast.training.augment import AugmentConfig

__all__ = ["DataConfig", "GraphStage", "MotifStage", "PretrainConfig"]


@dataclass(frozen=True)
class DataConfig:
    """Held-out families and libraries; in a file, ``split = "standard"`` means `standard_split`.

    Attributes:
        validation_families: For choosing settings.
        test_families: For the final report only.
        validation_libraries: Code bases for choosing settings.
        test_libraries: Code bases for the final report only.
    """

    validation_families: tuple[str, ...] = ()
    test_families: tuple[str, ...] = ()
    validation_libraries: tuple[str, ...] = ()
    test_libraries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, values in vars(self).items():
            if not all(isinstance(value, str) for value in values):
                raise ValueError(f"data.{name} must be a list of strings, not {list(values)!r}")

    @classmethod
    def standard(cls) -> DataConfig:
        """Return the names that the standard split holds out."""
        return cls(**{name: tuple(sorted(v)) for name, v in vars(standard_split()).items()})

    def split(self) -> Split:
        """Return the same names as a `Split`."""
        return Split(**{name: frozenset(values) for name, values in vars(self).items()})


@dataclass(frozen=True)
class MotifStage:
    """Motif-level pre-training: motifs against contexts.

    Attributes:
        epochs: Passes over all motif instances of the training networks; each pass draws one
            instance of each motif.
        batch_size: Motifs in a batch.
        learning_rate: Peak; a half cosine brings it to zero.
        weight_decay: Decoupled (AdamW).
        radius: Radius of a context in steps.
        negatives: Contexts of other motifs for each motif.
    """

    epochs: int = 5
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    radius: int = 2
    negatives: int = 4

    def __post_init__(self) -> None:
        _at_least_one("motif", self, "batch_size", "radius", "negatives")
        _at_most_one("motif", self, "learning_rate", "weight_decay")


@dataclass(frozen=True)
class GraphStage:
    """Graph-level pre-training: contrast over classes and classification.

    Attributes:
        epochs: Passes over the training networks.
        batch_size: Networks in a batch; each also occurs as an edited copy if ``augment`` edits.
        learning_rate: Peak for the macro encoder; a half cosine brings it to zero.
        motif_learning_rate: The same for the motif encoder; 0 freezes the motif encoder after
            motif-level pre-training.
        weight_decay: Decoupled (AdamW).
        temperature: Temperature of the contrastive loss.
        contrast: Weight of the contrastive loss.
        classify: Weight of the cross-entropy.
        consistency: Weight of 1 - cosine between a network and its edited copy.
        per_family: Members of one family drawn together, so that a batch has positives; 0 for
            uniform shuffling.
        family_cap: Maximum members of one family in an epoch; 0 for all.
        mix_libraries: Whether members of a family are drawn from its libraries in turn, so that
            positives come from different code bases; else in random order.
        positives: Positives of a network: ``family`` for others of its family, or ``itself`` for
            its edited copy (GraphCL).
    """

    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 1e-3
    motif_learning_rate: float = 1e-3
    weight_decay: float = 0.0
    temperature: float = 0.1
    contrast: float = 1.0
    classify: float = 1.0
    consistency: float = 0.0
    per_family: int = 0
    family_cap: int = 0
    mix_libraries: bool = False
    positives: str = "family"

    def __post_init__(self) -> None:
        _at_least_one("graph", self, "batch_size")
        _at_most_one("graph", self, "learning_rate", "motif_learning_rate", "weight_decay")
        if self.epochs and not (self.contrast or self.classify or self.consistency):
            raise ValueError("graph.contrast, classify and consistency are all 0: nothing to learn")
        if self.positives not in ("family", "itself"):
            raise ValueError(
                f"graph.positives must be 'family' or 'itself', not {self.positives!r}"
            )
        if not self.temperature > 0:
            raise ValueError(f"graph.temperature must be above zero, not {self.temperature!r}")


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of a run. The data determine ``operators`` and ``wide_size`` of ``encoder``.

    Attributes:
        name: A name for people.
        seed: All randomness derives from it.
        checkpoint_every: Epochs between checkpoints.
    """

    name: str = "unnamed"
    seed: int = 0
    checkpoint_every: int = 1
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    data: DataConfig = field(default_factory=DataConfig)
    motif: MotifStage = field(default_factory=MotifStage)
    graph: GraphStage = field(default_factory=GraphStage)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @classmethod
    def from_toml(cls, path: str | Path) -> PretrainConfig:
        """Read a configuration file.

        Raises:
            CorruptFileError: Unreadable, not TOML, an unknown setting, or an invalid value; the
                message names file and setting.
        """
        path = Path(path)
        try:
            with open_regular(path) as stream:
                document = tomllib.loads(stream.read().decode("utf-8"))
            return cls.from_dict(document)
        except OSError as error:
            raise CorruptFileError(f"{path}: cannot be read ({error.strerror})") from error
        except RecursionError:
            raise CorruptFileError(f"{path}: nested too deeply; see configs/default.toml") from None
        except ValueError as error:  # TOML and Unicode errors are ValueErrors too
            raise CorruptFileError(f"{path}: {error}; see configs/default.toml") from error

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> PretrainConfig:
        """Read plain values; raise ValueError that names the setting."""
        sections = {
            "encoder": EncoderConfig,
            "data": DataConfig,
            "motif": MotifStage,
            "graph": GraphStage,
            "augment": AugmentConfig,
        }
        values: dict[str, Any] = {}
        for name, value in document.items():
            if name == "data" and value == {"split": "standard"}:
                values[name] = DataConfig.standard()
            elif name == "data" and isinstance(value, dict) and "split" in value:
                raise ValueError("data.split must be 'standard', with nothing beside it")
            elif name in sections and isinstance(value, dict):
                values[name] = read_settings(sections[name], value, section=name)
            elif name in ("name", "seed", "checkpoint_every"):
                read_settings(cls, {name: value})
                values[name] = value
            else:
                raise ValueError(f"unknown or misplaced setting {name!r}")
        return cls(**values)

    def fingerprint(self) -> str:
        """SHA-256 of all settings; a run resumes only with the same settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def _at_least_one(section: str, stage: Any, *names: str) -> None:
    for name in names:
        if getattr(stage, name) < 1:
            raise ValueError(f"{section}.{name} must be at least 1, not {getattr(stage, name)!r}")


def _at_most_one(section: str, stage: Any, *names: str) -> None:
    for name in names:
        if getattr(stage, name) > 1:
            raise ValueError(f"{section}.{name} must be at most 1, not {getattr(stage, name)!r}")
