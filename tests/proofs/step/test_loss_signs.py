"""Losses that are raised, by whatever sign: `uphill-update` where no single value is the loss."""

import copy

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import distributions, nn

import torchproof
from torchproof import Trainee


RULE = "uphill-update"


def normal(output):
    return distributions.Normal(output[:, 0], F.softplus(output[:, 1]) + 0.1)


def mixture(output):
    weights, means, widths = output.chunk(3, 1)
    parts = distributions.Normal(means, F.softplus(widths) + 0.1)
    return distributions.MixtureSameFamily(distributions.Categorical(logits=weights), parts)


def variational_bound(model, batch):
    mean, log_variance = model[0](batch["x"]).chunk(2, 1)
    latent = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    error = F.mse_loss(model[1](latent), batch["x"], reduction="none").sum(1).mean()
    return error - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()


def with_decay(model, batch):
    size = sum(each.square().sum() for each in model.parameters())
    return F.mse_loss(model(batch["x"]), batch["x"]) + 1e-3 * size


def picked(model, batch):
    return -model(batch["x"]).log_softmax(1).gather(1, batch["y"][:, None]).mean()


def binary(*shape):
    return {**zoo.numbers(*shape), "y": (torch.arange(6) % 2).float()}


def overlap(model, batch):
    chances = model(batch["x"]).squeeze(1).sigmoid()
    shared = (chances * batch["y"]).sum()
    return 1 - 2 * shared / (chances.sum() + batch["y"].sum())


def under_a_fixed_normal(model, batch):
    latent = model(batch["x"])
    prior = distributions.Normal(torch.zeros(4), torch.ones(4))
    return -(prior.log_prob(latent).sum(1) + torch.linalg.slogdet(model.weight)[1]).mean()


def likelihood_written_out(model, batch):
    mean, log_variance = model(batch["x"]).unbind(1)
    return (log_variance + (batch["y"] - mean) ** 2 / log_variance.exp()).mean()


def several_labels(*shape):
    return {**zoo.numbers(*shape), "y": (torch.arange(18).view(6, 3) % 2).float()}


def overlaps(model, batch):
    chances = model(batch["x"]).sigmoid()
    shared = (chances * batch["y"]).sum(1)
    return (1 - 2 * shared / (chances.sum(1) + batch["y"].sum(1))).mean()


LOSSES = {
    "a likelihood written out": (likelihood_written_out, lambda: zoo.mlp(4, 2), zoo.numbers),
    "an overlap for each row": (overlaps, zoo.mlp, several_labels),
    "the bound of an autoencoder": (
        variational_bound,
        lambda: nn.ModuleList([zoo.mlp(4, 4), zoo.mlp(2, 4)]),
        zoo.numbers,
    ),
    "a loss and a penalty": (with_decay, lambda: zoo.mlp(4, 4), zoo.numbers),
    "a square": (
        lambda m, b: ((m(b["x"]).squeeze(1) - b["y"]) ** 2).mean(),
        lambda: zoo.mlp(4, 1),
        zoo.numbers,
    ),
    "an absolute value": (
        lambda m, b: (b["y"] - m(b["x"])[:, 0]).abs().mean(),
        lambda: zoo.mlp(4, 1),
        zoo.numbers,
    ),
    "a product": (
        lambda m, b: [each * each for each in [m(b["x"])[:, 0] - b["y"]]][0].mean(),  # noqa: RUF015 - one name for both factors
        lambda: zoo.mlp(4, 1),
        zoo.numbers,
    ),
    "a likelihood": (
        lambda m, b: -normal(m(b["x"])).log_prob(b["y"]).mean(),
        lambda: zoo.mlp(4, 2),
        zoo.numbers,
    ),
    "a likelihood of a mixture": (
        lambda m, b: -mixture(m(b["x"])).log_prob(b["y"]).mean(),
        lambda: zoo.mlp(4, 6),
        zoo.numbers,
    ),
    "a likelihood under a prior": (
        under_a_fixed_normal,
        lambda: nn.Linear(4, 4),
        zoo.numbers,
    ),
    "a log-softmax at the labels": (picked, zoo.mlp, zoo.classes),
    "a probability's logarithm at the labels": (
        lambda m, b: -(F.one_hot(b["y"], 3) * (m(b["x"]).softmax(1) + 1e-9).log()).mean(),
        zoo.mlp,
        zoo.classes,
    ),
    "an overlap": (overlap, lambda: zoo.mlp(4, 1), binary),
    "an angle": (
        lambda m, b: 1 - F.cosine_similarity(m(b["x"]), b["x"]).mean(),
        lambda: zoo.mlp(4, 4),
        zoo.numbers,
    ),
    "a signal to noise ratio": (
        lambda m, b: 10 * F.mse_loss(m(b["x"]), b["x"]).log10(),
        lambda: zoo.mlp(4, 4),
        zoo.numbers,
    ),
}


