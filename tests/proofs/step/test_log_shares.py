"""Partial likelihoods and other shares of sums, written out: `uphill-update`."""

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "uphill-update"
ROWS = 6


def patients():
    batch = {"x": torch.randn(ROWS, 4), "time": torch.rand(ROWS), "y": torch.arange(ROWS) % 3}
    return {**batch, "event": torch.tensor([1.0, 0, 1, 1, 0, 1])}


def longest_first(model, batch):
    order = batch["time"].argsort(descending=True)
    return model(batch["x"])[order, 0], batch["event"][order]


def partial_likelihood(model, batch):
    risk, event = longest_first(model, batch)
    return -((risk - risk.logcumsumexp(0)) * event).sum() / event.sum()


def written_out(model, batch):
    risk, event = longest_first(model, batch)
    total = torch.log(risk.exp().cumsum(0) + 1e-9)
    return ((total - risk) * event).sum() / event.sum()


def at_risk(model, batch):
    risk = model(batch["x"]).squeeze(1)
    later = batch["time"] >= batch["time"][:, None]
    total = risk.expand(ROWS, ROWS).masked_fill(~later, -1e9).logsumexp(1)
    return -(risk - total)[batch["event"].bool()].mean()


def ranking(model, batch):
    scores = model(batch["x"])[batch["time"].argsort(), 0]
    return (scores.logcumsumexp(0) - scores).mean()


def longest_life(model, batch):
    return partial_likelihood(lambda x: -model(x), batch)


def cross_entropy(model, batch):
    logits = model(batch["x"])
    chosen = F.one_hot(batch["y"], 3).float()
    return -((logits - logits.logsumexp(1, keepdim=True)) * chosen).sum(1).mean()


def pairs_in_the_batch(model, batch):
    likeness = model(batch["x"]) @ model(batch["x"] + 0.1).T
    return -(likeness.diag() - likeness.logsumexp(1)).mean()


def trained(loss_of, sign):
    outputs = 1 if loss_of in (*SURVIVAL, ranking, not_a_share) else 3
    return lookalikes.trained_with(
        lambda m, b: sign * loss_of(m, b), zoo.mlp(4, outputs), patients(), target=None
    )


SURVIVAL = [partial_likelihood, written_out, at_risk, longest_life]
LOSSES = [*SURVIVAL, ranking, cross_entropy, pairs_in_the_batch]


@pytest.mark.parametrize("loss_of", LOSSES)
def test_a_likelihood_that_is_minimised(caught, loss_of):
    finding, _ = caught(RULE, lambda: trained(loss_of, -1))
    assert finding.evidence["loss"] == "log_share"


def unlikely(model, batch):
    """The class of a row becomes likelier, the next one less likely."""
    logits = model(batch["x"])
    logarithm = logits - logits.logsumexp(1, keepdim=True)
    chosen, other = (F.one_hot(each % 3, 3).float() for each in (batch["y"], batch["y"] + 1))
    return (logarithm * other).sum(1).mean() - (logarithm * chosen).sum(1).mean()


def uncertain(model, batch):
    """The entropy is made large."""
    logits = model(batch["x"])
    logarithm = logits - logits.logsumexp(1, keepdim=True)
    return (logarithm.exp() * logarithm).sum(1).mean()


def not_a_share(model, batch):
    """What is taken from the sum is no term of it."""
    first, second = model(batch["x"]), model(batch["x"].flip(0))
    return (first - second.logcumsumexp(0)).square().mean()


@pytest.mark.parametrize("loss_of", [*LOSSES, unlikely, uncertain, not_a_share])
def test_a_likelihood_that_is_maximised_is_silent(loss_of):
    assert not torchproof.prove(lambda: trained(loss_of, 1), rules=[RULE]).findings
