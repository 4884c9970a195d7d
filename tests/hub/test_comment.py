"""The sticky comment, against a GitHub that keeps its own description."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.errors import HubError, PermissionMissing
from torchproof.hub.comment import marked, unmarked


REPOSITORY = "octo/model"
BOT = "github-actions[bot]"
CREATE = "issues/create-comment"
NEW = {"marker": "default", "order": (12, 1)}


def old(body="old", *, marker="default", order=(11, 1)):
    return marked(body, marker=marker, order=order)


def test_the_first_run_creates_the_comment(hub, comments):
    posted = hub.upsert_comment(7, "new", **NEW)
    assert posted.action == "created"
    assert "/octo/model/pull/7#issuecomment-" in posted.url
    assert comments() == ["new"]


def test_the_next_run_edits_it(connect, comments):
    first = connect().upsert_comment(7, "old", marker="default", order=(11, 1))
    second = connect().upsert_comment(7, "new", **NEW)
    assert (second.action, second.url) == ("edited", first.url)
    assert comments() == ["new"]


def test_the_comment_is_found_at_position_250_of_300(github, hub, comments):
    for number in range(1, 301):
        sticky = number == 250
        body, user = (old(), BOT) if sticky else (f"comment {number}", "octocat")
        github.world.add_comment(REPOSITORY, 7, body, user=user)
    assert hub.upsert_comment(7, "new", **NEW).action == "edited"
    assert comments()[249] == "new"
    assert len(comments()) == 300


def test_a_foreign_comment_with_our_marker_is_left_alone(github, hub, comments):
    github.world.add_comment(REPOSITORY, 7, old("bait"), user="mallory")
    assert hub.upsert_comment(7, "new", **NEW).action == "created"
    assert comments() == ["bait", "new"]


def test_a_marker_below_the_first_line_does_not_count(github, hub, comments):
    github.world.add_comment(REPOSITORY, 7, f"a quote:\n{old()}", user=BOT)
    assert hub.upsert_comment(7, "new", **NEW).action == "created"
    assert len(comments()) == 2


def test_two_projects_of_a_repository_have_a_comment_each(hub, comments):
    for marker in ("vision", "my speech"):
        hub.upsert_comment(7, marker, marker=marker, order=(12, 1))
    assert comments() == ["vision", "my speech"]
    assert hub.find_comment(7, "my speech").body == "my speech"


def test_nothing_is_edited_when_the_text_is_the_same(hub, requests_made):
    hub.upsert_comment(7, "same", marker="default", order=(11, 1))
    assert hub.upsert_comment(7, "same\n", **NEW).action == "unchanged"
    assert requests_made("PATCH") == 0


def test_what_counts_as_the_same_text_is_the_callers_to_say(hub, comments):
    def key(text):
        return text.partition("<sub>")[0]

    hub.upsert_comment(7, "same <sub>run 11</sub>", marker="default", order=(11, 1), key=key)
    again = hub.upsert_comment(7, "same <sub>run 12</sub>", **NEW, key=key)
    assert again.action == "unchanged"
    assert comments() == ["same <sub>run 11</sub>"]


def test_line_ends_of_a_browser_are_no_change(github, hub):
    github.world.add_comment(REPOSITORY, 7, old("a\nb").replace("\n", "\r\n"), user=BOT)
    assert hub.upsert_comment(7, "a\nb", **NEW).action == "unchanged"


def test_an_older_run_does_not_overwrite_a_newer_one(hub, comments):
    hub.upsert_comment(7, "new", **NEW)
    late = hub.upsert_comment(7, "old", marker="default", order=(11, 3))
    assert late.action == "superseded"
    assert comments() == ["new"]


def test_a_later_attempt_of_the_same_run_is_newer(hub):
    hub.upsert_comment(7, "first", marker="default", order=(12, 9))
    assert hub.upsert_comment(7, "second", marker="default", order=(12, 10)).action == "edited"


def test_duplicates_from_before_become_one(github, hub, comments):
    for number in range(3):
        github.world.add_comment(REPOSITORY, 7, old(f"old {number}"), user=BOT)
    hub.upsert_comment(7, "new", **NEW)
    assert comments() == ["new"]


@pytest.mark.parametrize("kind", ["reset", "truncated", "cut-json", "html", "status"])
def test_a_create_whose_answer_was_lost_does_not_make_two(github, hub, comments, kind):
    github.fail(kind, method="POST", path="/comments$", effect=True)
    assert hub.upsert_comment(7, "new", **NEW).action == "created"
    assert comments() == ["new"]


@pytest.mark.parametrize("kind", ["reset", "html", "status"])
def test_a_create_that_had_no_effect_is_made_again(github, hub, comments, kind):
    github.fail(kind, method="POST", path="/comments$", times=2)
    assert hub.upsert_comment(7, "new", **NEW).action == "created"
    assert comments() == ["new"]


def test_a_create_is_given_up_after_a_bounded_time(github, hub, waits, requests_made):
    github.fail("status", method="POST", times=99)
    with pytest.raises(HubError, match=r"did not comment on #7: it answered 502"):
        hub.upsert_comment(7, "new", **NEW)
    assert requests_made("POST") == 5
    assert sum(waits) < 120


@pytest.mark.parametrize("effect", [False, True])
def test_an_edit_is_made_again_after_a_502(github, hub, comments, effect):
    github.world.add_comment(REPOSITORY, 7, old(), user=BOT)
    github.fail("status", method="PATCH", effect=effect)
    assert hub.upsert_comment(7, "new", **NEW).action == "edited"
    assert comments() == ["new"]


def test_two_runs_that_create_at_once_end_with_one_comment(github, connect, comments):
    """Both have seen no comment when both create theirs; the newer text stays."""
    together = threading.Barrier(2, timeout=10)
    github.before[CREATE] = together.wait

    def run(number):
        connect().upsert_comment(7, f"run {number}", marker="default", order=(number, 1))

    threads = [threading.Thread(target=run, args=(number,)) for number in (11, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert comments() == ["run 12"]


def test_a_comment_deleted_under_our_hands_is_made_anew(github, hub, comments):
    github.world.add_comment(REPOSITORY, 7, old(), user=BOT)
    github.before["issues/update-comment"] = github.world.data["comments"].clear
    assert hub.upsert_comment(7, "new", **NEW).action == "created"
    assert comments() == ["new"]


def test_a_persons_token_edits_its_own_comment_only(github, connect, comments):
    github.world.add_token("ghp_hubot", login="hubot")
    github.world.add_comment(REPOSITORY, 7, old("the bot's"), user=BOT)
    github.world.add_comment(REPOSITORY, 7, old("hubot's"), user="hubot")
    assert connect("ghp_hubot").upsert_comment(7, "new", **NEW).action == "edited"
    assert comments() == ["the bot's", "new"]


def test_a_missing_permission_names_the_line_to_add(github, connect):
    github.world.add_token("ghs_reader", permissions={"contents": "read"})
    with pytest.raises(PermissionMissing) as caught:
        connect("ghs_reader").upsert_comment(7, "new", **NEW)
    assert "GitHub would not comment on #7: Resource not accessible" in caught.value.what
    assert caught.value.remedy.endswith("permissions:\n  pull-requests: write")


def test_a_comment_that_is_too_long_is_not_sent(hub):
    with pytest.raises(HubError, match="65536"):
        hub.upsert_comment(7, "x" * 65_536, **NEW)
    assert hub.calls == 0


orders = st.lists(st.integers(0, 10**12), min_size=1, max_size=4).map(tuple)


@given(body=st.text(), marker=st.text(min_size=1), order=orders)
def test_what_is_marked_is_read_back(body, marker, order):
    assert unmarked(marked(body, marker=marker, order=order)) == (marker, order, body)


@given(body=st.text())
def test_a_text_without_our_first_line_is_not_ours(body):
    assert unmarked(f"x{body}") is None
