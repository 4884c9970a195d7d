"""Constant weights."""

import pytest
import torch
from torch import nn

import torchproof


def test_a_network_of_constant_weights_can_be_worked_out_by_hand():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    torchproof.set_constant_weights(model, 0.5)
    # 4 * 0.5 + 0.5 = 2.5 for each of three units; 3 * 2.5 * 0.5 + 0.5
    assert model(torch.ones(1, 4)).item() == 4.25


def test_buffers_ties_and_gradient_flags_stay():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[2].weight = model[0].weight
    model[0].bias.requires_grad_(requires_grad=False)
    torchproof.set_constant_weights(model, 3.0)
    assert model[2].weight is model[0].weight
    assert not model[0].bias.requires_grad
    assert torch.equal(model[1].running_var, torch.ones(2))


def test_complex_weights_take_complex_values():
    model = nn.Linear(2, 1, dtype=torch.complex64)
    torchproof.set_constant_weights(model, 1 + 2j)
    assert torch.all(model.weight == 1 + 2j)


def test_weights_come_back_bit_by_bit_also_after_an_error():
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight[0, 0] = float("nan")
    before = model.weight.detach().clone()

    def use():
        with torchproof.constant_weights(model, 0.1):
            assert torch.all(model.weight == 0.1)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        use()
    assert torch.equal(model.weight.view(torch.int32), before.view(torch.int32))


def quantized():
    pytest.importorskip("torch.ao.nn.quantized")
    return nn.Sequential(torch.ao.nn.quantized.Linear(2, 2))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: nn.Sequential(nn.LazyLinear(3)), r"0\.weight cannot be set: it is lazy"),
        (lambda: nn.Linear(2, 2, device="meta"), "on the meta device"),
        (quantized, "0 cannot be set: it is quantized"),
        (lambda: "model", "need a torch.nn.Module"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_weights_that_cannot_be_set_are_refused_by_name(make, sentence):
    with pytest.raises(torchproof.TorchproofError, match=sentence):
        torchproof.set_constant_weights(make(), 1.0)
