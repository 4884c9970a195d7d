"""What models of speech are trained for beside a class: its text, its frames, itself."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from benchmarks.real_models.configs import WORDS
from benchmarks.real_models.prompts import spoken
from benchmarks.real_models.task import LENGTH, ROWS, Task, text


_FRAMES, _SAMPLES = 32, 6400


def _heard(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return waves, or spectra where the model takes these."""
    if "input_features" not in inspect.signature(model.forward).parameters:
        return {"input_values": torch.randn(ROWS, _SAMPLES)}
    if config.model_type == "whisper":
        frames = 2 * config.max_source_positions
        return {"input_features": torch.randn(ROWS, config.num_mel_bins, frames)}
    names = ("input_feat_per_channel", "feature_projection_input_dim", "num_mel_bins", "d_model")
    part = getattr(config, "encoder_config", config)
    bands = [getattr(part, name) for name in names if hasattr(part, name)]
    return {"input_features": torch.randn(ROWS, _FRAMES, *bands[:1])}


def _written(config: Any, model: Any) -> dict[str, torch.Tensor]:
    if not config.is_encoder_decoder:
        return spoken(config, model)
    return {**_heard(config, model), "labels": torch.randint(*WORDS, (ROWS, LENGTH))}


def _said(config: Any, model: Any) -> dict[str, Any]:
    """Return text and its spectra, with the voice they have."""
    voice = torch.randn(ROWS, config.speaker_embedding_dim)
    spectra = torch.randn(ROWS, 2 * LENGTH, config.num_mel_bins)
    return {**text(model), "speaker_embeddings": voice, "labels": spectra}


def _speakers(config: Any, model: Any) -> dict[str, torch.Tensor]:
    return {**_heard(config, model), "labels": torch.arange(ROWS) % config.num_labels}


def _frames(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return sounds, and who speaks in each frame: one number for each that could."""
    heard = _heard(config, model)
    length = _FRAMES
    if "input_values" in heard:
        length = int(model._get_feat_extract_output_lengths(_SAMPLES))  # noqa: SLF001 - no other way
    kinds = torch.randint(config.num_labels, (ROWS, length))
    return {**heard, "labels": torch.nn.functional.one_hot(kinds, config.num_labels)}


def _itself(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return waves, which of their frames are hidden, and which others these could be taken for."""
    length = int(model._get_feat_extract_output_lengths(_SAMPLES))  # noqa: SLF001 - no other way
    hidden = torch.arange(length).expand(ROWS, length) % 3 == 1
    others = (torch.arange(length)[:, None] + torch.arange(1, config.num_negatives + 1)) % length
    first = torch.arange(ROWS)[:, None, None] * length
    return {
        **_heard(config, model),
        "mask_time_indices": hidden.clone(),
        "sampled_negative_indices": first + others,
    }


TASKS = {
    "speech": Task("SPEECH_SEQ_2_SEQ", _written, predicts=False),
    "voice": Task("", _said, names=("SpeechT5ForTextToSpeech",), predicts=False),
    "speakers": Task("AUDIO_XVECTOR", _speakers),
    "frames": Task("AUDIO_FRAME_CLASSIFICATION", _frames),
    "waves": Task(
        "",
        _itself,
        names=("Wav2Vec2ForPreTraining", "Wav2Vec2ConformerForPreTraining"),
        predicts=False,
    ),
}
