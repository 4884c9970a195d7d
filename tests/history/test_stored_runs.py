"""The stored runs of main that show its noise."""

from datetime import date

import pytest

from torchproof.history import compaction
from torchproof.history.stored_runs import SEEDS, stored_runs


@pytest.fixture
def line(remote):
    return remote.line(6)


def found(history, commit, **fields):
    records = stored_runs(history, commit=commit, tiers=("unit",), **fields)
    return [record.metrics[0].value for record in records]


def at(minute):
    return f"2026-11-23T12:{minute:02}:00Z"


def test_runs_come_in_the_order_of_the_commits_and_not_of_the_clock(history, record, line):
    store = history()
    times = (3, 1, 2)
    store.append([record(line[n], at=at(times[n]), value=n, run_id=str(n)) for n in range(3)])
    assert found(store, line[2]) == [0, 1, 2]


def test_runs_of_one_commit_come_in_the_order_they_were_made(history, record, line):
    store = history()
    store.append([record(line[0], at=at(n), value=n, seed=n) for n in range(4)])
    assert found(store, line[0]) == [0, 1, 2, 3]


def test_what_is_newer_than_the_commit_or_beside_it_does_not_count(history, record, line, remote):
    store = history()
    beside = remote.line(2, start=line[1], branch="other")
    store.append([record(c, value=n, run_id=str(n)) for n, c in enumerate([*line, *beside])])
    assert found(store, line[3]) == [0, 1, 2, 3]


def test_a_pull_requests_run_and_a_run_again_do_not_count(history, record, line):
    store = history()
    mine = record(line[0], value=1, pull_request=7, event="pull_request")
    again = record(line[0], value=2, event="bisect", run_id="2")
    store.append([mine, again, record(line[0], value=3, run_id="3")])
    assert found(store, line[0]) == [3]


def test_only_the_tiers_and_the_runs_that_are_alike_are_returned(history, record, line):
    store = history()
    store.append([record(line[0], tier="overfit", value=1)])
    store.append([record(line[0], value=n, seed=n) for n in range(4)])
    assert found(store, line[0], alike=lambda made: made.seed % 2 == 0) == [0, 2]


def test_reading_ends_where_there_are_seeds_enough(history, record, line):
    store = history()
    store.append([record(line[0], at=at(n % 60), value=n, seed=n) for n in range(SEEDS + 30)])
    seen = len(found(store, line[0]))
    assert SEEDS <= seen < SEEDS + 30


def test_archived_runs_are_found(history, record, line, remote):
    store = history()
    commits = remote.line(2)
    store.append([record(commits[0], at="2026-11-12T12:00:00Z", value=1)])
    compaction.compact(store, today=date(2026, 11, 23))
    assert found(store, commits[1]) == [1]


def test_a_commit_that_the_remote_does_not_know_has_no_runs(history, record, line):
    store = history()
    store.append([record(line[0])])
    assert found(store, "f" * 40) == []
