import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from torchproof.errors import HistoryError
from torchproof.history.git import Repository
from torchproof.history.store import History


BRANCH = "refs/heads/torchproof-history"
HOOK = "#!/bin/sh\nwhile read old new ref; do case $ref in {pattern}) exit 1;; esac; done\n"


def refuse(remote, pattern):
    """Make the remote decline pushes to refs that match, as a ruleset does."""
    hook = remote.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK.format(pattern=pattern))
    hook.chmod(0o755)
    return hook


def files(remote, ref=BRANCH):
    return remote("ls-tree", "-r", "--name-only", ref).splitlines()


def test_a_repository_without_the_branch_has_an_empty_history(history):
    assert history().records() == []
    assert history().last("val/accuracy", 5) == []


def test_what_was_appended_is_read_by_everybody(history, record):
    stored = [record("a" * 40), record("b" * 40, tier="overfit", value=float("inf"))]
    result = history().append(stored)
    assert (result.pushes, result.inbox) == (1, None)
    assert {r.source.commit: r for r in history().records()} == {r.source.commit: r for r in stored}
    assert history().runs_of("b" * 40) == stored[1:]


def test_all_records_of_an_append_are_one_commit_of_a_fixed_author(history, record, remote):
    store = history(clock=lambda: 1_795_442_400.0)
    result = store.append([record(tier="unit", run_id="42"), record(tier="nightly", run_id="42")])
    assert remote("rev-list", "--count", BRANCH) == "1"
    assert remote("log", "-1", "--format=%H|%an|%ct|%s", BRANCH) == (
        f"{result.commit}|torchproof[bot]|1795442400|Record run 42 attempt 1: unit, nightly"
    )
    assert files(remote) == [
        "meta.json",
        "runs/2026/11/23/130000Z-42-1-nightly-s0-push-aaaaaaaaaaaa.json",
        "runs/2026/11/23/130000Z-42-1-unit-s0-push-aaaaaaaaaaaa.json",
    ]


def test_appending_again_stores_and_pushes_nothing(history, record):
    first = history().append([record()])
    again = history().append([record()])
    assert (again.commit, again.pushes) == (first.commit, 0)
    assert history().append([]).commit == first.commit


def test_other_bytes_under_the_same_name_are_kept_beside_the_first(history, record, remote):
    store = history()
    for value in (0.9, 0.8, 0.9):
        store.append([record(value=value)])
    assert [r.metrics[0].value for r in store.records()] == [0.9, 0.8]
    assert files(remote)[-1].endswith(".json")
    assert remote("rev-list", "--count", BRANCH) == "2"


def test_values_of_the_main_line_come_oldest_first(history, record, remote):
    store = history()
    remote.line(1)
    store.append(
        [
            record(at=f"2026-11-{day:02}T10:00:00Z", value=day, run_id=str(day))
            for day in range(1, 20)
        ]
    )
    store.append(
        [
            record("b" * 40, event="pull_request", pull_request=7, value=100, run_id="100"),
            record("c" * 40, event="workflow_dispatch", pull_request=7, value=101, run_id="101"),
            record("d" * 40, branch="feature", value=102, run_id="102"),
            record("e" * 40, tested="f" * 40, value=103, run_id="103"),
        ]
    )
    assert [metric.value for _, metric in store.last("val/accuracy", 3)] == [17, 18, 19]
    assert [m.value for _, m in store.last("val/accuracy", 3, branch="feature")] == [102]
    name = "tests/test_net.py::test_quality::val/accuracy"
    assert len(store.last(name, 100)) == 19
    assert store.last("loss", 3) == []


def test_eight_writers_at_once_lose_nothing(remote, history, tmp_path):
    writers = [start_writer(remote, tmp_path / f"{number}", number) for number in range(8)]
    for writer in writers:
        assert writer.wait(120) == 0
    assert sorted(r.source.run_id for r in history().records()) == [str(n) for n in range(8)]
    remote("fsck", "--strict")


def test_two_first_writers_share_one_branch(history, record, remote):
    one, other = history(), history()
    one.fetch()
    other.fetch()
    other._fetch = once(other._fetch, lambda: one.append([record(run_id="1")]))
    result = other.append([record(run_id="2")])
    assert result.pushes == 2
    assert remote("rev-list", "--count", BRANCH) == "2"
    assert [r.source.run_id for r in history().records()] == ["1", "2"]


