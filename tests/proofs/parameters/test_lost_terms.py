"""Terms of a loss that add a number and teach nothing; the marked line is where they are added."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "parameter-sets"


def trained(loss_of, *, model=zoo.mlp, batch=lambda: zoo.classes(4), decay=0.0, **options):
    """Train a model by ``loss_of(model, batch)``."""

    def build():
        net = model()
        learning = [each for each in net.parameters() if each.requires_grad]
        optimizer = torch.optim.SGD(learning, 0.1, weight_decay=decay)

        def step(batch):
            optimizer.zero_grad()
            loss = loss_of(net, batch)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return Trainee(net, batch(), step, **options)

    return build


def classified(model, batch):
    return F.cross_entropy(model(batch["x"]), batch["y"])


def squares(tensors):
    return sum(each.pow(2).sum() for each in tensors)


def penalty_by_item(model, batch):
    logits = model(batch["x"])
    penalty = 0.1 * logits.pow(2).mean().item()
    return F.cross_entropy(logits, batch["y"]) + penalty  # here


def penalty_of_detached_outputs(model, batch):
    logits = model(batch["x"])
    loss = F.cross_entropy(logits, batch["y"])
    loss += 0.1 * logits.pow(2).mean().detach()  # here
    return loss / 2


def penalty_on_data(model, batch):
    penalty = squares(each.data for each in model.parameters())
    return classified(model, batch) + 1e-3 * penalty  # here


def entropy_under_no_grad(model, batch):
    shares = torch.distributions.Categorical(logits=model(batch["x"]))
    with torch.no_grad():
        entropy = shares.entropy().mean()
    return -shares.log_prob(batch["y"]).mean() - 0.01 * entropy  # here


def consistency_of_two_constants(model, batch):
    with torch.no_grad():
        first = model(batch["x"] + 0.1 * torch.randn_like(batch["x"]))
        second = model(batch["x"])
    return classified(model, batch) + F.mse_loss(first, second)  # here


def detached_in_a_stack(model, batch):
    logits = model(batch["x"])
    losses = [F.cross_entropy(logits, batch["y"]), logits.pow(2).mean().detach()]
    return torch.stack(losses).sum()  # here


def confidence_of_each_row(model, batch):
    logits = model(batch["x"])
    each = F.cross_entropy(logits, batch["y"], reduction="none")
    confidence = (logits.softmax(1) * logits.log_softmax(1)).sum(1).detach()
    return (each + 0.1 * confidence).mean()  # here


def slopes_without_a_graph(model, batch):
    x = batch["x"].clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(x).sum(), x)
    return classified(model, batch) + (slope.norm(dim=1) - 1).pow(2).mean()  # here


LOST = [
    penalty_by_item,
    penalty_of_detached_outputs,
    penalty_on_data,
    entropy_under_no_grad,
    consistency_of_two_constants,
    detached_in_a_stack,
    confidence_of_each_row,
    slopes_without_a_graph,
]


@pytest.mark.parametrize("loss_of", LOST, ids=lambda each: each.__name__)
def test_a_term_without_a_gradient_is_found_where_it_is_added(caught, loss_of):
    finding, line = caught(RULE, trained(loss_of))
    assert line.endswith("# here")
    assert "A term of the loss" in finding.message
    assert "0.weight" in finding.message


def test_a_term_that_is_computed_by_a_frozen_judge_without_gradient(caught):
    def model():
        parts = nn.ModuleDict({"net": zoo.mlp(4, 4), "judge": zoo.mlp(4, 2)})
        parts["judge"].requires_grad_(requires_grad=False)
        return parts

    def loss_of(model, batch):
        made = model["net"](batch["x"])
        with torch.no_grad():
            seen, wanted = model["judge"](made), model["judge"](batch["x"])
        return F.mse_loss(made, batch["x"]) + F.mse_loss(seen, wanted)

    made = trained(loss_of, model=model, predict=lambda batch: batch["x"])
    finding, _ = caught(RULE, made)
    assert "net.0.weight" in finding.message
    assert "judge" not in finding.message


def with_its_gradient(model, batch):
    logits = model(batch["x"])
    return F.cross_entropy(logits, batch["y"]) + 0.1 * logits.pow(2).mean()


def shown_in_place_of_what_is_trained(model, batch):
    logits = model(batch["x"])
    loss = F.cross_entropy(logits, batch["y"])
    wrong = (logits.argmax(1) != batch["y"]).float().mean()
    return loss + (wrong - loss).detach()


def less_its_own_value(model, batch):
    loss = classified(model, batch)
    return loss - 0.9 * loss.item()


def stabilised_logarithm(model, batch):
    logits = model(batch["x"])
    top = logits.max().detach()
    total = top + (logits - top).exp().sum().log()
    return total - logits.gather(1, batch["y"][:, None]).mean()


def contrast_less_the_largest(model, batch):
    made = F.normalize(model(batch["x"]), dim=1)
    likeness = made @ made.T
    likeness = likeness - likeness.max(1, keepdim=True).values.detach()
    same = (batch["y"][:, None] == batch["y"]).float()
    return -(same * (likeness - likeness.exp().sum(1, keepdim=True).log())).sum() / same.sum()


def divergence_from_its_own_target(model, batch):
    with torch.no_grad():
        target = model(batch["x"]).softmax(1)
    given = model(batch["x"] + 0.1).log_softmax(1)
    return (target * target.log()).sum() - (target * given).sum()


def advantage_times_likelihood(model, batch):
    chances = model(batch["x"]).log_softmax(1).gather(1, batch["y"][:, None])[:, 0]
    baseline = chances.detach().mean()
    return -((1.0 - baseline) * chances).mean()


def quantised_straight_through(model, batch):
    score = model(batch["x"])[:, 0]
    return (score + (score.round() - score).detach()).mean() + classified(model, batch)


def flooded(model, batch):
    level = classified(model, batch).detach() * 0.5
    return (classified(model, batch) - level).abs() + level


def constants_that_only_look_like_outputs(model, batch):
    logits = model(batch["x"])
    target = torch.full_like(logits, 1 / 3)
    return (target * target.log()).sum() - (target * logits.log_softmax(1)).sum()


def summed_from_zero(model, batch):
    logits = model(batch["x"])
    return sum([F.cross_entropy(logits, batch["y"]), 0.0 * logits.detach().mean()])


RIGHT = [
    with_its_gradient,
    shown_in_place_of_what_is_trained,
    less_its_own_value,
    stabilised_logarithm,
    contrast_less_the_largest,
    divergence_from_its_own_target,
    advantage_times_likelihood,
    quantised_straight_through,
    flooded,
    constants_that_only_look_like_outputs,
    summed_from_zero,
]


@pytest.mark.parametrize("loss_of", RIGHT, ids=lambda each: each.__name__)
def test_values_cut_off_on_purpose_are_no_lost_terms(loss_of):
    assert torchproof.prove(trained(loss_of), rules=[RULE]).passed


def test_a_penalty_shown_for_the_decay_that_the_optimizer_does():
    assert torchproof.prove(trained(penalty_on_data, decay=2e-3), rules=[RULE]).passed


def test_another_models_loss_shown_with_ones_own():
    def build():
        model = nn.ModuleDict({"first": zoo.mlp(), "second": zoo.mlp()})
        optimizers = [torch.optim.SGD(each.parameters(), 0.1) for each in model.values()]

        def step(batch):
            first = classified(model["first"], batch)
            optimizers[0].zero_grad()
            first.backward()
            optimizers[0].step()
            second = classified(model["second"], batch) + first.detach()
            optimizers[1].zero_grad()
            second.backward()
            optimizers[1].step()
            return second

        return Trainee(model, zoo.classes(4), step, predict=lambda b: model["first"](b["x"]))

    assert torchproof.prove(build, rules=[RULE]).passed


def test_two_models_that_learn_in_turn_and_show_both_losses():
    def build():
        first, second, calls = zoo.mlp(), zoo.mlp(), []
        optimizers = [torch.optim.SGD(each.parameters(), 0.1) for each in (first, second)]

        def step(batch):
            losses = [classified(each, batch) for each in (first, second)]
            turn = len(calls) % 2
            calls.append(turn)
            loss = losses[turn] + losses[1 - turn].detach()
            optimizers[turn].zero_grad()
            loss.backward()
            optimizers[turn].step()
            return loss

        return Trainee((first, second), zoo.classes(4), step, predict=lambda b: first(b["x"]))

    assert torchproof.prove(build, rules=[RULE]).passed


def test_a_term_of_a_teacher_that_does_not_learn():
    def model():
        parts = nn.ModuleDict({"student": zoo.mlp()})
        parts["teacher"] = copy.deepcopy(parts["student"]).requires_grad_(requires_grad=False)
        return parts

    def loss_of(model, batch):
        target = model["teacher"](batch["x"]).softmax(1)
        given = model["student"](batch["x"]).log_softmax(1)
        return (target * target.log()).sum() - (target * given).sum()

    made = trained(loss_of, model=model, predict=lambda batch: batch["x"])
    assert torchproof.prove(made, rules=[RULE]).passed
