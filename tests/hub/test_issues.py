"""Issues with a marker, against a GitHub that keeps its own description."""

from __future__ import annotations

import threading

import pytest

from torchproof.errors import HubError, PermissionMissing
from torchproof.hub.comment import marked


REPOSITORY = "octo/model"
BOT = "github-actions[bot]"
NEW = {"marker": "regression:loss", "order": (12, 1)}


def issues(github):
    return github.world.data["issues"]


def test_an_issue_is_opened_found_edited_closed_and_reopened(github, hub):
    made = hub.open_issue("worse", "since A", **NEW)
    assert made.url.endswith("/octo/model/issues/8"), "the pull request is 7"
    (found,) = hub.issues()
    assert (found.marker, found.order, found.body, found.open) == (*NEW.values(), "since A", True)
    closed = hub.edit_issue(found, title="was worse", body="back", order=(13, 1), open_=False)
    assert (closed.open, closed.title, closed.body) == (False, "was worse", "back")
    assert issues(github)[0]["state_reason"] == "completed"
    again = hub.edit_issue(closed, title="worse", body="again", order=(14, 1), open_=True)
    assert again.open
    assert issues(github)[0]["state_reason"] == "reopened"
    assert len(issues(github)) == 1


def test_nothing_is_edited_when_it_says_so_already(hub, requests_made):
    made = hub.open_issue("worse", "since A", **NEW)
    hub.edit_issue(made, title="worse", body="since A\n", order=(13, 1), open_=True)
    assert requests_made("PATCH") == 0


def test_an_older_run_does_not_overwrite_a_newer_one(hub, requests_made):
    made = hub.open_issue("worse", "new", **NEW)
    hub.edit_issue(made, title="worse", body="old", order=(11, 9), open_=True)
    assert requests_made("PATCH") == 0


def test_the_issue_is_found_on_the_last_page_among_others(github, hub):
    github.world.add_issue(REPOSITORY, "worse", marked("ours", **NEW), user=BOT)
    for number in range(250):
        github.world.add_issue(REPOSITORY, f"issue {number}", "…", user=BOT)
    assert [issue.body for issue in hub.issues()] == ["ours"]


def test_a_foreign_issue_with_our_marker_is_left_alone(github, hub):
    github.world.add_issue(REPOSITORY, "bait", marked("bait", **NEW), user="mallory")
    assert hub.issues() == []
    assert hub.open_issue("worse", "ours", **NEW).body == "ours"


def test_an_issue_that_a_person_closed_is_still_found(github, hub):
    github.world.add_issue(REPOSITORY, "worse", marked("ours", **NEW), user=BOT)
    issues(github)[0]["state"] = "closed"
    assert [issue.open for issue in hub.issues()] == [False]


@pytest.mark.parametrize("kind", ["reset", "truncated", "cut-json", "html", "status"])
def test_an_issue_whose_answer_was_lost_is_not_opened_twice(github, hub, kind):
    github.fail(kind, method="POST", path="/issues$", effect=True)
    assert hub.open_issue("worse", "since A", **NEW).body == "since A"
    assert len(issues(github)) == 1


@pytest.mark.parametrize("kind", ["reset", "html", "status"])
def test_an_issue_that_was_not_opened_is_opened_then(github, hub, kind):
    github.fail(kind, method="POST", path="/issues$", times=2)
    hub.open_issue("worse", "since A", **NEW)
    assert len(issues(github)) == 1


def test_two_runs_that_open_at_once_end_with_one_open_issue(github, connect):
    together = threading.Barrier(2, timeout=10)
    github.before["issues/create"] = together.wait
    numbers = []

    def run(number):
        made = connect().open_issue("worse", "since A", marker="m", order=(number, 1))
        numbers.append(made.number)

    threads = [threading.Thread(target=run, args=(number,)) for number in (11, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [issue["state"] for issue in issues(github)].count("open") == 1
    assert issues(github)[0]["state"] == "open", "the lowest number stays"
    assert 8 in numbers


def test_a_missing_permission_names_the_line_to_add(github, connect):
    github.world.add_token("ghs_poor", permissions={"checks": "write"})
    with pytest.raises(PermissionMissing) as caught:
        connect("ghs_poor").open_issue("worse", "since A", **NEW)
    assert caught.value.remedy.endswith("permissions:\n  issues: write")


def test_an_issue_that_is_too_long_is_not_sent(hub):
    with pytest.raises(HubError, match="65536"):
        hub.open_issue("worse", "x" * 65_536, **NEW)


def test_a_commits_author_may_have_an_account(github, hub):
    github.world.add_author(REPOSITORY, "a" * 40, "ada")
    assert hub.login_of("a" * 40) == "ada"
    assert hub.login_of("b" * 40) is None
