"""The whole action but the tests, in processes of its own, against the fake GitHub."""

from __future__ import annotations

import pytest
from benchmarks.overhead.github import a_place, calls, until_the_comment
from benchmarks.overhead.repository import METRICS, NAME, WORSE

from torchproof.history.store import History


@pytest.fixture(scope="module")
def place():
    with a_place() as made:
        yield made


def test_no_event_leads_to_more_than_fifteen_api_calls(place):
    figures = calls(place)
    assert len(figures) == 5
    assert all(figure.met for figure in figures), [figure.row() for figure in figures]


def test_what_is_timed_is_the_whole_way_with_every_metric_compared(place):
    figures = until_the_comment(place, rounds=1)
    assert all(0 < figure.value < 60 for figure in figures)
    body = place.github.world.data["comments"][-1]["body"]
    assert f"{WORSE} of " in body.splitlines()[1]
    with History(str(place.github.world.git_root / f"{NAME}.git")) as history:
        assert {len(record.metrics) for record in history.records()} == {METRICS}
