"""Bugs of the class `uphill-update`; the marked line is where it shows."""

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof
from torchproof import Trainee


RULE = "uphill-update"


def test_a_loss_maximised_by_the_optimizer(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.Adam(model.parameters(), 1e-2, maximize=True)
        return zoo.classifier(model, zoo.classes(4), optimizer)

    finding, line = caught(RULE, build)
    assert line.strip() == "optimizer.step()"
    assert finding.evidence["maximize"] is True
    assert finding.evidence["change of the loss, first order"] > 0


def test_backward_from_the_negative_loss(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            (-loss).backward()  # here
            optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    _, line = caught(RULE, build)
    assert line.endswith("# here")


def test_a_negative_loss_that_is_returned_as_well(caught):
    def build():
        return lookalikes.trained_with(lambda m, b: -F.cross_entropy(m(b["x"]), b["y"]))

    finding, _ = caught(RULE, build)
    assert finding.evidence["loss returned"] < 0


def test_two_minus_signs_are_right():
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, maximize=True)
        return lookalikes.trained_with(
            lambda m, b: -F.cross_entropy(m(b["x"]), b["y"]), model, optimizer=optimizer
        )

    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_plus_in_a_hand_written_optimizer(caught):
    class Plus(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})

        @torch.no_grad()
        def step(self, closure=None):
            for each in self.param_groups[0]["params"]:
                each.add_(each.grad, alpha=0.1)

    def build():
        model = zoo.mlp(4, 1)
        return lookalikes.trained_with(
            lambda m, b: F.mse_loss(m(b["x"]).squeeze(1), b["y"]),
            model,
            zoo.numbers(4),
            Plus(model.parameters()),
        )

    caught(RULE, build)


def test_a_negative_sign_in_front_of_the_mean(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scaler = torch.amp.GradScaler("cpu")

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            scaler.scale(-loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss.item()

        return Trainee(model, zoo.classes(4), step)

    caught(RULE, build)


def by_hand(backward, returned, model=None, **options):
    """A cross-entropy written out; backward starts at, and the step returns, what these make."""
    model = model or zoo.mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, **options)

    def step(batch):
        optimizer.zero_grad()
        loss = -model(batch["x"]).log_softmax(1).gather(1, batch["y"][:, None]).mean()
        backward(loss).backward()  # here
        optimizer.step()
        return returned(loss)

    return Trainee(model, zoo.classes(4), step)


def test_a_loss_written_out_and_negated(caught):
    _, line = caught(RULE, lambda: by_hand(lambda loss: -loss, lambda loss: loss))
    assert line.endswith("# here")


@pytest.mark.parametrize(
    "build",
    [
        lambda: by_hand(lambda loss: loss, lambda loss: loss),
        lambda: by_hand(lambda loss: loss, lambda loss: -loss),
        lambda: by_hand(lambda loss: -loss, lambda loss: loss, maximize=True),
    ],
    ids=["minimised", "likelihood returned", "maximised twice"],
)
def test_a_loss_written_out_is_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def policy(loss_of, gain="advantage", model=None, **options):
    def build():
        batch = {
            "x": torch.randn(6, 4),
            "action": torch.tensor([0, 2, 1, 1, 0, 2]),
            gain: torch.randn(6),
            "old": torch.full((6,), -1.0),
        }
        net = model() if model else zoo.mlp()
        optimizer = torch.optim.AdamW(net.parameters(), 1e-2, weight_decay=0.0, **options)

        def loss(model, batch):
            chosen = torch.distributions.Categorical(logits=model(batch["x"]))
            return loss_of(chosen.log_prob(batch["action"]), batch)

        return lookalikes.trained_with(loss, net, batch, optimizer, target="action")

    return build


def surrogate(log, batch):
    return -(log * batch["advantage"]).mean()


def test_a_policy_that_is_maximised_twice(caught):
    finding, line = caught(RULE, policy(surrogate, maximize=True))
    assert "less likely" in finding.message
    assert line.strip() == "optimizer.step()"


@pytest.mark.parametrize("gain", ["advantage", "reward", "returns"])
def test_a_policy_whose_minus_sign_is_missing(caught, gain):
    caught(RULE, policy(lambda log, batch: (log * batch[gain]).mean(), gain))


def policy_in_parts(sign):
    """Advantages are standardised over all rows, then taken in shuffled parts."""

    def build():
        net = zoo.mlp()
        optimizer = torch.optim.SGD(net.parameters(), 1e-2)

        def step(batch):
            gain = batch["adv"]
            gain = (gain - gain.mean()) / gain.std()
            for rows in torch.randperm(6).split(3):
                chosen = torch.distributions.Categorical(logits=net(batch["x"][rows]))
                loss = sign * (chosen.log_prob(batch["act"][rows]) * gain[rows]).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return loss

        batch = {"x": torch.randn(6, 4), "act": torch.arange(6) % 3, "adv": torch.randn(6)}
        return torchproof.Trainee(net, batch, step, target="act", optimizer=optimizer)

    return build


@pytest.mark.parametrize("seed", range(6))
def test_a_policy_that_learns_in_parts(caught, seed):
    assert not torchproof.prove(policy_in_parts(-1), rules=[RULE], seed=seed).findings
    assert torchproof.prove(policy_in_parts(1), rules=[RULE], seed=seed).findings


def clipped(log, batch):
    ratio = (log - batch["old"]).exp()
    bounded = ratio.clamp(0.8, 1.2) * batch["advantage"]
    return -torch.minimum(ratio * batch["advantage"], bounded).mean()


def standardised(log, batch):
    reward = batch["reward"]
    return -(log * (reward - reward.mean()) / reward.std()).mean()


def imitation_of_what_went_well(log, batch):
    return -(log * (batch["advantage"] / 0.5).exp()).mean()


@pytest.mark.parametrize(
    "build",
    [
        policy(surrogate),
        policy(lambda log, batch: (log * batch["advantage"]).mean(), maximize=True),
        policy(lambda log, batch: (log * batch["cost"]).mean(), "cost"),
        policy(clipped),
        policy(standardised, "reward"),
        policy(imitation_of_what_went_well),
    ],
    ids=["surrogate", "maximised", "costs", "clipped", "standardised", "imitation"],
)
def test_right_policies_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_values_that_are_taught_by_rewards_are_silent():
    def build():
        def loss(model, batch):
            value = model(batch["x"]).gather(1, batch["action"][:, None]).squeeze(1)
            return F.smooth_l1_loss(value, batch["reward"])

        batch = {**zoo.classes(4), "reward": torch.randn(6), "action": torch.arange(6) % 3}
        return lookalikes.trained_with(loss, batch=batch)

    assert not torchproof.prove(build, rules=[RULE]).findings


@pytest.mark.parametrize(
    "build",
    [
        lookalikes.policy_gradient_that_maximises,
        lookalikes.least_squares_gan,
        zoo.lbfgs_closure,
        zoo.sharpness_aware_minimisation,
    ],
)
def test_objectives_that_may_grow_are_left_alone(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
