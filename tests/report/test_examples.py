"""What the model gets wrong, as the comment shows it."""

from __future__ import annotations

from markdown_it import MarkdownIt
from tests.samples import HEAD, metric, outcome, record

from torchproof.record import Example
from torchproof.report import Context, comment, compose, summary
from torchproof.verdict import judge


TEST = "tests/test_digits.py::test_negation"
IMAGE = "  ██\n██  ██\n  ██"


def rates(value=0.15, low=0.052, high=0.36):
    name = "behaviour/negation"
    ends = {name: value, f"{name}/95% low": low, f"{name}/95% high": high}
    return [metric(each, of, test=TEST, better=None, unit="ratio") for each, of in ends.items()]


def made(*examples, items=None):
    items = rates() if items is None else items
    head = [record(outcome(TEST, "failed"), *items, examples=tuple(examples))]
    return compose(judge(head, ()), head, (), Context(head_sha=HEAD))


def test_a_capability_is_a_sentence_and_its_first_failures():
    text = comment(made(Example(TEST, "negation", "not bad\n→ not good", "negative", "positive")))
    assert (
        "<details><summary>What the model gets wrong</summary>\n\n"
        "`negation` in `test_negation`: 15 % of the inputs fail "
        "(95 % interval 5.2 % to 36 %)\n\n"
        "```text\n"
        "input     not bad\n"
        "          → not good\n"
        "expected  negative\n"
        "got       positive\n"
        "```\n\n"
        "</details>"
    ) in text


def test_an_image_keeps_its_columns():
    text = summary(made(Example(TEST, "rotated", IMAGE, "0", "8"), items=[]))
    assert "`rotated` in `test_negation`\n\n```text\ninput       ██\n          ██  ██\n" in text


def test_without_examples_there_is_no_section():
    assert "gets wrong" not in comment(made())


def test_what_the_team_allows_to_fail_is_not_shown():
    example = Example(TEST, "negation", "not bad", "negative", "positive")
    runs = [record(outcome(TEST, "passed"), *rates(), examples=(example,)) for _ in range(2)]
    judged = judge(runs[:1], runs[1:])
    assert "gets wrong" not in comment(compose(judged, runs[:1], runs[1:], Context(head_sha=HEAD)))


def test_hostile_texts_stay_in_their_block():
    hostile = "```\n</details> @octo <img src=x> <!-- torchproof --> [a](http://b)"
    text = comment(made(Example(TEST, "`x`\n# y", hostile, hostile, hostile)))
    inline = [token for token in MarkdownIt().parse(text) if token.type in ("html_block", "inline")]
    seen = "".join(
        child.content
        for token in inline
        for child in (token.children or [token])
        if child.type != "code_inline"
    )
    assert "@octo" not in seen
    assert "<img" not in seen
    assert "<!-- torchproof" not in text
    assert seen.count("</details>") == text.count("\n</details>")


def test_examples_give_way_to_the_rows_when_the_comment_is_full():
    many = [Example(TEST, f"long {i}", f"{'x' * 90}\n" * 200, "y", "z") for i in range(60)]
    text = comment(made(*many))
    assert len(text) <= 65_536
    assert "capabilities' examples" in text
    assert "test_negation" in text


def test_what_was_expected_is_shown_whatever_the_inputs_length():
    text = comment(made(Example(TEST, "long", "line\n" * 500, "negative", "positive")))
    assert "          …\nexpected  negative\ngot       positive\n```" in text


def test_equal_examples_of_several_seeds_are_shown_once():
    example = Example(TEST, "negation", "not bad", "negative", "positive")
    head = [record(outcome(TEST, "failed"), *rates(), examples=(example,), seed=s) for s in (0, 1)]
    text = comment(compose(judge(head, ()), head, (), Context(head_sha=HEAD)))
    assert text.count("input     not bad") == 1
