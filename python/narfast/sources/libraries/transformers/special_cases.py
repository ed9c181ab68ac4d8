"""Inputs of models of transformers that follow no general rule, by model type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from narfast.sources.libraries.transformers.inputs import Builder

__all__ = ["SPECIAL"]


def _ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.int64)


def _length(inputs: dict[str, Any]) -> int:
    length: int = inputs["input_ids"].shape[-1]
    return length


def _square(b: Builder) -> int:
    return b.vision.integer("patch_size", default=14)


def _square_patches(b: Builder, inputs: dict[str, Any]) -> None:
    if "pixel_values" in inputs:
        inputs["pixel_values"] = b.floats(b.grid_places(), b.channels(), _square(b), _square(b))


def _sequence_of_patches(b: Builder, inputs: dict[str, Any]) -> None:
    if "pixel_values" in inputs:
        inputs["pixel_values"] = b.floats(1, b.grid_places(), b.channels(), _square(b), _square(b))


def _batch_of_patches(b: Builder, inputs: dict[str, Any]) -> None:
    if "pixel_values" in inputs:
        inputs["pixel_values"] = b.patches().unsqueeze(0)


def _blocks_of_patches(b: Builder, inputs: dict[str, Any]) -> None:
    if "pixel_values" in inputs:
        side = b.merge() * _square(b)
        inputs["pixel_values"] = b.floats(b.grid_places(), side, side, b.channels())


def _cubes(b: Builder, inputs: dict[str, Any]) -> None:
    if "pixel_values" in inputs:
        frames = b.vision.integer("temporal_patch_size", default=2)
        inputs["pixel_values"] = b.floats(4, frames, _square(b), _square(b), b.channels())


def _flat_patches(count: int | None = None, batch: bool = False) -> _Adjust:
    def adjust(b: Builder, inputs: dict[str, Any]) -> None:
        if "pixel_values" in inputs:
            places = count or b.vision.integer("num_position_embeddings", default=16)
            shape = (places, b.channels() * _square(b) ** 2)
            inputs["pixel_values"] = b.floats(*((1, *shape) if batch else shape))

    return adjust


def _placed_patches(b: Builder, inputs: dict[str, Any]) -> None:
    side = 2 * b.vision.integer("pooling_kernel_size", default=3)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    places = torch.stack([columns.flatten(), rows.flatten()], dim=-1).unsqueeze(0)
    inputs["pixel_values"] = b.floats(1, side * side, 3 * _square(b) ** 2)
    inputs["pixel_position_ids"] = places


def _row_of_patches(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["pixel_values"] = b.floats(1, b.channels(), _square(b), 16 * _square(b))
    inputs["target_sizes"] = torch.tensor([[4, 4]])


def _flattened_patches(b: Builder, inputs: dict[str, Any]) -> None:
    width = b.sizes.integer("patch_embed_hidden_size", default=768)
    inputs["flattened_patches"] = b.floats(1, 64, width + 2)  # and its row and column


def _merge_sizes(b: Builder, inputs: dict[str, Any]) -> None:
    for name in ("merge_sizes", "image_merge_sizes"):
        if name in b.names:
            inputs[name] = torch.tensor([b.merge()])


def _image_grid(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["image_grid_hw"] = torch.tensor([[4, 4]])
    inputs["pixel_values"] = b.floats(16, b.channels() * _square(b) ** 2)


def _high_resolution(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["high_res_pixel_values"] = b.floats(1, 3, 1024, 1024)


def _frames(count: int | None = None) -> _Adjust:
    """Frames of a video: as a row, as several images, or as a separate axis."""

    def adjust(b: Builder, inputs: dict[str, Any]) -> None:
        frames = b.vision.integer("num_frames", default=8)
        size = inputs["pixel_values"].shape[-2:]
        shape = (frames,) if count is None else (1, count or frames)
        inputs["pixel_values"] = b.floats(*shape, 3, *size)

    return adjust


def _video(b: Builder, inputs: dict[str, Any]) -> None:
    inputs.pop("pixel_values", None)
    inputs["pixel_values_videos"] = b.pixel_values_videos()


def _image_mask(b: Builder, inputs: dict[str, Any]) -> None:
    if "pixel_values" in inputs:
        inputs["image_attention_mask"] = _ones(1, _length(inputs), 1)


def _tiles(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["pixel_attention_mask"] = _ones(1, inputs["pixel_values"].shape[0])


def _image_places(b: Builder, inputs: dict[str, Any]) -> None:
    count = b.sizes.integer("latent_query_num", default=64)
    inputs["input_ids"] = b.ids(count + 16)
    places = torch.zeros(1, count + 16, dtype=torch.int64)
    places[:, 2 : count + 2] = 1
    inputs["image_embeds_position_mask"] = places


def _features(*names: str, times: str = "", width: int = 0, frames: int = 128) -> _Adjust:
    """Frames of sound whose width comes from fields of the configuration."""

    def adjust(b: Builder, inputs: dict[str, Any]) -> None:
        size = width or b.audio.integer(*names, default=80)
        if times:
            size *= b.audio.integer(times, default=1)
        if "input_features" in inputs:
            inputs["input_features"] = b.floats(1, frames, size)
            for name in ("input_features_mask", "attention_mask"):
                if name in inputs and name in b.names:
                    inputs[name] = _ones(1, frames).bool()

    return adjust


def _stacked_features(b: Builder, inputs: dict[str, Any]) -> None:
    for name, part in b.module.named_modules():
        if name.endswith("input_linear"):
            inputs["input_features"] = b.floats(1, 128, int(part.in_features))


def _mel_first(b: Builder, inputs: dict[str, Any]) -> None:
    decoder = b.sizes.part("decoder")
    inputs["input_features"] = b.floats(1, decoder.integer("feature_size", default=80), 128)


def _windows(b: Builder, inputs: dict[str, Any]) -> None:
    window = 2 * b.audio.integer("n_window", default=50)
    if "input_features" in inputs:
        bins = b.audio.integer("num_mel_bins", default=128)
        inputs["input_features"] = b.floats(1, bins, 2 * window)
        for name in ("input_features_mask", "feature_attention_mask"):
            if name in inputs:
                inputs[name] = _ones(1, 2 * window)


def _chunks(b: Builder, inputs: dict[str, Any]) -> None:
    if "input_features" in inputs:
        frames = inputs["input_features"].shape[-1]
        inputs["chunk_sample_lengths"] = torch.tensor([160 * frames])


def _waveform(*shape: int) -> _Adjust:
    def adjust(b: Builder, inputs: dict[str, Any]) -> None:
        if "input_values" in inputs:
            inputs["input_values"] = b.floats(*shape)
            if "padding_mask" in b.names:
                inputs["padding_mask"] = _ones(1, shape[-1])

    return adjust


def _codebooks(*names: str, extra: int = 0, last: bool = False) -> _Adjust:
    """One token per codebook at each position of the text."""

    def adjust(b: Builder, inputs: dict[str, Any]) -> None:
        count = b.sizes.integer(*names, default=4) + extra
        name = "decoder_input_ids" if "decoder_input_ids" in inputs else "input_ids"
        tokens = b.ids(8, vocabulary=64)
        inputs[name] = tokens.unsqueeze(-1).repeat(1, 1, count) if last else tokens.repeat(count, 1)

    return adjust


def _latents(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["latents"] = b.floats(1, 16, b.sizes.integer("latent_dim", "hidden_size", default=512))


def _audio_tokens(b: Builder, inputs: dict[str, Any]) -> None:
    if "audio_input_ids" in b.names:
        bins = b.audio.integer("n_mel_bins", default=80)
        inputs["audio_input_ids"] = torch.zeros(1, 16, bins, dtype=torch.int64)


def _inkling(b: Builder, inputs: dict[str, Any]) -> None:
    _cubes(b, inputs)
    if "input_ids" not in inputs:
        _audio_tokens(b, inputs)


def _embedded(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["inputs_embeds"] = b.floats(1, 16, b.sizes.integer("hidden_size", default=1024))


def _time(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["t_cond"] = b.floats(1, b.sizes.integer("hidden_size", default=3072))


def _task_text(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["task_inputs"] = b.ids(b.sizes.integer("task_seq_len", default=77), vocabulary=1000)


def _classes(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["classes_input_ids"] = b.ids().repeat(2, 1)
    inputs["classes_attention_mask"] = _ones(2, 16)
    inputs["tasks_input_ids"] = b.ids()
    inputs["tasks_attention_mask"] = _ones(1, 16)
    inputs["classes_structure"] = torch.tensor([2])


def _documents(b: Builder, inputs: dict[str, Any]) -> None:
    count = b.sizes.integer("n_docs", default=5)
    inputs["context_input_ids"] = b.ids().repeat(count, 1)
    inputs["context_attention_mask"] = _ones(count, 16)
    inputs["doc_scores"] = b.floats(1, count)


def _perceived(b: Builder, inputs: dict[str, Any]) -> None:
    if "inputs" in b.names and b.kind == "PerceiverModel":
        inputs["inputs"] = b.floats(1, 64, b.sizes.integer("d_model", default=768))


def _patched_series(b: Builder, inputs: dict[str, Any]) -> None:
    length = b.sizes.integer("context_length", default=512)
    inputs["past_values"] = b.floats(1, length)
    inputs["past_values_padding"] = torch.zeros(1, length)
    inputs["freq"] = torch.zeros(1, 1, dtype=torch.int64)
    for name in set(inputs) - {"past_values", "past_values_padding", "freq"}:
        del inputs[name]


def _latent_image(b: Builder, inputs: dict[str, Any]) -> None:
    channels = b.sizes.integer("latent_channels", "hidden_size", default=64)
    inputs["hidden_states"] = b.floats(1, channels, 16, 16)


def _plain_image(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["hidden_states"] = b.floats(1, 3, 224, 224)


def _mel_spectrogram(b: Builder, inputs: dict[str, Any]) -> None:
    inputs["mel_spectrogram"] = b.floats(1, b.sizes.integer("mel_dim", default=80), 64)


_Adjust = Callable[[Builder, dict[str, Any]], None]
SPECIAL: dict[str, _Adjust] = {
    "clvp": _mel_first,
    "colqwen2": _batch_of_patches,
    "deepseek_vl_hybrid": _high_resolution,
    "dots3_note": _chunks,
    "dots3_note_audio_encoder": _chunks,
    "florence_vision": _plain_image,
    "fun_asr_nano": _features("num_mel_bins", times="num_stacked_frames"),
    "fun_asr_nano_encoder": _features("num_mel_bins", times="num_stacked_frames"),
    "fuyu": _flat_patches(16, batch=True),
    "gemma3n": _features("input_feat_size"),
    "gemma4_audio": _features(width=128),
    "gemma4_vision": _placed_patches,
    "glm_image_vqmodel": _latent_image,
    "granite_docling": _tiles,
    "granite_speech5_ctc": _stacked_features,
    "granite_speech5_encoder": _stacked_features,
    "idefics": _image_mask,
    "inkling2": _blocks_of_patches,
    "inkling2_loop": _blocks_of_patches,
    "inkling2_vision": _blocks_of_patches,
    "inkling_audio": _audio_tokens,
    "inkling_mm_model": _inkling,
    "inkling_vision": _inkling,
    "instructblipvideo": _frames(4),
    "kimi_k25": _square_patches,
    "kimi_k25_vision": _square_patches,
    "kosmos-2": _image_places,
    "kyutai_speech_to_text": _codebooks("num_codebooks", extra=1, last=True),
    "mimi_decoder": _latents,
    "minicpm_ocr_vision": _row_of_patches,
    "minicpmv4_7_vision": _row_of_patches,
    "molmo2_vision": _flat_patches(batch=True),
    "muse_spark": _waveform(1, 15360),
    "muse_spark_audio": _waveform(1, 15360),
    "musicgen": _codebooks("num_codebooks"),
    "musicgen_decoder": _codebooks("num_codebooks"),
    "musicgen_melody": _codebooks("num_codebooks"),
    "musicgen_melody_decoder": _codebooks("num_codebooks"),
    "nemotron_h_omni": _image_grid,
    "neomme": _flat_patches(16),
    "omdet-turbo": _classes,
    "omniasr": _waveform(1, 1, 16000),
    "omniasr_audio": _waveform(1, 1, 16000),
    "omniasr_ctc": _waveform(1, 1, 16000),
    "oneformer": _task_text,
    "paddleocr_vl": _square_patches,
    "paddleocr_vl_vision": _sequence_of_patches,
    "pe_audio_video_encoder": _video,
    "perceiver": _perceived,
    "pix2struct": _flattened_patches,
    "pix2struct_vision_model": _flattened_patches,
    "pocket_tts_audio_tokenizer_decoder": _latents,
    "qwen2_5_omni_bigvgan": _mel_spectrogram,
    "qwen3_asr": _windows,
    "qwen3_asr_encoder": _windows,
    "qwen3_omni_moe_talker_code_predictor": _embedded,
    "rag": _documents,
    "timesfm": _patched_series,
    "tvp": _frames(0),
    "vibevoice": _waveform(1, 24000),
    "video_llama_3": _merge_sizes,
    "video_llama_3_vision": _merge_sizes,
    "videomt": _video,
    "videoprism_vision_model": _video,
    "voxtral_realtime_text": _time,
    "xclip": _frames(0),
    "xclip_vision_model": _frames(),
}
