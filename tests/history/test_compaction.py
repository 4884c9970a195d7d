import json
from datetime import date

import pytest

from torchproof.errors import HistoryError
from torchproof.history import archive, names
from torchproof.history.compaction import compact


BRANCH = "refs/heads/torchproof-history"
TODAY = date(2026, 11, 23)
DAYS = (18, 19, 20, 21, 22, 23)


@pytest.fixture
def store(history, record, remote):
    """A history with two records on each of six days."""
    remote.line(1)
    store = history()
    store.append(
        [
            record(at=f"2026-11-{day}T10:00:00Z", run_id=f"{day}{n}", value=day)
            for day in DAYS
            for n in (0, 1)
        ]
    )
    return store


def files(remote):
    return remote("ls-tree", "-r", "--name-only", BRANCH).splitlines()


def test_days_older_than_two_become_one_file_each(store, remote):
    compact(store, TODAY)
    archives = [path for path in files(remote) if path.startswith("archive/")]
    assert archives == [f"archive/2026/11/{day}.jsonl" for day in (18, 19, 20)]
    left = {path.split("/")[3] for path in files(remote) if path.startswith("runs/")}
    assert left == {"21", "22", "23"}
    assert remote("rev-list", "--count", BRANCH) == "2"


def test_readers_see_no_difference(store, history):
    before = store.records()
    compact(store, TODAY)
    assert store.records() == before
    assert history().records() == before
    assert history().runs_of("a" * 40) == before
    last = history().last("val/accuracy", 5)
    assert [metric.value for _, metric in last] == [21, 22, 22, 23, 23]


def test_compacting_again_changes_nothing(store, remote):
    first = compact(store, TODAY)
    again = compact(store, TODAY)
    assert (again.commit, again.pushes) == (first.commit, 0)


def test_each_line_is_a_record_with_its_name(store, remote):
    compact(store, TODAY)
    lines = remote("show", f"{BRANCH}:archive/2026/11/18.jsonl").splitlines()
    documents = [json.loads(line) for line in lines]
    assert [document["record"]["source"]["run_id"] for document in documents] == ["180", "181"]
    assert all(names.parse(document["name"]) for document in documents)


def test_what_arrives_late_gets_a_further_file(store, record, remote, history):
    compact(store, TODAY)
    late = [
        record(at="2026-11-18T10:00:00Z", run_id="180", value=18),
        record(at="2026-11-18T10:00:00Z", run_id="181", value=0.1),
        record(at="2026-11-18T11:00:00Z", run_id="182", value=0.2),
    ]
    store.append(late)
    assert len(store.records()) in (13, 14)
    old = remote("rev-parse", f"{BRANCH}:archive/2026/11/18.jsonl")
    compact(store, TODAY)
    assert remote("rev-parse", f"{BRANCH}:archive/2026/11/18.jsonl") == old
    values = [r.metrics[0].value for r in history().records() if r.started.startswith("2026-11-18")]
    assert values == [18, 18, 0.1, 0.2]


def test_a_busy_day_is_split(history, record, remote, monkeypatch):
    monkeypatch.setattr(archive.pack, "__kwdefaults__", {"first": 0, "limit": 3000})
    store = history()
    stored = [record(at="2026-11-01T10:00:00Z", run_id=str(n)) for n in range(10)]
    store.append(stored)
    compact(store, TODAY)
    assert "archive/2026/11/01.1.jsonl" in files(remote)
    assert store.records() == stored


def test_a_damaged_file_stays_and_is_reported(store, remote, history):
    path = "runs/2026/11/18/100000Z-180-1-unit-s0-push-aaaaaaaaaaaa.json"
    remote.write(path, "not JSON")
    compact(store, TODAY)
    assert path in files(remote)
    assert [damaged.path for damaged in store.damaged] == [path]
    assert len(history().records()) == 11


def test_a_damaged_line_hides_no_other(store, remote, history):
    compact(store, TODAY)
    text = remote("show", f"{BRANCH}:archive/2026/11/18.jsonl").splitlines()
    remote.write("archive/2026/11/18.jsonl", "garbage\n" + text[1] + "\n")
    fresh = history()
    assert len(fresh.records()) == 11
    assert [damaged.path for damaged in fresh.damaged] == ["archive/2026/11/18.jsonl:1"]


def test_records_that_arrive_while_compacting_are_kept(store, record, history):
    fetch = store._fetch

    def fetch_and_be_overtaken():
        snapshot = fetch()
        store._fetch = fetch
        history().append([record(at="2026-11-19T12:00:00Z", run_id="999")])
        return snapshot

    store._fetch = fetch_and_be_overtaken
    assert compact(store, TODAY).pushes == 2
    assert len(history().records()) == 13


def test_a_branch_that_refuses_keeps_all_as_it_was(store, remote):
    hook = remote.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    before = remote("rev-parse", BRANCH)
    with pytest.raises(HistoryError, match="hook declined"):
        compact(store, TODAY)
    assert remote("rev-parse", BRANCH) == before


def test_an_empty_history_is_compact(history):
    assert compact(history(), TODAY).commit is None
