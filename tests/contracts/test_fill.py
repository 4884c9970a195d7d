"""Numbers that every CPU computes alike."""

from __future__ import annotations

import hashlib

import torch
from hypothesis import given
from hypothesis import strategies as st

from torchproof.contracts.fill import fill, integers, numbers


SEED = int.from_bytes(hashlib.sha256(b"encoder.weight").digest()[:4], "big")
GOLDEN = [-0.646100640296936, 0.3657039403915405, -0.4841867685317993]


def by_hand(seed, index):
    mixed = (index * 0x1E3779B1 + seed) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 0x31848BAB) & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


@given(start=st.integers(0, 2**31))
def test_the_hash_is_that_of_integers_without_a_limit(start):
    assert integers("encoder.weight", 3, start).tolist() == [
        by_hand(SEED, index) for index in range(start, start + 3)
    ]


def test_the_numbers_are_these_for_ever():
    assert numbers("a", (3,)).tolist() == GOLDEN


def test_numbers_do_not_depend_on_how_they_are_cut_into_pieces():
    whole = numbers("a", (3, 5))
    assert torch.equal(whole, numbers("a", (15,)).reshape(3, 5))


def test_float32_holds_them_exactly():
    values = numbers("a", (1000,))
    assert torch.equal(values.float().double(), values)
    assert values.min() >= -1
    assert values.max() < 1


def test_a_deep_stack_neither_explodes_nor_fades():
    x = numbers("x", (4, 64))
    for layer in range(20):
        weight = torch.empty(64, 64, dtype=torch.float64)
        fill(f"{layer}.weight", weight)
        x = torch.relu(x @ weight.T) * 2**0.5
    assert 1e-4 < x.std() < 1e4


def test_gains_and_variances_stay_away_from_zero():
    for name in ("norm.weight", "running_var", "gamma"):
        one = torch.empty(100)
        fill(name, one)
        assert one.min() >= 0.5
