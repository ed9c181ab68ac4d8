"""Example inputs for models of transformers, from a model's configuration and forward signature.

The rules here are general; `special_cases` has the few models whose inputs follow no general rule.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

__all__ = ["Builder", "Sizes", "config_parts", "entry_point", "signature"]

TEXT = 16  # tokens of a text
TARGET = 8  # tokens of a decoder's text
# Configuration fields for the number of features of one frame of sound.
_BINS = (
    "feature_projection_input_dim",
    "input_dim",
    "num_mel_bins",
    "input_feat_per_channel",
    "input_feat_size",
    "n_mels",
    "feature_size",
    "mel_bins",
)

# Sides of images if the configuration has none, or has a side that the model cannot take.
IMAGE_SIDES = {
    "depth_pro": 1536,
    "janus_vqgan": 512,
    "pe_audio_video": 336,
    "pe_audio_video_encoder": 336,
    "pe_video": 336,
    "pe_video_encoder": 336,
    "rf_detr": 560,
    "tvp": 448,
}
_IMAGES = ("pixel_values", "image_position_ids", "image_sizes", "pixel_values_videos")
_SOUNDS = ("input_features", "input_features_mask", "input_values", "feature_attention_mask")
# Inputs that are left out. An image tokenizer turns images into integers before the network reads
# them; sounds of a text-to-speech model are a reference voice; and some models take one of two
# inputs.
_HIDDEN: dict[str, tuple[str, ...]] = {
    "apertus1p5": (*_IMAGES, *_SOUNDS),
    "chameleon": _IMAGES,
    "csm": ("input_values",),
    "emu3": _IMAGES,
    "glm_image": ("pixel_values", "image_grid_thw"),
    "pop2piano": ("input_ids",),
    "qwen3_omni_moe_talker_code_predictor": ("input_ids",),
    "speech-encoder-decoder": ("input_features",),
}


# Models whose images end each grid row with a special token, and their number of delimiter tokens.
ROWS_END: dict[str, int] = {"hunyuan_vl": 2, "hy_v4_vl": 0}
TEXT_ONLY = frozenset(
    [
        *_IMAGES,
        *_SOUNDS,
        "audio_values",
        "image_grid_thw",
        "mm_token_type_ids",
        "pixel_attention_mask",
        "spatial_shapes",
    ]
)


def hidden_names(config: Any) -> frozenset[str]:
    """Return optional parameters of forward that get no value."""
    names = set(_HIDDEN.get(config.model_type, ()))
    for part, inputs in (("vision_config", _IMAGES), ("audio_config", _SOUNDS)):
        if getattr(config, part, config) is None:  # the model does not have this optional part
            names.update(inputs)
    return frozenset(names)


class Sizes:
    """Looks up numbers in a configuration and in its inner configurations."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.parts: dict[str, Any] = {"": config}
        for name, value in vars(config).items():
            if hasattr(value, "model_type"):
                self.parts[name] = value

    def part(self, *words: str) -> Sizes:
        """Return the first inner configuration with one of the words in its name; else itself."""
        for word in words:
            for name, value in self.parts.items():
                if word in name:
                    return Sizes(value)
        return self

    def get(self, *names: str, default: Any = None) -> Any:
        """Return the first of `names` that the configuration or an inner one has set."""
        for part in self.parts.values():
            for name in names:
                value = getattr(part, name, None)
                if value is not None:
                    return value
        return default

    def integer(self, *names: str, default: int) -> int:
        """As `get`, but a list is replaced by its first number."""
        value = self.get(*names, default=default)
        while isinstance(value, (list, tuple)) and value:
            value = value[0]
        return value if isinstance(value, int) and not isinstance(value, bool) else default


def _pair(value: Any, default: int) -> tuple[int, int]:
    if isinstance(value, dict):
        side = value.get("shortest_edge")
        value = (value.get("height", side), value.get("width", side))
    if isinstance(value, int):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) >= 2 and all(value[:2]):
        return int(value[-2]), int(value[-1])
    if isinstance(value, (list, tuple)) and len(value) == 1:
        return int(value[0]), int(value[0])
    return default, default


