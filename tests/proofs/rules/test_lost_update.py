"""Bugs of the class `lost-update`; the marked line is where it shows."""

import lookalikes
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "lost-update"


def test_a_learning_rate_of_zero(caught):
    def build():
        model = zoo.mlp()
        return zoo.classifier(model, zoo.classes(4), torch.optim.SGD(model.parameters(), lr=0.0))

    finding, line = caught(RULE, build)
    assert line.strip() == "optimizer.step()"
    assert finding.evidence["learning rate"] == 0.0


def test_a_schedule_that_ends_in_integers(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: (count + 1) // 100)
        trainee = zoo.classifier(model, zoo.classes(4), optimizer)
        inner = trainee.step

        def step(batch):
            loss = inner(batch)
            schedule.step()
            return loss

        trainee.step = step
        return trainee

    caught(RULE, build)


def low_precision(rate, kind=torch.optim.AdamW):
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 3)).bfloat16()
        batch = zoo.classes(4)
        batch["x"] = batch["x"].bfloat16()
        return zoo.classifier(model, batch, kind(model.parameters(), rate))

    return build


def test_updates_that_bfloat16_rounds_away(caught):
    finding, _ = caught(RULE, low_precision(1e-5))
    assert "half the spacing of the numbers in bfloat16" in finding.message
    assert "torch.autocast" in finding.remedy


def test_a_type_that_the_step_names_itself(caught):
    def build():
        model = zoo.mlp().bfloat16()
        kind = next(model.parameters()).dtype

        def loss(model, batch):
            return F.cross_entropy(model(batch["x"].to(kind)), batch["y"])

        optimizer = torch.optim.SGD(model.parameters(), 1e-6)
        return lookalikes.trained_with(loss, model, optimizer=optimizer)

    caught(RULE, build)


def test_a_rate_too_small_for_float32(caught):
    def build():
        model = zoo.mlp()
        return zoo.classifier(model, zoo.classes(4), torch.optim.Adam(model.parameters(), 1e-12))

    finding, _ = caught(RULE, build)
    assert "float32" in finding.message


def test_an_optimizer_that_writes_to_copies(caught):
    class Lost(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})

        @torch.no_grad()
        def step(self, closure=None):
            for each in self.param_groups[0]["params"]:
                each = each - 0.1 * each.grad  # noqa: PLW2901 - this is the bug

    def build():
        model = zoo.mlp()
        return zoo.classifier(model, zoo.classes(4), Lost(model.parameters()))

    finding, _ = caught(RULE, build)
    assert "keep their bits in every precision" in finding.message


def test_one_group_without_a_rate_is_a_warning():
    def build():
        model = zoo.mlp()
        groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[3].parameters()}]
        return zoo.classifier(model, zoo.classes(4), torch.optim.SGD(groups, 0.1))

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"
    assert "0.weight, 0.bias" in finding.message


def test_a_warm_up_that_is_stepped_elsewhere_is_a_warning():
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: count / 100)
        return zoo.classifier(model, zoo.classes(4), optimizer)

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"


def test_rounding_noise_is_no_gradient():
    findings = torchproof.prove(lookalikes.bias_before_batch_norm, rules=[RULE]).findings
    assert not findings


def test_a_coarse_type_with_a_fitting_rate_passes():
    assert torchproof.prove(low_precision(0.5, torch.optim.SGD), rules=[RULE]).passed


def test_a_loss_that_is_all_but_zero_is_no_lost_update():
    def build():
        model = zoo.mlp()

        def loss(model, batch):
            return 0.0 * F.cross_entropy(model(batch["x"]), batch["y"])

        return lookalikes.trained_with(loss, model)

    assert torchproof.prove(build, rules=[RULE]).passed
