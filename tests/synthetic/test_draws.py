"""The generator behind the generators: SHAKE128, read as integers."""

from __future__ import annotations

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchproof.synthetic import draws


SOURCE = draws.Source("test", 1, 0)
MANY = 200_000


def test_this_machines_shake_is_that_of_the_standard():
    # FIPS 202 example values: SHAKE128 of the empty message, and its bytes 480 to 511 of the
    # message of 200 bytes 0xa3.
    assert hashlib.shake_128(b"").hexdigest(16) == "7f9c2ba4e88f827d616045507605853e"
    tail = "44c9fb359fd56ac0a9a75a743cff6862f17d7259ab075216c0699511643b6439"
    assert hashlib.shake_128(b"\xa3" * 200).digest(512)[480:].hex() == tail


def test_a_word_is_four_bytes_of_the_stream_with_its_name():
    data = hashlib.shake_128(b"torchproof.synthetic/test/1/0/stream").digest(12)
    expected = [int.from_bytes(data[at : at + 4], "little") for at in (0, 4, 8)]
    assert draws.words(SOURCE, "stream", 3).tolist() == expected


@given(st.integers(1, 50), st.integers(0, 50))
def test_a_longer_stream_begins_with_the_shorter_one(count, more):
    longer = draws.words(SOURCE, "stream", count + more)
    assert torch.equal(longer[:count], draws.words(SOURCE, "stream", count))


@given(st.integers(1, 2**31), st.integers(0, 100))
def test_integers_stay_below_their_limit(limit, seed):
    drawn = draws.below(SOURCE._replace(seed=seed), "stream", (4, 3), limit)
    assert drawn.shape == (4, 3)
    assert drawn.min() >= 0
    assert drawn.max() < limit


@pytest.mark.parametrize("limit", [2, 3, 10])
def test_integers_are_uniform(limit):
    counts = draws.below(SOURCE, "stream", (MANY,), limit).bincount(minlength=limit)
    expected = MANY / limit
    # five standard deviations of a binomial count
    assert (counts - expected).abs().max() < 5 * (expected * (1 - 1 / limit)) ** 0.5


@pytest.mark.parametrize("probability", [0.0, 0.05, 0.5, 1.0])
def test_an_event_happens_with_its_probability(probability):
    share = draws.happens(SOURCE, "stream", (MANY,), probability).double().mean()
    assert abs(share - probability) <= 5 * (probability * (1 - probability) / MANY) ** 0.5


def test_the_bell_has_the_moments_it_states():
    drawn = draws.bell(SOURCE, "stream", (MANY,)).double()
    spread = draws.BELL_VARIANCE**0.5
    assert drawn.abs().max() <= 1530
    assert abs(drawn.mean()) < 5 * spread / MANY**0.5
    assert abs(drawn.var() / draws.BELL_VARIANCE - 1) < 5 * (2 / MANY) ** 0.5
    # 0.683 for a normal one
    assert abs((drawn.abs() < spread).double().mean() - 0.683) < 0.01


def test_an_order_holds_every_place_once():
    order = draws.order(SOURCE, "stream", 100, 12)
    assert torch.equal(order.sort(1).values, torch.arange(12).expand(100, 12))
    assert len({tuple(row) for row in order.tolist()}) == 100
