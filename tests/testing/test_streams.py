"""Seeds depend on the base seed and the test's id alone; streams do not move each other."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchproof.testing.streams import GLOBAL, Streams, randomly_seeder, seed_of, stream_seed


legacy = np.random  # the generator that all of numpy shares is what is tested

DRAWS = """
    import json, random
    import numpy, pytest, torch

    def draw():
        return [random.random(), numpy.random.rand(), torch.rand(()).item()]

    @pytest.fixture(scope="session")
    def shared():
        return draw()

    @pytest.fixture
    def own(shared):
        return [shared, draw()]

    @pytest.mark.parametrize("number", range(4))
    def test_draw(number, own):
        with open(f"draw{number}.json", "w") as file:
            json.dump([own, draw()], file)
"""


def draws(suite, *args, apart=False):
    suite.run("-q", *args, apart=apart).assert_outcomes(passed=4)
    return [json.loads((suite.path / f"draw{number}.json").read_text()) for number in range(4)]


@given(st.integers(0, 2**32 - 1), st.text(max_size=20), st.text(max_size=20))
def test_a_seed_has_32_bits_and_tells_phases_and_streams_apart(base, test, name):
    seeds = [seed_of(base, test, phase) for phase in ("setup", "call", "teardown")]
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**32 for seed in [*seeds, stream_seed(seeds[1], name)])


@given(st.sets(st.integers(0, 2**32 - 1), min_size=2, max_size=9), st.text(max_size=9))
def test_two_tests_never_share_a_stream(seeds, name):
    assert len({stream_seed(seed, name) for seed in seeds}) == len(seeds)


def test_a_draw_from_one_stream_moves_no_other():
    quiet, busy = Streams(7), Streams(7)
    torch.rand(5, generator=busy.torch("data"))
    busy.numpy("noise").random(3)
    with busy.globally("dropout"):
        torch.rand(3)
    for streams in (quiet, busy):
        streams.drawn = torch.rand(4, generator=streams.torch("init"))
    assert torch.equal(quiet.drawn, busy.drawn)


def test_inside_a_stream_the_global_generators_are_its_own_and_come_back():
    streams = Streams(7)
    states = random.getstate(), legacy.get_state()[1].tolist(), torch.get_rng_state()
    with streams.globally("data"):
        first = random.random(), legacy.rand(), torch.rand(3)
    assert random.getstate() == states[0]
    assert legacy.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    with Streams(7).globally("data"):
        assert first[0] == random.random()
        assert first[1] == legacy.rand()
        assert torch.equal(first[2], torch.rand(3))


def test_a_stream_entered_again_goes_on_where_it_was_left():
    def numbers(*pieces):
        streams = Streams(7)
        for count in pieces:
            with streams.globally("data"):
                yield from torch.rand(count).tolist()
            torch.rand(3)

    assert list(numbers(1, 2, 1)) == list(numbers(1, 1, 2))


def test_a_stream_inside_itself_simply_goes_on():
    streams, plain = Streams(7), Streams(7)
    with streams.globally("data"):
        with streams.globally("init"), streams.globally("data"):
            torch.rand(3)
        first = torch.rand(()).item()
    with plain.globally("data"):
        assert torch.rand(()).item() == first


def test_a_test_draws_the_same_in_any_order_alone_and_under_xdist(suite):
    suite.file("test_draw.py", DRAWS)
    expected = draws(suite)
    names = [f"test_draw.py::test_draw[{number}]" for number in (3, 1, 0, 2)]
    suite.run("-q", *names).assert_outcomes(passed=4)
    assert draws(suite) == expected


def test_a_test_draws_the_same_under_xdist(suite):
    quick = DRAWS.replace(", torch.rand(()).item()", "").replace(
        "numpy, pytest, torch", "numpy, pytest"
    )
    suite.file("test_draw.py", quick)
    assert draws(suite) == draws(suite, "-n2", apart=True)


def test_tests_set_up_and_shared_fixtures_all_draw_differently(suite):
    suite.file("test_draw.py", DRAWS)
    found = draws(suite)
    assert len({tuple(own[0]) for own, _ in found}) == 1
    assert len({tuple(own[1]) for own, _ in found} | {tuple(draw) for _, draw in found}) == 8


def test_another_base_seed_draws_other_numbers(suite):
    suite.file("test_draw.py", DRAWS)
    assert draws(suite)[0] != draws(suite, "--torchproof-seed=1")[0]


@pytest.mark.parametrize("reset", [[], ["--randomly-dont-reset-seed"]])
def test_pytest_randomly_shuffles_tests_and_does_not_change_what_they_draw(suite, reset):
    suite.file("test_draw.py", DRAWS)
    expected = draws(suite)
    assert draws(suite, "-p", "randomly", *reset) == expected


def test_a_library_imported_during_the_test_is_seeded_as_if_it_had_been_there(suite):
    text = """
        import json, sys
        def test_draw():
            assert "torch" not in sys.modules and "numpy" not in sys.modules
            import numpy, torch
            with open("draw.json", "w") as file:
                json.dump([numpy.random.rand(), torch.rand(()).item()], file)
    """
    suite.file("test_it.py", text)
    suite.run("-q", apart=True).assert_outcomes(passed=1)
    with GLOBAL.aside(seed_of(0, "test_it.py::test_draw")):
        expected = [legacy.rand(), torch.rand(()).item()]
    assert json.loads((suite.path / "draw.json").read_text()) == expected


def test_collecting_imports_neither_torch_nor_numpy(suite):
    suite.file("test_it.py", "def test_it(): pass\n")
    suite.file(
        "conftest.py",
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    assert not {'torch', 'numpy', 'torchproof.proofs'} & set(sys.modules)\n",
    )
    assert suite.run("--torchproof-tier=unit", apart=True).ret == 0


def test_without_the_plugin_pytest_randomly_seeds_torch_through_us():
    with GLOBAL.aside(1):
        GLOBAL.seed = None
        randomly_seeder(2**32 + 5)
        assert torch.initial_seed() == 5
