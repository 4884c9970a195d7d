"""What models of text, pages and tables are trained for: spans, choices, sentences, pretraining."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from benchmarks.real_models.configs import WORDS
from benchmarks.real_models.inputs import picture
from benchmarks.real_models.task import LENGTH, NO_LABEL, ROWS, Task, text


_CHOICES, _REGIONS = 2, 5
_MASK = 5  # the id of a hidden word
_SHORTEST = 7


_BESIDE = {
    "visual_feats": lambda config: torch.randn(ROWS, _REGIONS, config.visual_feat_dim),
    "visual_pos": lambda _: torch.rand(ROWS, _REGIONS, 4),
    "visual_embeds": lambda config: torch.randn(ROWS, _REGIONS, config.visual_embedding_dim),
    "visual_attention_mask": lambda _: torch.ones(ROWS, _REGIONS, dtype=torch.long),
    "input_shape_ids": lambda _: torch.randint(*WORDS, (ROWS, LENGTH)),
    "input_pronunciation_ids": lambda _: torch.randint(*WORDS, (ROWS, LENGTH)),
}


def _inputs(config: Any, model: Any) -> dict[str, torch.Tensor]:
    known = inspect.signature(model.forward).parameters
    beside = {name: make(config) for name, make in _BESIDE.items() if name in known}
    words = text(model)
    if config.model_type == "longformer":  # which knows a question's end by three separators
        words["input_ids"][:, [1, 2, _SHORTEST - 1]] = config.sep_token_id
    return {**words, **beside}


def _spans(config: Any, model: Any) -> dict[str, Any]:
    first = torch.randint(1, _SHORTEST - 1, (ROWS,))
    labels: Any = {"start_positions": first, "end_positions": first + 1}
    if config.model_type == "lxmert":  # which answers from a list
        labels = torch.arange(ROWS) % config.num_qa_labels
    return {**_inputs(config, model), "labels": labels}


def _questions(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return questions about images, and how good each known answer is, in shares of 1."""
    seen = picture(config, model) if config.model_type == "vilt" else {}
    shares = torch.randn(ROWS, config.num_labels).softmax(-1)
    return {**_inputs(config, model), **seen, "labels": shares}


def _choices(config: Any, model: Any) -> dict[str, torch.Tensor]:
    several = [_inputs(config, model) for _ in range(_CHOICES)]
    inputs = {name: torch.stack([each[name] for each in several], 1) for name in several[0]}
    return {**inputs, "labels": torch.arange(ROWS) % _CHOICES}


def _sentences(_: Any, model: Any) -> dict[str, torch.Tensor]:
    pairs = (torch.arange(LENGTH) >= LENGTH // 2).long().expand(ROWS, LENGTH).clone()
    return {**text(model), "token_type_ids": pairs, "labels": torch.arange(ROWS) % 2}


def _hidden(config: Any, model: Any) -> dict[str, Any]:
    """Return text in which words are hidden, and whether its second half follows on the first."""
    inputs = _inputs(config, model)
    ids = inputs["input_ids"]
    hidden = (torch.arange(LENGTH) % 4 == 1) & (ids != 0)
    behind = inputs.get("visual_attention_mask", ids[:, :0])  # the places of an image
    asked = torch.cat([ids.masked_fill(~hidden, NO_LABEL), behind * 0 + NO_LABEL], 1)
    labels = {"labels": asked}
    for name in ("next_sentence_label", "sentence_order_label", "sentence_image_labels"):
        if name in inspect.signature(model.forward).parameters:
            labels[name] = torch.arange(ROWS) % 2
    return {**inputs, "input_ids": ids.masked_fill(hidden, _MASK), "labels": labels}


def _replaced(_: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return text some words of which a generator made up, and which."""
    inputs = text(model)
    return {**inputs, "labels": torch.randint(2, (ROWS, LENGTH)) * inputs["attention_mask"]}


def _cells(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return tables as text: a question, then cells of a column, of which some are the answer."""
    inputs = text(model)
    column = torch.arange(LENGTH).clamp(min=3) - 3
    kinds = [column > 0, column % 3 + (column > 0), (column + 2) // 3]
    kinds += [torch.zeros(LENGTH, dtype=torch.long)] * (len(config.type_vocab_sizes) - len(kinds))
    types = torch.stack([each.long() for each in kinds], dim=-1).expand(ROWS, LENGTH, -1).clone()
    return {**inputs, "token_type_ids": types, "labels": (types[:, :, 1] == 1).long()}


TASKS = {
    "spans": Task(
        "QUESTION_ANSWERING",
        _spans,
        answers=("start_logits", "end_logits", "question_answering_score"),
    ),
    "choice": Task("MULTIPLE_CHOICE", _choices),
    "next": Task("NEXT_SENTENCE_PREDICTION", _sentences),
    "pretrain": Task(
        "",
        _hidden,
        names=(
            "BertForPreTraining", "AlbertForPreTraining", "BigBirdForPreTraining",
            "ErnieForPreTraining", "FNetForPreTraining", "MegatronBertForPreTraining",
            "MobileBertForPreTraining", "VisualBertForPreTraining",
        ),
        answers=("logits", "prediction_logits", "seq_relationship_logits", "sop_logits"),
    ),
    "replaced": Task("", _replaced, names=("ElectraForPreTraining", "FunnelForPreTraining")),
    "questions": Task(
        "", _questions, names=("ViltForQuestionAnswering", "VisualBertForQuestionAnswering")
    ),
    "tables": Task("TABLE_QUESTION_ANSWERING", _cells),
}  # fmt: skip
