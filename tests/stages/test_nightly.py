"""The night over real git and a strict fake GitHub: one issue, opened, kept, closed, reopened."""

from __future__ import annotations

import copy
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fake_github.http_server import running
from tests.samples import GPU
from tests.stages.scene import REPOSITORY
from tests.stages.training import GOOD, SETTINGS, TOKEN, UNIT, WORSE, Training, hub_of

from torchproof.history.series import load, place
from torchproof.history.store import History
from torchproof.hub.offline import OfflineHub
from torchproof.settings import Inputs


@contextmanager
def a_github():
    with running() as fake:
        fake.world.add_repository(REPOSITORY)
        fake.world.add_token(TOKEN)
        yield fake


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """Give a repository with ten quiet days behind it, to copy."""
    return Training(tmp_path_factory.mktemp("quiet"))


@dataclass(frozen=True)
class Night:
    """What there was after a night: repository and GitHub, and which commit and run it was."""

    scene: Training
    github: dict
    commit: str
    run: str

    @property
    def issue(self):
        (issue,) = self.github["issues"]
        return issue


def night(scene, github, level):
    commit = scene.night(level)
    event, _ = scene.last
    return Night(scene, copy.deepcopy(github.world.data), commit, event.run.id)


@pytest.fixture(scope="module")
def worse(quiet, tmp_path_factory):
    """Give a night with a regression, to copy."""
    with a_github() as github:
        yield night(quiet.copy(tmp_path_factory.mktemp("worse"), github), github, WORSE)


@pytest.fixture(scope="module")
def nights(worse, tmp_path_factory):
    """Tell of four nights, one after the other: worse, as bad, good again, worse again."""
    with a_github() as github:
        github.world.data |= copy.deepcopy(worse.github)
        scene = worse.scene.copy(tmp_path_factory.mktemp("nights"), github)
        yield [worse, *(night(scene, github, level) for level in (WORSE, GOOD, WORSE))]


@pytest.fixture
def github():
    with a_github() as fake:
        yield fake


@pytest.fixture
def scene(tmp_path, github, quiet):
    """Give a repository with ten quiet days behind it."""
    return quiet.copy(tmp_path, github)


@pytest.fixture
def regressed(tmp_path, github, worse):
    """Give a repository the night after a regression."""
    github.world.data |= copy.deepcopy(worse.github)
    return worse.scene.copy(tmp_path, github)


def issues(github):
    return github.world.data["issues"]


def said(scene, text):
    return any(text in line for line in scene.console.said)


def test_a_quiet_main_has_no_issue_and_costs_no_run(scene, github):
    scene.night()
    assert issues(github) == []
    assert not said(scene, "again")
    assert not [made for made in scene.records() if made.source.event == "bisect"]


def test_a_regression_is_opened_updated_closed_and_reopened_in_one_issue(nights):
    first, second, third, fourth = nights
    issue = first.issue
    assert issue["state"] == "open"
    assert re.search(
        rf"\*\*{first.commit}\*\* `Change main` made it so, over 99 % sure", issue["body"]
    )
    assert issue["title"] == f"loss is worse since {first.commit[:7]}"

    assert second.issue["body"] != first.issue["body"], "the curve has grown"

    issue = third.issue
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    assert issue["title"] == f"loss is back since {third.commit[:7]}"

    issue = fourth.issue
    assert (issue["state"], issue["state_reason"]) == ("open", "reopened")
    assert f"**{fourth.commit}**" in issue["body"]


def test_what_ran_again_is_kept_and_not_asked_twice_and_is_no_value_of_main(nights):
    first, second, *_ = nights
    scene = nights[-1].scene
    with History(str(scene.origin)) as history:
        line = load(history, scene.git("rev-parse", "main"))
    again = [made for made in line.again if made.source.run_id == first.run]
    assert again
    assert len({made.seed for made in again}) == len(again), "each has a seed of its own"
    assert sum(made.source.run_id == second.run for made in line.again) <= 2
    assert "bisect" not in {made.source.event for made in line.records}


def test_the_budget_bounds_the_night_and_the_next_one_goes_on(scene, github):
    scene.change()
    scene.commit("main", {"torchproof.toml": f"{SETTINGS}nightly-budget = 6\n"})
    scene.night(WORSE)
    assert not issues(github)
    assert said(scene, "the runs allowed are spent, and the next night goes on")
    nights = 1
    while not issues(github) and nights < 12:
        scene.night()
        again = [made for made in scene.records() if made.source.event == "bisect"]
        nights += 1
        assert len(again) <= 6 * nights
    assert len(issues(github)) == 1


def test_an_issue_that_a_person_closed_stays_closed(regressed, github):
    issues(github)[0]["state"] = "closed"
    regressed.night()
    assert [issue["state"] for issue in issues(github)] == ["closed"]


def test_without_the_permission_nothing_fails_and_one_sentence_says_so(regressed, github):
    scene = regressed
    issues(github).clear()
    github.world.add_token("ghs_poor", permissions={"contents": "write", "checks": "write"})
    scene.hub = hub_of(github, "ghs_poor")
    scene.night()
    assert not issues(github)
    assert said(scene, "Not reported: GitHub would not open an issue")
    summary = "".join(scene.console.summaries)
    assert "issues: write" in summary
    assert "loss is worse since" in summary
    assert "issues: write" in scene.console.outputs["report-status"]


def test_the_author_is_mentioned_only_where_the_team_wants_it(regressed, github):
    guilty = regressed.git("rev-parse", "main")
    github.world.add_author(REPOSITORY, guilty, "ada-lovelace")
    assert "@ada-lovelace" not in issues(github)[0]["body"]
    regressed.commit("main", {"torchproof.toml": f"{SETTINGS}mention-author = true\n"})
    regressed.nightly(UNIT)
    assert "@ada-lovelace" in issues(github)[0]["body"]


def test_a_run_without_a_number_is_told_at_once(scene, github):
    guilty = scene.night(float("nan"))
    (issue,) = issues(github)
    assert f"**{guilty}**" in issue["body"]
    assert "→ no number" in issue["body"]
    scene.night(GOOD)
    assert issues(github)[0]["state"] == "closed"


def test_a_moved_environment_is_told_from_a_commit(scene, github):
    scene.drift = WORSE - GOOD
    scene.night()
    (issue,) = issues(github)
    assert "**The environment moved, not the code**" in issue["body"]
    assert "made it so" not in issue["body"]
    scene.drift = 0.0
    scene.night()
    assert issues(github)[0]["state"] == "closed"


def test_the_workspace_of_the_job_is_not_touched(worse):
    scene = worse.scene
    assert scene.git("status", "--porcelain", "--untracked-files=no") == ""
    assert scene.git("rev-parse", "HEAD") == scene.git("rev-parse", "main")
    elsewhere = {str(where) for where, _ in scene.trained} - {str(scene.work)}
    assert elsewhere, "old commits ran in a place of their own"
    assert not any(Path(where).exists() for where in elsewhere)


def test_the_gpu_runners_half_of_the_night_looks_at_its_own_metrics_there(scene):
    scene.quiet_days("overfit", GPU)
    scene.hub = OfflineHub(scene.github)
    guilty = scene.change(WORSE)
    scene.nightly(Inputs(gpu_runner="gpu", tiers="overfit"))
    scene.requested()
    again = [made for made in scene.records() if made.source.event == "bisect"]
    assert again
    assert {(made.tier, place(made).gpu) for made in again} == {("overfit", "NVIDIA H100")}
    (issue,) = scene.hub.issues()
    assert f"**{guilty}**" in issue.body
