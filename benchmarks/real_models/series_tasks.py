"""What models of series are trained for: to forecast them, to tell what they are, to act."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from benchmarks.real_models.task import ROWS, Task


_STEPS = 6


def _inputs(config: Any, model: Any) -> dict[str, torch.Tensor]:
    """Return what is known of the past: (rows, steps, channels)."""
    known = inspect.signature(model.forward).parameters
    if "past_time_features" not in known:
        return {"past_values": torch.randn(ROWS, config.context_length, config.num_input_channels)}
    past = config.context_length + max(config.lags_sequence)
    sizes = {"past": past, "future": config.prediction_length}
    times = {
        f"{when}_time_features": torch.randn(ROWS, steps, config.num_time_features)
        for when, steps in sizes.items()
    }
    seen = torch.ones(ROWS, past, dtype=torch.bool)
    return {"past_values": torch.randn(ROWS, past), "past_observed_mask": seen, **times}


def _forecast(config: Any, model: Any) -> dict[str, Any]:
    inputs = _inputs(config, model)
    channels = inputs["past_values"].shape[2:]
    future = torch.randn(ROWS, config.prediction_length, *channels)
    return {**inputs, "labels": {"future_values": future}}


def _numbers(config: Any, model: Any) -> dict[str, Any]:
    labels = {"target_values": torch.randn(ROWS, config.num_targets)}
    return {**_inputs(config, model), "labels": labels}


def _kinds(config: Any, model: Any) -> dict[str, Any]:
    labels = {"target_values": torch.arange(ROWS) % config.num_targets}
    return {**_inputs(config, model), "labels": labels}


def _episodes(config: Any, _: Any) -> dict[str, torch.Tensor]:
    """Return what was seen and done step by step, and what it brought: the model is to do so."""
    return {
        "states": torch.randn(ROWS, _STEPS, config.state_dim),
        "actions": torch.tanh(torch.randn(ROWS, _STEPS, config.act_dim)),
        "rewards": torch.randn(ROWS, _STEPS, 1),
        "returns_to_go": torch.randn(ROWS, _STEPS, 1),
        "timesteps": torch.arange(_STEPS).repeat(ROWS, 1),
        "attention_mask": torch.ones(ROWS, _STEPS, dtype=torch.long),
    }


def _imitated(output: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.nn.functional.mse_loss(output.action_preds, batch["actions"])


TASKS = {
    "forecast": Task(
        "",
        _forecast,
        names=(
            "TimeSeriesTransformerForPrediction", "InformerForPrediction",
            "AutoformerForPrediction",
        ),
        predicts=False,
    ),
    "patched": Task(
        "",
        _forecast,
        names=("PatchTSTForPrediction", "PatchTSMixerForPrediction"),
        answers=("prediction_outputs",),
    ),
    "pieces": Task(
        "",
        _inputs,
        names=("PatchTSTForPretraining", "PatchTSMixerForPretraining"),
        predicts=False,
    ),
    "numbers": Task("TIME_SERIES_REGRESSION", _numbers, answers=("regression_outputs",)),
    "kinds": Task(
        "TIME_SERIES_CLASSIFICATION",
        _kinds,
        answers=("prediction_logits", "prediction_outputs"),
    ),
    "act": Task(
        "",
        _episodes,
        names=("DecisionTransformerModel",),
        answers=("action_preds",),
        loss=_imitated,
    ),
}  # fmt: skip
