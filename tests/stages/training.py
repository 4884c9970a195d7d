"""A repository that trains by day and is looked at by night, and that can be copied as it is."""

from __future__ import annotations

import copy
import random
import re
import shutil
from datetime import timedelta
from pathlib import Path

from tests.samples import ENVIRONMENT, metric, outcome, record
from tests.stages.scene import REPOSITORY, Notebook, Scene, ScriptedSeal

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
    """A repository whose tests train: the loss is ``level.txt`` plus the seed's noise.

    Ten quiet days of it have a run of the unit tier.
    """

    def __init__(self, directory):
        super().__init__(directory)
        self.places = directory / "seals"
        self.places.mkdir()
        self.seal = self._open
        self.commit("main", {"torchproof.toml": SETTINGS, "level.txt": str(GOOD)})
        self.level, self.trained = GOOD, []
        self.drift = 0.0  # what the machine adds to every run that is made now
        for number in range(10):
            self.git("commit", "-q", "--allow-empty", "-m", f"Quiet {number}")
        self.git("push", "-q", "origin", "main")
        self.quiet_days("unit", hardware(None))

    def copy(self, directory, github):
        """Give the same repository, with what has happened so far, in another place and GitHub."""
        shutil.copytree(self.origin.parent, directory, dirs_exist_ok=True)
        there = copy.copy(self)
        there.origin, there.work = directory / "origin.git", directory / "work"
        there.places, there.github = directory / "seals", directory / "github"
        there.remote, there.seal = str(there.origin), there._open
        there.console, there.trained = Notebook(), [*self.trained]
        there.hub = hub_of(github)
        there.git("remote", "set-url", "origin", there.remote)
        return there

    def change(self, level=None):
        """Push a commit to main; its own run is not part of this."""
        self.level = self.level if level is None else level
        return self.commit("main", {"level.txt": str(self.level), "change.txt": str(self.runs)})

    def night(self, level=None):
        """Let a day pass: a commit, and the nightly run on it."""
        commit = self.change(level)
        self.nightly(UNIT)
        return commit

    def quiet_days(self, tier, facts):
        """Store a run of each of the last ten commits, as good as each other."""
        noise, made = random.Random(0), []
        commits = self.git("rev-list", "--reverse", "-10", "HEAD").split()
        for number, commit in enumerate(commits):
            at = self.now - timedelta(days=10 - number)
            source = Source(REPOSITORY, commit, commit, "main", "push", str(number))
            loss = metric("loss", noise.gauss(GOOD, 0.1), better="lower")
            made.append(
                record(
                    loss,
                    tier=tier,
                    started=at.isoformat(timespec="seconds"),
                    source=source,
                    seed=number,
                    fingerprint={"environment": ENVIRONMENT, "hardware": facts},
                )
            )
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
        self.tests = {tier: [outcome("test_quality"), loss] for tier in ("unit", "overfit")}
        return super().run(command, on_output=on_output)


def hub_of(github, token=TOKEN):
    return GitHub(REPOSITORY, token=token, api_url=github.api_url, sleep=lambda _: None)
