"""What the models are trained for: the classes of ``transformers`` and a batch for each task."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.real_models import further_tasks
from benchmarks.real_models.configs import WORDS
from benchmarks.real_models.inputs import picture, sound
from benchmarks.real_models.prompts import spoken
from benchmarks.real_models.task import LENGTH, NO_LABEL, ROWS, Task, text


# Their documentation says that the caller shifts the labels.
_SHIFTED_BY_THE_CALLER = (
    "Bart BigBirdPegasus Blenderbot BlenderbotSmall Marian MBart Mvp Pegasus PLBart TrOCR Whisper"
)
# What these predict for a row changes with its padding, in float64 too: convolutions, pooling,
# trigrams, landmarks and hashes over all places, or padding known only at the start of a row. Of
# classifiers, XLNet's reads the last place, padding or not, and T5Gemma's the place behind the last
# token, which is the token itself in a row without padding. Siglip's text is its last place, too.
_MIX_PADDING_IN = (
    "Canine", "ConvBert", "CpmAnt", "Funnel", "MobileBert", "Nystromformer", "ProphetNet", "Yoso",
    "XLNetForSequence", "T5GemmaForSequence", "T5Gemma2ForSequence", "SiglipModel", "Siglip2Model",
)  # fmt: skip
# Its reversible layers ask torch.seed() for a new seed of their dropout in each forward pass.
_RESEED = ("Reformer",)
# Their registers are zeros without a place of their own: one register four times, in any training
# that does not begin with the weights of a checkpoint.
_BEGIN_ALIKE = ("Dinov2WithRegisters", "Eomt")
# Parts that are trained elsewhere: encoders of sound in a block without gradients, and the telling
# of speakers, of which a threshold leaves yes or no.
_CUT_OFF = ("VibeVoiceAsr", "Nemotron3_5Transcribe")
# Its weights are each 1, of a softmax over an axis with one element: its author calls it a mistake
# (Amshaker/SwiftFormer#4), and the checkpoints are trained so.
_WEIGHTS_OF_ONE = ("SwiftFormer",)
_BY_DESIGN = {
    "attention-axis": (_WEIGHTS_OF_ONE, "a mistake that its checkpoints are trained with"),
    "identical-units": (_BEGIN_ALIKE, "the registers differ in a checkpoint alone"),
    "padding-ignored": (_MIX_PADDING_IN, "the architecture mixes padding in"),
    "parameter-sets": (_CUT_OFF, "a part that is trained elsewhere has no gradient"),
    "reproducible": (_RESEED, "the architecture seeds its dropout anew"),
}
_DRAFTS = "drafts tokens from the keys and values of another model, and takes no labels"
_NO_LOSS = "takes no labels and computes no loss"
NOT_TRAINED = {
    "Blip2ForImageTextRetrieval": _NO_LOSS,
    "PPOCRV5MobileDetForObjectDetection": _NO_LOSS,
    "PPOCRV5ServerDetForObjectDetection": _NO_LOSS,
    "PPOCRV6MediumDetForObjectDetection": _NO_LOSS,
    "PPOCRV6SmallDetForObjectDetection": _NO_LOSS,
    "Gemma4AssistantForCausalLM": _DRAFTS,
    "Gemma4UnifiedAssistantForCausalLM": _DRAFTS,
    "ShieldGemma2ForImageClassification": "gives its labels to the text model and drops the loss",
}


def _causal(config: Any, model: Any) -> dict[str, torch.Tensor]:
    if config.model_type.startswith("musicgen"):
        return _codes(config)
    words = text(model)
    if config.model_type == "git":  # it counts on the picture's places before the text
        words.update(picture(config, model))
    labels = words["input_ids"].masked_fill(words["input_ids"] == 0, NO_LABEL)
    if type(model).__name__.replace("ForCausalLM", "") in _SHIFTED_BY_THE_CALLER.split():
        labels = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=NO_LABEL)
    return {**words, "labels": labels}


def _codes(config: Any) -> dict[str, torch.Tensor]:
    """Return sound in the codes of several books, with its labels shifted by the caller."""
    codes = torch.randint(*WORDS, (ROWS, config.num_codebooks, LENGTH))
    labels = torch.nn.functional.pad(codes[..., 1:], (0, 1), value=NO_LABEL)
    return {"input_ids": codes, "labels": labels.transpose(1, 2)}


def _masked(_: Any, model: Any) -> dict[str, torch.Tensor]:
    words = text(model)
    ids = words["input_ids"]
    hidden = (torch.arange(LENGTH) % 4 == 1) & (ids != 0)
    labels = ids.masked_fill(~hidden, NO_LABEL)
    return {**words, "input_ids": ids.masked_fill(hidden, 5), "labels": labels}


def _rows(config: Any, model: Any) -> dict[str, torch.Tensor]:
    words = text(model)
    if config.is_encoder_decoder:  # its classifier reads the place of the last token, the end
        last = words["attention_mask"].sum(1, keepdim=True) - 1
        words["input_ids"].scatter_(1, last, config.eos_token_id)
    return {**words, "labels": torch.arange(ROWS) % config.num_labels}


def _tokens(config: Any, model: Any) -> dict[str, torch.Tensor]:
    words = text(model)
    labels = torch.randint(config.num_labels, (ROWS, LENGTH))
    return {**words, "labels": labels.masked_fill(words["input_ids"] == 0, NO_LABEL)}


def _translation(config: Any, model: Any) -> dict[str, torch.Tensor]:
    if not config.is_encoder_decoder:
        return spoken(config, model)
    labels = torch.randint(*WORDS, (ROWS, LENGTH - 3))
    if config.model_type == "fsmt":  # it leaves it to the caller to shift the labels
        shifted = model.prepare_decoder_input_ids_from_labels(labels)
        return {**text(model), "decoder_input_ids": shifted, "labels": labels}
    return {**text(model), "labels": labels}


def _images(config: Any, model: Any) -> dict[str, torch.Tensor]:
    return {**picture(config, model), "labels": torch.arange(ROWS) % config.num_labels}


def _sounds(config: Any, model: Any) -> dict[str, torch.Tensor]:
    return {**sound(config, model), "labels": torch.arange(ROWS) % config.num_labels}


def _speech(config: Any, model: Any) -> dict[str, torch.Tensor]:
    return {**sound(config, model), "labels": torch.randint(*WORDS, (ROWS, 2))}


TASKS = {
    "causal": Task("CAUSAL_LM", _causal, changes=("is_decoder",)),
    "masked": Task("MASKED_LM", _masked),
    "seq2seq": Task("SEQ_TO_SEQ_CAUSAL_LM", _translation, predicts=False),
    "image": Task("IMAGE_CLASSIFICATION", _images),
    "sequence": Task("SEQUENCE_CLASSIFICATION", _rows),
    "token": Task("TOKEN_CLASSIFICATION", _tokens),
    "ctc": Task("CTC", _speech),
    "audio": Task("AUDIO_CLASSIFICATION", _sounds),
    **further_tasks.TASKS,
}


def waivers(model: str) -> dict[str, str]:
    """Return the rules that the architecture of this name breaks by its design, with the reason."""
    return {rule: why for rule, (names, why) in _BY_DESIGN.items() if model.startswith(names)}


def classes(task: str) -> dict[str, Any]:
    """Return the classes for a task by the name of the class, those with a configuration."""
    import transformers
    from transformers.models.auto import modeling_auto

    wanted = TASKS[task]
    table = getattr(modeling_auto, f"MODEL_FOR_{wanted.table}_MAPPING_NAMES", {})
    listed = [[value] if isinstance(value, str) else value for value in table.values()]
    names = [each for several in listed for each in several] + list(wanted.names)
    found = {name: getattr(transformers, name, None) for name in dict.fromkeys(names)}
    return {name: kind for name, kind in found.items() if getattr(kind, "config_class", None)}
