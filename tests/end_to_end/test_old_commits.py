"""Old commits run again in real docker: at night, and by the workflow that a search dispatches."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from tests.end_to_end import happenings
from tests.end_to_end.happenings import WORKFLOW
from tests.end_to_end.jobs import TOKEN
from tests.samples import ENVIRONMENT, metric, record

from torchproof.commands.dispatched_runner import Workflow, dispatched_runner
from torchproof.history.series import Place
from torchproof.history.store import History
from torchproof.hub import GitHub
from torchproof.record import Source
from torchproof.run.tier import hardware


pytestmark = pytest.mark.docker

QUIET, GOOD, WORSE = 10, 1.0, 2.0
UNIT = {"tiers": "unit"}
SETTINGS = "seeds = 1\nnightly-budget = 2\n"
METRIC = """
import os
import random
from pathlib import Path


def test_quality(proof):
    level = float(Path("level.txt").read_text())
    proof.metric("loss", random.gauss(level, 0.05), better="lower")


def test_no_secret_is_in_reach():
    within = [path for path in Path(".git").rglob("*") if path.is_file()]
    seen = "".join(path.read_text("utf-8", "replace") for path in within) + str(dict(os.environ))
    assert "ghs_" not in seen
    assert not Path("/var/run/docker.sock").exists()
    assert not os.access("/proc/1/environ", os.R_OK)
"""
ADDED = """

def test_that_the_newest_commit_added():
    assert Path("added.txt").exists()
"""


@pytest.fixture(scope="module")
def main(shared_jobs):
    """Give the jobs of a repository whose last commit made a number worse, after quiet days."""
    jobs, repository = shared_jobs, shared_jobs.repository
    unused = [f"tests/{name}.py" for name in ("conftest", "test_overfit", "test_integration")]
    config = repository.read("pyproject.toml") + SETTINGS
    files = {"pyproject.toml": config, "tests/test_unit.py": METRIC, "level.txt": f"{GOOD}"}
    repository.commit("main", {**dict.fromkeys(unused, ""), **files})
    for number in range(QUIET):
        repository.git("commit", "-q", "--allow-empty", "-m", f"Quiet {number}")
    quiet = repository.git("rev-list", "--reverse", f"-{QUIET}", "main").split()
    with History(str(repository.bare)) as history:
        history.append([_stored(commit, day) for day, commit in enumerate(quiet)])
    worse = {"level.txt": f"{WORSE}", "tests/test_unit.py": METRIC + ADDED, "added.txt": ""}
    repository.commit("main", worse)
    return jobs, quiet


def _stored(commit, day):
    """Make the record of a quiet day's run."""
    at = datetime.now(UTC) - timedelta(days=QUIET - day)
    value = random.Random(day).gauss(GOOD, 0.05)
    return record(
        metric("loss", value, test="tests/test_unit.py::test_quality", better="lower"),
        started=at.isoformat(timespec="seconds"),
        source=Source("octo/moons", commit, commit, "main", "push", str(day)),
        fingerprint={"environment": ENVIRONMENT, "hardware": hardware(None)},
        seed=day,
    )


def test_the_night_runs_the_files_of_an_old_commit_sealed_and_leaves_the_checkout_alone(main):
    jobs, quiet = main
    head, before = jobs.repository.git("rev-parse", "main"), again(jobs)
    result = jobs.start(happenings.scheduled(jobs.repository.name, head), inputs=UNIT).wait()
    assert result.exit_code == 0, result.log
    assert "loss may be worse; the runs allowed are spent" in result.log

    made = [each for each in again(jobs) if each not in before]
    new, old = sorted(made, key=lambda each: each.source.tested in quiet)
    assert (new.source.tested, old.source.tested in quiet) == (head, True)
    assert (round(value_of(new)), round(value_of(old))) == (WORSE, GOOD)
    assert names(new) - names(old) == {"test_that_the_newest_commit_added"}
    assert "test_no_secret_is_in_reach" in names(old)
    assert new.passed
    assert old.passed

    workspace = jobs.runners[-1].workspace
    status = jobs.repository.git("status", "--porcelain", "--untracked-files=no", where=workspace)
    assert (status, jobs.repository.git("rev-parse", "HEAD", where=workspace)) == ("", head)
    assert (result.leftovers, result.root_owned, result.errors) == ((), (), ())


def test_a_search_dispatches_the_workflow_which_runs_the_old_commit(main):
    jobs, quiet = main
    github, repository, results = jobs.repository.github, jobs.repository, []
    facts = hardware(None)

    def meanwhile(_):
        """Let the runner take what is queued."""
        (run,) = jobs.world.data["runs"]
        happening = happenings.dispatched(repository.name, run)
        results.append(jobs.start(happening).wait())
        run["status"] = "completed"

    with History(str(repository.bare)) as history:
        train = dispatched_runner(
            GitHub(repository.name, token=TOKEN, api_url=github.api_url),
            history,
            Workflow(WORKFLOW, "main"),
            Place(facts["device"], "", facts["arch"]),
            patience=60.0,
            say=lambda _: None,
            sleep=meanwhile,
        )
        made = train("unit", quiet[0], 77)
    (result,) = results
    assert result.exit_code == 0, result.log
    assert (made.seed, made.source.tested, made.source.event) == (77, quiet[0], "bisect")
    assert made.passed
    assert round(value_of(made)) == GOOD
    assert "test_that_the_newest_commit_added" not in names(made)
    assert made in again(jobs)
    assert (jobs.world.data["comments"], len(jobs.world.data["runs"])) == ([], 1)
    assert "torchproof: 2 checks pass" in result.summary
    assert (result.leftovers, result.root_owned, result.errors) == ((), (), ())


def again(jobs):
    return [made for made in jobs.repository.records() if made.source.event == "bisect"]


def value_of(made):
    return next(each.value for each in made.metrics if each.name == "loss")


def names(made):
    return {each.test.rpartition("::")[2] for each in made.outcomes}
