"""Metrics without a tolerance: the noise of main's stored runs decides, at the least runs."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from tests.samples import metric, outcome
from tests.stages.scene import GPU, PLAIN

from torchproof.history.store import History


LEVEL, SIGMA = 0.93, 0.01


def training(shift=0.0, order="main", ends="passed"):
    """Tests that train: their accuracy depends on the seed and on the order of random numbers."""

    def items(seed):
        value = LEVEL - shift * SIGMA + random.Random(f"{order} {seed}").gauss(0, SIGMA)
        return [outcome("test_quality", ends), metric(value=value)]

    return items


def close(order):
    """Tests whose accuracy is nearly that of their seed, whatever the order of random numbers."""

    def items(seed):
        common, own = (
            random.Random(each).gauss(0, SIGMA) for each in (f"{seed}", f"{order} {seed}")
        )
        return [outcome("test_quality"), metric(value=LEVEL + common + own / 6)]

    return items


@pytest.fixture
def main(scene):
    """Give a main with runs of 21 seeds; its tip ran with seed 0."""
    return grown(scene, runs=20)


def grown(scene, runs, inputs=PLAIN, items=lambda _: training(), seeds=lambda night: [night]):
    """Store nights of main with seeds from 1 on, then run its tip with seed 0."""
    scene.tests["overfit"] = items(0)
    first = next(made for made in ran(scene, inputs) if made.tier == "overfit")
    commits = [scene.commit("main", {"model.py": f"width = {n}\n"}) for n in range(2)]
    records = []
    for night, seed in [(n, seed) for n in range(1, runs + 1) for seed in seeds(n)]:
        commit = commits[(night - 1) * len(commits) // runs]
        source = replace(first.source, run_id=f"9{night:03}", commit=commit, tested=commit)
        _, measured = items(night)(seed)
        metrics = (replace(first.metrics[0], value=measured.value),)
        records.append(replace(first, seed=seed, metrics=metrics, source=source))
    with History(str(scene.origin)) as history:
        history.append(records)
    ran(scene, inputs)
    return scene


def ran(scene, inputs):
    """Push to main, and play the GPU run that it asked for."""
    answer = scene.push(inputs=inputs)
    return answer.records if inputs is PLAIN else scene.requested().records


def row(answer, name="val/accuracy", tier="overfit"):
    return next(r for r in answer.verdict.rows if r.name == name and r.tier == tier)


def first_line(text):
    return next(line for line in text.splitlines() if line and not line.startswith("<!--"))


def overfit_runs(answer):
    return [made.seed for made in answer.records if made.tier == "overfit"]


def test_where_training_is_bit_equal_nothing_further_is_run(main):
    answer = main.pull_request()
    assert overfit_runs(answer) == [0]
    assert row(answer).state == "same"
    assert "spent" not in main.comment()


def test_another_random_order_is_undecided_until_further_seeds_decide(main):
    main.tests["overfit"] = training(order="refactored")
    answer = main.pull_request()
    assert len(overfit_runs(answer)) > 1
    assert row(answer).state == "same"
    assert "is ruled out; 90 % interval" in row(answer).why
    assert answer.exit_code == 0
    runs = len(overfit_runs(answer))
    assert f"`overfit` decided after {runs} runs; {runs - 1} of them were spent because" in (
        main.comment()
    )
    stored = [r for r in main.records() if r.source.pull_request == 7 and r.tier == "overfit"]
    assert sorted(made.seed for made in stored) == overfit_runs(answer), "each with its own seed"


def test_where_runs_of_a_seed_lie_close_further_seeds_are_the_newest_of_main(scene):
    main = grown(scene, runs=25, items=close, seeds=lambda night: [0, 1000 + night])
    main.tests["overfit"] = close("refactored")
    answer = main.pull_request()
    assert {1024, 1025} <= {*overfit_runs(answer)} <= {0, *range(1001, 1026)}
    assert "of main, paired by seed" in row(answer).why
    assert row(answer).state == "same"
    main.tests["overfit"] = lambda seed: [
        outcome("test_quality"),
        metric(value=close("worse")(seed)[1].value - SIGMA),
    ]
    answer = main.pull_request()
    assert (row(answer).state, answer.exit_code) == ("worse", 1)
    assert len(overfit_runs(answer)) < 6


def test_a_loss_of_three_sigma_is_worse_and_its_cause_is_named(main):
    main.tests["overfit"] = training(shift=3, order="worse")
    files = {"train.py": "momentum = 0\n", "tests_of_it.md": "", "README.md": ""}
    answer = main.pull_request(files)
    assert answer.exit_code == 1
    assert "`val/accuracy` is worse" in first_line(main.comment())
    assert "against 21 of main" in row(answer).why
    assert "likeliest cause first: code (`train.py`, " in main.comment()
    assert "the same are environment and hardware." in main.comment()


def test_a_run_that_diverges_fails_at_once_and_costs_no_further_one(main):
    main.tests["overfit"] = [outcome("test_quality"), metric(value=float("nan"))]
    answer = main.pull_request()
    assert overfit_runs(answer) == [0]
    assert "`val/accuracy` is nan" in first_line(main.comment())
    assert row(answer).state == "failed"


def test_a_further_seed_that_diverges_fails(main):
    refactored = training(order="refactored")
    main.tests["overfit"] = lambda seed: (
        [outcome("test_quality"), metric(value=float("inf"))] if seed else refactored(seed)
    )
    answer = main.pull_request()
    assert (row(answer).state, row(answer).why) == ("failed", "not finite in 1 of 2 runs")
    assert answer.exit_code == 1


def test_a_test_that_fails_at_a_further_seed_only_is_not_the_changes_fault(main):
    refactored = training(order="refactored")
    main.tests["overfit"] = lambda seed: [
        outcome("test_quality", "failed" if seed else "passed"),
        refactored(seed)[1],
    ]
    answer = main.pull_request()
    assert len(overfit_runs(answer)) > 1
    assert answer.exit_code == 0


def test_no_more_runs_are_spent_than_the_settings_allow(main):
    main.tests["overfit"] = training(shift=0.8, order="between")
    answer = main.pull_request({"torchproof.toml": "max-seeds = 2\n"})
    assert len(overfit_runs(answer)) <= 2
    main.tests["overfit"] = training(order="refactored")
    answer = main.pull_request({"torchproof.toml": "max-seeds = 1\n"})
    assert overfit_runs(answer) == [0]
    assert row(answer).state == "undecided"
    assert "1 more run could decide" in row(answer).why
    assert answer.exit_code == 0


def test_too_few_stored_runs_say_how_many_more_it_takes(scene):
    grown(scene, runs=4)
    scene.tests["overfit"] = training(order="refactored")
    answer = scene.pull_request()
    assert overfit_runs(answer) == [0]
    assert "needs 3 more runs of main, with other seeds: 5 cannot show the noise" in row(answer).why


def test_a_push_to_main_spends_nothing(main):
    main.tests["overfit"] = training(order="refactored")
    assert overfit_runs(main.push()) == [0]


def test_the_gpu_run_spends_the_further_runs_of_its_tiers(scene):
    main = grown(scene, runs=20, inputs=GPU)
    main.tests["overfit"] = training(order="refactored")
    main.pull_request(inputs=GPU)
    answer = main.requested()
    assert len(overfit_runs(answer)) > 1
    assert row(answer).state == "same"
    assert "of them were spent because" in main.comment()
    hardware = [made.fingerprint["hardware"] for made in answer.records if made.tier == "overfit"]
    assert {each["gpu"] for each in hardware} == {"NVIDIA H100"}


def test_what_the_asking_run_decided_stays_decided_in_the_gpu_runs_comment(main):
    main.tests["overfit"] = training(order="refactored")
    text = '[tool.torchproof.tiers.overfit]\nmarkers = "overfit"\ngpu = false\n'
    asking = main.pull_request({"pyproject.toml": text}, inputs=GPU)
    answer = main.requested()
    assert row(answer) == row(asking)
    assert "of them were spent because" in main.comment()
