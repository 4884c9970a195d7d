"""What a search says has moved, where the last good commit is worse now: runs without any git."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from tests.samples import ENVIRONMENT, metric, record

from torchproof.history.series import Key, Point, Series
from torchproof.record import Source
from torchproof.stages.bisection import Reruns, search


COMMITS = [f"{number:040x}" for number in range(20)]
OLD, NEW = {"data/train.csv": "sha256:aa"}, {"data/train.csv": "sha256:bb"}
OLD_TORCH = {**ENVIRONMENT, "torch": "2.12.0"}
KEY = Key("unit", "tests/test_digits.py::test_quality", "loss")


def run(commit, level, seed, data, environment=ENVIRONMENT):
    made = record(
        metric("loss", random.Random(seed).gauss(level, 0.1), better="lower"),
        source=Source("ada/digits", commit, commit, "main", "push", str(seed)),
        seed=seed,
    )
    facts = {**made.fingerprint, "data": data, "environment": environment}
    return replace(made, fingerprint=facts)


def searched(data, environment=ENVIRONMENT):
    """Search where all stored runs are good and all runs of now are worse, and say what moved."""
    stored = [run(commit, 1.0, seed, data, environment) for seed, commit in enumerate(COMMITS)]
    points = [Point(commit=r.source.tested, time=0, value=_loss(r), record=r) for r in stored]
    series = Series(key=KEY, unit="", better="lower", points=tuple(points))
    reruns = Reruns(run=lambda _, commit, seed: run(commit, 2.0, seed, NEW), left=20, seed=100)
    return search(COMMITS[9:], series, reruns, most_runs=20)


def _loss(made):
    return made.metrics[0].value


def test_data_that_is_all_that_differs_has_moved():
    found = searched(OLD)
    assert found.cause == "data"
    assert [tuple(fact) for fact in found.facts] == [
        ("data", "data/train.csv", "sha256:aa", "sha256:bb")
    ]


@pytest.mark.parametrize(
    ("data", "environment"),
    [
        pytest.param(OLD, OLD_TORCH, id="another package besides"),
        pytest.param({}, ENVIRONMENT, id="no fingerprint of the data of then"),
        pytest.param(NEW, ENVIRONMENT, id="nothing that is known"),
    ],
)
def test_anything_else_is_the_environment(data, environment):
    assert searched(data, environment).cause == "environment"