def trained(name, sign, **options):
    loss_of, model_of, batch_of = LOSSES[name]

    def build():
        model = model_of()
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, **options)
        return lookalikes.trained_with(
            lambda m, b: sign * loss_of(m, b), model, batch_of(4), optimizer
        )

    return build


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_enters_with_a_minus_sign(caught, name):
    finding, _ = caught(RULE, trained(name, -1))
    assert finding.evidence["the update follows the gradient"] == "down"


@pytest.mark.parametrize("name", ["the bound of an autoencoder", "a likelihood"])
def test_a_loss_that_an_optimizer_maximises(caught, name):
    finding, _ = caught(RULE, trained(name, 1, maximize=True))
    assert finding.evidence["the update follows the gradient"] == "up"


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_is_minimised_is_silent(name):
    assert not torchproof.prove(trained(name, 1), rules=[RULE]).findings
    assert not torchproof.prove(trained(name, -1, maximize=True), rules=[RULE]).findings


def costs(x, action):
    return 1 + (x.sum(1) - action).square()


def cost_of_the_action_taken(model, batch):
    logarithm = model(batch["x"]).log_softmax(1).gather(1, batch["y"][:, None]).squeeze(1)
    return (costs(batch["x"], batch["y"]) * logarithm).mean()


def chance_of_a_cost(model, batch):
    taken = F.one_hot(batch["y"], 3) * model(batch["x"]).softmax(1)
    return (costs(batch["x"], batch["y"]) * taken.sum(1)).mean()


def distance_as_a_cost(model, batch):
    return (-batch["worth"] * (model(batch["x"])[:, 0] - batch["y"]).square()).mean()


def worth():
    return {**zoo.numbers(4), "worth": -torch.rand(6)}


@pytest.mark.parametrize(
    ("loss_of", "outputs", "batch_of"),
    [
        (cost_of_the_action_taken, 3, lambda: zoo.classes(4)),
        (chance_of_a_cost, 3, lambda: zoo.classes(4)),
        (distance_as_a_cost, 1, worth),
        (lambda m, b: -distance_as_a_cost(m, b), 1, worth),
    ],
)
def test_losses_that_something_weighs_are_not_judged(loss_of, outputs, batch_of):
    def build():
        return lookalikes.trained_with(loss_of, zoo.mlp(4, outputs), batch_of())

    assert not torchproof.prove(build, rules=[RULE]).findings


def updated_by_hand(rate, *, sign=1, functional=False):
    def build():
        model = zoo.mlp(4, 1)

        def step(batch):
            learning = list(model.parameters())
            loss = sign * F.mse_loss(model(batch["x"]).squeeze(1), batch["y"])
            gradients = torch.autograd.grad(loss, learning) if functional else []
            if not functional:
                model.zero_grad()
                loss.backward()
                gradients = [each.grad for each in learning]
            with torch.no_grad():
                for each, gradient in zip(learning, gradients):
                    each.add_(gradient, alpha=rate)
            return loss

        return Trainee(model, zoo.numbers(4), step)

    return build


