import os
import subprocess
from datetime import UTC, date, datetime

import pytest

from torchproof.errors import HistoryError
from torchproof.history import graph
from torchproof.history.baseline import find
from torchproof.history.compaction import compact


@pytest.fixture
def recorded(history, record):
    """Store one record of the main line for each commit given."""

    def store(*commits, **source):
        history().append([record(commit, run_id=commit[:8], **source) for commit in commits])

    return store


@pytest.fixture
def shallow(monkeypatch):
    """Begin with graphs of two commits, so that small histories are cut off too."""
    monkeypatch.setattr(graph, "FIRST_DEPTH", 2)


def test_a_merge_commit_is_compared_with_the_tip_of_main(history, recorded, remote):
    main = remote.line(5)
    feature = remote.line(2, start=main[1], branch="feature")
    merge = remote.commit("merge", main[-1], feature[-1])
    remote("update-ref", "refs/pull/7/merge", merge)
    recorded(*main)
    found = find(history(), tested=merge, base=main[-1], branch="main")
    assert (found.commit, found.distance, found.why) == (main[-1], 0, "the merge-base with main")
    assert [r.source.commit for r in found.records] == [main[-1]]


def test_a_head_is_compared_with_its_merge_base(history, recorded, remote):
    main = remote.line(5)
    feature = remote.line(2, start=main[1], branch="feature")
    recorded(*main)
    assert find(history(), tested=feature[-1], base=main[-1], branch="main").commit == main[1]


def test_without_records_there_the_nearest_ancestor_that_has_some_stands_in(
    history, recorded, remote
):
    main = remote.line(6)
    feature = remote.line(1, start=main[-1], branch="feature")
    recorded(main[0], main[2])
    found = find(history(), tested=feature[0], base=main[-1], branch="main")
    assert (found.commit, found.distance) == (main[2], 3)
    assert found.why == "3 commits before the merge-base with main, the nearest one with records"


def test_a_push_is_compared_with_its_own_ancestors_and_never_with_itself(history, recorded, remote):
    main = remote.line(4)
    recorded(main[0], main[2], main[3])
    store = history()
    found = find(store, tested=main[3])
    assert (found.commit, found.distance, found.why) == (main[2], 0, "its parent")
    found = find(store, tested=main[2])
    assert (found.commit, found.distance) == (main[0], 1)
    assert found.why == "1 commit before its parent, the nearest one with records"


def test_all_tiers_and_seeds_of_the_baseline_come_along(history, record, remote):
    main = remote.line(2)
    stored = [
        record(main[0], tier=tier, seed=seed, event=event, run_id=f"{number}")
        for number, (tier, seed, event) in enumerate(
            [("unit", 0, "push"), ("overfit", 0, "workflow_dispatch"), ("nightly", 1, "schedule")]
        )
    ]
    history().append(stored)
    assert find(history(), tested=main[1]).records == tuple(stored)


@pytest.mark.parametrize(
    "source",
    [
        {"event": "pull_request", "pull_request": 7},
        {"event": "workflow_dispatch", "pull_request": 7},
        {"event": "push", "fork": True},
        {"event": "issue_comment"},
    ],
)
def test_what_a_pull_request_or_a_fork_recorded_never_becomes_a_baseline(
    history, recorded, remote, source
):
    main = remote.line(3)
    recorded(main[0])
    recorded(main[1], **source)
    assert find(history(), tested=main[2]).commit == main[0]


def test_no_record_at_all_is_said_before_any_commit_is_fetched(history, recorded, remote):
    main = remote.line(2)
    store = history()
    assert find(store, tested="f" * 40, base=main[0], branch="main").why == (
        "there is no record yet on main"
    )


def test_no_record_on_this_line_is_said_with_the_number_of_commits(history, recorded, remote):
    main = remote.line(3)
    recorded(*remote.line(1, branch="other"))
    found = find(history(), tested=main[-1])
    assert (found.commit, found.records) == (None, ())
    assert found.why == "none of the 2 commits before it has records"


def test_the_first_commit_has_no_baseline(history, recorded, remote):
    main = remote.line(1)
    recorded(*main)
    assert find(history(), tested=main[0]).why == "it is the first commit"


def test_unrelated_histories_are_told_from_shallow_ones(history, recorded, remote, shallow):
    main = remote.line(12)
    other = remote.line(12, branch="other")
    recorded(*main)
    found = find(history(), tested=other[-1], base=main[-1], branch="main")
    assert found.commit is None
    assert found.why == "the tested commit and main have no history in common"


def test_a_far_merge_base_is_found_by_deepening(history, recorded, remote, shallow):
    main = remote.line(20)
    feature = remote.line(15, start=main[3], branch="feature")
    recorded(main[0], main[-1])
    found = find(history(), tested=feature[-1], base=main[-1], branch="main")
    assert (found.commit, found.distance) == (main[0], 3)


def test_a_shortcut_through_a_merge_does_not_hide_a_nearer_merge_base(
    history, recorded, remote, shallow
):
    main = remote.line(10)
    feature = remote.line(6, start=main[8], branch="feature")
    # Both sides reach main[0] in one step, and main[8] in many.
    tested = remote.commit("tested", feature[-1], main[0])
    side = remote.line(6, start=main[8], branch="side")
    base = remote.commit("base", side[-1], main[0])
    remote("update-ref", "refs/heads/feature", tested)
    remote("update-ref", "refs/heads/main", base)
    recorded(main[0], main[8])
    assert find(history(), tested=tested, base=base, branch="main").commit == main[8]


