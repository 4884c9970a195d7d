"""Gradients that are cleared while they are accumulated: bugs of the class `event-order`."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "event-order"


def accumulating(*, clear, update=lambda call: call % 2 == 1, schedule=False):
    """Update in some calls of the step; clear the gradients before the calls that are named."""

    def build():
        model, calls = zoo.mlp(), []
        optimizer = torch.optim.Adam(model.parameters())
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)

        def step(batch):
            if clear(len(calls)):
                optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"]) / 2
            loss.backward()  # here
            if update(len(calls)):
                optimizer.step()
            if schedule:
                scheduler.step()
            calls.append(None)
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    return build


def test_gradients_cleared_in_each_call_although_every_second_updates(caught):
    finding, line = caught(RULE, accumulating(clear=lambda call: True))
    assert line.endswith("# here")
    assert "the update in a later call goes without them" in finding.message


def test_a_warning_about_the_schedule_does_not_hide_it():
    proof = torchproof.prove(accumulating(clear=lambda call: True, schedule=True), rules=[RULE])
    assert sorted(each.severity for each in proof.findings) == ["error", "warning"]


@pytest.mark.parametrize(
    "build",
    [
        accumulating(clear=lambda call: call % 2 == 0),
        accumulating(clear=lambda call: True, update=lambda call: True),
        accumulating(clear=lambda call: True, update=lambda call: call in (0, 2)),
        accumulating(clear=lambda call: True, update=lambda call: call > 1),
    ],
)
def test_accumulation_and_updates_now_and_then_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def every_second_for_the_generator():
    """The generator goes backward in each call, and steps in every second."""
    generator, critic = zoo.mlp(2, 4), zoo.mlp(4, 1)
    of_generator, of_critic = (torch.optim.Adam(each.parameters()) for each in (generator, critic))
    calls = []

    def step(batch):
        fake = generator(torch.randn(6, 2))
        of_critic.zero_grad()
        loss = F.softplus(critic(fake.detach())).mean() + F.softplus(-critic(batch["x"])).mean()
        loss.backward()
        of_critic.step()
        of_generator.zero_grad()
        F.softplus(-critic(fake)).mean().backward()
        if len(calls) % 2 == 1:
            of_generator.step()
        calls.append(None)
        return loss

    models = {"generator": generator, "critic": critic}
    return torchproof.Trainee(models, {"x": torch.randn(6, 4)}, step, target=None)


def test_one_of_two_models_that_steps_now_and_then_is_silent():
    assert not torchproof.prove(every_second_for_the_generator, rules=[RULE]).findings


def with_parts(number, *, size=2):
    """Update on every second of so many parts of the batch."""

    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            parts = zip(batch["x"].chunk(number), batch["y"].chunk(number))
            for place, (x, y) in enumerate(parts, start=1):
                loss = F.cross_entropy(model(x), y) / size
                loss.backward()  # here
                if place % size == 0:
                    optimizer.step()
                    optimizer.zero_grad()
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    return build


def test_a_part_of_the_batch_that_is_left_over(caught):
    finding, line = caught(RULE, with_parts(3))
    assert line.endswith("# here")
    assert "each update goes without them" in finding.message


@pytest.mark.parametrize("build", [with_parts(2), with_parts(6), with_parts(3, size=1)])
def test_parts_of_the_batch_that_come_out_even_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def stopped_before_an_update():
    """Ends its rounds early where the policy has moved too far, behind the backward pass."""
    model = zoo.mlp()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        with torch.no_grad():
            old = model(batch["x"]).log_softmax(1)
        for place in range(4):
            new = model(batch["x"]).log_softmax(1)
            loss = -(new - old).exp()[:, 0].mean()
            optimizer.zero_grad()
            loss.backward()
            if place == 2:
                break
            optimizer.step()
        return loss

    return torchproof.Trainee(model, zoo.classes(4), step)


def test_a_last_round_without_an_update_is_silent():
    assert not torchproof.prove(stopped_before_an_update, rules=[RULE]).findings
