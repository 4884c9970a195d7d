"""Six verdicts, each with the words that say what differs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

import torchproof
from torchproof.contracts import VERDICTS


class Net(nn.Module):
    def __init__(self, act=nn.ReLU, *, drop=0.1, hidden=8, name="first", spare=False):
        super().__init__()
        self.encoder = nn.ModuleDict({name: nn.Linear(6, hidden), "act": act()})
        self.drop, self.head, self._name = nn.Dropout(drop), nn.Linear(hidden, 3), name
        if spare:
            self.auxiliary = nn.Linear(hidden, 2)

    def forward(self, x):
        h = self.encoder["act"](self.encoder[self._name](x))
        return self.head(self.drop(h))


def locked(**options):
    return torchproof.architecture(Net(**options), torch.zeros(2, 6))


def found(**options):
    return locked().compare(locked(**options))


def test_relu_that_became_leaky_relu_is_named_with_its_module_and_its_size():
    verdict, words = found(act=nn.LeakyReLU)
    assert verdict == "function changed"
    assert words[0] == "relu → leaky_relu in encoder.act"
    assert words[1].startswith("answers differ by 0.0")
    assert "of their size at scale 1" in words[1]


def test_what_shows_only_at_large_numbers_is_found_there():
    verdict, words = found(act=nn.ReLU6)
    assert verdict == "function changed"
    assert "inputs × 30" in words[1]


def test_what_shows_only_near_zero_is_found_there():
    verdict, words = found(act=partial(nn.Softplus, beta=100))
    assert verdict == "function changed"
    assert "scale 1" in words[1]


def test_a_number_is_shown_before_and_after():
    norm = nn.LayerNorm(6, eps=1e-5), nn.LayerNorm(6, eps=1e-6)
    first, second = (torchproof.architecture(one, torch.zeros(2, 6)) for one in norm)
    assert first.compare(second).words[0] == "layer_norm eps=1e-05 → 1e-06 in the model itself"


def test_other_shapes_are_incompatible():
    verdict, words = found(hidden=12)
    assert verdict == "incompatible"
    assert "head.weight was 3×8 and is 3×12" in words[0]


def test_other_names_of_the_same_weights_come_with_a_map():
    verdict, words = found(name="dense")
    assert verdict == "renamed"
    assert "encoder.first.weight → encoder.dense.weight" in words[0]


def test_dropout_is_train_only():
    assert found(drop=0.5) == ("train-only", ("p=0.1 → p=0.5 in drop",))


def test_weights_that_the_answers_do_not_need_are_train_only_and_loading_is_mentioned():
    verdict, words = found(spare=True)
    assert verdict == "train-only"
    assert words[0] == "new: auxiliary.bias 2, auxiliary.weight 2×8"
    assert "strict loading refuses" in words[1]


def test_another_spelling_makes_no_difference_on_probes():
    class Clamp(nn.Module):
        def forward(self, x):
            return x.clamp(min=0)

    verdict, words = found(act=Clamp)
    assert verdict == "no difference on probes"
    assert words[1] == "relu → clamp in encoder.act"


def test_the_same_model_is_identical():
    assert found().verdict == "identical"


def test_a_label_for_a_profiler_is_no_operation():
    class Labelled(nn.ReLU):
        def forward(self, x):
            with torch.profiler.record_function("activation"):
                return super().forward(x)

    assert found(act=Labelled).verdict == "identical"


def test_names_under_a_wrapper_are_renamed():
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            return self.module(x)

    example = torch.zeros(2, 6)
    for wrap in (Wrapper, nn.DataParallel):
        verdict, words = locked().compare(torchproof.architecture(wrap(Net()), example))
        assert verdict == "renamed"
        assert "head.bias → module.head.bias" in words[0]


def test_another_precision_of_the_weights_is_another_function():
    now = torchproof.architecture(Net().double(), torch.zeros(2, 6, dtype=torch.float64))
    lock = locked()
    inputs = tuple(one._replace(dtype="float64") for one in lock.probe.inputs)
    before = replace(lock, probe=replace(lock.probe, inputs=inputs))
    verdict, words = before.compare(now)
    assert verdict == "function changed"
    assert words[0].startswith("weights load into another precision")


def test_an_input_that_it_took_and_does_not_take_any_more_is_a_change():
    class Short(nn.Module):
        def __init__(self, most):
            super().__init__()
            self.layer, self._most = nn.Linear(6, 3), most

        def forward(self, x):
            if x.shape[1] > self._most:
                raise ValueError("too long")
            return self.layer(x)

    before, now = (torchproof.architecture(Short(most), torch.zeros(2, 5, 6)) for most in (99, 5))
    verdict, words = before.compare(now)
    assert verdict == "function changed"
    assert words[0] == "it does not take inputs of a row more, axis 1 of length 11 any more"
    assert now.compare(before).verdict == "identical"


def test_ids_that_are_not_looked_up_any_more_are_another_function():
    class Words(nn.Module):
        def __init__(self, *, shifted=False):
            super().__init__()
            self.table, self._shifted = nn.Embedding(11, 4), shifted

        def forward(self, ids):
            return self.table((ids + 1) % 11 if self._shifted else ids).mean(1)

    ids = torch.zeros(2, 5, dtype=torch.int64)
    plain, shifted = (torchproof.architecture(Words(shifted=s), ids) for s in (False, True))
    verdict, words = plain.compare(shifted)
    assert verdict == "function changed"
    assert words[0] == "new add, remainder in the model itself"
    assert words[-1] == "input was looked up in a table of 11 rows and is not any more"
    assert shifted.compare(plain).words[-1] == "input is looked up in a table of 11 rows now"


def test_operations_of_two_releases_of_torch_are_not_compared():
    now = replace(locked(), torch="9.9.9", operations={"": ["anything"]})
    verdict, words = locked().compare(now)
    assert verdict == "no difference on probes"
    assert "operations were not compared" in words[1]


@pytest.mark.parametrize("other", [nn.ReLU, nn.GELU])
def test_a_comparison_is_a_pair_and_a_sentence(other):
    result = found(act=other)
    assert result.verdict in VERDICTS
    assert str(result).startswith(f"{result.verdict}: {result.words[0]}")
    assert result.breaks == (other is nn.GELU)
