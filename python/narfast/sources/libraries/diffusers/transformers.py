"""Example inputs of diffusers' transformers, by class; helpers are in `inputs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from narfast.sources.libraries.diffusers.inputs import (
    SIDE,
    TEXT,
    Recipe,
    integers,
    mask,
    real,
    side_of,
)

__all__ = ["RECIPES"]


def _dit(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, *side_of(config)),
        "timestep": real(1),
        "class_labels": integers(1),
    }


def _pixart(config: Any) -> dict[str, Any]:
    added: dict[str, Any] = {"resolution": None, "aspect_ratio": None}
    use = config.use_additional_conditions
    if use or (use is None and config.sample_size == 128):
        added = {"resolution": real(1, 2), "aspect_ratio": real(1, 1)}
    return {
        "hidden_states": real(1, config.in_channels, *side_of(config)),
        "encoder_hidden_states": real(
            1, TEXT, config.caption_channels or config.cross_attention_dim
        ),
        "timestep": real(1),
        "added_cond_kwargs": added,
    }


def _sd3(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, 64, 64),
        "encoder_hidden_states": real(1, TEXT, config.joint_attention_dim),
        "pooled_projections": real(1, config.pooled_projection_dim),
        "timestep": real(1),
    }


def _sd3_control(config: Any) -> dict[str, Any]:
    channels = config.in_channels + config.extra_conditioning_channels
    return {**_sd3(config), "controlnet_cond": real(1, channels, 64, 64)}


def _flux(config: Any) -> dict[str, Any]:
    axes = len(config.axes_dims_rope)
    inputs: dict[str, Any] = {
        "hidden_states": real(1, 64, config.in_channels),
        "encoder_hidden_states": real(1, TEXT, config.joint_attention_dim),
        "timestep": real(1),
        "img_ids": real(64, axes),
        "txt_ids": real(TEXT, axes),
    }
    return inputs


def _with(base: Recipe, **more: Callable[[Any], Any]) -> Recipe:
    """Return a recipe that adds inputs to another's; None values are left out."""

    def extended(config: Any) -> dict[str, Any]:
        added = {name: make(config) for name, make in more.items()}
        return {**base(config), **{k: v for k, v in added.items() if v is not None}}

    return extended


def _pooled(config: Any) -> torch.Tensor | None:
    width = config.get("pooled_projection_dim")
    return real(1, width) if width else None


def _guidance(config: Any) -> torch.Tensor | None:
    return real(1) if config.get("guidance_embeds") else None


_FLUX_LIKE = _with(_flux, pooled_projections=_pooled, guidance=_guidance)


def _flux_3(config: Any) -> dict[str, Any]:
    return {
        **_flux(config),
        "image_cond_hidden_states": real(1, 64, config.cond_in_channels),
        "image_cond_ids": real(64, 4),
    }


def _aura_flow(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, SIDE, SIDE),
        "encoder_hidden_states": real(1, TEXT, config.joint_attention_dim),
        "timestep": real(1),
    }


