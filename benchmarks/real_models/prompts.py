"""Text in which placeholder tokens stand for sound, as many as the model puts in.

A placeholder is the configuration's own token; the sound comes beside the text and is written over
the placeholders' embeddings.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from benchmarks.real_models.configs import WORDS
from benchmarks.real_models.task import LENGTH, NO_LABEL, ROWS, words


_FRAMES = 32
_LENGTHS = (12, 9, 12, 7)
_FRAMES_FIRST = ("granite_speech", "granite_speech_plus", "nemo_speechlm")
# What becomes of the frames where the model cannot be asked with the sound alone.
_PLACES = {"moss_transcribe_diarize": 4, "musicflamingo": 8, "qwen2_audio": 8}
_MASKS = ("input_features_mask", "feature_attention_mask")


def spoken(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return sound and a text that begins with its placeholders and is learnt behind them."""
    if hasattr(config, "audio_length_per_tok"):  # a token of text for each piece of sound
        heard = _spectrum(config, model, LENGTH * config.audio_length_per_tok)
        text = _behind(placeholder=4, count=0)
    else:
        heard = _spectrum(config, model)
        text = _behind(config.audio_token_id, _places(config, model, heard))
    silent = (text["attention_mask"] == 0) | (text["input_ids"] < WORDS[0])
    return {**text, **heard, "labels": text["input_ids"].masked_fill(silent, NO_LABEL)}


def _behind(placeholder: int, count: int) -> dict[str, torch.Tensor]:
    ids, mask = words(_LENGTHS)
    places = torch.full((ROWS, count), placeholder)
    return {
        "input_ids": torch.cat([places, ids], 1),
        "attention_mask": torch.cat([torch.ones_like(places), mask], 1),
    }


def _spectrum(config: Any, model: Any, frames: int = _FRAMES) -> dict[str, torch.Tensor]:
    """Return a wave, or a spectrum, (rows, bins, frames) of most, with the mask of its frames."""
    arguments = inspect.signature(model.forward).parameters
    if "input_values" in arguments:
        return {"input_values": torch.randn(ROWS, 1, frames)}
    part = getattr(config, "audio_config", None) or config.encoder_config
    part = getattr(part, "asr_config", part)
    frames = 2 * getattr(part, "n_window", frames // 2)  # Qwen3ASR's piece
    sizes = (part.num_mel_bins, frames)
    masked = not config.model_type.startswith("granite")  # whose mask is of the embeddings
    masks = [name for name in _MASKS if name in arguments and masked]
    return {
        "input_features": torch.randn(
            ROWS, *sizes[:: -1 if config.model_type in _FRAMES_FIRST else 1]
        ),
        **{name: torch.ones(ROWS, frames, dtype=torch.long) for name in masks},
    }


def _places(config: Any, model: Any, heard: dict[str, torch.Tensor]) -> int:
    """Return how many embeddings a row's sound becomes."""
    if config.model_type in _PLACES:
        return _PLACES[config.model_type]
    with torch.no_grad():
        made = model.get_audio_features(**heard).pooler_output
    return int(made.shape[:-1].numel() // ROWS)
