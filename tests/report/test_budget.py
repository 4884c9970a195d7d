"""Whatever a run produced, its texts fit, stay well-formed, and say what they left out."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tests.samples import HEAD, curve, finding, metric, outcome, plateau, record

from torchproof.errors import TemplateError
from torchproof.report import Context, check, comment, compose, summary
from torchproof.report.budget import characters, fit, octets
from torchproof.verdict import judge


SURFACES = [(comment, 65_536, characters), (check, 65_535, octets), (summary, 1024**2, octets)]


def composed(head, base=()):
    context = Context(head_sha=HEAD, base=HEAD if base else None)
    return compose(judge(head, base), head, base, context)


def huge(failed, passed, metrics, message):
    tests = [outcome(f"test_{i}_{message}", "failed", message=message) for i in range(failed)]
    tests += [outcome(f"test_ok_{i}") for i in range(passed)]
    findings = [finding(f"rule-{i}", message=message, remedy=message) for i in range(failed)]
    numbers = [metric(f"metric/{i}", i / 7, better=None) for i in range(metrics)]
    facts = {f"package-{i}": message[:50] for i in range(metrics)}
    return record(
        *tests, *findings, *numbers, curve(plateau(500)), fingerprint={"environment": facts}
    )


def assert_well_formed(text):
    assert text.count("<details") == text.count("</details>")
    assert text.count("<summary>") == text.count("</summary>")
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    for token in tokens:
        assert token.type != "fence" or "</details>" not in token.content


@pytest.mark.parametrize(("surface", "limit", "size"), SURFACES)
def test_a_record_at_its_limits_fits_every_surface(surface, limit, size):
    text = surface(composed([huge(1500, 1500, 1500, "`x|" * 400)]))
    assert size(text) <= limit
    assert "Left out to fit the size limit: " in text
    assert_well_formed(text)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 300), st.integers(0, 600), st.integers(0, 200), st.text(min_size=1))
def test_any_record_fits_a_comment(failed, passed, metrics, message):
    text = comment(composed([huge(failed, passed, metrics, message * 40)]))
    assert characters(text) <= 65_536
    assert_well_formed(text)


def test_the_least_important_goes_first_and_the_worst_row_last():
    report = composed([huge(150, 2000, 0, "m" * 100)])
    text = comment(report)
    left_out = re.search(r"Left out to fit the size limit: (.*)\.", text).group(1)
    assert left_out.startswith("1 chart, 2002 unchanged checks")
    assert "❌" in text
    assert text.startswith("### ❌ torchproof:")


def test_what_fits_is_left_alone():
    text = comment(composed([record(outcome("test_a"))]))
    assert "Left out" not in text


def test_a_template_that_is_too_long_by_itself_is_an_error():
    lists = (
        "charts",
        "shown",
        "unchanged",
        "examples",
        "environment",
        "notes",
        "more",
        "advice",
        "rows",
    )
    view = {name: {"head": "", "rows": []} for name in lists} | {"gone": {}, "left_out": []}
    with pytest.raises(TemplateError, match="more than 10"):
        fit(view, lambda _: "x" * 11, limit=10, size=characters)
