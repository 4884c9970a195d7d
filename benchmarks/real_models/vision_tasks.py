"""What models of images and videos are trained for beside their class: boxes, masks, pixels."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from benchmarks.real_models.inputs import pixels
from benchmarks.real_models.task import ROWS, Task


_SIZE, _OBJECTS, _CLASSES = 64, (1, 3, 2, 2), 2


def _pixels(config: Any, *before: int) -> torch.Tensor:
    return pixels(config, *before, size=_SIZE)


def _corners() -> list[torch.Tensor]:
    """Return boxes for each image, (objects, 4): the middle, width and height as shares."""
    return [torch.rand(count, 4) * 0.4 + 0.2 for count in _OBJECTS]


def _objects(config: Any, model: Any) -> dict[str, Any]:
    """Return images, and where on each which objects are."""
    shown = _pixels(config)
    labels = [
        {"class_labels": torch.randint(_CLASSES, (len(each),)), "boxes": each}
        for each in _corners()
    ]
    if "Segmentation" in type(model).__name__:
        for each in labels:
            size = (len(each["boxes"]), *shown.shape[-2:])
            each["masks"] = torch.randint(2, size).float()
    return {"pixel_values": shown, "labels": labels}


def _masks(config: Any, _: Any) -> dict[str, Any]:
    """Return images, and the places and kinds of the objects on each."""
    shown = _pixels(config)
    places = [torch.randint(2, (count, *shown.shape[-2:])).float() for count in _OBJECTS]
    kinds = [torch.randint(_CLASSES, (count,)) for count in _OBJECTS]
    return {"pixel_values": shown, "labels": {"mask_labels": places, "class_labels": kinds}}


def _surfaces(config: Any, _: Any) -> dict[str, torch.Tensor]:
    shown = _pixels(config)
    labels = torch.randint(config.num_labels, (ROWS, *shown.shape[-2:]))
    return {"pixel_values": shown, "labels": labels}


def _depths(config: Any, _: Any) -> dict[str, torch.Tensor]:
    shown = _pixels(config)
    return {"pixel_values": shown, "labels": torch.rand(ROWS, *shown.shape[-2:]) + 0.1}


def _hidden(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return images, and which of their patches are hidden if it is not the model that draws it."""
    shown = _pixels(config)
    if "bool_masked_pos" not in inspect.signature(model.forward).parameters:
        return {"pixel_values": shown}
    across = shown.shape[-1] // config.patch_size
    return {"pixel_values": shown, "bool_masked_pos": torch.randint(2, (ROWS, across**2)).bool()}


def _videos(config: Any, model: Any) -> dict[str, torch.Tensor]:
    frames = getattr(config, "num_frames", getattr(config, "frames_per_clip", 8))
    name = "pixel_values_videos"
    name = name if name in inspect.signature(model.forward).parameters else "pixel_values"
    return {name: _pixels(config, frames), "labels": torch.arange(ROWS) % config.num_labels}


def _larger(config: Any, _: Any) -> dict[str, torch.Tensor]:
    shown = _pixels(config)
    labels = shown.repeat_interleave(config.upscale, -1).repeat_interleave(config.upscale, -2)
    return {"pixel_values": shown, "labels": labels}


TASKS = {
    "boxes": Task(
        "OBJECT_DETECTION",
        _objects,
        names=("DetrForSegmentation", "RfDetrForInstanceSegmentation"),
        answers=("logits", "pred_boxes", "pred_masks"),
    ),
    "masks": Task(
        "",
        _masks,
        names=(
            "MaskFormerForInstanceSegmentation",
            "Mask2FormerForUniversalSegmentation",
            "EomtForUniversalSegmentation",
            "EomtDinov3ForUniversalSegmentation",
        ),
        answers=("class_queries_logits", "masks_queries_logits"),
    ),
    "surfaces": Task("SEMANTIC_SEGMENTATION", _surfaces),
    "depth": Task("DEPTH_ESTIMATION", _depths, answers=("predicted_depth",)),
    "patches": Task(
        "MASKED_IMAGE_MODELING",
        _hidden,
        names=("ViTMAEForPreTraining", "HieraForPreTraining"),
        answers=("reconstruction", "logits"),
    ),
    "video": Task("VIDEO_CLASSIFICATION", _videos),
}
