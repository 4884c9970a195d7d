"""Detection with confirmation: fresh runs before an alarm."""

import random

import pytest

from torchproof.verdict import confirm


class Project:
    """Commits with a level each, and a machine that can train them again."""

    def __init__(self, *levels, seed=0, now=0.0):
        self.source = random.Random(seed)
        self.levels = [level for level in levels for _ in range(25)]
        self.now = now
        self.asked = []
        self.values = [self.source.gauss(level, 1) for level in self.levels]

    def run(self, index):
        self.asked.append(index)
        return self.source.gauss(self.levels[index] + self.now, 1)

    def confirmed(self, **options):
        return confirm(self.values, self.run, better="lower", **options)


def test_a_real_step_is_confirmed_and_placed():
    project = Project(100, 102)
    alarms, trials = project.confirmed()
    (alarm,) = alarms
    assert abs(alarm.index - 25) <= 1
    assert trials[-1].cause == "code"
    assert sum(trial.runs for trial in trials) == len(project.asked)


def test_a_step_that_fresh_runs_do_not_show_is_no_alarm():
    project = Project(100, 102)
    project.levels = [100] * 50
    alarms, trials = project.confirmed()
    assert alarms == []
    assert {trial.cause for trial in trials} == {"none"}


def test_a_step_that_the_old_commit_shows_too_is_the_environment():
    project = Project(100, 104)
    project.levels = [104] * 50
    alarms, trials = project.confirmed()
    assert alarms == []
    assert trials[-1].cause == "environment"


def test_a_stray_run_costs_one_run_and_is_no_alarm():
    project = Project(100, 100, seed=3)
    quiet = len(project.confirmed(alpha=0.0005)[1])
    project.values[40] = 115.0
    project.asked.clear()
    alarms, trials = project.confirmed(alpha=0.0005)
    assert (alarms, len(trials), project.asked) == ([], quiet + 1, [40])


def test_trials_of_earlier_nights_are_not_run_again():
    project = Project(100, 102, 102)
    first, trials = project.confirmed()
    project.asked.clear()
    again, same = project.confirmed(past=trials)
    assert (again, same, project.asked) == (first, trials, [])


def test_higher_is_better_turns_everything_round():
    project = Project(100, 98)
    alarms, _ = confirm(project.values, project.run, better="higher")
    assert abs(alarms[0].index - 25) <= 1
    assert alarms[0].size == pytest.approx(-2, abs=0.8)


def test_runs_that_diverge_confirm_a_step():
    project = Project(100, 103)
    alarms, _ = confirm(
        project.values, lambda i: project.run(i) if i < 25 else float("nan"), better="lower"
    )
    assert abs(alarms[0].index - 25) <= 2


def test_confirmed_alarms_are_ten_times_rarer_than_triggers():
    alarms = triggers = 0
    for seed in range(60):
        found, trials = Project(*[100] * 8, seed=seed).confirmed()
        alarms, triggers = alarms + len(found), triggers + len(trials)
    assert triggers > 100
    assert alarms <= 0.1 * triggers
    assert alarms <= 12000 * 0.001