def once(function, after):
    """Let something happen between the first call of a function and what follows."""
    calls = []

    def wrapped():
        answer = function()
        if not calls:
            calls.append(after())
        return answer

    return wrapped


@pytest.mark.parametrize("delay", [0.15, 0.3, 0.45, 0.6])
def test_a_writer_killed_at_any_moment_leaves_no_half_record(remote, history, tmp_path, delay):
    writer = start_writer(remote, tmp_path / "killed", 1, count=50)
    time.sleep(delay)
    os.killpg(writer.pid, signal.SIGKILL)
    writer.wait()
    remote("fsck", "--strict")
    assert len(history().records()) in (0, 50)


def start_writer(remote, directory, number, count=1):
    directory.mkdir()
    program = (
        "import random, sys, time\n"
        "from torchproof.history.store import History\n"
        "from torchproof.record import Record, Source\n"
        "url, directory, number, count = sys.argv[1:]\n"
        "def record(seed):\n"
        "    source = Source('o/r', 'a' * 40, 'a' * 40, 'main', 'push', number)\n"
        "    return Record('unit', 'complete', started='2026-11-23', seed=seed, source=source)\n"
        "wait = lambda seconds: time.sleep(seconds / 10)\n"
        "with History(url, directory=directory, sleep=wait) as history:\n"
        "    history.append([record(seed) for seed in range(int(count))])\n"
    )
    argv = [sys.executable, "-c", program, remote.url, str(directory), str(number), str(count)]
    return subprocess.Popen(argv, start_new_session=True, stderr=subprocess.DEVNULL)


def test_a_protected_branch_sends_records_to_an_inbox_that_the_next_writer_empties(
    history, record, remote
):
    history().append([record(run_id="1")])
    hook = refuse(remote, BRANCH)
    result = history().append([record(run_id="2")])
    again = history().append([record(run_id="2", tier="nightly")])
    assert result.inbox == again.inbox == "refs/torchproof/inbox/2-1"
    assert "pre-receive hook declined" in result.why
    assert len(history().runs_of("a" * 40)) == 3

    hook.unlink()
    assert history().append([record(run_id="3")]).inbox is None
    assert remote("for-each-ref", "refs/torchproof") == ""
    assert [r.source.run_id for r in history().records()] == ["1", "2", "2", "3"]


def test_taking_in_an_inbox_never_replaces_a_record_of_the_same_name(history, record, remote):
    hook = refuse(remote, BRANCH)
    history().append([record(value=0.1)])
    hook.unlink()
    history().append([record(value=0.2)])
    assert [r.metrics[0].value for r in history().records()] == [0.1, 0.2]


def test_an_inbox_that_grew_meanwhile_is_not_deleted(history, record, remote):
    hook = refuse(remote, BRANCH)
    history().append([record(run_id="2")])
    hook.unlink()
    sweeper = history()
    late = history()

    def grow():
        refuse(remote, BRANCH)
        late.append([record(run_id="2", tier="nightly")])
        hook.unlink()

    sweeper._fetch = once(sweeper._fetch, grow)
    sweeper.append([record(run_id="3")])
    assert remote("for-each-ref", "--format=%(refname)", "refs/torchproof") == result_ref("2")
    assert len(history().records()) == 3


def result_ref(run_id):
    return f"refs/torchproof/inbox/{run_id}-1"


def test_a_remote_that_takes_nothing_is_an_error(history, record, remote):
    refuse(remote, "*")
    with pytest.raises(HistoryError, match="hook declined"):
        history().append([record()])


def test_too_many_writers_for_too_long_end_in_an_inbox(history, record, remote):
    now = [0.0]
    store = history(
        clock=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s), patience=60
    )
    history().append([record(run_id="1")])
    fetch, rival = store._fetch, iter(range(100, 1000))

    def always_too_late():
        snapshot = fetch()
        if now[0] < 60:
            history().append([record(run_id=str(next(rival)))])
        return snapshot

    store._uniform = lambda low, high: high
    store._patience = replace(store._patience, uniform=lambda low, high: high)
    store._fetch = always_too_late
    result = store.append([record(run_id="2")])
    assert result.inbox == result_ref("2")
    assert result.pushes > 3
    assert "fetch first" in result.why or "non-fast-forward" in result.why


