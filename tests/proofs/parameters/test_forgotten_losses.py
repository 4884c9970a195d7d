"""One of two losses that nobody goes backward from; the marked line computes it."""

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof
from torchproof import Trainee


RULE = "missing-update"


def adversaries(critic_learns=lambda call: True, critic_of=lambda codes: codes.detach()):
    """Train an encoder, then a critic of its codes; say in which calls the critic goes backward."""

    def build():
        encoder, critic = zoo.mlp(4, 4), zoo.mlp(4, 1)
        of_encoder, of_critic = (torch.optim.Adam(each.parameters()) for each in (encoder, critic))
        calls = []

        def step(batch):
            calls.append(None)
            codes = encoder(batch["x"])
            of_encoder.zero_grad()
            loss = F.mse_loss(codes, batch["x"]) + F.softplus(-critic(codes)).mean()
            loss.backward()
            of_encoder.step()
            of_critic.zero_grad()
            loss = F.softplus(critic(critic_of(codes))).mean()  # here
            if critic_learns(len(calls)):
                loss.backward()
            of_critic.step()
            return loss.detach()

        batch = {"x": torch.randn(6, 4)}
        return Trainee({"encoder": encoder, "critic": critic}, batch, step, target=None)

    return build


def test_backward_of_one_of_two_losses_forgotten(caught):
    finding, line = caught(RULE, adversaries(lambda call: False))
    assert line.endswith("# here")
    assert "critic.0.weight" in finding.message
    assert "nobody goes backward" in finding.message


def test_a_forgotten_backward_is_not_called_a_path_that_is_cut():
    def build():
        trainee = adversaries(lambda call: False)()
        encoder, critic = trainee.models.values()
        of_encoder, of_critic = (torch.optim.Adam(each.parameters()) for each in (encoder, critic))

        def step(batch):
            of_encoder.zero_grad()
            of_critic.zero_grad()
            loss = F.mse_loss(encoder(batch["x"]), batch["x"])
            other = critic(batch["x"]).pow(2).mean()
            loss.backward()
            of_encoder.step()
            of_critic.step()
            return (loss + other).detach()

        return Trainee(trainee.models, trainee.batch, step, target=None)

    proof = torchproof.prove(build, rules=[RULE, "parameter-sets"])
    assert [each.rule for each in proof.findings] == [RULE]


def test_a_loss_that_goes_backward_now_and_then_is_silent():
    assert not torchproof.prove(adversaries(lambda call: call % 8 == 0), rules=[RULE]).findings


def test_both_losses_of_two_that_go_backward_are_silent():
    assert not torchproof.prove(adversaries(), rules=[RULE]).findings
