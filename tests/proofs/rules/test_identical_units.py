"""Bugs of the class `identical-units`; the marked line is where it shows."""

import lookalikes
import pytest
import torch
import zoo
from torch import nn

import torchproof


RULE = "identical-units"


def constant(value, *, bias=True):
    def build():
        model = nn.Sequential(nn.Linear(4, 8, bias=bias), nn.Sigmoid(), nn.Linear(8, 3))
        for each in model.parameters():
            nn.init.constant_(each, value)
        return zoo.classifier(model, zoo.classes(4))

    return build


def test_every_weight_the_same_constant(caught):
    finding, _ = caught(RULE, constant(0.1))
    assert finding.message.startswith("All units of 0.weight are copies of one")
    assert "kaiming_uniform_" in finding.remedy


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_every_weight_of_a_recurrent_layer_the_same_constant(caught, kind):
    """Its gates come to differ; the units of a gate do not."""

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = kind(4, 5, batch_first=True), nn.Linear(5, 3)
            for each in self.parameters():
                nn.init.constant_(each, 0.1)

        def forward(self, x):
            return self.head(self.inner(x)[0][:, -1])

    finding, _ = caught(RULE, lambda: zoo.classifier(Reader(), zoo.classes(6, 4)))
    assert "inner.weight_ih_l0" in finding.message


def test_every_weight_zero_behind_a_relu(caught):
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        for each in model.parameters():
            nn.init.zeros_(each)
        return zoo.classifier(model, zoo.classes(4))

    finding, _ = caught(RULE, build)
    assert "started as one constant" in finding.message
    assert finding.evidence["value"] == 0.0


def test_one_filter_copied_over_a_convolution(caught):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.filters, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 3, bias=False)
            with torch.no_grad():
                self.filters.weight.copy_(self.filters.weight[:1].expand(4, -1, -1, -1))
                self.filters.bias.zero_()
                self.head.weight.copy_(self.head.weight[:, :1].expand(-1, 4))

        def forward(self, x):
            return self.head(self.filters(x).relu().mean((2, 3)))  # here

    finding, line = caught(RULE, lambda: zoo.classifier(Net(), zoo.classes(1, 6, 6)))
    assert line.endswith("# here")
    assert finding.evidence["units of the first"] == 4


class Adapted(nn.Module):
    """A frozen layer and a product of two matrices beside it."""

    def __init__(self, down, up):
        super().__init__()
        self.base = nn.Linear(4, 3).requires_grad_(requires_grad=False)
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)

    def forward(self, x):
        return self.base(x) + x @ self.down @ self.up  # here


def adapted(down, up):
    return lambda: zoo.classifier(Adapted(down, up), zoo.classes(4))


def test_two_factors_of_a_product_that_are_both_zero(caught):
    finding, line = caught(RULE, adapted(torch.zeros(4, 2), torch.zeros(2, 3)))
    assert "down, up started as one constant" in finding.message
    assert line.endswith("# here")


class Placeholder(nn.Module):
    """Stands for what is missing, with a penalty on its size; in this batch nothing is missing."""

    def __init__(self):
        super().__init__()
        self.missing, self.body = nn.Parameter(torch.zeros(4)), nn.Linear(4, 3)

    def forward(self, x):
        known = torch.where(x.isnan(), self.missing, x)
        return self.body(known) + self.missing.pow(2).sum()


@pytest.mark.parametrize(
    "build",
    [
        adapted(torch.randn(4, 2), torch.zeros(2, 3)),
        adapted(torch.zeros(4, 2), torch.randn(2, 3)),
        lambda: zoo.classifier(Placeholder(), zoo.classes(4)),
    ],
    ids=["up is zero", "down is zero", "not in this batch"],
)
def test_one_zero_alone_is_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_dead_layer_is_an_info():
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        nn.init.constant_(model[0].bias, -100.0)
        return zoo.classifier(model, zoo.classes(4))

    proof = torchproof.prove(build, rules=[RULE])
    assert [each.severity for each in proof.findings] == ["info"]


@pytest.mark.parametrize(
    "build",
    [
        lookalikes.rezero,
        lookalikes.zero_initialised_head_with_absent_classes,
        lookalikes.adapter_that_starts_at_zero,
        zoo.lora_on_a_frozen_base,
        zoo.warm_up_from_zero,
    ],
)
def test_zeros_that_part_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_layer_without_a_unit_is_judged_with_the_others():
    class Widened(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.extra = nn.Linear(4, 3), nn.Linear(4, 0, bias=False)

        def forward(self, x):
            return self.body(torch.cat([x, self.extra(x)], 1))

    proof = torchproof.prove(lambda: zoo.classifier(Widened(), zoo.classes(4)), rules=[RULE])
    assert not proof.findings
    assert not proof.skipped
