"""How the runner reads the files that a step writes."""

from __future__ import annotations

import pytest
from tests.runner.files import FileCommandError, read_pairs, read_summary


def test_pairs_come_on_one_line_or_between_delimiters():
    text = "passed=true\nheadline<<EOF\n1 = 2\n\nlast\nEOF\nempty=\n"
    assert read_pairs(text) == {"passed": "true", "headline": "1 = 2\n\nlast", "empty": ""}


def test_an_equals_sign_before_the_arrows_makes_it_one_line():
    assert read_pairs("a=b<<c") == {"a": "b<<c"}


@pytest.mark.parametrize("text", ["no pair", "a<<EOF\nnever closed", "=x"])
def test_a_broken_line_fails_the_step(text):
    with pytest.raises(FileCommandError):
        read_pairs(text)


def test_a_summary_of_one_mebibyte_is_the_largest():
    assert len(read_summary(b"x" * 1024 * 1024)) == 1024 * 1024
    with pytest.raises(FileCommandError, match="upload aborted"):
        read_summary(b"x" * (1024 * 1024 + 1))
