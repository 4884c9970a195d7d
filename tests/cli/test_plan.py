"""torchproof plan: what an event file would make torchproof do."""

from __future__ import annotations

from pathlib import Path

import pytest


PAYLOADS = sorted((Path(__file__).parents[1] / "hub/payloads").glob("*.json"))
PULL_REQUEST = next(path for path in PAYLOADS if path.stem == "pull_request_opened")


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_every_event_has_a_plan(torchproof, project, path):
    told = torchproof("plan", "--event", path)
    made = torchproof("plan", "--event", path, "--json")
    assert (told.code, made.code) == (0, 0), told.err
    expected = {"push": "push", "pull": "pull-request", "schedule": "nightly"}
    if not made.json["nothing"]:
        activity = expected.get(path.stem.partition("_")[0], made.json["activity"])
        assert made.json["activity"] in (activity, "fork")
        assert "shown in" in told.out


def test_a_gpu_runner_takes_tiers_over(torchproof, project):
    result = torchproof("plan", "--event", PULL_REQUEST, "--gpu-runner", "gpu")
    assert "overfit      on the GPU runner" in result.out
    assert "unit         seed 0  here" in result.out


def test_a_dangerous_event_is_4(torchproof, project):
    result = torchproof("plan", "--event", PULL_REQUEST, "--name", "pull_request_target")
    assert result.code == 4
    assert "hands secrets to code that anyone may have written" in result.sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "it cannot be read: No such file or directory. Check the path."),
        ("{", "it is not JSON. Give an event as GitHub sends it."),
        ("[]", "it is no event. Give an event as GitHub sends it."),
        ("{}", "the file does not show which event it is of. Name it: --name push"),
        ('{"pull_request": 1}', "pull_request is 1"),
        ('{"after": "x", "repository": 1}', "repository is 1"),
        ('{"ref": 1, "after": "x"}', "is"),
    ],
)
def test_a_file_that_is_no_event_is_one_sentence(torchproof, project, text, sentence):
    file = project / "event.json"
    if text is not None:
        file.write_text(text)
    result = torchproof("plan", "--event", file)
    assert result.code == 2
    assert sentence in result.sentence
