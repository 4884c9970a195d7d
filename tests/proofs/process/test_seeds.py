"""Seeds are fixed for a block and the state before it comes back."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import torchproof


def draw():
    drawn = np.random.random()  # noqa: NPY002 - the global state is meant
    return random.random(), float(drawn), float(torch.rand(()))


@given(seed=st.integers(0, 2**40), before=st.integers(0, 100))
def test_a_block_repeats_itself_and_leaves_no_trace(seed, before):
    with torchproof.fix_seed(before):
        undisturbed = draw()
    with torchproof.fix_seed(before):
        with torchproof.fix_seed(seed):
            first = draw()
        with torchproof.fix_seed(seed):
            assert draw() == first
        assert draw() == undisturbed


def test_an_error_in_the_block_leaves_no_trace():
    state = torch.get_rng_state()

    def use():
        with torchproof.fix_seed(3):
            torch.rand(3)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        use()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("seed", [-1, 1.5, True, None])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(torchproof.TorchproofError, match="seed"), torchproof.fix_seed(seed):
        pass
