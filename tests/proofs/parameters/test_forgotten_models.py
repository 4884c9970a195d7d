"""One of several models that no optimizer holds: forgotten, or left alone on purpose."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "parameter-sets"


def autoencoder(learning, *, prepare=lambda decoder: None, through=True):
    """Train what ``learning`` picks of an encoder and a decoder; predict through both or one."""

    def build():
        encoder, decoder = nn.Linear(6, 3), nn.Linear(3, 6)
        prepare(decoder)
        held = [each for model in learning(encoder, decoder) for each in model.parameters()]
        optimizer = torch.optim.Adam(held, 1e-2)

        def step(batch):
            optimizer.zero_grad()
            loss = F.mse_loss(decoder(encoder(batch)), batch)
            loss.backward()
            optimizer.step()
            return loss

        def predict(batch):
            with torch.no_grad():
                return decoder(encoder(batch)) if through else encoder(batch)

        return Trainee((encoder, decoder), torch.randn(8, 6), step, predict=predict, target=None)

    return build


def encoder_alone(encoder, _):
    return [encoder]


def test_a_decoder_that_no_optimizer_holds(caught):
    finding, _ = caught(RULE, autoencoder(encoder_alone))
    assert finding.message.startswith("Gradients arrive at 1.weight, 1.bias, but no optimizer")


def constant(decoder):
    for each in decoder.parameters():
        nn.init.constant_(each, 0.1)


@pytest.mark.parametrize(
    "build",
    [
        autoencoder(encoder_alone, prepare=lambda model: model.load_state_dict(model.state_dict())),
        autoencoder(encoder_alone, prepare=nn.Module.eval),
        autoencoder(encoder_alone, prepare=constant),
        autoencoder(encoder_alone, through=False),
        autoencoder(lambda _, decoder: [decoder]),
    ],
    ids=["loaded", "in eval mode", "given values", "not predicted with", "comes first"],
)
def test_a_model_that_may_be_meant_to_stay_as_it_is_is_a_warning(build):
    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    "build",
    [
        autoencoder(lambda encoder, decoder: [encoder, decoder]),
        autoencoder(encoder_alone, prepare=lambda model: model.requires_grad_(requires_grad=False)),
    ],
    ids=["both", "frozen"],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def actor_critic(of_critic, *, after=lambda critic: None):
    """Learn values and a policy; the critic's optimizer is given what ``of_critic`` picks."""

    def build():
        actor, critic = nn.Sequential(nn.Linear(4, 2), nn.Tanh()), nn.Linear(6, 1)
        actors = torch.optim.Adam(actor.parameters(), 1e-3)
        critics = torch.optim.Adam(of_critic(actor, critic).parameters(), 1e-3)

        def step(batch):
            critics.zero_grad()
            values = critic(torch.cat([batch["state"], batch["action"]], 1)).squeeze(1)
            loss = F.mse_loss(values, batch["reward"])
            loss.backward()
            after(critic)
            critics.step()
            actors.zero_grad()
            gain = critic(torch.cat([batch["state"], actor(batch["state"])], 1)).mean()
            (-gain).backward()
            actors.step()
            critic.zero_grad()
            return loss - gain

        batch = {
            "state": torch.randn(8, 4),
            "action": torch.rand(8, 2),
            "reward": torch.randn(8),
        }
        models = {"actor": actor, "critic": critic}
        return Trainee(
            models,
            batch,
            step,
            predict=lambda each: actor(each["state"]).detach(),
            target=None,
            optimizer=[actors, critics],
        )

    return build


def test_a_critic_whose_optimizer_was_given_the_actor(caught):
    finding, _ = caught(RULE, actor_critic(lambda actor, _: actor))
    assert finding.message.startswith("Gradients arrive at critic.weight, critic.bias")


def by_hand(critic):
    with torch.no_grad():
        for each in critic.parameters():
            each.sub_(each.grad, alpha=1e-3)


def test_a_critic_that_learns_is_silent():
    right = actor_critic(lambda _, critic: critic)
    assert not torchproof.prove(right, rules=[RULE]).findings


def test_a_critic_that_is_updated_by_hand_is_no_error():
    assert torchproof.prove(
        actor_critic(lambda actor, _: actor, after=by_hand), rules=[RULE]
    ).passed


class Centres(nn.Module):
    """A loss with a vector for each class."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))

    def forward(self, embedded, labels):
        return F.cross_entropy(F.normalize(embedded) @ F.normalize(self.weight).T, labels)


def embedder(*, held, prepare=lambda centres: None):
    def build():
        model, centres = nn.Linear(6, 4), Centres()
        prepare(centres)
        learning = [*model.parameters(), *(centres.parameters() if held else ())]
        optimizer = torch.optim.SGD(learning, 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = centres(model(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        batch = {"x": torch.randn(6, 6), "y": torch.tensor([0, 1, 2, 0, 1, 2])}
        return Trainee({"model": model, "loss": centres}, batch, step)

    return build


def test_centres_of_classes_that_no_optimizer_holds(caught):
    finding, _ = caught(RULE, embedder(held=False))
    assert "loss.weight" in finding.message


def test_centres_that_learn_or_stay_on_purpose_are_silent():
    assert not torchproof.prove(embedder(held=True), rules=[RULE]).findings
    frozen = embedder(
        held=False, prepare=lambda centres: centres.requires_grad_(requires_grad=False)
    )
    assert not torchproof.prove(frozen, rules=[RULE]).findings
