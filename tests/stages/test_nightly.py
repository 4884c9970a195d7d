"""The night over real git and a strict fake GitHub: one issue, opened, kept, closed, reopened."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from pathlib import Path

import pytest
from tests.fake_github.http_server import running
from tests.samples import ENVIRONMENT, metric, outcome, record
from tests.stages.scene import REPOSITORY, Scene, ScriptedSeal

from torchproof.history.series import load
from torchproof.history.store import History
from torchproof.hub import GitHub
from torchproof.record import Source
from torchproof.run.tier import hardware
from torchproof.settings import Inputs


TOKEN = "ghs_workflow"
SETTINGS = "seeds = 4\n"
UNIT = Inputs(tiers="unit")
GOOD, WORSE = 1.0, 2.0


class Training(Scene):
    """A repository whose unit tier trains: the loss is ``level.txt`` plus the seed's noise."""

    def __init__(self, directory):
        super().__init__(directory)
        self.places = directory / "seals"
        self.places.mkdir()
        self.seal = self._open
        self.commit("main", {"torchproof.toml": SETTINGS, "level.txt": str(GOOD)})
        self.level, self.trained = GOOD, []
        self.drift = 0.0  # what the machine adds to every run that is made now
        self._quiet_days(10)

    def change(self, level=None):
        """Push a commit to main; its own run is not part of this."""
        self.level = self.level if level is None else level
        return self.commit("main", {"level.txt": str(self.level), "change.txt": str(self.runs)})

    def night(self, level=None):
        """Let a day pass: a commit, and the nightly run on it."""
        commit = self.change(level)
        self.nightly(UNIT)
        return commit

    def _quiet_days(self, count):
        """Store a run a commit, as good as each other."""
        noise, made = random.Random(0), []
        for number in range(count):
            self.git("commit", "-q", "--allow-empty", "-m", f"Quiet {number}")
            commit = self.git("rev-parse", "HEAD")
            at = self.now - timedelta(days=count - number)
            source = Source(REPOSITORY, commit, commit, "main", "push", str(number))
            loss = metric("loss", noise.gauss(GOOD, 0.1), better="lower")
            made.append(
                record(
                    loss,
                    started=at.isoformat(timespec="seconds"),
                    source=source,
                    seed=number,
                    fingerprint={"environment": ENVIRONMENT, "hardware": hardware(None)},
                )
            )
        self.git("push", "-q", "origin", "main")
        with History(str(self.origin)) as history:
            history.append(made)

    def _open(self, settings, workspace=None):
        directory = self.places / str(len(list(self.places.iterdir())))
        workspace = workspace or self.work
        level = float((Path(workspace) / "level.txt").read_text())
        return Trained(directory, workspace, level, self)


class Trained(ScriptedSeal):
    """Plays tests whose metric depends on the commit in the workspace and on the seed."""

    def __init__(self, directory, workspace, level, scene):
        super().__init__(directory, workspace, {})
        self.level, self.scene = level, scene

    def run(self, command, *, on_output):
        seed = int(re.search(r"seed=(\d+)", " ".join(command.argv) + " seed=0")[1])
        self.scene.trained.append((self.workspace, seed))
        noise = random.Random(f"{seed} {len(self.scene.trained)}").gauss(0, 0.1)
        loss = metric("loss", self.level + self.scene.drift + noise, better="lower")
        self.tests = {"unit": [outcome("test_quality"), loss]}
        return super().run(command, on_output=on_output)


@pytest.fixture
def github():
    with running() as fake:
        fake.world.add_repository(REPOSITORY)
        fake.world.add_token(TOKEN)
        yield fake


@pytest.fixture
def scene(tmp_path, github):
    """Give a repository with ten quiet days behind it."""
    scene = Training(tmp_path)
    scene.hub = GitHub(REPOSITORY, token=TOKEN, api_url=github.api_url, sleep=lambda _: None)
    return scene


def issues(github):
    return github.world.data["issues"]


def said(scene, text):
    return any(text in line for line in scene.console.said)


