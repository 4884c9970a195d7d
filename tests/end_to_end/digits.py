"""The example project `digits` with its repository, one event after the other, on this machine.

Real are git, the history, all stages, the tests' process with its training, and the hub; GitHub is
the strict fake. Every job starts without what earlier ones left, as on a fresh runner.
"""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

from tests.fake_github.http_server import running
from tests.stages.scene import REPOSITORY, Scene

from torchproof.hub import GitHub
from torchproof.run.opening import open_seal
from torchproof.settings import Inputs


EXAMPLE = Path(__file__).parents[2] / "examples/digits"
TOKEN = "ghs_workflow"
# The net is so small that threads only wait for each other, and it needs no plugin. To tell one
# sigma takes twelve runs on average.
SETTINGS = """\
python = {python}
seeds = {seeds}
max-seeds = 30

[tool.torchproof.env]
OMP_NUM_THREADS = "1"
PYTEST_DISABLE_PLUGIN_AUTOLOAD = "1"
PYTHONDONTWRITEBYTECODE = "1"
"""


class Digits(Scene):
    """The project on main; `change` opens one pull request after the other from there.

    Args:
        directory: For everything.
        github: The fake.
        tiers: What is run on every event.
        seeds: How often the nightly run trains.
        python: What runs the tests; this interpreter if not given.
        files: To add to the project, or to write over.
    """

    def __init__(self, directory, github, *, tiers, seeds=1, python=sys.executable, files=None):
        super().__init__(directory)
        self.world = github.world
        self.hub = GitHub(REPOSITORY, token=TOKEN, api_url=github.api_url)
        self.seal = self._open
        self.inputs = Inputs(tiers=tiers)
        ignore = shutil.ignore_patterns("__pycache__", ".pytest_cache")
        shutil.copytree(EXAMPLE, self.work, ignore=ignore, dirs_exist_ok=True)
        settings = SETTINGS.format(python=json.dumps(python), seeds=seeds)
        written = {
            "pyproject.toml": self.read("pyproject.toml") + settings,
            ".gitignore": ".pytest_cache/\n",
            **(files or {}),
        }
        self.commit("main", written)

    def read(self, path):
        return (self.work / path).read_text("utf-8")

    def edit(self, path, *changes):
        """Return the file as it would be with pairs of texts replaced."""
        self.git("checkout", "-q", "main")
        text = self.read(path)
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        return {path: text}

    def change(self, number, files):
        """Open a pull request that writes these files, and run its job."""
        self.world.add_pull(REPOSITORY, number)
        if self.git("branch", "--list", "faster"):
            self.git("checkout", "-q", "main")
            self.git("branch", "-q", "-D", "faster")
            self.git("push", "-q", "origin", ":faster")
        return self.pull_request(files, inputs=self.inputs, number=number)

    def act(self, event, inputs):
        shutil.rmtree(self.work / ".pytest_cache", ignore_errors=True)
        return super().act(event, inputs)

    def comment(self, number=7):
        comment = self.world.one("comments", repository=REPOSITORY, issue=number)
        return comment["body"].partition("-->\n")[2]

    def first_line(self, number):
        return self.comment(number).splitlines()[0]

    def row(self, number, *words):
        """Return the line of the comment's tables that has all these words."""
        text = self.comment(number).replace("\N{NO-BREAK SPACE}", " ")
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        return next(line for line in lines if all(word in line for word in words))

    def _open(self, settings, workspace=None):
        return open_seal(
            settings,
            workspace=workspace or self.work,
            wanted="open",
            run_id=f"digits-{uuid.uuid4().hex}",
            secrets_present=False,
            say=self.console.say,
        )


@contextmanager
def a_project(directory, *, project=Digits, **options):
    """Give the project with a GitHub of its own."""
    with running() as github:
        github.world.add_repository(REPOSITORY)
        github.world.add_token(TOKEN)
        yield project(directory, github, **options)
