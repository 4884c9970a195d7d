"""torchproof diff on two commits: the stored runs of main show how far a number moves by itself."""

from __future__ import annotations

import pytest
from tests.cli.metric_project import GUILTY, MetricProject


LAST_GOOD = GUILTY - 1


@pytest.fixture
def runs(scene):
    """Give a project that the night before the last good commit trained with twenty seeds."""
    project = MetricProject(scene)
    project.store_seeds(LAST_GOOD - 1, range(20))
    return project


def diff(torchproof, runs, base, head):
    result = torchproof("diff", runs.commits[base], runs.commits[head], "--json")
    return result.code, next(row for row in result.json["rows"] if row["name"] == "loss")


def test_a_loss_beyond_the_noise_of_main_is_worse(torchproof, runs):
    runs.store_seeds(GUILTY, range(100, 106), event="push")
    code, loss = diff(torchproof, runs, LAST_GOOD - 1, GUILTY)
    assert (code, loss["state"]) == (1, "worse")
    assert "90 % interval" in loss["why"]
    assert "against 20 of main" in loss["why"]


def test_a_loss_is_undecided_until_there_are_runs_enough(torchproof, runs):
    runs.store_seeds(LAST_GOOD, [300], event="push")
    code, loss = diff(torchproof, runs, LAST_GOOD - 1, LAST_GOOD)
    assert (code, loss["state"]) == (0, "undecided")
    assert "could decide" in loss["why"]
    runs.store_seeds(LAST_GOOD, range(301, 315), event="push")
    code, loss = diff(torchproof, runs, LAST_GOOD - 1, LAST_GOOD)
    assert (code, loss["state"]) == (0, "same")


def test_the_projects_tolerance_goes_before_the_noise(torchproof, runs, scene):
    (scene.work / "torchproof.toml").write_text('tolerance = "90%"\n')
    runs.store_seeds(GUILTY, range(100, 106), event="push")
    code, loss = diff(torchproof, runs, LAST_GOOD - 1, GUILTY)
    assert (code, loss["state"]) == (0, "same")