def _hunyuan_dit(config: Any) -> dict[str, Any]:
    height, width = side_of(config)
    patches = (height // config.patch_size) * (width // config.patch_size)
    head = config.attention_head_dim
    return {
        "hidden_states": real(1, config.in_channels, height, width),
        "timestep": real(1),
        "encoder_hidden_states": real(1, config.text_len, config.cross_attention_dim),
        "text_embedding_mask": real(1, config.text_len),
        "encoder_hidden_states_t5": real(1, config.text_len_t5, config.cross_attention_dim_t5),
        "text_embedding_mask_t5": real(1, config.text_len_t5),
        "image_meta_size": real(1, 6),
        "style": integers(1),
        "image_rotary_emb": (real(patches, head), real(patches, head)),
    }


def _lumina_next(config: Any) -> dict[str, Any]:
    head = config.hidden_size // config.num_attention_heads
    rotary = torch.zeros(384, 384, head // 2, dtype=torch.complex64, device="meta")
    return {
        "hidden_states": real(1, config.in_channels, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.cross_attention_dim),
        "encoder_mask": mask(1, TEXT),
        "image_rotary_emb": rotary,
        "cross_attention_kwargs": {},
    }


def _lumina_2(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.cap_feat_dim),
        "encoder_attention_mask": mask(1, TEXT),
    }


def _sana(config: Any) -> dict[str, Any]:
    inputs = {
        "hidden_states": real(1, config.in_channels, *side_of(config)),
        "encoder_hidden_states": real(1, TEXT, config.caption_channels),
        "timestep": real(1),
    }
    if config.get("guidance_embeds"):
        inputs["guidance"] = real(1)
    return inputs


def _sana_video(config: Any) -> dict[str, Any]:
    return {**_sana(config), "hidden_states": real(1, config.in_channels, 3, SIDE, SIDE)}


def _prior(config: Any) -> dict[str, Any]:
    width = config.embedding_dim
    inputs = {
        "hidden_states": real(1, width),
        "timestep": real(1),
        "proj_embedding": real(1, config.embedding_proj_dim or width),
    }
    if config.encoder_hid_proj_type:
        inputs["encoder_hidden_states"] = real(1, config.num_embeddings, width)
    return inputs


def _cogvideox(config: Any) -> dict[str, Any]:
    patch, patch_t = config.patch_size, config.get("patch_size_t") or 1
    frames = (config.sample_frames - 1) // config.temporal_compression_ratio + 1
    frames += frames % patch_t
    height, width = config.sample_height, config.sample_width
    inputs: dict[str, Any] = {
        "hidden_states": real(1, frames, config.in_channels, height, width),
        "encoder_hidden_states": real(1, config.max_text_seq_length, config.text_embed_dim),
        "timestep": real(1),
    }
    if config.get("ofs_embed_dim"):
        inputs["ofs"] = real(1)
    if config.use_rotary_positional_embeddings:
        patches = (frames // patch_t) * (height // patch) * (width // patch)
        head = config.attention_head_dim
        inputs["image_rotary_emb"] = (real(patches, head), real(patches, head))
    return inputs


def _cogview(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, 64, 64),
        "encoder_hidden_states": real(1, TEXT, config.text_embed_dim),
        "timestep": real(1),
        "original_size": real(1, 2),
        "target_size": real(1, 2),
        "crop_coords": real(1, 2),
    }


def _glm_image(config: Any) -> dict[str, Any]:
    patches = (64 // config.patch_size) ** 2
    inputs = {
        **_cogview(config),
        "prior_token_id": integers(1, patches),
        "prior_token_drop": torch.zeros(1, patches, dtype=torch.bool, device="meta"),
    }
    inputs.pop("original_size")
    return inputs


def _wan(config: Any) -> dict[str, Any]:
    inputs = {
        "hidden_states": real(1, config.in_channels, 3, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.text_dim),
    }
    if config.get("image_dim"):
        inputs["encoder_hidden_states_image"] = real(1, 257, config.image_dim)
    return inputs


def _wan_vace(config: Any) -> dict[str, Any]:
    return {
        **_wan(config),
        "control_hidden_states": real(1, config.vace_in_channels, 3, SIDE, SIDE),
        "control_hidden_states_scale": real(len(config.vace_layers)),
    }


def _wan_animate(config: Any) -> dict[str, Any]:
    size = config.motion_encoder_size
    return {
        **_wan(config),
        "pose_hidden_states": real(1, config.latent_channels, 2, SIDE, SIDE),
        "face_pixel_values": real(1, 3, 5, size, size),
    }


def _ltx(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, 2 * 4 * 4, config.in_channels),
        "encoder_hidden_states": real(1, TEXT, config.caption_channels),
        "timestep": real(1),
        "encoder_attention_mask": real(1, TEXT),
        "num_frames": 2,
        "height": 4,
        "width": 4,
    }


def _ltx_2(config: Any) -> dict[str, Any]:
    return {
        **_ltx(config),
        "audio_hidden_states": real(1, 16, config.audio_in_channels),
        "audio_encoder_hidden_states": real(1, TEXT, config.caption_channels),
        "audio_encoder_attention_mask": real(1, TEXT),
        "audio_num_frames": 16,
    }


def _mochi(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, 2, SIDE, SIDE),
        "encoder_hidden_states": real(1, config.max_sequence_length, config.text_embed_dim),
        "timestep": real(1),
        "encoder_attention_mask": mask(1, config.max_sequence_length),
    }


def _allegro(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, 2, SIDE, SIDE),
        "encoder_hidden_states": real(1, TEXT, config.caption_channels),
        "timestep": real(1),
    }


def _latte(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, config.video_length, *side_of(config)),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.caption_channels),
    }


