"""Models that are shown an image and write about it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from benchmarks.real_models.configs import WORDS, tiny
from benchmarks.real_models.task import LENGTH, NO_LABEL, ROWS, Task


_SIZE, _ACROSS = 32, 4


def _image_token(config: Any) -> int | None:
    names = ("image_token_id", "image_token_index")
    return next((getattr(config, name) for name in names if hasattr(config, name)), None)


def _pictures(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return one image for each row as the model takes it: as pixels or as a list of patches."""
    known = inspect.signature(model.forward).parameters
    vision = config.vision_config
    grids = [name for name in ("image_grid_thw", "grid_thw") if name in known]
    if grids:
        patch = vision.patch_size
        numbers = 3 * getattr(vision, "temporal_patch_size", 1) * patch**2
        grid = torch.tensor([[1, _ACROSS, _ACROSS]] * ROWS)
        return {"pixel_values": torch.randn(ROWS * _ACROSS**2, numbers), grids[0]: grid}
    size = getattr(vision, "image_size", _SIZE)
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    pictures = {"pixel_values": torch.randn(ROWS, *_several(config, known), 3, height, width)}
    if _asks_for_sizes(model):
        pictures["image_sizes"] = torch.tensor([[height, width]] * ROWS)
    return pictures


def _several(config: Any, known: Any) -> tuple[int, ...]:
    """Return how many images stand for one: itself alone, or with its tiles."""
    if hasattr(config, "image_grid_pinpoints"):
        return (2,)
    return (1,) if "pixel_attention_mask" in known else ()


def _asks_for_sizes(model: Any) -> bool:
    asked = getattr(model, "get_image_features", None)
    given = inspect.signature(asked).parameters if asked else {}
    return "image_sizes" in given and given["image_sizes"].default is inspect.Parameter.empty


def _places(model: Any, pictures: dict[str, torch.Tensor]) -> int:
    """Return how many places of the text an image takes."""
    if not hasattr(model, "get_image_features"):
        return 0
    with torch.no_grad():
        found = type(model)(model.config).eval().get_image_features(**pictures)
    features = getattr(found, "pooler_output", found)
    several = features if isinstance(features, (list, tuple)) else [features]
    return sum(each.shape[:-1].numel() for each in several) // ROWS


def _placeholders(config: Any, model: Any, pictures: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the places of an image in each row's text; none if it is put before or beside it.

    Raises:
        LookupError: No token of the configuration stands for an image.
    """
    token = _image_token(config)
    known = inspect.signature(model.forward).parameters
    if token is None and (
        hasattr(model, "get_image_features") or "image_embeds_position_mask" in known
    ):
        raise LookupError("no token of the configuration stands for an image")
    return torch.full((ROWS, 0 if token is None else _places(model, pictures)), token or 0)


def _captions(config: Any, model: Any) -> dict[str, torch.Tensor]:
    known = inspect.signature(model.forward).parameters
    pictures = _pictures(config, model)
    shown = _placeholders(config, model, pictures)
    words = torch.randint(*WORDS, (ROWS, LENGTH))
    ids = torch.cat([shown, words], 1)
    labels = torch.cat([torch.full_like(shown, NO_LABEL), words], 1)
    kinds = torch.cat([torch.ones_like(shown), torch.zeros_like(words)], 1)
    if config.model_type == "paligemma":  # which marks what is to be written, and sees the rest
        kinds = 1 - kinds
    names = [name for name in ("token_type_ids", "mm_token_type_ids") if name in known]
    beside = {name: kinds.clone() for name in names}
    mask = torch.ones_like(ids)
    return {**pictures, "input_ids": ids, "attention_mask": mask, **beside, "labels": labels}


def _joined(kind: Any, _: Task) -> Any:
    """Return the configuration of an encoder and a decoder that were made apart."""
    from transformers import BertConfig, ViTConfig

    encoder, decoder = tiny(ViTConfig), tiny(BertConfig)
    joined = kind.config_class.from_encoder_decoder_configs(encoder, decoder)
    joined.decoder_start_token_id, joined.pad_token_id = 1, 0
    return joined


def _titles(config: Any, _: Any) -> dict[str, torch.Tensor]:
    size = config.encoder.image_size
    pixels = torch.randn(ROWS, 3, size, size)
    return {"pixel_values": pixels, "labels": torch.randint(*WORDS, (ROWS, LENGTH))}


TASKS = {
    "captions": Task("IMAGE_TEXT_TO_TEXT", _captions, predicts=True),
    "titles": Task(
        "", _titles, names=("VisionEncoderDecoderModel",), predicts=False, config=_joined
    ),
}
