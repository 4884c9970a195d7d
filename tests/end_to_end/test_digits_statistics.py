"""The noise of main decides: real trainings of `digits`, up to the first line of the comment.

Main has twenty stored runs, each a training with a seed of its own. What a pull request costs and
what its comment says depends on how it moves the loss, which has no tolerance.
"""

from __future__ import annotations

import re

import pytest
from tests.end_to_end.digits import a_project
from tests.end_to_end.warm_python import warm_python

from torchproof.verdict.replicates import LEAST


RUNS = 20
TRAIN, DATA = "digits/train.py", "digits/data.py"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Give the project after a night that trained main with twenty seeds."""
    directory = tmp_path_factory.mktemp("digits")
    with (
        warm_python(tmp_path_factory.mktemp("warm")) as python,
        a_project(directory, tiers="integration", seeds=RUNS, python=python) as project,
    ):
        assert project.nightly(project.inputs).exit_code == 0
        yield project


def loss(answer):
    return next(row for row in answer.verdict.rows if row.name == "val/loss")


def seeds(answer):
    return [record.seed for record in answer.records]


def test_main_has_twenty_runs_that_differ_by_their_seeds(digits):
    stored = [made for made in digits.records() if made.source.event == "schedule"]
    values = {each.value for made in stored for each in made.metrics if each.name == "val/loss"}
    assert len(stored) == len(values) == len({made.seed for made in stored}) == RUNS
    assert RUNS > LEAST


def test_a_comment_in_the_code_leaves_training_as_it_is_and_costs_no_further_run(digits):
    files = digits.edit(TRAIN, ('"""The training step', '"""One training step'))
    answer = digits.change(1, {**files, "NOTES.md": "What we tried.\n"})
    assert (answer.exit_code, seeds(answer)) == (0, [0])
    assert digits.first_line(1) == (
        "### ✅ torchproof: 9 checks pass, metrics bit-equal to the baseline: no further run"
    )
    assert "✔️ same" in digits.row(1, "`val/loss`")
    assert "spent" not in digits.comment(1)


def test_another_random_order_is_undecided_until_further_seeds_rule_a_loss_out(digits):
    shuffled = ("torch.randperm(len(split.labels))", "torch.rand(len(split.labels)).argsort()")
    answer = digits.change(2, digits.edit(DATA, shuffled))
    assert answer.exit_code == 0
    assert len(seeds(answer)) > 1
    assert digits.first_line(2) == "### ✅ torchproof: 9 checks pass"
    row = digits.row(2, "`val/loss`")
    assert "✔️ same" in row
    assert re.search(r"worse by 0\.\d+ is ruled out; 90 % interval .* against 20 of main", row)
    runs = len(seeds(answer))
    assert f"`integration` decided after {runs} runs; {runs - 1} of them were spent because" in (
        digits.comment(2)
    )


def test_a_loss_of_one_sigma_is_worse_and_its_cause_is_named(digits):
    """Over forty seeds this learning rate costs 1.2 of the standard deviations between them."""
    answer = digits.change(3, digits.edit(TRAIN, ("lr=2e-3", "lr=1.83e-3")))
    assert answer.exit_code == 1
    assert digits.first_line(3) == "### ❌ torchproof: 1 of 9 checks fails: `val/loss` is worse"
    assert "against 20 of main" in digits.row(3, "❌ worse", "`val/loss`")
    size = r"% higher; 90 % interval 0(\.\d+)? … 0\.\d+ by \d+ runs against 20 of main"
    assert re.search(size, loss(answer).why)
    assert (
        "What differs from the baseline, likeliest cause first: code (`digits/train.py`); "
        "the same are data, environment and hardware." in digits.comment(3)
    )


def test_a_training_that_diverges_fails_at_once(digits):
    answer = digits.change(4, digits.edit(TRAIN, ("lr=2e-3", "lr=1e20")))
    assert (answer.exit_code, seeds(answer)) == (1, [0])
    start = r"### ❌ torchproof: \d of 8 checks fail: `val/loss` is nan, "
    assert re.match(start, digits.first_line(4))
    assert "| `0.1" in digits.row(4, "❌ failed", "`val/loss`", "`nan`", "not a number")
