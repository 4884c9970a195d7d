"""What an architecture is made of, and what is refused or left out."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional

import torchproof
from torchproof.errors import UsageError


ROWS = torch.zeros(2, 6)
ABOVE = torch.ones(6, 6, dtype=torch.bool).triu(1)


class Wrapped(nn.Module):
    """A forward and the parts it uses."""

    def __init__(self, forward, **parts):
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self._forward(self, *args, **kwargs)


def compared(before, now, example=ROWS):
    first = torchproof.architecture(before, example)
    return first.compare(torchproof.architecture(now, example))


def net(act=nn.ReLU, **more):
    return nn.Sequential(nn.Linear(6, 8), act(), nn.Linear(8, 3, **more))


def test_the_seed_of_the_weights_does_not_matter():
    assert compared(net(), net()).verdict == "identical"


def test_a_trained_model_is_the_same_architecture():
    def model():
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    trained = model()
    optimizer = torch.optim.SGD(trained.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        trained(torch.randn(5, 6)).sum().backward()
        optimizer.step()
    assert compared(model(), trained).verdict == "identical"


def test_the_values_of_an_example_of_numbers_do_not_matter():
    first = torchproof.architecture(net(), torch.randn(2, 6))
    assert first.compare(torchproof.architecture(net(), torch.randn(2, 6))).verdict == "identical"


def test_nothing_that_the_caller_can_see_changes():
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    torchproof.architecture(model, ROWS)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert torch.equal(random, torch.random.get_rng_state())
    assert torch.get_default_dtype() is torch.float32
    assert not any(module._forward_hooks for module in model.modules())


def test_several_inputs_come_as_a_tuple_or_by_keyword():
    two = Wrapped(lambda self, x, y: self.layer(x) + y, layer=nn.Linear(6, 3))
    by_place = torchproof.architecture(two, (ROWS, torch.zeros(2, 3)))
    assert [one.name for one in by_place.probe.inputs] == ["input", "input 2"]
    by_name = Wrapped(lambda self, *, x, y: self.layer(x) + y, layer=nn.Linear(6, 3))
    named = torchproof.architecture(by_name, {"x": ROWS, "y": torch.zeros(2, 3)})
    assert [one.name for one in named.probe.inputs] == ["x", "y"]


def test_a_batch_that_is_a_dict_is_one_argument_where_forward_takes_one():
    model = Wrapped(lambda self, batch: self.layer(batch["x"]), layer=nn.Linear(6, 3))
    model.forward = lambda batch: model.layer(batch["x"])
    found = torchproof.architecture(model, {"x": ROWS})
    assert [one.name for one in found.probe.inputs] == ["input.x"]


@dataclass
class Output:
    logits: torch.Tensor
    states: tuple


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: {"a": y, "b": (y, y)},
        lambda y: (y, [y]),
        lambda y: Output(y, (y, y)),
        lambda y: y.argmax(-1) + 0,
        torch.fft.fft,
        lambda y: y.to_sparse(),
        lambda y: y[y > 0],
    ],
    ids=["dict", "tuple", "dataclass", "integers", "complex", "sparse", "data-dependent"],
)
def test_outputs_of_any_form_are_compared(wrap):
    model, other = (
        Wrapped(lambda self, x: wrap(self.act(self.layer(x))), layer=nn.Linear(6, 4), act=act)
        for act in (nn.Tanh(), nn.Hardtanh())
    )
    assert compared(model, model).verdict == "identical"
    assert compared(model, other).verdict == "function changed"


def test_token_ids_stay_below_the_rows_of_their_embedding():
    model = Wrapped(lambda self, ids: self.words(ids).mean(1), words=nn.Embedding(11, 4))
    found = torchproof.architecture(model, torch.randint(11, (2, 5)))
    assert found.probe.inputs[0].values == "ids below 11"
    again = torchproof.architecture(model, torch.randint(11, (2, 5)))
    assert found.compare(again).verdict == "identical"


@pytest.mark.parametrize(
    "look_up",
    [
        lambda table, ids: table[ids],
        lambda table, ids: table.index_select(0, ids.flatten()).unflatten(0, ids.shape),
        lambda table, ids: functional.one_hot(ids, len(table)).to(table.dtype) @ table,
        lambda table, ids: functional.embedding(ids.int(), table),
    ],
    ids=["indexed", "selected", "one-hot", "function"],
)
def test_ids_are_found_however_their_table_is_read(look_up):
    def model(read):
        return Wrapped(lambda self, ids: read(self.words.weight, ids), words=nn.Embedding(11, 4))

    ids = torch.zeros(2, 5, dtype=torch.int64)
    found = compared(
        model(lambda table, ids: functional.embedding(ids, table)), model(look_up), ids
    )
    assert not found.breaks


def test_other_integers_belong_to_the_architecture():
    model = Wrapped(lambda self, x, i: self.layer(x)[i], layer=nn.Linear(6, 3))
    first = torchproof.architecture(model, (ROWS, torch.tensor([0, 1])))
    other = torchproof.architecture(model, (ROWS, torch.tensor([1, 1])))
    with pytest.raises(UsageError, match=r"the examples differ: input 2 2 int64, as given"):
        first.compare(other)


def test_weights_that_are_one_tensor_are_told_from_equal_ones():
    def model(*, tied):
        made = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
        if tied:
            made[1].weight = made[0].weight
        return made

    found = compared(model(tied=True), model(tied=False))
    assert found.verdict == "function changed"
    assert found.words[0] == "not one tensor any more: 0.weight and 1.weight"


@pytest.mark.parametrize(
    "wrap",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.orthogonal,
        pytest.param(nn.utils.weight_norm, marks=pytest.mark.filterwarnings("ignore:.*deprecated")),
    ],
    ids=["weight norm", "spectral norm", "orthogonal", "the older weight norm"],
)
def test_parametrized_weights_are_filled_through_their_originals(wrap):
    def model(act):
        return nn.Sequential(wrap(nn.Linear(6, 4)), act, nn.Linear(4, 2))

    assert compared(model(nn.ReLU()), model(nn.ReLU())).verdict == "identical"
    assert compared(model(nn.ReLU()), model(nn.SiLU())).verdict == "function changed"


def test_complex_weights_are_filled():
    def model(sign):
        return Wrapped(
            lambda self, x: (self.weight * x * sign).abs() + (self.weight * x * sign).real,
            weight=nn.Parameter(torch.randn(6, dtype=torch.complex64)),
        )

    assert compared(model(1), model(1)).verdict == "identical"
    assert compared(model(1), model(-1)).verdict == "function changed"


def test_a_buffer_that_training_leaves_alone_is_part_of_the_function():
    def model(*values):
        made = Wrapped(lambda self, x: self.layer(x) * self.scale, layer=nn.Linear(6, 3))
        made.register_buffer("scale", torch.tensor(values))
        return made

    found = compared(model(1.0, 2.0, 3.0), model(1.0, 2.0, 4.0))
    assert found.verdict == "function changed"
    assert "constants have other values: scale" in found.words


def test_what_the_code_does_in_low_precision_is_probed_in_high():
    model = Wrapped(lambda self, x: self.layer(x).float() * torch.ones(3), layer=nn.Linear(6, 3))
    assert torchproof.architecture(model, ROWS).probe.precision == "float64"


def test_a_function_that_float64_breaks_is_probed_in_float32():
    def forward(self, x):
        return torch.from_numpy(x.numpy().astype("float32")) @ self.layer.weight.T

    found = torchproof.architecture(Wrapped(forward, layer=nn.Linear(6, 3)), ROWS)
    assert found.probe.precision == "float32"
    assert found.probe.tolerance == 1e-5


def test_a_case_that_a_tiny_change_moves_far_decides_nothing():
    def forward(self, x):
        for _ in range(60):
            x = 3.9 * x * (1 - x)
        return x

    model = Wrapped(lambda self, x: forward(self, self.layer(x).sigmoid()), layer=nn.Linear(6, 3))
    found = torchproof.architecture(model, ROWS)
    assert {case.left_out for case in found.probe.cases if case.answers is None} == {
        "a tiny change of the weights moves it far"
    }


@pytest.mark.parametrize(("fill", "breaks"), [(-1e9, False), (-10.0, True)])
def test_a_mask_of_a_very_small_number_is_one_of_minus_infinity(fill, breaks):
    def model(masked):
        def forward(self, x):
            x = self.norm(x)
            scores = (self.query(x) @ self.key(x).mT).masked_fill(ABOVE, masked)
            return scores.softmax(-1) @ x

        return Wrapped(forward, norm=nn.LayerNorm(6), query=nn.Linear(6, 6), key=nn.Linear(6, 6))

    found = compared(model(-torch.inf), model(fill), torch.zeros(2, 6, 6))
    assert found.breaks == breaks


def test_a_model_on_meta_is_compared_by_its_schema_and_says_so():
    with torch.device("meta"):
        large, other = net(), net(nn.GELU)
    found = torchproof.architecture(large).compare(torchproof.architecture(other))
    assert found.verdict == "no difference on probes"
    assert found.words == ("schema only, nothing was probed: the model is on the meta device",)


def quantized():
    pytest.importorskip("torch.ao.nn.quantized")
    return nn.Sequential(torch.ao.nn.quantized.Linear(6, 2))


def random_in_eval():
    return nn.Sequential(Wrapped(lambda self, x: x + torch.randn_like(x)))


def counting():
    def forward(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        return self.layer(x) * self.calls

    return Wrapped(forward, layer=nn.Linear(6, 2))


def nested():
    return Wrapped(lambda self, x: torch.nested.nested_tensor(list(x)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: nn.Sequential(nn.LazyLinear(3)), r"0\.weight is lazy and has no shape yet"),
        (quantized, "0 is quantized"),
        (random_in_eval, "draws random numbers in eval mode: normal in 0|randn_like in 0"),
        (counting, "answers the same input differently from call to call"),
        (nested, "the model's output tensor is nested"),
        (lambda: Wrapped(lambda self, x: 1), "the model's output holds no tensor"),
        (lambda: nn.Linear(7, 2), "the model fails in eval mode on the example"),
        (lambda: "model", "not of str"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(UsageError, match=sentence):
        torchproof.architecture(make(), ROWS)


def test_an_example_is_asked_for():
    with pytest.raises(UsageError, match="taken with an example"):
        torchproof.architecture(net())


class Closing(nn.Module):
    """A block as in karpathy/minGPT: forward calls a function that closes over a layer."""

    def __init__(self, act=nn.ReLU):
        super().__init__()
        self.mlp = nn.ModuleDict(
            {"fc": nn.Linear(6, 8), "act": act(), "drop": nn.Dropout(0.5), "out": nn.Linear(8, 6)}
        )
        parts = self.mlp
        self.run = lambda x: parts.out(parts.drop(parts.act(parts.fc(x))))

    def forward(self, x):
        return x + self.run(x)


def test_a_layer_that_a_function_closes_over_is_probed_like_any_other():
    model = Closing()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    first = torchproof.architecture(model, ROWS)
    assert first.probe.precision == "float64"
    assert first.compare(torchproof.architecture(Closing(), ROWS)).verdict == "identical"
    assert compared(Closing(), Closing(nn.LeakyReLU)).verdict == "function changed"
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert model.run.__closure__[0].cell_contents is model.mlp


def test_a_hook_that_closes_over_its_own_module_is_probed_too():
    def hooked():
        model = net()

        def double(_module, _inputs, output):
            return output + model[0].bias.sum() * output

        model[2].register_forward_hook(double)
        return model

    assert compared(hooked(), hooked()).verdict == "identical"
    assert compared(hooked(), net()).verdict == "function changed"


class Skipping(nn.Module):
    """Codes that training moves in every other step; with quantizer dropout it is chance."""

    def __init__(self):
        super().__init__()
        self.register_buffer("codes", torch.randn(6))
        self.steps = 0

    def forward(self, x):
        self.steps += self.training
        if self.training and self.steps % 2 == 0:
            self.codes.lerp_(x.mean(0), 0.1)
        return x * self.codes


def test_a_buffer_that_not_every_training_step_moves_is_filled_like_a_weight():
    assert compared(Skipping(), Skipping()).verdict == "identical"
