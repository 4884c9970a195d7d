"""What a failed test says, where a table, a fold and a terminal show it."""

from __future__ import annotations

from tests.samples import HEAD, finding, outcome, record

from torchproof.report import Context, comment, compose, terminal
from torchproof.verdict import judge


CAPABILITY = """\
torchproof: reading (MFT): 134 of 360 inputs fail, 37 % (95 % interval 32 % to 42 %), 8 % allowed
    shape=loops: 43 of 155 inputs fail, 28 % (95 % interval 21 % to 35 %)

    input         ▓▓▓▓
                ████████
…"""
SYNTAX = """\
  File "tests/test_a.py", line 1
    def test_x(:
               ^
SyntaxError: invalid syntax"""


def made(message):
    head = [record(outcome("tests/test_a.py::test_x", "failed", message=message))]
    return compose(judge(head, ()), head, (), Context(head_sha=HEAD))


def test_the_table_shows_a_capabilitys_rate_alone():
    text = comment(made(CAPABILITY))
    assert (
        "| `reading (MFT): 134 of 360 inputs fail, 37 % (95 % interval 32 % to 42 %), 8 % allowed`"
        in text
    )


def test_the_fold_shows_its_slices_and_no_example_that_is_cut():
    text = comment(made(CAPABILITY))
    assert "    shape=loops: 43 of 155 inputs fail, 28 % (95 % interval 21 % to 35 %)\n```" in text
    assert "▓" not in text


def test_the_terminal_keeps_lines_and_columns():
    lines = terminal(made(SYNTAX), colour=False).splitlines()
    at = lines.index('      File "tests/test_a.py", line 1')
    assert lines[at + 1 : at + 3] == ["        def test_x(:", "                   ^"]


def test_a_message_of_ours_does_not_repeat_our_name():
    message = "torchproof: the metric loss is nan, not a finite number"
    for text in (comment(made(message)), terminal(made(message), colour=False)):
        assert "torchproof: the metric" not in text


def test_evidence_of_several_sentences_is_written_as_sentences():
    found = finding(evidence={"differs": ["by 0.1 at scale 1", "a row more"]})
    text = comment(compose(judge([record(found)], ()), [record(found)], (), Context(head_sha=HEAD)))
    assert "differs = by 0.1 at scale 1; a row more\n" in text