@pytest.mark.parametrize("functional", [True, False])
def test_a_plus_in_an_update_by_hand(caught, functional):
    finding, _ = caught(RULE, updated_by_hand(0.01, functional=functional))
    assert finding.evidence["the update follows the gradient"] == "up"


@pytest.mark.parametrize("functional", [True, False])
def test_right_updates_by_hand_are_silent(functional):
    for rate, sign in ((-0.01, 1), (0.01, -1)):
        build = updated_by_hand(rate, sign=sign, functional=functional)
        assert not torchproof.prove(build, rules=[RULE]).findings


def momentum_by_hand():
    model = zoo.mlp(4, 1)
    velocity = [torch.zeros_like(each) for each in model.parameters()]

    def step(batch):
        model.zero_grad()
        loss = F.mse_loss(model(batch["x"]).squeeze(1), batch["y"])
        loss.backward()
        with torch.no_grad():
            for each, speed in zip(model.parameters(), velocity):
                speed.mul_(0.9).add_(each.grad)
                each.sub_(0.01 * speed)
        return loss

    return Trainee(model, zoo.numbers(4), step)


def two_optimizers(sign):
    body, head = zoo.mlp(4, 8), nn.Linear(8, 3)
    optimizers = [torch.optim.Adam(body.parameters()), torch.optim.SGD(head.parameters(), 0.1)]

    def step(batch):
        for each in optimizers:
            each.zero_grad()
        loss = sign * (F.cross_entropy(head(body(batch["x"])), batch["y"]) + 0.1)
        loss.backward()
        for each in optimizers:
            each.step()
        return loss

    return Trainee({"body": body, "head": head}, zoo.classes(4), step, predict=lambda b: b["x"])


def test_two_optimizers_that_raise_one_loss(caught):
    caught(RULE, lambda: two_optimizers(-1))
    assert not torchproof.prove(lambda: two_optimizers(1), rules=[RULE]).findings


def domain_adversary():
    model = nn.ModuleDict({"f": zoo.mlp(4, 8), "c": nn.Linear(8, 3), "d": nn.Linear(8, 2)})

    def loss_of(model, batch):
        features = model["f"](batch["x"])
        confused = F.cross_entropy(model["d"](features), torch.arange(6) % 2)
        return F.cross_entropy(model["c"](features), batch["y"]) - 0.1 * confused

    return lookalikes.trained_with(loss_of, model)


def generator_against_a_fixed_judge():
    generator, judge = zoo.mlp(4, 4), zoo.mlp(4, 1).requires_grad_(requires_grad=False)
    optimizer = torch.optim.Adam(generator.parameters())

    def step(batch):
        optimizer.zero_grad()
        judged = judge(generator(batch["x"]))
        loss = -F.binary_cross_entropy_with_logits(judged, torch.zeros(6, 1)) * 2 + 1
        loss.backward()
        optimizer.step()
        return loss

    models = {"generator": generator, "judge": judge}
    return Trainee(models, zoo.numbers(4), step, target=None, predict=lambda b: b["x"])


def preferences():
    model = zoo.mlp(4, 3)
    before = copy.deepcopy(model).requires_grad_(requires_grad=False)

    def likelihood(of, batch, ids):
        return -F.cross_entropy(of(batch["x"]), ids, reduction="none")

    def loss_of(model, batch):
        good, bad = batch["y"], (batch["y"] + 1) % 3
        gains = [
            likelihood(model, batch, ids) - likelihood(before, batch, ids) for ids in (good, bad)
        ]
        return -F.logsigmoid(gains[0] - gains[1]).mean()

    return lookalikes.trained_with(loss_of, model)


def costs_of_actions():
    batch = (torch.randn(6, 4), torch.arange(6) % 3, -torch.rand(6))

    def loss_of(model, batch):
        states, actions, gain = batch
        return (F.cross_entropy(model(states), actions, reduction="none") * gain).mean()

    return lookalikes.trained_with(loss_of, batch=batch, target=1)


