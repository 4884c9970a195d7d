"""An error of torchproof's own inside a test: one sentence and the user's line, no traceback."""

from __future__ import annotations

import pytest


UNLOCKED = """
    from torch import nn, zeros

    def test_encoder(proof):
        proof.architecture(nn.Linear(6, 4), zeros(2, 6), name="encoder")
"""
SENTENCE = (
    "torchproof: tests/locks/encoder.arch.json: the architecture encoder has no lock. "
    "Make it with pytest --torchproof-update, and commit it."
)


def shown(result):
    """Return the lines under the title of the failed test."""
    lines = result.outlines
    start = next(at for at, line in enumerate(lines) if line.startswith("____"))
    end = next(at for at, line in enumerate(lines) if "short test summary" in line)
    return lines[start + 1 : end]


def test_a_missing_lock_is_one_sentence_with_the_line_of_the_test(suite):
    suite.file("tests/test_model.py", UNLOCKED)
    result = suite.run(apart=True)
    result.assert_outcomes(failed=1)
    assert shown(result) == [SENTENCE, "  at tests/test_model.py:5"]


def test_the_record_has_the_sentence(suite):
    suite.file("tests/test_model.py", UNLOCKED)
    (outcome,) = suite.record(apart=True).outcomes
    assert (outcome.outcome, outcome.message) == ("failed", SENTENCE)
    assert outcome.location == "tests/test_model.py:5", "the line, and not that of the test"


def test_a_fixture_of_the_users_is_where_it_went_wrong(suite):
    suite.file(
        "test_it.py",
        """
        import pytest

        @pytest.fixture
        def model(proof):
            return proof.trained(build=list)

        def test_it(model):
            pass
        """,
    )
    result = suite.run()
    result.assert_outcomes(errors=1)
    sentence, place = shown(result)
    assert sentence.startswith("torchproof: it is not said where the trained weights come from. ")
    assert place == "  at test_it.py:6"


def test_it_can_still_be_caught_as_the_error_that_it_is(suite):
    suite.file(
        "test_it.py",
        """
        import pytest
        from torchproof.errors import UsageError

        def test_it(proof):
            with pytest.raises(UsageError, match="one number"):
                proof.metric("loss", "low")
        """,
    )
    suite.run().assert_outcomes(passed=1)


@pytest.mark.parametrize("what", ["assert 1 == 2", "raise KeyError('a')"])
def test_other_errors_keep_their_traceback(suite, what):
    suite.file("test_it.py", f"def test_it(proof):\n    {what}\n")
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f">*{what.replace('[', '[[]')}"])
