"""The gate: a pull request that leaves training as it is costs no GPU run."""

from __future__ import annotations

import json

import pytest
from tests.samples import curve, metric, outcome
from tests.stages.scene import GPU, PLAIN, Fact, ScriptedSeal


ONE_BATCH, QUALITY = outcome("test_one_batch"), outcome("test_quality")


def bits(test, steps="12345", digest="a", code="1 5 2", kind="trainee"):
    """Return what a followed test leaves: one character stands for each digest."""
    value = f"{kind} {digest * 32} {','.join(step * 8 for step in steps)}"
    return [test, Fact("training", test.test, value), Fact("code", test.test, code)]


@pytest.fixture
def main(scene):
    """Give a main whose tip was followed on the CPU and run on the GPU."""
    scene.tests |= {
        "overfit": [ONE_BATCH, curve()],
        "integration": [QUALITY, metric()],
        "overfit-fingerprint": bits(ONE_BATCH),
        "integration-fingerprint": bits(QUALITY, kind="test"),
    }
    scene.push(inputs=GPU)
    scene.requested()
    return scene


def dispatched(scene):
    """Return the tiers of all dispatches."""
    return [json.loads(each["inputs"]["request"])["tiers"] for each in scene.dispatches()]


def test_a_push_to_main_stores_fingerprints_and_runs_all_the_same(main):
    assert dispatched(main) == [["overfit", "integration"]]
    stored = {made.tier: made for made in main.records()}
    assert {*stored} == {
        *("unit", "overfit", "integration", "overfit-fingerprint", "integration-fingerprint")
    }
    assert stored["overfit-fingerprint"].fingerprint["training"]
    assert "fingerprint" not in main.console.summaries[0]
    again = main.push(inputs=GPU)
    assert len(main.dispatches()) == 2
    assert [made.tier for made in again.records] == ["unit"]


def test_a_pull_request_that_leaves_training_alone_is_not_dispatched(main):
    before = len(main.dispatches())
    answer = main.pull_request({"README.md": "More words."}, inputs=GPU)
    assert answer.exit_code == 0
    assert answer.verdict.word == "not-worse"
    assert len(main.dispatches()) == before
    commit = main.git("rev-parse", "main")[:7]
    sentence = f"training unchanged: bit-equal to the baseline's {commit} over the first 5 steps"
    assert sentence in main.comment()
    assert "of 1 trainee; no GPU run spent" in main.comment()
    assert main.checks()[-1]["conclusion"] == "success"
    assert main.console.outputs["pending"] == "false"


def test_a_pull_request_that_changes_training_is_dispatched_and_told_since_which_step(main):
    main.tests["overfit-fingerprint"] = bits(ONE_BATCH, "12945", "b")
    main.tests["integration-fingerprint"] = bits(QUALITY, "99999", "b", kind="test")
    main.pull_request(inputs=GPU)
    assert dispatched(main)[-1] == ["overfit", "integration"]
    assert "overfit: the trajectory differs from step 3 on" in main.comment()
    assert "integration: the trajectory differs from step 1 on" in main.comment()
    said = next(line for line in main.console.said if "tier overfit" in line)
    assert ONE_BATCH.test in said


def test_only_the_tiers_that_changed_run_and_the_comment_still_says_which_did_not(main):
    main.tests["integration-fingerprint"] = bits(QUALITY, code="1 5 9", kind="test")
    main.pull_request(inputs=GPU)
    assert dispatched(main)[-1] == ["integration"]
    answer = main.requested()
    assert [made.tier for made in answer.records] == ["integration"]
    states = {row.tier: row.state for row in answer.verdict.rows if row.kind == "run"}
    assert states == {"overfit": "same"}
    assert "overfit: training unchanged" in main.comment()
    assert "integration: the code changed" in main.comment()
    assert main.checks()[-1]["conclusion"] == "success"


def test_a_stored_failure_cannot_stand_in(main):
    main.tests["overfit"] = [outcome("test_one_batch", "failed")]
    main.push(inputs=GPU)
    main.requested()
    main.pull_request(inputs=GPU)
    assert dispatched(main)[-1] == ["overfit"]


def test_before_the_gpu_run_of_main_has_come_back_everything_is_run(main):
    main.push(inputs=GPU)
    main.pull_request(inputs=GPU)
    assert dispatched(main)[-1] == ["overfit", "integration"]


def test_a_baseline_that_cannot_be_followed_is_not_tried_again(scene):
    scene.tests |= {"overfit-fingerprint": [ONE_BATCH], "integration-fingerprint": [QUALITY]}
    scene.push(inputs=GPU)
    scene.requested()
    followed = watch(scene)
    scene.pull_request(inputs=GPU)
    assert not [argv for argv in followed if "--torchproof-fingerprint" in argv]
    assert dispatched(scene)[-1] == ["overfit", "integration"]


def test_after_the_unit_tier_failed_nothing_is_followed(main):
    main.tests["unit"] = [outcome("test_shapes", "failed")]
    followed = watch(main)
    main.pull_request(inputs=GPU)
    assert not [argv for argv in followed if "--torchproof-fingerprint" in argv]


def test_tests_are_followed_on_the_cpu_with_the_option(main):
    followed = watch(main)
    main.pull_request(inputs=GPU)
    modes = [argv for argv in followed if "--torchproof-fingerprint" in argv]
    assert [tier(argv) for argv in modes] == ["overfit", "integration"]
    assert not any("--torchproof-fingerprint" in argv for argv in followed if tier(argv) == "unit")


@pytest.mark.parametrize("inputs", [GPU, PLAIN])
def test_switched_off_or_without_a_gpu_runner_it_does_nothing(main, inputs):
    files = {"torchproof.toml": "gate = false\n"} if inputs is GPU else {}
    followed, before = watch(main), len(main.dispatches())
    main.pull_request(files, inputs=inputs)
    assert not [argv for argv in followed if "--torchproof-fingerprint" in argv]
    assert len(main.dispatches()) == before + (inputs is GPU)
    assert "training unchanged" not in main.comment()


def test_the_night_runs_whatever_is_unchanged(main):
    followed = watch(main)
    main.nightly(GPU)
    assert not [argv for argv in followed if "--torchproof-fingerprint" in argv]
    assert dispatched(main)[-1] == ["overfit", "integration", "nightly"]


def test_tests_that_die_while_they_are_followed_are_run_on_the_gpu(main):
    main.tests["overfit-fingerprint"] = [outcome("test_one_batch", "crashed")]
    answer = main.pull_request(inputs=GPU)
    assert answer.exit_code == 0
    assert dispatched(main)[-1] == ["overfit"]


def watch(scene):
    """Keep the command lines of all processes from now on."""
    lines, open_seal = [], scene.seal

    def seal(settings):
        made = open_seal(settings)
        assert isinstance(made, ScriptedSeal)
        run = made.run
        made.run = lambda command, **options: lines.append(command.argv) or run(command, **options)
        return made

    scene.seal = seal
    return lines


def tier(argv):
    return next((a.partition("=")[2] for a in argv if a.startswith("--torchproof-tier=")), "")