def test_a_corrupt_record_is_skipped_and_reported(history, record, remote):
    history().append([record(run_id="1"), record(run_id="2")])
    path = "runs/2026/11/23/130000Z-1-1-unit-s0-push-aaaaaaaaaaaa.json"
    remote.write(path, '{"schema": 1, "tier": NaN}')
    remote.write("runs/2026/11/23/notes.txt", "hello")
    store = history()
    assert [r.source.run_id for r in store.records()] == ["2"]
    assert {damaged.path for damaged in store.damaged} == {path, "runs/2026/11/23/notes.txt"}
    store.records()
    assert len(store.damaged) == 2


def test_a_record_that_claims_to_be_another_run_is_reported(history, record, remote):
    store = history()
    store.append([record(run_id="1")])
    (text,) = [remote("show", f"{BRANCH}:{path}") for path in files(remote) if path != "meta.json"]
    remote.write("runs/2026/11/23/130000Z-2-1-unit-s0-push-bbbbbbbbbbbb.json", text)
    store.fetch()
    assert store.runs_of("b" * 40) == []
    assert "its name says" in store.damaged[0].why


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"schema":2}', "schema 2"),
        ('{"schema":true}', "schema True"),
        ("[]", "schema None"),
        ("<<<<<<< HEAD", "cannot be read"),
    ],
)
def test_a_corrupt_meta_file_is_an_error_and_never_an_empty_history(
    history, record, remote, text, says
):
    history().append([record()])
    remote.write("meta.json", text)
    for use in (lambda: history().records(), lambda: history().append([record(run_id="2")])):
        with pytest.raises(HistoryError, match=says) as error:
            use()
        assert error.value.remedy
    assert len(files(remote)) == 2


def test_a_meta_file_spelt_otherwise_is_fine(history, record, remote):
    history().append([record()])
    remote.write("meta.json", '{ "schema": 1, "note": "by hand" }')
    assert len(history().records()) == 1


def test_a_branch_of_somebody_else_is_refused(history, record, remote):
    remote.line(1, branch="docs")
    with pytest.raises(HistoryError, match="not a history"):
        history(branch="docs").append([record()])


@pytest.mark.parametrize("branch", ["a:refs/heads/main", "a..b", "", "a b", "*"])
def test_a_name_that_is_no_branch_is_refused(remote, branch):
    with (
        pytest.raises(HistoryError, match="no name for a branch"),
        History(remote.url, branch=branch),
    ):
        pass


@pytest.mark.parametrize(
    "address",
    ["/nonexistent", "git://127.0.0.1:9/x.git", "http://127.0.0.1:9/x.git", "ext::sh -c true"],
)
def test_a_remote_that_cannot_be_reached_is_an_error(history, record, address):
    with pytest.raises(HistoryError):
        history(address, patience=0).records()
    with pytest.raises(HistoryError):
        history(address, patience=0).append([record()])


def test_a_missing_object_is_an_error_and_not_an_empty_history(history, record, remote):
    history().append([record()])
    blob = remote("rev-parse", f"{BRANCH}:{files(remote)[1]}")
    (remote.path / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(HistoryError):
        history().records()


def test_a_persons_hooks_do_not_run(history, record, remote, tmp_path):
    (tmp_path / ".gitconfig").write_text(f"[core]\n    hooksPath = {tmp_path}\n")
    (tmp_path / "pre-push").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "pre-push").chmod(0o755)
    history(environ={**os.environ, "HOME": str(tmp_path)}).append([record()])
    assert not (tmp_path / "ran").exists()


def test_the_temporary_directory_is_all_that_is_used_and_it_goes(remote, record, tmp_path):
    (tmp_path / "place").mkdir()
    with History(remote.url, directory=tmp_path / "place") as store:
        store.append([record()])
        assert list((tmp_path / "place").iterdir())
    assert list((tmp_path / "place").iterdir()) == []


def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path, remote):
    repository = Repository(
        tmp_path / "own", "ssh://host/x", environ={**os.environ, "GIT_SSH_COMMAND": "sleep 60;"}
    )
    repository.timeout = 0.3
    started = time.monotonic()
    with pytest.raises(HistoryError, match="no end within"):
        repository.git("ls-remote", "origin")
    assert time.monotonic() - started < 5