def sampled_policy():
    """The squashed policy of an actor: its own log-probability has to fall."""

    def loss_of(model, batch):
        mean, width = model(batch["x"]).chunk(2, 1)
        noise = torch.randn_like(mean)
        action = mean + F.softplus(width) * noise
        prior = distributions.Normal(0.0, 1.0)
        density = prior.log_prob((action - mean) / F.softplus(width)) - F.softplus(width).log()
        return (density + action**2).sum(1).mean()

    return lookalikes.trained_with(loss_of, batch=zoo.numbers(4), model=zoo.mlp(4, 4))


def bound_of_two_densities():
    """The approximate posterior's log-probability enters with a plus sign, the prior's not."""

    def loss_of(model, batch):
        mean, width = model[0](batch["x"]).chunk(2, 1)
        posterior = distributions.Normal(mean, F.softplus(width) + 0.1)
        latent = posterior.rsample()
        prior = distributions.Normal(0.0, 1.0).log_prob(latent)
        known = distributions.Normal(model[1](latent), 1.0).log_prob(batch["x"])
        return (posterior.log_prob(latent) - prior).sum(1).mean() - known.sum(1).mean()

    model = nn.ModuleList([zoo.mlp(4, 4), zoo.mlp(2, 4)])
    return lookalikes.trained_with(loss_of, model, zoo.numbers(4))


def similarity_to_prototypes():
    class Prototypes(nn.Module):
        def __init__(self):
            super().__init__()
            self.places = nn.Parameter(torch.randn(3, 4))

        def forward(self, x):
            return -((x[:, None] - self.places) ** 2).sum(2)

    return lookalikes.trained_with(picked, Prototypes())


@pytest.mark.parametrize(
    "build",
    [
        momentum_by_hand,
        domain_adversary,
        generator_against_a_fixed_judge,
        preferences,
        costs_of_actions,
        sampled_policy,
        bound_of_two_densities,
        similarity_to_prototypes,
        zoo.functional_gradients,
        zoo.gan_with_two_optimizers,
        zoo.gradient_penalty,
        lookalikes.adversarial_examples_on_the_way,
        lookalikes.symmetric_contrastive_loss_over_both_axes,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def gaussian_policy(sign, names=("action", "returns"), *, normalised=False):
    action, gain = names

    def build():
        batch = {"x": torch.randn(6, 4), action: torch.randn(6, 2), gain: torch.randn(6)}

        def loss_of(model, batch):
            gained = batch[gain]
            if normalised:
                gained = (gained - gained.mean()) / gained.std()
            chosen = distributions.Normal(model(batch["x"]), 0.5).log_prob(batch[action])
            return sign * (chosen.sum(1) * gained).mean()

        return lookalikes.trained_with(loss_of, zoo.mlp(4, 2), batch, target=None)

    return build


@pytest.mark.parametrize("names", [("action", "returns"), ("a", "r"), ("act", "rew")])
@pytest.mark.parametrize("normalised", [True, False])
def test_a_policy_of_real_numbers_whose_minus_sign_is_missing(caught, names, normalised):
    caught(RULE, gaussian_policy(1, names, normalised=normalised))
    right = gaussian_policy(-1, names, normalised=normalised)
    assert not torchproof.prove(right, rules=[RULE]).findings


def gradients_of_single_rows():
    model = zoo.mlp(4, 1).eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def loss_of(parameters, row, label):
        output = torch.func.functional_call(model, parameters, (row[None],))
        return (output.squeeze() - label) ** 2

    def step(batch):
        known = {name: each.detach() for name, each in model.named_parameters()}
        each_row = torch.func.vmap(torch.func.grad(loss_of), (None, 0, 0))
        for name, gradient in each_row(known, batch["x"], batch["y"]).items():
            model.get_parameter(name).grad = gradient.mean(0)
        optimizer.step()
        return F.mse_loss(model(batch["x"]).squeeze(1), batch["y"])

    return Trainee(model, zoo.numbers(4), step)


def test_transforms_of_functions_are_let_be():
    assert not torchproof.prove(
        gradients_of_single_rows, rules=[RULE, "batch-independence"]
    ).findings
