import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.history.failure import GitError
from torchproof.history.patience import Patience


def failing(until, clock, output="fatal: read error: Connection reset by peer"):
    """An action that fails before a moment, and a patience on the same clock."""

    def action():
        if clock[0] < until:
            raise GitError("push", 1, output)
        return "done"

    return action


def patience(clock, fraction=1.0, waits=None):
    def sleep(seconds):
        clock[0] += seconds
        if waits is not None:
            waits.append(seconds)

    return Patience(
        clock=lambda: clock[0], sleep=sleep, uniform=lambda low, high: low + fraction * (high - low)
    )


def test_waits_grow_to_half_a_minute_and_no_further():
    clock, waits = [0.0], []
    patience(clock, waits=waits).retry(failing(120, clock), seconds=600)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


@given(st.floats(0, 1), st.floats(0, 1000), st.floats(0, 1000))
def test_no_try_starts_after_the_time_is_up(fraction, until, seconds):
    clock = [0.0]
    try:
        # A draw of zero every time would never end; the real one is random.
        patience(clock, max(fraction, 0.01)).retry(failing(until, clock), seconds=seconds)
    except GitError:
        assert until > clock[0]
    assert clock[0] <= seconds


def test_what_is_final_is_raised_at_once():
    clock, waits = [0.0], []
    action = failing(100, clock, "! [remote rejected] (pre-receive hook declined)")
    with pytest.raises(GitError):
        patience(clock, waits=waits).retry(action, seconds=600)
    assert waits == []
