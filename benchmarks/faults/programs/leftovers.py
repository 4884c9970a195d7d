"""Bugs of what a step or a prediction leaves behind: seeds, states, switches, copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, dropout_mlp, mlp, points, sequences, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee


@case(55, "MLP", "pure-prediction", "evaluation-is-a-no-op", "repeated-randomness", quick=True)
def evaluation_reseeds(*, right: bool) -> Trainee:
    """Validation fixes the global seed, so training repeats its noise after each."""
    model = dropout_mlp()

    def predict(batch: Batch) -> Tensor:
        if not right:
            torch.manual_seed(0)  # wrong
        model.eval()
        with torch.no_grad():
            logits = model(batch["x"])
        model.train()
        return logits

    return trained(
        model,
        points(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        predict=predict,
    )


@case(56, "MLP", "repeated-randomness", quick=True)
def step_reseeds(*, right: bool) -> Trainee:
    """The same dropout mask in every step."""
    model = dropout_mlp()

    def loss(batch: Batch) -> Tensor:
        if not right:
            torch.manual_seed(1)  # wrong
        return functional.cross_entropy(model(batch["x"]), batch["y"])

    return trained(model, points(), loss)


@case(56, "diffusion", "repeated-randomness")
def same_noise_in_every_step(*, right: bool) -> Trainee:
    """A generator made inside the step starts again each time."""
    model = mlp(7, 6)

    def loss(batch: Batch) -> Tensor:
        if right:
            noise = torch.randn_like(batch["x"])  # right
        else:
            fixed = torch.Generator().manual_seed(0)
            noise = torch.randn(batch["x"].shape, generator=fixed)  # wrong
        share = torch.rand(len(noise), 1)
        noisy = (1 - share) * batch["x"] + share * noise
        return functional.mse_loss(model(torch.cat([noisy, share], 1)), noise)

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return model(torch.cat([batch["x"], torch.ones(len(batch["x"]), 1)], 1))

    return trained(model, {"x": torch.randn(8, 6)}, loss, predict=predict, target=None)


@case(57, "GRU", "pure-prediction", "evaluation-is-a-no-op", quick=True)
def hidden_state_carried_over(*, right: bool) -> Trainee:
    """The state of one batch is the start of the next."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 3)
            self.state: Tensor | None = None

        def forward(self, x: Tensor) -> Tensor:
            if right:
                states, _ = self.rnn(x)  # right
            else:
                states, state = self.rnn(x, self.state)  # wrong
                self.state = state.detach()  # wrong
            return self.head(states[:, -1])

    model = _Net()
    return trained(model, sequences(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(60, "MLP", "trained-prediction", "checkpoint-round-trip")
def prediction_from_a_stale_copy(*, right: bool) -> Trainee:
    """The copy for inference is made once, before training."""
    model, copy = mlp(), mlp()
    copy.load_state_dict(model.state_dict())

    def predict(batch: Batch) -> Tensor:
        if right:
            copy.load_state_dict(model.state_dict())  # right
        with torch.no_grad():
            return copy(batch["x"])

    return trained(
        model,
        points(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        predict=predict,
    )


@case(73, "MLP", "reproducible", quick=True)
def noise_from_the_clock(*, right: bool) -> Trainee:
    """A generator without a seed makes every run another one."""
    model = mlp()
    source = torch.Generator()
    if right:
        source.manual_seed(torch.initial_seed())  # right
    else:
        source.seed()  # wrong

    def loss(batch: Batch) -> Tensor:
        noise = torch.randn(batch["x"].shape, generator=source)
        return functional.cross_entropy(model(batch["x"] + 0.1 * noise), batch["y"])

    return trained(model, points(), loss, predict=None)


@case(88, "MLP", "pure-prediction", "switches-restored", quick=True)
def gradients_left_off(*, right: bool) -> Trainee:
    """Prediction switches gradients off and a raised flag stays."""
    model = mlp()

    def predict(batch: Batch) -> Tensor:
        before = torch.is_grad_enabled()
        torch.set_grad_enabled(False)
        logits = model(batch["x"])
        if right:
            torch.set_grad_enabled(before)  # right
        return logits

    def loss(batch: Batch) -> Tensor:
        return functional.cross_entropy(model(batch["x"]), batch["y"])

    return trained(model, points(), loss, predict=predict)


@case(88, "regression", "pure-prediction", "switches-restored")
def default_dtype_left_changed(*, right: bool) -> Trainee:
    """Prediction in double precision leaves double precision behind."""
    model = mlp(outputs=1)

    def loss(batch: Batch) -> Tensor:
        offset = torch.zeros(1)
        return functional.mse_loss((model(batch["x"]) + offset).squeeze(1), batch["y"])

    def predict(batch: Batch) -> Tensor:
        torch.set_default_dtype(torch.float64)
        with torch.no_grad():
            prediction = model(batch["x"])
        if right:
            torch.set_default_dtype(torch.float32)  # right
        return prediction

    batch = {"x": torch.randn(8, 6), "y": torch.randn(8)}
    return trained(model, batch, loss, predict=predict)
