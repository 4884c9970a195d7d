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


def test_a_weight_that_is_tied_under_two_names_comes_back_once():
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    model[1].weight = model[0].weight
    before = model[0].weight.detach().clone()
    with torchproof.constant_weights(model, 2.0):
        # 3 features of 2, each times 2
        assert torch.all(model(torch.tensor([4])) == 12)
    assert model[1].weight is model[0].weight
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize(
    "norm", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm], ids=["now", "before 2.0"]
)
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_a_weight_that_is_made_from_others_has_these_set(norm):
    model = norm(nn.Linear(4, 3))
    before = model(torch.ones(1, 4))
    with torchproof.constant_weights(model, 3.0):
        # magnitude 3 times direction (3, 3, 3, 3) / 6: 1.5; 4 * 1.5 + 3
        assert torch.all(model(torch.ones(1, 4)) == 9)
    assert torch.equal(model(torch.ones(1, 4)), before)


def test_a_lazy_weight_can_be_set_once_it_has_a_shape():
    model = nn.LazyLinear(1)
    model(torch.ones(1, 4))
    torchproof.set_constant_weights(model, 0.5)
    assert model(torch.ones(1, 4)).item() == 2.5


def test_low_precision_weights_take_the_nearest_value():
    model = nn.Linear(2, 1, dtype=torch.bfloat16)
    torchproof.set_constant_weights(model, 0.1)
    assert torch.all(model.weight == torch.tensor(0.1, dtype=torch.bfloat16))


@pytest.mark.parametrize(
    ("dtype", "value", "sentence"),
    [
        (torch.float32, 1j, r"1\.weight cannot be set: it cannot hold 1j"),
        (torch.float16, 1e9, r"1\.weight cannot be set: it cannot hold 1000000000\.0"),
        (torch.float32, "0.1", r"the value of the weights is '0\.1'\. Give a number"),
        (torch.float32, True, "the value of the weights is True"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_before_anything_is_set(dtype, value, sentence):
    model = nn.Sequential(nn.Linear(2, 2, dtype=torch.complex64), nn.Linear(2, 2, dtype=dtype))
    before = model[0].weight.detach().clone()
    with pytest.raises(torchproof.TorchproofError, match=sentence):
        torchproof.set_constant_weights(model, value)
    assert torch.equal(model[0].weight, before)


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


def quantized_lstm():
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(2, 2)), {nn.LSTM})


def quantized_convolution():
    return nn.Sequential(torch.ao.nn.quantized.Conv2d(1, 1, 3))


def codes():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].weight = nn.Parameter(torch.zeros(2, 2, dtype=torch.int8), requires_grad=False)
    return model


def sparse():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].weight = nn.Parameter(torch.eye(2).to_sparse())
    return model


def in_inference_mode():
    with torch.inference_mode():
        return nn.Sequential(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: nn.Sequential(nn.LazyLinear(3)), r"0\.weight cannot be set: it is lazy"),
        (lambda: nn.Linear(2, 2, device="meta"), "on the meta device"),
        (quantized, "0 cannot be set: it is quantized"),
        (quantized_lstm, r"0\._all_weight_values\.0 cannot be set: it is quantized"),
        (quantized_convolution, "0 cannot be set: it is quantized"),
        (codes, r"0\.weight cannot be set: it is quantized or holds codes \(int8\)"),
        (sparse, r"0\.weight cannot be set: it cannot hold 1\.0 .*torch\.sparse_coo"),
        (in_inference_mode, r"0\.weight cannot be set: it was made in inference mode"),
        (lambda: "model", "need a torch.nn.Module"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_weights_that_cannot_be_set_are_refused_by_name(make, sentence):
    with pytest.raises(torchproof.TorchproofError, match=sentence):
        torchproof.set_constant_weights(make(), 1.0)