def config_parts(config: Any) -> Iterator[Any]:
    """Yield a configuration and all its inner configurations."""
    yield config
    for value in list(vars(config).values()):
        if hasattr(value, "model_type") and value is not config:
            yield from config_parts(value)


def special_ids(config: Any) -> set[int]:
    """Return the ids of special tokens."""
    found: set[int] = set()
    for part in config_parts(config):
        for name, value in vars(part).items():
            if name.endswith(("_token_id", "_token_index", "_token_ids", "_id")):
                values = value if isinstance(value, (list, tuple)) else (value,)
                found.update(v for v in values if isinstance(v, int))
    return found


class Builder:
    """Makes the inputs of one model.

    Args:
        module: The model.
        config: Its configuration.
        names: Parameters of its forward method, with whether they are required.
    """

    def __init__(self, module: nn.Module, config: Any, names: dict[str, bool]) -> None:
        self.module = module
        self.config = config
        self.names = {n: r for n, r in names.items() if n not in hidden_names(config)}
        self.kind = type(module).__name__
        self.model_type: str = config.model_type
        self.sizes = Sizes(getattr(config, "vlm_config", config))
        getter = getattr(config, "get_text_config", None)
        self.text = Sizes(getter() if getter is not None else config)
        self.vision = self.sizes.part("vision", "image", "backbone", "vit", "encoder")
        self.audio = self.sizes.part("audio", "speech", "encoder")

    # Text

    @property
    def batch(self) -> tuple[int, ...]:
        """Return the leading sizes of all token inputs."""
        return (1, 2) if self.kind.endswith("ForMultipleChoice") else (1,)

    def ids(self, length: int = TEXT, vocabulary: int | None = None) -> torch.Tensor:
        """Return ordinary tokens; all different if the vocabulary is large enough."""
        vocabulary = vocabulary or self.vocabulary()
        special = special_ids(self.config)
        ordinary = [i for i in range(3, min(vocabulary, 4096)) if i not in special] or [0]
        row = [ordinary[i % len(ordinary)] for i in range(length)]
        return torch.tensor(row).expand(*self.batch, length).clone()

    def vocabulary(self) -> int:
        """Return the size of the vocabulary."""
        return self.text.integer("vocab_size", "n_vocab", default=0) or self.sizes.integer(
            "vocab_size", default=100
        )

    def input_ids(self) -> torch.Tensor:
        """Return a text with placeholders for its images and sounds."""
        tokens = self.ids(self.length())
        for kind, count in self.placeholders().items():
            token = self.token(kind)
            if token is not None and count:
                run = torch.full((*self.batch, count), token)
                tokens = torch.cat([tokens[..., :2], run, tokens[..., 2:]], dim=-1)
        eos = self.text.integer("eos_token_id", default=-1)
        if 0 <= eos < self.vocabulary():
            tokens[..., -1] = eos
        return tokens

    def length(self) -> int:
        """Return the number of tokens of a text."""
        return TEXT

    def token(self, kind: str) -> int | None:
        """Return the token that stands for an image, a video or a sound in the text."""
        names = (f"{kind}_token_id", f"{kind}_token_index", f"{kind}_patch_id")
        value = self.sizes.get(*names)
        return value if isinstance(value, int) else None

    def placeholders(self) -> dict[str, int]:
        """Return the number of placeholder tokens for each kind of other data."""
        counts: dict[str, int] = {}
        if "image_grid_thw" in self.names:
            counts["image"] = self.grid_places() // self.merge() ** 2
            if self.model_type in ROWS_END:
                rows = self.grid()[1] // self.merge()
                counts["image"] += rows + ROWS_END[self.model_type]
        elif {"pixel_values", "image_embeds"} & self.names.keys() and self.token("image"):
            counts["image"] = 4
        if {"input_features", "input_values", "audio_values"} & self.names.keys():
            counts["audio"] = 4
        return counts

    # Images

    def channels(self) -> int:
        """Return the channels of an image."""
        return self.vision.integer("num_channels", "in_channels", "in_chans", default=3)

    def image_size(self) -> tuple[int, int]:
        """Return height and width of an image."""
        side = IMAGE_SIDES.get(self.model_type)
        if side is not None:
            return side, side
        height, width = _pair(self.vision.get("image_size", "img_size", "input_size"), 224)
        shuffled = self.sizes.integer("scale_factor", "pixel_shuffle_factor", default=1)
        if self.model_type in _SEVERAL_IMAGES and shuffled > 1:  # squares of patches are merged
            unit = shuffled * self.vision.integer("patch_size", default=16)
            height, width = height // unit * unit, width // unit * unit
        return height, width

    def pixel_values(self) -> torch.Tensor:
        """Return one image in the model's layout."""
        if "image_grid_thw" in self.names or "grid_thw" in self.names:
            return self.patches()
        if "spatial_shapes" in self.names:
            side = self.vision.integer("patch_size", default=16)
            return self.floats(1, 16, self.channels() * side * side)
        size = self.image_size()
        if self.model_type == "seggpt":  # prompt above image
            size = (size[0] // 2, size[1])
        if self.model_type == "mllama":  # tiles of an image
            return self.floats(1, 1, 4, self.channels(), *size)
        views = _views(self, size)
        if views is not None:
            return self.floats(1, views, self.channels(), *size)
        return self.floats(1, self.channels(), *size)

    def merge(self) -> int:
        """Return the number of patches per side that become one token."""
        return self.vision.integer("spatial_merge_size", "merge_size", default=1)

    def grid(self) -> list[int]:
        """Return frames, rows and columns of patches."""
        return [1, 4 * self.merge(), 4 * self.merge()]

    def grid_places(self) -> int:
        """Return the number of patches of an image."""
        return math.prod(self.grid())

    def patches(self) -> torch.Tensor:
        """Return an image as a list of flat patches."""
        patch = self.vision.integer("patch_size", default=14)
        frames = self.vision.integer("temporal_patch_size", "patch_temporal", default=1)
        return self.floats(self.grid_places(), self.channels() * frames * patch * patch)

    def pixel_values_videos(self) -> torch.Tensor:
        """Return a video."""
        frames = self.vision.integer("num_frames", "frames_per_clip", default=8)
        return self.floats(1, frames, self.channels(), *self.image_size())

    # Sound

    def input_values(self) -> torch.Tensor:
        """Return a sound as a waveform, or as a list of frames."""
        bins = self.audio.integer("num_mel_bins", default=0)
        length = self.audio.integer("max_length", default=0)
        if bins and length and not self.sizes.get("conv_dim"):
            return self.floats(1, length, bins)
        channels = self.audio.integer("audio_channels", "num_channels", default=1)
        if self.model_type.startswith("pe_"):
            return self.floats(1, 1, 16000)
        codec = self.sizes.get("upsampling_ratios", "downsampling_ratios", "codebook_size")
        return self.floats(1, channels, 24000) if codec else self.floats(1, 16000)

    def input_features(self) -> torch.Tensor:
        """Return a sound as a spectrogram."""
        bins = self.audio.integer(*_BINS, default=80)
        positions = self.audio.integer("max_source_positions", default=0)
        if positions and self.audio.get("num_mel_bins"):
            return self.floats(1, bins, 2 * positions)
        if self.model_type.startswith("clap"):
            return self.floats(1, 1, 1001, bins)
        return self.floats(1, 128, bins)

    # Any

    def values(self, name: str) -> torch.Tensor:
        """Return the value of another input."""
        value: torch.Tensor = _MAKERS[name](self)
        return value

    def floats(self, *shape: int) -> torch.Tensor:
        """Return a tensor on the meta device."""
        return torch.empty(shape, device="meta")

    def make(self) -> dict[str, Any]:
        """Return the arguments of forward."""
        inputs: dict[str, Any] = {}
        for name, required in self.names.items():
            maker = _MAKERS.get(name)
            if maker is None:
                if required:
                    maker = _REQUIRED.get(name)
                if maker is None:
                    continue
            value = maker(self)
            if value is not None:
                inputs[name] = value
        return inputs


# Models with a separate axis for the images of one text.
_SEVERAL_IMAGES = frozenset(
    [
        "colmodernvbert",
        "idefics",
        "idefics2",
        "idefics3",
        "modernvbert",
        "smolvlm",
        "ultravbert",
    ]
)
_VIDEOS = frozenset({"timesformer", "videomae", "vivit"})  # videos are named pixel_values
_PAIRS = frozenset({"efficientloftr", "lightglue", "superglue"})


def _views(b: Builder, size: tuple[int, int]) -> int | None:
    """Return the number of images on the second axis of pixel_values; None for a colour axis."""
    if b.model_type in _SEVERAL_IMAGES:
        return 1
    if b.model_type in _PAIRS:
        return 2
    if b.model_type in _VIDEOS:
        return b.sizes.integer("num_frames", default=8)
    pinpoints = b.sizes.get("image_grid_pinpoints")
    if "image_sizes" in b.names and pinpoints:
        # The image as a whole, and the tiles of the smallest grid.
        smallest: int = min(h * w for h, w in pinpoints)
        return 1 + smallest // (size[0] * size[1])
    return None


def _target(b: Builder) -> torch.Tensor:
    if b.model_type == "dia":  # one token per channel
        channels = b.sizes.integer("num_channels", default=9)
        return b.ids(TARGET).unsqueeze(-1).repeat(1, 1, channels)
    return b.ids(TARGET)


def _token_kinds(b: Builder) -> torch.Tensor | None:
    """Return 1 for tokens that stand for a piece of an image, 2 for video, 3 for sound."""
    if "input_ids" not in b.names:
        return None
    tokens = b.input_ids()
    kinds = torch.zeros_like(tokens)
    for number, kind in enumerate(("image", "video", "audio"), start=1):
        token = b.token(kind)
        if token is not None:
            kinds[tokens == token] = number
    return kinds


def _boxes(b: Builder) -> torch.Tensor:
    """Return boxes of words on a page."""
    sides = b.sizes.integer("dim_bbox", default=4)
    if sides == 8:
        return b.floats(1, TEXT, 8)
    box = torch.tensor([10, 20, 30, 40])
    return box.expand(*b.batch, b.length(), 4).clone()


_CROSS = ("encoder_attn", "crossattention", "cross_attn", "EncDecAttention", "cross_attention")


def _encoder_states(b: Builder) -> torch.Tensor | None:
    """Return encoder states for a decoder without its encoder."""
    if "decoder_input_ids" in b.names or not any(
        name.rpartition(".")[2] in _CROSS for name, _ in b.module.named_modules()
    ):
        return None
    width = b.sizes.integer(
        "encoder_hidden_size", "cross_attention_hidden_size", "encoder_width", "d_model",
        "hidden_size", default=64,
    )  # fmt: skip
    return b.floats(1, TEXT, width)


def _sound_mask(b: Builder) -> torch.Tensor | None:
    if "input_features" not in b.names:
        return None
    shape = b.input_features().shape
    bins = b.audio.integer(*_BINS, default=80)
    frames = shape[1] if shape[-1] == bins else shape[-1]
    return torch.ones(1, frames, dtype=torch.int64)


def _image_sizes(b: Builder) -> torch.Tensor | None:
    wanted = b.sizes.get("image_grid_pinpoints") or b.vision.config.model_type == "pixtral"
    wanted = wanted or b.names["image_sizes"]
    return torch.tensor([list(b.image_size())]) if wanted and "pixel_values" in b.names else None


def _series(b: Builder, length: int) -> torch.Tensor:
    channels = b.sizes.integer("num_input_channels", "input_size", default=1)
    if b.sizes.get("num_input_channels") is None and channels == 1:
        return b.floats(1, length)
    return b.floats(1, length, channels)


def _lagged(b: Builder) -> int:
    """Return the number of past steps that a series with lags needs."""
    lags: list[int] = b.sizes.get("lags_sequence", default=[0]) or [0]
    horizon = b.sizes.integer("prediction_length", default=24)
    return b.sizes.integer("context_length", default=horizon) + max(lags)


def _time_features(b: Builder, length: int) -> torch.Tensor:
    return b.floats(1, length, b.sizes.integer("num_time_features", default=1))


def _categories(b: Builder) -> torch.Tensor | None:
    count = b.sizes.integer("num_static_categorical_features", default=0)
    return torch.zeros(1, count, dtype=torch.int64) if count else None


def _horizon(b: Builder) -> int:
    return b.sizes.integer("prediction_length", default=24)


_Maker = Callable[[Builder], Any]
# Inputs that are given if forward takes them.
_MAKERS: dict[str, _Maker] = {
    "input_ids": Builder.input_ids,
    "decoder_input_ids": _target,
    "mm_token_type_ids": _token_kinds,
    "bbox": _boxes,
    "encoder_hidden_states": _encoder_states,
    "input_features_mask": _sound_mask,
    "feature_attention_mask": _sound_mask,
    "image_sizes": _image_sizes,
    "states": lambda b: b.floats(1, TEXT, b.sizes.integer("state_dim", default=17)),
    "actions": lambda b: b.floats(1, TEXT, b.sizes.integer("act_dim", "action_dim", default=4)),
    "rewards": lambda b: b.floats(1, TEXT, 1),
    "returns_to_go": lambda b: b.floats(1, TEXT, 1),
    "timesteps": lambda b: torch.arange(TEXT).unsqueeze(0) if "states" in b.names else None,
    "aspect_ratio_ids": lambda b: torch.ones(1, 1, dtype=torch.int64),
    "aspect_ratio_mask": lambda b: torch.ones(1, 1, 4, dtype=torch.int64),
    "past_values": lambda b: _series(b, _lagged(b)),
    "past_time_features": lambda b: _time_features(b, _lagged(b)),
    "past_observed_mask": lambda b: torch.ones_like(b.values("past_values")),
    "future_values": lambda b: _series(b, _horizon(b)),
    "future_time_features": lambda b: _time_features(b, _horizon(b)),
    "static_categorical_features": _categories,
    "visual_embeds": lambda b: b.floats(
        *b.batch, 8, b.sizes.integer("visual_embedding_dim", default=512)
    ),
    "visual_feats": lambda b: b.floats(1, 8, b.sizes.integer("visual_feat_dim", default=2048)),
    "visual_pos": lambda b: b.floats(1, 8, b.sizes.integer("visual_pos_dim", default=4)),
    "spatial_shapes": lambda b: torch.tensor([[4, 4]]),
    "pixel_attention_mask": lambda b: (
        torch.ones(1, 16, dtype=torch.int64) if "spatial_shapes" in b.names else None
    ),
    "pixel_values": Builder.pixel_values,
    "input_values": Builder.input_values,
    "input_features": Builder.input_features,
    "image_grid_thw": lambda b: torch.tensor([b.grid()]),
    "grid_thw": lambda b: torch.tensor([b.grid()]),
    "use_cache": lambda b: False,
}
# Inputs that are given only if forward requires them.
_REQUIRED: dict[str, _Maker] = {
    "attention_mask": lambda b: torch.ones(1, TEXT, dtype=torch.int64),
    "pixel_values_videos": Builder.pixel_values_videos,
    "hidden_states": lambda b: (
        b.patches()
        if "grid_thw" in b.names
        else b.floats(1, TEXT, b.sizes.integer("input_dim", "hidden_size", default=64))
    ),
    "qformer_input_ids": lambda b: b.ids(),
    "mask": lambda b: torch.ones(1, 128, dtype=torch.bool),
    "query_embeds": lambda b: b.floats(1, 32, b.sizes.integer("hidden_size", default=768)),
    "prompt_pixel_values": Builder.pixel_values,
    "prompt_masks": Builder.pixel_values,
    "spectrogram": lambda b: b.floats(
        1, 64, b.sizes.integer("model_in_dim", "num_mel_bins", default=80)
    ),
    "audio_mel": lambda b: b.floats(1, 64, b.sizes.integer("input_feat_size", default=128)),
    "audio_mel_mask": lambda b: torch.zeros(1, 64, dtype=torch.bool),
    "bool_masked_pos": lambda b: None,
    "inputs_embeds": lambda b: b.floats(1, TEXT, b.text.integer("hidden_size", default=64)),
}


def entry_point(module: nn.Module) -> Any:
    """Return the method to call: forward, or ``encode`` of a model such as an image tokenizer."""
    if type(module).forward is nn.Module.forward and hasattr(module, "encode"):
        return module.encode
    return module


def signature(module: nn.Module) -> dict[str, bool]:
    """Return the parameters of forward, and whether each is required."""
    called = entry_point(module)
    return {
        p.name: p.default is p.empty
        for p in inspect.signature(getattr(called, "forward", called)).parameters.values()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
