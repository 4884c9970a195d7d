"""What the models are trained for: the classes of ``transformers`` and a batch for each task."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.real_models.configs import WORDS


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


ROWS, LENGTH, SAMPLES = 4, 12, 1600
_LENGTHS = (12, 9, 12, 7)
_NO_LABEL = -100
# Their documentation says that the caller shifts the labels.
_SHIFTED_BY_THE_CALLER = (
    "Bart BigBirdPegasus Blenderbot BlenderbotSmall Marian MBart Mvp Pegasus PLBart TrOCR Whisper"
)
# What these predict for a row changes with its padding, in float64 too: convolutions, pooling,
# trigrams, landmarks and hashes over all places, or padding known only at the start of a row. Of
# classifiers, XLNet's reads the last place, padding or not, and T5Gemma's the place behind the last
# token, which is the token itself in a row without padding.
_MIX_PADDING_IN = (
    "Canine", "ConvBert", "CpmAnt", "Funnel", "MobileBert", "Nystromformer", "ProphetNet", "Yoso",
    "XLNetForSequence", "T5GemmaForSequence", "T5Gemma2ForSequence",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A table of ``transformers``, from architecture to class, and what such a class is fed."""

    table: str
    batch: Callable[[Any, Any], dict[str, torch.Tensor]]
    predicts: bool = True  # without labels
    changes: tuple[str, ...] = ()  # switches of the configuration that the task needs


def _words(lengths: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and their mask, both (rows, positions); two rows end early."""
    ids = torch.randint(*WORDS, (ROWS, LENGTH))
    mask = (torch.arange(LENGTH) < torch.tensor(lengths)[:, None]).long()
    return ids * mask, mask


def _text(model: Any) -> dict[str, torch.Tensor]:
    known = "attention_mask" in inspect.signature(model.forward).parameters
    ids, mask = _words(_LENGTHS if known else [LENGTH] * ROWS)
    return {"input_ids": ids, "attention_mask": mask} if known else {"input_ids": ids}


def _causal(_: Any, model: Any) -> dict[str, torch.Tensor]:
    text = _text(model)
    labels = text["input_ids"].masked_fill(text["input_ids"] == 0, _NO_LABEL)
    if type(model).__name__.replace("ForCausalLM", "") in _SHIFTED_BY_THE_CALLER.split():
        labels = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=_NO_LABEL)
    return {**text, "labels": labels}


def _masked(_: Any, model: Any) -> dict[str, torch.Tensor]:
    text = _text(model)
    ids = text["input_ids"]
    hidden = (torch.arange(LENGTH) % 4 == 1) & (ids != 0)
    labels = ids.masked_fill(~hidden, _NO_LABEL)
    return {**text, "input_ids": ids.masked_fill(hidden, 5), "labels": labels}


def _rows(config: Any, model: Any) -> dict[str, torch.Tensor]:
    return {**_text(model), "labels": torch.arange(ROWS) % config.num_labels}


def _tokens(config: Any, model: Any) -> dict[str, torch.Tensor]:
    text = _text(model)
    labels = torch.randint(config.num_labels, (ROWS, LENGTH))
    return {**text, "labels": labels.masked_fill(text["input_ids"] == 0, _NO_LABEL)}


def _translation(_: Any, model: Any) -> dict[str, torch.Tensor]:
    return {**_text(model), "labels": torch.randint(*WORDS, (ROWS, LENGTH - 3))}


def _images(config: Any, _: Any) -> dict[str, torch.Tensor]:
    size = getattr(config, "image_size", 32)
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    pixels = torch.randn(ROWS, getattr(config, "num_channels", 3), height, width)
    return {"pixel_values": pixels, "labels": torch.arange(ROWS) % config.num_labels}


def _wave(config: Any, _: Any) -> dict[str, torch.Tensor]:
    return {
        "input_values": torch.randn(ROWS, SAMPLES),
        "labels": torch.arange(ROWS) % config.num_labels,
    }


def _speech(_: Any, __: Any) -> dict[str, torch.Tensor]:
    return {"input_values": torch.randn(ROWS, SAMPLES), "labels": torch.randint(*WORDS, (ROWS, 2))}


TASKS = {
    "causal": Task("CAUSAL_LM", _causal, changes=("is_decoder",)),
    "masked": Task("MASKED_LM", _masked),
    "seq2seq": Task("SEQ_TO_SEQ_CAUSAL_LM", _translation, predicts=False),
    "image": Task("IMAGE_CLASSIFICATION", _images),
    "sequence": Task("SEQUENCE_CLASSIFICATION", _rows),
    "token": Task("TOKEN_CLASSIFICATION", _tokens),
    "ctc": Task("CTC", _speech),
    "audio": Task("AUDIO_CLASSIFICATION", _wave),
}


def waivers(model: str) -> dict[str, str]:
    """Return the rules that the architecture of this name breaks by its design, with the reason."""
    mixes = model.startswith(_MIX_PADDING_IN)
    return {"padding-ignored": "the architecture mixes padding in"} if mixes else {}


def classes(task: str) -> dict[str, Any]:
    """Return the classes for a task by the name of the class, those with a configuration."""
    import transformers
    from transformers.models.auto import modeling_auto

    table = getattr(modeling_auto, f"MODEL_FOR_{TASKS[task].table}_MAPPING_NAMES")
    listed = [[value] if isinstance(value, str) else value for value in table.values()]
    names = [each for several in listed for each in several]
    found = {name: getattr(transformers, name, None) for name in dict.fromkeys(names)}
    return {name: kind for name, kind in found.items() if getattr(kind, "config_class", None)}
