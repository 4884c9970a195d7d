"""Bugs of the class `loss-input`; the marked line is where it shows."""

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "loss-input"


def onehot(labels):
    return F.one_hot(labels, 3).float()


def by_hand(logits):
    return logits.exp() / logits.exp().sum(1, keepdim=True)


WRONG = {
    "softmax before cross_entropy": lambda o, y: F.cross_entropy(o.softmax(1), y),  # here
    "softmax over the batch": lambda o, y: F.cross_entropy(o.softmax(0), y),  # here
    "sigmoid before cross_entropy": lambda o, y: F.cross_entropy(o.sigmoid(), y),  # here
    "softmax seen through views": lambda o, y: F.cross_entropy(  # here
        o.softmax(1).view(6, 3)[:], y
    ),  # here
    "a softmax by hand": lambda o, y: F.cross_entropy(by_hand(o), y),  # here
    "a module's loss": lambda o, y: nn.CrossEntropyLoss()(o.softmax(1), y),  # here
    "sigmoid before bce with logits": lambda o, y: F.binary_cross_entropy_with_logits(  # here
        o.sigmoid(), onehot(y)
    ),
    "nll_loss of logits": lambda o, y: F.nll_loss(o[:], y),  # here
    "nll_loss of activated logits": lambda o, y: F.nll_loss(10 + o.relu(), y),  # here
    "nll_loss of probabilities": lambda o, y: F.nll_loss(o.softmax(1), y),  # here
    "log_softmax over the batch": lambda o, y: F.nll_loss(o.log_softmax(0), y),  # here
    "logarithm of a softmax over the batch": lambda o, y: F.nll_loss(o.softmax(0).log(), y),  # here
    "log_softmax of a softmax": lambda o, y: F.nll_loss(o.softmax(1).log_softmax(1), y),  # here
    "logsigmoid of a sigmoid": lambda o, y: -F.logsigmoid(o.sigmoid()).mean(),  # here
    "kl_div of probabilities": lambda o, y: F.kl_div(o.softmax(1), onehot(y)),  # here
    "kl_div of a log_softmax of a softmax": lambda o, y: F.kl_div(  # here
        o.softmax(1).log_softmax(1), onehot(y)
    ),
    "sigmoid of a sigmoid": lambda o, y: F.binary_cross_entropy(  # here
        o.sigmoid().sigmoid(), onehot(y)
    ),
    "nll_loss of logsigmoid": lambda o, y: F.nll_loss(F.logsigmoid(o), y),  # here
    "clamped logits": lambda o, y: F.binary_cross_entropy(  # here
        o.clamp(1e-6, 1 - 1e-6), onehot(y)
    ),
    "kl_div of a log_softmax over the batch": lambda o, y: F.kl_div(  # here
        o.log_softmax(0), onehot(y), reduction="batchmean"
    ),
    "kl_div of logits": lambda o, y: F.kl_div(o, onehot(y)),  # here
    "kl_div with a logarithmic target": lambda o, y: F.kl_div(  # here
        o.log_softmax(1), (onehot(y) + 0.1).log()
    ),
}


@pytest.mark.parametrize("loss", WRONG.values(), ids=WRONG)
def test_a_loss_that_gets_what_it_is_not_defined_on(caught, loss):
    finding, line = caught(
        RULE, lambda: lookalikes.trained_with(lambda m, b: loss(m(b["x"]), b["y"]))
    )
    assert line.endswith("# here")
    assert finding.remedy.startswith("F.")


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (lambda o: F.cross_entropy(o, torch.zeros(6, dtype=torch.long)), "over one class is 0"),
        (lambda o: F.binary_cross_entropy(o.softmax(1), torch.ones(6, 1)), "a single value is 1"),
    ],
)
def test_one_output_is_one_logit(caught, loss, sentence):
    def build():
        return lookalikes.trained_with(lambda m, b: loss(m(b["x"])), zoo.mlp(4, 1))

    finding, _ = caught(RULE, build)
    assert sentence in finding.message


def test_a_softmax_inside_the_model_is_found(caught):
    def build():
        model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=-1))
        return zoo.classifier(model, zoo.classes(4))

    finding, _ = caught(RULE, build)
    assert finding.evidence["input made by"] == "Softmax"


def test_per_position_classes_are_read_on_axis_one(caught):
    def build():
        model = nn.Conv1d(4, 3, 1)
        batch = {"x": torch.randn(6, 4, 5), "y": torch.randint(0, 3, (6, 5))}
        return lookalikes.trained_with(
            lambda m, b: F.nll_loss(m(b["x"]).log_softmax(-1), b["y"]), model, batch
        )

    finding, _ = caught(RULE, build)
    assert "softmax runs over axis 2" in finding.message


def tagger(logarithms):
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))
    batch = {"x": torch.randn(4, 7, 4), "y": torch.randint(0, 3, (4, 7))}
    return lookalikes.trained_with(
        lambda m, b: F.nll_loss(logarithms(m(b["x"])), b["y"].flatten()),  # here
        model,
        batch,
    )


SCATTERED = {
    "over times": lambda o: o.log_softmax(1).flatten(0, 1),
    "over rows": lambda o: o.log_softmax(0).reshape(-1, 3),
    "of classes reshaped": lambda o: o.transpose(1, 2).log_softmax(1).reshape(-1, 3),
}


@pytest.mark.parametrize("logarithms", SCATTERED.values(), ids=SCATTERED)
def test_classes_that_are_not_those_of_the_softmax(caught, logarithms):
    _, line = caught(RULE, lambda: tagger(logarithms))
    assert line.endswith("# here")


TOGETHER = {
    "flattened": lambda o: o.log_softmax(-1).flatten(0, 1),
    "classes moved": lambda o: o.transpose(1, 2).log_softmax(1).transpose(1, 2).reshape(-1, 3),
    "in half precision": lambda o: o.bfloat16().log_softmax(-1).flatten(0, 1).float(),
    "some of them": lambda o: torch.cat([o, o], 2).log_softmax(-1)[..., :3].flatten(0, 1),
    "with classes that cannot be": lambda o: (
        o.masked_fill(torch.tensor([False, False, True]), -torch.inf)
        .log_softmax(-1)
        .clamp(min=-9)
        .view(-1, 3)
    ),
}


@pytest.mark.parametrize("logarithms", TOGETHER.values(), ids=TOGETHER)
def test_classes_that_stay_together_are_right(logarithms):
    assert not torchproof.prove(lambda: tagger(logarithms), rules=[RULE]).findings


def test_losses_that_are_only_logged_do_not_matter():
    def loss(model, batch):
        logits = model(batch["x"])
        with torch.no_grad():
            F.cross_entropy(logits.softmax(1), batch["y"])
        return F.cross_entropy(logits, batch["y"])

    assert torchproof.prove(lambda: lookalikes.trained_with(loss), rules=[RULE]).passed
