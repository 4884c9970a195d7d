"""What differs between two runs of one commit."""

from __future__ import annotations

from tests.samples import CPU, ENVIRONMENT, record

from torchproof.verdict.moved import moved


def run(**kinds):
    return record(fingerprint={"environment": ENVIRONMENT, "hardware": CPU, **kinds})


def test_equal_fingerprints_differ_in_nothing():
    assert moved(run(), run()) == ()


def test_a_package_that_moved_is_named_with_both_versions():
    newer = run(environment={**ENVIRONMENT, "torch": "2.14.0"})
    assert moved(run(), newer) == (("environment", "torch", "2.13.0", "2.14.0"),)


def test_what_came_and_what_went_is_named_too():
    facts = moved(run(data={"train": "ab"}), run(data={"test": "cd"}))
    assert [(fact.name, fact.before, fact.now) for fact in facts] == [
        ("test", "", "cd"),
        ("train", "ab", ""),
    ]


def test_the_processors_model_changes_from_job_to_job():
    assert moved(run(), run(hardware={**CPU, "cpu": "AMD EPYC"})) == ()