def test_a_quiet_main_has_no_issue_and_costs_no_run(scene, github):
    scene.night()
    assert issues(github) == []
    assert not said(scene, "again")
    assert not [made for made in scene.records() if made.source.event == "bisect"]


def test_a_regression_is_opened_updated_closed_and_reopened_in_one_issue(scene, github):
    guilty = scene.night(WORSE)
    (issue,) = issues(github)
    assert issue["state"] == "open"
    assert re.search(rf"\*\*{guilty}\*\* `Change main` made it so, over 99 % sure", issue["body"])
    assert issue["title"] == f"loss is worse since {guilty[:7]}"
    first = issue["body"]

    scene.night()
    (issue,) = issues(github)
    assert issue["body"] != first, "the curve has grown"

    better = scene.night(GOOD)
    (issue,) = issues(github)
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    assert issue["title"] == f"loss is back since {better[:7]}"

    again = scene.night(WORSE)
    (issue,) = issues(github)
    assert (issue["state"], issue["state_reason"]) == ("open", "reopened")
    assert f"**{again}**" in issue["body"]


def test_what_ran_again_is_kept_and_not_asked_twice_and_is_no_value_of_main(scene, github):
    scene.night(WORSE)
    assert len(issues(github)) == 1
    again = [made for made in scene.records() if made.source.event == "bisect"]
    assert again
    assert len({made.seed for made in again}) == len(again), "each has a seed of its own"
    scene.night()
    later = [made for made in scene.records() if made.source.event == "bisect"]
    assert len(later) <= len(again) + 2
    with History(str(scene.origin)) as history:
        line = load(history, scene.git("rev-parse", "main"))
    assert len(line.again) == len(later)
    assert "bisect" not in {made.source.event for made in line.records}


def test_the_budget_bounds_the_night_and_the_next_one_goes_on(scene, github):
    scene.change()
    scene.commit("main", {"torchproof.toml": f"{SETTINGS}nightly-budget = 3\n"})
    scene.night(WORSE)
    assert not issues(github)
    assert said(scene, "the runs allowed are spent, and the next night goes on")
    nights = 1
    while not issues(github) and nights < 12:
        scene.night()
        again = [made for made in scene.records() if made.source.event == "bisect"]
        nights += 1
        assert len(again) <= 3 * nights
    assert len(issues(github)) == 1


def test_an_issue_that_a_person_closed_stays_closed(scene, github):
    scene.night(WORSE)
    issues(github)[0]["state"] = "closed"
    scene.night()
    assert [issue["state"] for issue in issues(github)] == ["closed"]


def test_without_the_permission_nothing_fails_and_one_sentence_says_so(scene, github):
    github.world.add_token("ghs_poor", permissions={"contents": "write", "checks": "write"})
    scene.hub = GitHub(REPOSITORY, token="ghs_poor", api_url=github.api_url)
    scene.night(WORSE)
    assert not issues(github)
    assert said(scene, "Not reported: GitHub would not open an issue")
    summary = "".join(scene.console.summaries)
    assert "issues: write" in summary
    assert "loss is worse since" in summary
    assert "issues: write" in scene.console.outputs["report-status"]


def test_the_author_is_mentioned_only_where_the_team_wants_it(scene, github):
    scene.commit("main", {"torchproof.toml": f"{SETTINGS}mention-author = true\n"})
    guilty = scene.change(WORSE)
    github.world.add_author(REPOSITORY, guilty, "ada-lovelace")
    scene.nightly(UNIT)
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


def test_the_workspace_of_the_job_is_not_touched(scene):
    scene.night(WORSE)
    assert scene.git("status", "--porcelain", "--untracked-files=no") == ""
    assert scene.git("rev-parse", "HEAD") == scene.git("rev-parse", "main")
    elsewhere = {str(where) for where, _ in scene.trained} - {str(scene.work)}
    assert elsewhere, "old commits ran in a place of their own"
    assert not any(Path(where).exists() for where in elsewhere)