def test_crossed_and_octopus_merges_have_one_answer(history, recorded, remote):
    root = remote.line(1)[0]
    one, two, three = (remote.commit(text, root) for text in ("one", "two", "three"))
    left, right = remote.commit("left", one, two), remote.commit("right", two, one)
    octopus = remote.commit("octopus", left, three, root)
    remote("update-ref", "refs/heads/left", octopus)
    remote("update-ref", "refs/heads/main", right)
    recorded(root, one, two, three)
    assert find(history(), tested=octopus, base=right, branch="main").commit == min(one, two)


def test_a_base_that_a_force_push_removed_is_replaced_by_the_tip(history, recorded, remote):
    main = remote.line(3)
    gone = "e" * 40
    feature = remote.line(1, start=main[-1], branch="feature")
    recorded(*main)
    found = find(history(), tested=feature[0], base=gone, branch="main")
    assert found.commit == main[-1]
    assert found.why == (
        "the merge-base with main; the base commit eeeeeeeeeeee is gone from the remote, "
        "so its tip stands in"
    )
    assert "does not know the base" in find(history(), tested=feature[0], base=gone).why


def test_a_commit_that_is_only_here_is_looked_up_here(history, recorded, remote, tmp_path):
    main = remote.line(3)
    recorded(*main)
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", remote.url, checkout], check=True)
    local = type(remote)(checkout)
    tested = local.commit("not pushed", main[-1])
    local("checkout", "-q", "--detach", tested)
    assert "does not know" in find(history(), tested=tested).why
    before = everything(checkout)
    found = find(history(), tested=tested, also=[str(checkout)])
    assert found.commit == main[-1]
    assert everything(checkout) == before


def everything(directory):
    """All files of a checkout with contents, owners and times of change."""
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_uid, path.is_file() and path.read_bytes())
        for path in directory.rglob("*")
    }


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
def test_a_checkout_may_belong_to_somebody_else(history, recorded, remote, tmp_path):
    main = remote.line(2)
    recorded(main[0])
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", remote.url, checkout], check=True)
    tested = type(remote)(checkout).commit("not pushed", main[-1])
    subprocess.run(["chown", "-R", "1001:1001", checkout], check=True)
    assert find(history(), tested=tested, also=[str(checkout)]).commit == main[0]


@pytest.mark.parametrize("option", ["--depth=1", "--filter=blob:none", "--filter=tree:0"])
def test_the_users_clone_may_be_shallow_or_partial(history, recorded, remote, tmp_path, option):
    main = remote.line(4)
    recorded(main[0])
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", option, remote.url, checkout], check=True)
    local = type(remote)(checkout)
    tested = local.commit("not pushed", main[-1])
    local("checkout", "-q", "--detach", tested)
    found = find(history(), tested=tested, base=main[-1], branch="main", also=[str(checkout)])
    assert found.commit == main[0]


def test_a_local_commit_on_a_cut_line_names_the_setting(history, recorded, remote, tmp_path):
    main = remote.line(4)
    recorded(main[0])
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", "--depth=1", remote.url, checkout], check=True)
    remote.line(1)
    remote("reflog", "expire", "--all", "--expire=now")
    remote("prune")
    found = find(history(), tested=main[-1], also=[str(checkout)])
    assert found.commit is None
    assert "fetch-depth: 0" in found.why


def test_archives_are_read_only_as_far_back_as_they_can_matter(history, record, remote, daemon):
    main = remote.line(30)
    days = {commit: 1 + number // 2 for number, commit in enumerate(main)}
    for commit in main:
        # A commit of the helper is as old as its clock says; put each on its day.
        remote("update-ref", f"refs/tags/{commit}", commit)
    store = history()
    store.append(
        [record(c, at=f"2026-11-{day:02}T10:00:00Z", run_id=c[:8]) for c, day in days.items()]
    )
    compact(store, date(2026, 11, 23))
    feature = remote.line(1, start=main[-1], branch="feature")
    found = find(history(daemon.url), tested=feature[0], base=main[-1], branch="main")
    assert found.commit == main[-1]
    assert daemon.connections <= 8


def test_old_records_in_archives_are_found(history, record, remote):
    main = remote.line(3)
    when = datetime.fromtimestamp(remote.clock, UTC).isoformat()
    store = history()
    store.append([record(main[0], at=when), record("b" * 40, event="schedule", run_id="2")])
    compact(store, date(2026, 11, 23))
    assert find(history(), tested=main[2]).commit == main[0]


def test_a_remote_that_does_not_answer_is_an_error(history, recorded, remote, daemon):
    main = remote.line(2)
    recorded(main[0])
    store = history(daemon.url, patience=0)
    store.fetch()
    daemon.target = 9
    with pytest.raises(HistoryError):
        find(store, tested=main[1])


@pytest.mark.parametrize("commit", ["main", "abc", "", "--upload-pack=x", "A" * 40])
def test_a_commit_must_be_given_in_full(history, commit):
    with pytest.raises(HistoryError, match="full commit id"):
        find(history(), tested=commit)