def _cosmos(config: Any) -> dict[str, Any]:
    width = config.encoder_hidden_states_channels
    if config.use_crossattn_projection:
        width = config.crossattn_proj_in_channels
    inputs = {
        "hidden_states": real(1, config.in_channels, 2, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, width),
    }
    if config.concat_padding_mask:
        inputs["padding_mask"] = real(1, 1, 8 * SIDE, 8 * SIDE)
    return inputs


def _hunyuan_video(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, 2, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.text_embed_dim),
        "encoder_attention_mask": mask(1, TEXT),
    }


def _hunyuan_video_15(config: Any) -> dict[str, Any]:
    return {
        **_hunyuan_video(config),
        "encoder_hidden_states_2": real(1, 16, config.text_embed_2_dim),
        "encoder_attention_mask_2": mask(1, 16),
        "image_embeds": real(1, 16, config.image_embed_dim),
    }


def _hunyuan_image(config: Any) -> dict[str, Any]:
    rank = len(config.patch_size)
    frames = () if rank == 2 else (1,)
    inputs = {
        "hidden_states": real(1, config.in_channels, *frames, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.text_embed_dim),
        "encoder_attention_mask": mask(1, TEXT),
    }
    if config.text_embed_2_dim:
        inputs["encoder_hidden_states_2"] = real(1, 16, config.text_embed_2_dim)
        inputs["encoder_attention_mask_2"] = mask(1, 16)
    if config.guidance_embeds:
        inputs["guidance"] = real(1)
    return inputs


def _qwen_image(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, 64, config.in_channels),
        "encoder_hidden_states": real(1, TEXT, config.joint_attention_dim),
        "timestep": real(1),
        "img_shapes": [(1, 8, 8)],
    }


def _stable_audio(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, config.sample_size),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.cross_attention_input_dim),
        "global_hidden_states": real(1, 1, config.global_states_input_dim),
        "rotary_embedding": (
            real(config.sample_size + 1, config.attention_head_dim // 2),
            real(config.sample_size + 1, config.attention_head_dim // 2),
        ),
    }


def _stable_audio_3(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.io_channels, 64),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.cond_token_dim),
        "global_hidden_states": real(1, config.global_cond_dim),
        "local_add_cond": real(1, config.local_add_cond_dim, 64),
    }


def _t5_film(config: Any) -> dict[str, Any]:
    return {
        "encodings_and_masks": [(real(1, TEXT, config.d_model), mask(1, TEXT))],
        "decoder_input_tokens": real(1, config.targets_length, config.input_dims),
        "decoder_noise_time": real(1),
    }


def _easy_animate(config: Any) -> dict[str, Any]:
    inputs = {
        "hidden_states": real(1, config.out_channels, 2, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.text_embed_dim),
    }
    extra = config.in_channels - config.out_channels
    if extra:
        inputs["control_latents"] = real(1, extra, 2, SIDE, SIDE)
    if config.text_embed_dim_t5:
        inputs["encoder_hidden_states_t5"] = real(1, TEXT, config.text_embed_dim_t5)
    return inputs


def _hidream(config: Any) -> dict[str, Any]:
    t5, llama = config.caption_channels
    return {
        "hidden_states": real(1, config.in_channels, 64, 64),
        "timesteps": real(1),
        "encoder_hidden_states_t5": real(1, TEXT, t5),
        "encoder_hidden_states_llama3": real(max(config.llama_layers) + 1, 1, TEXT, llama),
        "pooled_embeds": real(1, config.text_emb_dim),
    }


def _prx(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.context_in_dim),
    }


def _z_image(config: Any) -> dict[str, Any]:
    return {
        "x": [real(config.in_channels, 1, SIDE, SIDE)],
        "t": real(1),
        "cap_feats": [real(TEXT, config.cap_feat_dim)],
    }


def _joy_image(config: Any) -> dict[str, Any]:
    return {
        "hidden_states": real(1, config.in_channels, 1, SIDE, SIDE),
        "timestep": real(1),
        "encoder_hidden_states": real(1, TEXT, config.text_dim),
    }


def _kandinsky_5(config: Any) -> dict[str, Any]:
    channels = 2 * config.in_visual_dim + 1 if config.visual_cond else config.in_visual_dim
    return {
        "hidden_states": real(1, 2, SIDE, SIDE, channels),
        "encoder_hidden_states": real(1, TEXT, config.in_text_dim),
        "timestep": real(1),
        "pooled_projections": real(1, config.in_text_dim2),
        "visual_rope_pos": [torch.arange(2), torch.arange(16), torch.arange(16)],
        "text_rope_pos": torch.arange(TEXT),
    }


