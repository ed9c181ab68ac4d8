"""Example inputs of diffusers' U-Nets and autoencoders by class; configurations give the shapes.

Timesteps are floating-point numbers, so that the trace has the operators that read them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["RECIPES", "SIDE", "TEXT", "Recipe", "integers", "mask", "real", "side_of"]

Recipe = Callable[[Any], dict[str, Any]]
"""Returns keyword arguments of ``forward`` for ``module.config``."""


TEXT = 32  # tokens of a prompt
SIDE = 32  # height and width of latents if the size is free


def real(*shape: int) -> torch.Tensor:
    """Return floating-point numbers on the meta device."""
    return torch.empty(*shape, device="meta")


def integers(*shape: int) -> torch.Tensor:
    """Return labels or token ids."""
    return torch.zeros(*shape, dtype=torch.int64, device="meta")


def mask(*shape: int) -> torch.Tensor:
    """Return ones as real numbers: if a network is run for real, no token is padding."""
    return torch.ones(*shape, dtype=torch.bool)


def side_of(config: Any) -> tuple[int, int]:
    """Return height and width that a configuration fixes."""
    size = config.get("sample_size") or SIDE
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    return int(height), int(width)


def _last(value: Any) -> int:
    """Return the last width of a field that may have one width per block."""
    while isinstance(value, (tuple, list)):
        value = value[-1]
    return int(value)


# ---- U-Nets and their control networks


def _unet_2d(config: Any) -> dict[str, Any]:
    inputs = {"sample": real(1, config.in_channels, *side_of(config)), "timestep": real(1)}
    if config.num_class_embeds:
        inputs["class_labels"] = integers(1)
    return inputs


def _conditions(config: Any) -> dict[str, Any]:
    """Return prompt, class and size for a conditional U-Net or its control network."""
    width = _last(config.get("encoder_hid_dim") or config.cross_attention_dim)
    inputs: dict[str, Any] = {"timestep": real(1), "encoder_hidden_states": real(1, TEXT, width)}
    if config.get("num_class_embeds"):
        inputs["class_labels"] = integers(1)
    kind = config.get("class_embed_type")
    if kind in ("projection", "simple_projection"):
        inputs["class_labels"] = real(1, config.projection_class_embeddings_input_dim)
    elif kind == "timestep":
        inputs["class_labels"] = real(1)
    elif kind == "identity":
        inputs["class_labels"] = real(1, config.block_out_channels[0] * 4)
    if config.get("time_cond_proj_dim"):
        inputs["timestep_cond"] = real(1, config.time_cond_proj_dim)
    added: dict[str, Any] = {}
    addition = config.get("addition_embed_type")
    if addition == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        if pooled <= 0 or pooled % 256:  # five numbers describe place and quality, instead of six
            pooled += config.addition_time_embed_dim
        numbers = (
            config.projection_class_embeddings_input_dim - pooled
        ) // config.addition_time_embed_dim
        added = {"text_embeds": real(1, pooled), "time_ids": real(1, numbers)}
    elif addition == "text_image":
        added = {"image_embeds": real(1, 768), "text_embeds": real(1, config.cross_attention_dim)}
    elif addition in ("image", "image_hint"):
        added = {"image_embeds": real(1, width)}
        if addition == "image_hint":
            added["hint"] = real(1, 3, 8 * SIDE, 8 * SIDE)
    if config.get("encoder_hid_dim_type") in ("text_image_proj", "image_proj"):
        added.setdefault("image_embeds", real(1, width))
    if added:
        inputs["added_cond_kwargs"] = added
    return inputs


def _unet_2d_condition(config: Any) -> dict[str, Any]:
    hint = config.get("addition_embed_type") == "image_hint"  # its four channels are added inside
    channels = config.in_channels - 4 if hint else config.in_channels
    inputs = {"sample": real(1, channels, SIDE, SIDE), **_conditions(config)}
    if isinstance(config.cross_attention_dim, (tuple, list)):
        inputs["encoder_hidden_states"] = None  # AudioLDM: every block attends to itself
    return inputs


def _control(config: Any) -> dict[str, Any]:
    channels = config.get("conditioning_channels") or config.get("ctrl_conditioning_channels")
    inputs = {
        "sample": real(1, config.get("in_channels") or 4, SIDE, SIDE),
        "controlnet_cond": real(1, channels, 8 * SIDE, 8 * SIDE),
        **_conditions(config),
    }
    return inputs


def _control_union(config: Any) -> dict[str, Any]:
    inputs = _control(config)
    condition = inputs.pop("controlnet_cond")
    return {
        **inputs,
        "controlnet_cond": [condition],
        "control_type": real(1, config.num_control_type),
        "control_type_idx": [0],
    }


def _sparse_control(config: Any) -> dict[str, Any]:
    frames = 8
    scale = 1 if config.use_simplified_condition_embedding else 8  # latents or pixels
    side = scale * SIDE
    return {
        "sample": real(1, config.in_channels, frames, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(frames, TEXT, config.cross_attention_dim),
        "controlnet_cond": real(1, config.conditioning_channels, frames, side, side),
        "conditioning_mask": real(1, 1, frames, side, side),
    }


def _unet_3d(config: Any) -> dict[str, Any]:
    return {"sample": real(1, config.in_channels, 8, SIDE, SIDE), **_conditions(config)}


def _unet_motion(config: Any) -> dict[str, Any]:
    prompt = real(8, TEXT, config.cross_attention_dim)  # one for each frame
    return {**_unet_3d(config), "encoder_hidden_states": prompt}


def _i2vgen(config: Any) -> dict[str, Any]:
    width = config.cross_attention_dim
    return {
        "sample": real(1, config.in_channels, 8, SIDE, SIDE),
        "timestep": real(1),
        "fps": real(1),
        "image_latents": real(1, config.in_channels, 8, SIDE, SIDE),
        "image_embeddings": real(1, width),
        "encoder_hidden_states": real(1, TEXT, width),
    }


def _unet_spatio_temporal(config: Any) -> dict[str, Any]:
    numbers = config.projection_class_embeddings_input_dim // config.addition_time_embed_dim
    return {
        "sample": real(1, 8, config.in_channels, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, 1, _last(config.cross_attention_dim)),
        "added_time_ids": real(1, numbers),
    }


def _kandinsky_3(config: Any) -> dict[str, Any]:
    return {
        "sample": real(1, config.in_channels, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.encoder_hid_dim),
        "encoder_attention_mask": real(1, TEXT),
    }


def _stable_cascade(config: Any) -> dict[str, Any]:
    inputs = {
        "sample": real(1, config.in_channels, SIDE, SIDE),
        "timestep_ratio": real(1),
        "clip_text_pooled": real(1, 1, config.clip_text_pooled_in_channels),
    }
    if config.clip_text_in_channels:
        inputs["clip_text"] = real(1, TEXT, config.clip_text_in_channels)
    if config.clip_image_in_channels:
        inputs["clip_img"] = real(1, 1, config.clip_image_in_channels)
    if config.effnet_in_channels:
        inputs["effnet"] = real(1, config.effnet_in_channels, 8, 8)
    return inputs


def _uvit(config: Any) -> dict[str, Any]:
    return {
        "input_ids": integers(1, config.sample_size, config.sample_size),
        "encoder_hidden_states": real(1, TEXT, config.encoder_hidden_size),
        "pooled_text_emb": real(1, config.cond_embed_dim),
        "micro_conds": real(1, 5),
    }


def _t2i_adapter(config: Any) -> dict[str, Any]:
    return {"x": real(1, config.in_channels, 16 * SIDE, 16 * SIDE)}


# ---- Autoencoders


def _image(config: Any) -> dict[str, Any]:
    return {"sample": real(1, config.get("in_channels") or 3, 256, 256)}


def _image_and_mask(config: Any) -> dict[str, Any]:
    return {**_image(config), "mask": real(1, 1, 256, 256)}


def _image_of_encoder(config: Any) -> dict[str, Any]:
    size = config.encoder_input_size
    return {"sample": real(1, 3, size, size)}


def _video(config: Any) -> dict[str, Any]:
    return {"sample": real(1, config.get("in_channels") or 3, 9, 256, 256)}


def _mochi_video(config: Any) -> dict[str, Any]:
    return {"sample": real(1, 3, 6, 256, 256)}  # its channels include Fourier features


def _chunked_video(config: Any) -> dict[str, Any]:
    # One frame, then four at a time: each chunk passes through all layers again.
    return {"sample": real(1, config.get("in_channels") or 3, 5, 256, 256)}


def _one_frame(config: Any) -> dict[str, Any]:
    return {"sample": real(1, config.in_channels, 1, 256, 256)}


def _ltx_video(config: Any) -> dict[str, Any]:
    inputs = _video(config)
    if config.timestep_conditioning:
        inputs["temb"] = real(1)
    return inputs


def _frames(config: Any) -> dict[str, Any]:
    return {"sample": real(4, config.in_channels, 256, 256), "num_frames": 4}


def _stereo(config: Any) -> dict[str, Any]:
    return {"sample": real(1, config.audio_channels, 16 * 2048)}


RECIPES: dict[str, Recipe] = {
    "AsymmetricAutoencoderKL": _image_and_mask,
    "AutoencoderDC": _image,
    "AutoencoderKL": _image,
    "AutoencoderKLCogVideoX": _video,
    "AutoencoderKLCosmos": _video,
    "AutoencoderKLFlux2": _image,
    "AutoencoderKLHunyuanImage": _image,
    "AutoencoderKLHunyuanImageRefiner": _video,
    "AutoencoderKLHunyuanVideo": _video,
    "AutoencoderKLHunyuanVideo15": _video,
    "AutoencoderKLKVAE": _image,
    "AutoencoderKLKVAEVideo": _video,
    "AutoencoderKLLTX2Video": _video,
    "AutoencoderKLLTXVideo": _ltx_video,
    "AutoencoderKLMagvit": _video,
    "AutoencoderKLMochi": _mochi_video,
    "AutoencoderKLQwenImage": _chunked_video,
    "AutoencoderKLQwenImage21": _one_frame,
    "AutoencoderKLTemporalDecoder": _frames,
    "AutoencoderKLWan": _chunked_video,
    "AutoencoderOobleck": _stereo,
    "AutoencoderRAE": _image_of_encoder,
    "AutoencoderTiny": _image,
    "AutoencoderVidTok": _video,
    "ControlNetModel": _control,
    "ControlNetUnionModel": _control_union,
    "DreamLiteUNetModel": _unet_2d_condition,
    "I2VGenXLUNet": _i2vgen,
    "Kandinsky3UNet": _kandinsky_3,
    "Kandinsky6SRVAE": _video,
    "SparseControlNetModel": _sparse_control,
    "StableCascadeUNet": _stable_cascade,
    "T2IAdapter": _t2i_adapter,
    "UNet2DConditionModel": _unet_2d_condition,
    "UNet2DModel": _unet_2d,
    "UNet3DConditionModel": _unet_3d,
    "UNetControlNetXSModel": _control,
    "UNetMotionModel": _unet_motion,
    "UNetSpatioTemporalConditionModel": _unet_spatio_temporal,
    "UVit2DModel": _uvit,
    "VQModel": _image,
}
"""By class name; classes without a recipe are not listed."""
