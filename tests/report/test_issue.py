"""The issue's texts: what the next night reads back, and what hostile names cannot do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.report.issue import Regression, issue_body, issue_state, issue_title
from torchproof.verdict.moved import Moved


COMMITS = tuple(f"{number:040x}" for number in range(1, 31))
WORSE = Regression(
    metric="val/loss",
    test="tests/test_net.py::test_quality",
    tier="nightly",
    unit="",
    values=tuple([1.0 + number % 3 / 100 for number in range(20)] + [1.5] * 10),
    commits=COMMITS,
    since=20,
    sigma=0.01,
    suspects=(COMMITS[20], COMMITS[19]),
    subject="Use a larger dropout",
    probability=0.873,
    runs=14,
    good=COMMITS[15],
    run=(12, "https://github.com/octo/model/actions/runs/1"),
)


def test_a_regression_names_commit_subject_probability_and_size():
    body = issue_body(WORSE)
    assert f"**{COMMITS[20]}** `Use a larger dropout` made it so, 87 % sure." in body
    assert f"- or {COMMITS[19]}" in body
    assert "### 📉 `val/loss` is worse: 1.01 → 1.5" in body
    assert "49.0 sigma" in body
    assert "14 fresh runs" in body
    assert "@" not in body
    assert issue_title(WORSE) == f"val/loss is worse since {COMMITS[20][:7]}"


def test_the_curve_is_a_chart_that_github_draws():
    assert "```mermaid\n%%{init:" in issue_body(WORSE)
    assert "xychart-beta" in issue_body(WORSE)


def test_a_moved_environment_names_what_moved():
    facts = (Moved("environment", "torch", "2.12.0", "2.13.0"),)
    body = issue_body(replace(WORSE, cause="environment", facts=facts))
    assert "**The environment moved, not the code** (87 %)" in body
    assert "- environment: `torch` `2.12.0` → `2.13.0`" in body
    assert "made it so" not in body


def test_a_metric_that_is_back_says_since_when():
    values = (*WORSE.values[:25], 1.0, 1.01, 1.0, 1.02, 1.0)
    body = issue_body(replace(WORSE, values=values, back=25))
    assert "### ✅ `val/loss` is back: 1" in body
    assert issue_state(body) == (COMMITS[20], COMMITS[25])


def test_runs_without_a_number_are_left_out_of_the_curve():
    values = (*WORSE.values[:20], math.nan, None, *[math.inf] * 8)
    body = issue_body(replace(WORSE, values=values, sigma=math.nan, suspects=()))
    assert "→ no number" in body
    assert "nan" not in body.partition("```mermaid")[2]
    assert f"Worse since {COMMITS[20]}" in body


def test_an_account_is_mentioned_only_if_it_can_be_one():
    assert "sure. @ada-lovelace" in issue_body(replace(WORSE, mention="ada-lovelace"))
    assert "@" not in issue_body(replace(WORSE, mention="ada](x) @all"))


def test_what_is_hidden_is_read_back():
    assert issue_state(issue_body(WORSE)) == (COMMITS[20], "")


@pytest.mark.parametrize("text", ["", "hello", "<!-- since nothing -->\n"])
def test_another_text_keeps_nothing(text):
    assert issue_state(text) == ("", "")


@given(name=st.text(max_size=60), subject=st.text(max_size=60))
def test_no_name_or_subject_can_mention_anybody_or_forge_the_hidden_line(name, subject):
    body = issue_body(replace(WORSE, metric=name, subject=subject))
    assert issue_state(body) == (COMMITS[20], "")
    assert body.count("<!--") == 1
    assert "\n@" not in body


def test_a_hostile_subject_stands_in_a_code_span():
    body = issue_body(replace(WORSE, subject="`@all` <!-- since 0 recovered - -->"))
    assert "`` `@all` <" in body
