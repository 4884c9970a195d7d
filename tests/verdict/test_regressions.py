"""What becomes of the issue about a regression."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.verdict.regressions import MOST_OPEN, Action, Standing, State, decide


WORSE, BACK, UNKNOWN = State(since="c9"), State(recovered="d4"), State()


def issue(*, open_=True, since="c9", recovered=""):
    return Standing(5, "loss", open_, since, recovered)


@pytest.mark.parametrize(
    ("state", "there", "kind"),
    [
        (WORSE, None, "open"),
        (WORSE, issue(), "update"),
        (WORSE, issue(since="c1"), "update"),
        (BACK, issue(), "close"),
        (WORSE, issue(open_=False, since="c1"), "reopen"),
        (WORSE, issue(open_=False, recovered="d1"), "reopen"),
        (WORSE, issue(open_=False), None),
        (BACK, issue(open_=False, recovered="d4"), None),
        (BACK, None, None),
        (UNKNOWN, issue(), None),
        (UNKNOWN, None, None),
    ],
)
def test_what_becomes_of_an_issue(state, there, kind):
    issues = [there] if there else []
    expected = [Action(kind, "loss", there.number if there else None)] if kind else []
    assert decide({"loss": state}, issues) == expected


def test_an_issue_of_a_metric_nobody_speaks_of_is_left_alone():
    assert decide({}, [issue()]) == []


def test_each_metric_has_its_own_issue():
    actions = decide({"loss": WORSE, "accuracy": WORSE}, [issue()])
    assert [(action.kind, action.metric) for action in actions] == [
        ("update", "loss"),
        ("open", "accuracy"),
    ]


def test_a_commit_that_makes_everything_worse_opens_a_few_issues_only():
    worse = {f"metric {number}": WORSE for number in range(40)}
    assert len(decide(worse, [])) == MOST_OPEN
    open_ones = [replace(issue(), metric=f"metric {number}") for number in range(MOST_OPEN)]
    assert {action.kind for action in decide(worse, open_ones)} == {"update"}
    worse["metric 0"] = BACK
    kinds = [action.kind for action in decide(worse, open_ones)]
    assert kinds.count("close") == 1
    assert "open" not in kinds, "there is room the next night"


states = st.sampled_from([WORSE, BACK, UNKNOWN, State(since="c1")])


@given(nights=st.lists(states, max_size=12))
def test_there_is_never_a_second_issue(nights):
    """Play nights in a row: the first alarm opens, all later ones speak of the same issue."""
    there, opened = None, 0
    for state in nights:
        for action in decide({"loss": state}, [there] if there else []):
            opened += action.kind == "open"
            there = issue(
                open_=action.kind != "close",
                since=state.since or there.since,
                recovered=state.recovered,
            )
        if there and state.since:
            assert there.open, "who is worse has an open issue"
        if there and state.recovered:
            assert not there.open
    assert opened <= 1