RECIPES: dict[str, Recipe] = {
    "AllegroTransformer3DModel": _allegro,
    "AnyFlowTransformer3DModel": _with(
        _wan,
        hidden_states=lambda c: real(1, 3, c.in_channels, SIDE, SIDE),
        timestep=lambda c: real(1, 3),
        r_timestep=lambda c: real(1, 3),
    ),
    "AuraFlowTransformer2DModel": _aura_flow,
    "BriaFiboTransformer2DModel": _with(
        _flux,
        text_encoder_layers=lambda c: [
            real(1, TEXT, c.text_encoder_dim) for _ in range(c.num_layers + c.num_single_layers)
        ],
    ),
    "BriaTransformer2DModel": _FLUX_LIKE,
    "ChromaTransformer2DModel": _flux,
    "ChronoEditTransformer3DModel": _wan,
    "CogVideoXTransformer3DModel": _cogvideox,
    "CogView3PlusTransformer2DModel": _cogview,
    "CogView4Transformer2DModel": _cogview,
    "ConsisIDTransformer3DModel": _cogvideox,
    "CosmosTransformer3DModel": _cosmos,
    "DiTTransformer2DModel": _dit,
    "EasyAnimateTransformer3DModel": _easy_animate,
    "Flux2Transformer2DModel": _with(_flux, guidance=_guidance),
    "Flux3Transformer2DModel": _flux_3,
    "FluxControlNetModel": _with(
        _FLUX_LIKE,
        controlnet_cond=lambda c: (
            real(1, c.conditioning_embedding_channels, 256, 256)
            if c.conditioning_embedding_channels
            else real(1, 64, c.in_channels)
        ),
        controlnet_mode=lambda c: integers(1, 1) if c.num_mode else None,
    ),
    "FluxTransformer2DModel": _FLUX_LIKE,
    "GlmImageTransformer2DModel": _glm_image,
    "HeliosTransformer3DModel": _wan,
    "HiDreamImageTransformer2DModel": _hidream,
    "HunyuanDiT2DControlNetModel": _with(
        _hunyuan_dit, controlnet_cond=lambda c: real(1, c.in_channels, *side_of(c))
    ),
    "HunyuanDiT2DModel": _hunyuan_dit,
    "HunyuanImageTransformer2DModel": _hunyuan_image,
    "HunyuanVideo15Transformer3DModel": _hunyuan_video_15,
    "HunyuanVideoTransformer3DModel": _with(
        _hunyuan_video, pooled_projections=_pooled, guidance=_guidance
    ),
    "JoyImageEditTransformer3DModel": _joy_image,
    "Kandinsky5Transformer3DModel": _kandinsky_5,
    "LTX2VideoTransformer3DModel": _ltx_2,
    "LTXVideoTransformer3DModel": _ltx,
    "LatteTransformer3DModel": _latte,
    "LongCatImageTransformer2DModel": _flux,
    "Lumina2Transformer2DModel": _lumina_2,
    "LuminaNextDiT2DModel": _lumina_next,
    "MochiTransformer3DModel": _mochi,
    "MotifVideoTransformer3DModel": _hunyuan_video,
    "OvisImageTransformer2DModel": _flux,
    "PRXTransformer2DModel": _prx,
    "PixArtTransformer2DModel": _pixart,
    "PriorTransformer": _prior,
    "QwenImageControlNetModel": _with(
        _qwen_image,
        controlnet_cond=lambda c: real(1, 64, c.in_channels + c.extra_condition_channels),
    ),
    "QwenImageTransformer2DModel": _with(_qwen_image, guidance=_guidance),
    "SD3ControlNetModel": _sd3_control,
    "SD3Transformer2DModel": _sd3,
    "SanaControlNetModel": _with(
        _sana, controlnet_cond=lambda c: real(1, c.in_channels, *side_of(c))
    ),
    "SanaTransformer2DModel": _sana,
    "SanaVideoTransformer3DModel": _sana_video,
    "SkyReelsV2Transformer3DModel": _wan,
    "StableAudio3DiTModel": _stable_audio_3,
    "StableAudioDiTModel": _stable_audio,
    "T5FilmDecoder": _t5_film,
    "WanAnimateTransformer3DModel": _wan_animate,
    "WanTransformer3DModel": _wan,
    "WanVACETransformer3DModel": _wan_vace,
    "ZImageTransformer2DModel": _z_image,
}
"""By class name; classes without a recipe are not listed."""
