"""Bugs of answers: what predict makes of outputs, and what these are compared with."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

import copy

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, mlp, trained
from torch import Tensor, nn
from torch.nn import functional

from torchproof import Trainee


@case(29, "MLP", "class-ids")
def threshold_turned_round(*, right: bool) -> Trainee:
    """The positive class is where the logit is large."""
    model = mlp(outputs=1)

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            logits = model(batch["x"]).squeeze(1)
        if right:
            return (logits > 0).long()  # right
        return (logits < 0).long()  # wrong

    def loss(batch: Batch) -> Tensor:
        logits = model(batch["x"]).squeeze(1)
        return functional.binary_cross_entropy_with_logits(logits, batch["y"].float())

    batch = {"x": torch.randn(8, 6), "y": torch.arange(8) % 2}
    return trained(model, batch, loss, predict=predict)


@case(29, "segmentation", "class-ids")
def pixels_get_the_least_class(*, right: bool) -> Trainee:
    """``argmin`` where ``argmax`` was meant, for each pixel."""
    model = nn.Conv2d(1, 4, 3, padding=1)

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            logits = model(batch["x"])
        if right:
            return logits.argmax(1)  # right
        return logits.argmin(1)  # wrong

    batch = {"x": torch.randn(4, 1, 6, 6), "y": torch.randint(0, 4, (4, 6, 6))}
    return trained(
        model, batch, lambda b: functional.cross_entropy(model(b["x"]), b["y"]), predict=predict
    )


@case(23, "tagger", "loss-input")
def softmax_over_the_words_of_a_sentence(*, right: bool) -> Trainee:
    """Words compete with each other instead of tags; the flattening hides it."""
    model = nn.Sequential(nn.Embedding(11, 8), nn.Linear(8, 3))

    def loss(batch: Batch) -> Tensor:
        logits = model(batch["x"])
        if right:
            logs = logits.log_softmax(2)  # right
        else:
            logs = logits.log_softmax(1)  # wrong
        return functional.nll_loss(logs.flatten(0, 1), batch["y"].flatten())

    batch = {"x": torch.randint(0, 11, (4, 7)), "y": torch.randint(0, 3, (4, 7))}
    return trained(model, batch, loss)


@case(25, "Q-learning", "implicit-broadcast")
def values_of_the_next_state_crossed(*, right: bool) -> Trainee:
    """Rewards are a column, the next state's values a row; no gradient passes here."""
    model = mlp(outputs=3)
    target = copy.deepcopy(model).requires_grad_(requires_grad=False)

    def loss(batch: Batch) -> Tensor:
        value = model(batch["x"]).gather(1, batch["action"])
        if right:
            best = target(batch["next"]).amax(1, keepdim=True)  # right
        else:
            best = target(batch["next"]).amax(1)  # wrong
        return (value - (batch["reward"] + 0.9 * best)).pow(2).mean()

    batch = {
        "x": torch.randn(8, 6),
        "action": torch.randint(0, 3, (8, 1)),
        "reward": torch.randn(8, 1),
        "next": torch.randn(8, 6),
    }
    trainee = trained(model, batch, loss)
    return Trainee({"q": model, "target": target}, batch, trainee.step, target="reward")


class _Forecaster(nn.Module):
    """Reads the past, then gives each value ahead from the one ``given`` before it."""

    def __init__(self) -> None:
        super().__init__()
        self.reader, self.writer = (nn.GRU(size, 8, batch_first=True) for size in (2, 1))
        self.head = nn.Linear(8, 1)

    def forward(self, past: Tensor, given: Tensor) -> Tensor:
        return self.head(self.writer(given, self.reader(past)[1])[0])


@case(30, "forecaster", "label-leak")
def forecast_is_given_itself(*, right: bool) -> Trainee:
    """Teacher forcing that is not shifted by one step."""
    model = _Forecaster()

    def ahead(batch: Batch) -> Tensor:
        if right:
            given = torch.cat([batch["past"][:, -1:, :1], batch["y"][:, :-1]], 1)  # right
        else:
            given = batch["y"]  # wrong
        return model(batch["past"], given)

    batch = {"past": torch.randn(6, 9, 2), "y": torch.randn(6, 5, 1)}
    return trained(
        model,
        batch,
        lambda b: functional.mse_loss(ahead(b), b["y"]),
        predict=lambda b: ahead(b).detach(),
    )
