"""Pictures and sound in the form that a model asks for: pixels, patches, waves or spectra."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from benchmarks.real_models.task import ROWS, SAMPLES


_FRAMES = (24, 18, 24, 12)  # of each row


def picture(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return images by the name of the model's argument; ImageGPT reads them as colours' ids."""
    arguments = inspect.signature(model.forward).parameters
    if "pixel_values" not in arguments:
        return {"input_ids": torch.randint(config.vocab_size - 1, (ROWS, config.n_positions))}
    part = getattr(config, "vision_config", config)
    if "spatial_shapes" in arguments:
        return _patches(part)
    return {"pixel_values": pixels(part)}


def pixels(config: Any, *before: int, size: int = 32) -> torch.Tensor:
    """Return images, (rows, *before, channels, height, width), of this size if none is known."""
    known = getattr(config, "image_size", size)
    height, width = known if isinstance(known, (list, tuple)) else (known, known)
    return torch.randn(ROWS, *before, getattr(config, "num_channels", 3), height, width)


def _patches(config: Any) -> dict[str, torch.Tensor]:
    """Return images cut into patches, with room for as many as the model has places for."""
    across = 3
    width = config.num_channels * config.patch_size**2
    return {
        "pixel_values": torch.randn(ROWS, across**2, width),
        "pixel_attention_mask": torch.ones(ROWS, across**2, dtype=torch.long),
        "spatial_shapes": torch.full((ROWS, 2), across),
    }


def sound(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return a wave or a spectrum, (rows, frames, bins), by the name of the model's argument."""
    name = model.main_input_name
    if name == "input_values" and not hasattr(config, "num_mel_bins"):
        return {name: torch.randn(ROWS, SAMPLES)}
    part = getattr(config, "encoder_config", config)
    bins = _bins(part)
    if config.model_type == "whisper":  # which has the bins first and halves the frames
        return {name: torch.randn(ROWS, bins, 2 * part.max_source_positions)}
    if name == "input_values":  # AST has places for a fixed number of frames
        return {name: torch.randn(ROWS, part.max_length, bins)}
    mask = (torch.arange(max(_FRAMES)) < torch.tensor(_FRAMES)[:, None]).long()
    return {name: torch.randn(ROWS, max(_FRAMES), bins), "attention_mask": mask}


def _bins(config: Any) -> int:
    if config.model_type == "granite_speech5_encoder":  # which reads four frames side by side
        return int(4 * config.num_mel_bins)
    return int(getattr(config, "feature_projection_input_dim", None) or config.num_mel_bins)
