"""Models of two towers, trained to tell which text belongs to which image or sound."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from benchmarks.real_models.inputs import picture
from benchmarks.real_models.task import ROWS, Task, text


def _images(config: Any, model: Any) -> dict[str, Any]:
    vision = config.vision_config
    frames = getattr(vision, "num_frames", 0)
    if not frames:
        return {**text(model), **picture(config, model), "return_loss": True}
    known = inspect.signature(model.forward).parameters
    name = "pixel_values_videos" if "pixel_values_videos" in known else "pixel_values"
    film = torch.randn(ROWS, frames, 3, vision.image_size, vision.image_size)
    return {**text(model), name: film, "return_loss": True}


def _sounds(config: Any, model: Any) -> dict[str, Any]:
    sound = config.audio_config
    size = (ROWS, 1, sound.spec_size, sound.num_mel_bins)
    return {**text(model), "input_features": torch.randn(size), "return_loss": True}


TASKS = {
    "pairs": Task(
        "ZERO_SHOT_IMAGE_CLASSIFICATION",
        _images,
        names=(
            "XCLIPModel",
            "GroupViTModel",
            "VisionTextDualEncoderModel",
            "BridgeTowerForContrastiveLearning",
        ),
        answers=("logits_per_image", "logits_per_text"),
    ),
    "sounds": Task(
        "", _sounds, names=("ClapModel",), answers=("logits_per_audio", "logits_per_text")
    ),
}
