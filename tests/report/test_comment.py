"""The comment: what it says first, what it folds, and whole comments as golden files.

A golden file is rewritten by running the tests with TORCHPROOF_GOLDEN=1.
"""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tests.samples import (
    BASE,
    HEAD,
    TESTED,
    broken_pull_request,
    curve,
    finding,
    metric,
    outcome,
    record,
)

from torchproof.report import (
    Context,
    annotate,
    body_key,
    check,
    comment,
    compose,
    outputs,
    page,
    summary,
    terminal,
)
from torchproof.verdict import Waiting, judge


GOLDEN = Path(__file__).with_name("golden")
URL = "https://github.example/octo/digits/actions/runs/1001"


def report(head, base=(), *, waiting=(), refused=(), **context):
    defaults = {"head_sha": HEAD, "run_url": URL, "run_number": 12}
    if base:
        defaults |= {"base": BASE, "base_why": "tip of main"}
    verdict = judge(head, base, waiting=waiting, refused=refused)
    return compose(verdict, head, base, Context(**{**defaults, **context}))


def first_line(*args, **fields):
    return comment(report(*args, **fields)).split("\n", 1)[0]


def broken():
    head, base = broken_pull_request()
    return report(head, base, tested_sha=TESTED)


def unchanged():
    _, base = broken_pull_request()
    return report(base, base)


def first_run():
    head = [record(outcome("test_training"), outcome("test_shapes"))]
    waiting = [Waiting(tier="overfit", why="runs on gpu-8 when it is free")]
    return report(head, waiting=waiting)


@pytest.mark.parametrize("case", [broken, unchanged, first_run])
def test_a_whole_comment(case):
    path = GOLDEN / f"{case.__name__}.md"
    text = comment(case())
    if os.environ.get("TORCHPROOF_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def test_the_first_line_names_the_broken_check():
    head = [record(outcome("test_training", "failed"), finding(), outcome("test_shapes"))]
    assert first_line(head) == (
        "### ❌ torchproof: 1 of 2 checks fails: `batch-independence` in `test_training`"
    )


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (outcome("test_a", "failed"), "1 of 1 check fails: `test_a`"),
        (metric(value=float("nan")), "1 of 2 checks fails: `val/accuracy` is nan"),
    ],
)
def test_the_first_line_says_what_is_wrong_with_it(item, words):
    assert first_line([record(item)]) == f"### ❌ torchproof: {words}"


def test_the_first_line_says_where_a_run_died():
    head = [record(outcome("test_a", "crashed"), state="crashed", exit_code=-11)]
    expected = "### ❌ torchproof: 1 of 1 check fails: the tier `unit` crashed in `test_a`"
    assert first_line(head) == expected


def test_the_first_line_names_the_project_where_there_are_several():
    assert first_line([record(outcome("test_a"))], id="services/vision") == (
        "### ✅ torchproof in `services/vision`: 1 check passes, no baseline"
    )


def test_the_first_line_claims_only_what_is_decided():
    base = [record(metric(value=0.9), outcome("test_gone"))]
    head = [record(metric(value=0.8))]
    assert first_line(head, base) == (
        "### ✅ torchproof: 1 check passes, 1 undecided, 1 test dropped"
    )
    assert first_line(base) == "### ✅ torchproof: 2 checks pass, no baseline"


def test_the_first_line_says_what_is_queued():
    text = first_line([record(outcome("test_a"))], waiting=[Waiting(tier="overfit")])
    assert text == "### ⏳ torchproof: 1 check passes, no baseline; `overfit` queued"


def test_the_second_line_says_what_was_compared_and_why():
    line = comment(broken()).split("\n")[2]
    assert line == (
        "`f3a91c2` merged as `0b1d5a7` against `8ec4537` (tip of main) · "
        "same environment: `cpu`, `torch 2.13.0` and `Python 3.11` · seed 0"
    )


def test_another_environment_is_named_and_the_numbers_it_concerns_are_one_row():
    base = [
        record(
            *(metric(f"accuracy/{i}") for i in range(9)),
            fingerprint={"environment": {"torch": "2.12.0", "python": "3.11"}},
        )
    ]
    head = [record(*(metric(f"accuracy/{i}", 0.5) for i in range(9)))]
    text = comment(report(head, base))
    assert "not comparable: " in text.split("\n")[2]
    assert "`torch 2.12.0 → 2.13.0`" in text.split("\n")[2]
    assert len(re.findall(r"^\| 🚧", text, re.MULTILINE)) == 1
    assert "`9 numbers`" in text


def test_without_a_baseline_the_reason_is_said():
    text = comment(report([record(outcome("test_a"))], base_why="main has no run yet"))
    assert "`f3a91c2`, no baseline: main has no run yet" in text


def test_equal_runs_give_equal_comments_up_to_marker_and_footer():
    head, base = broken_pull_request()
    one = comment(report(head, base, run_number=12))
    again = comment(report(head, base, run_number=13, attempt=2, run_url=f"{URL}9"))
    assert one != again
    assert body_key(one) == body_key(again)


def test_a_new_commit_makes_a_new_comment_because_the_comment_names_it():
    _, base = broken_pull_request()
    assert body_key(comment(report(base, base))) != body_key(
        comment(report(base, base, head_sha="1" * 40))
    )


def test_the_commands_run_the_failing_tests_again():
    text = comment(broken())
    assert "git checkout 0b1d5a770000\n" in text
    assert (
        "pytest --torchproof-tier unit --torchproof-seed 0 tests/test_digits.py::test_training\n"
        in text
    )


@pytest.mark.parametrize("test", ["--pdb.py::x", "a.py::t[$(id)]", "a.py::t\n`id`", "a.py::t; id"])
def test_a_command_that_is_pasted_into_a_shell_runs_nothing_else(test):
    (command,) = report([record(outcome(test, "failed"))]).commands[1:]
    words = command.removeprefix("pytest --torchproof-tier unit --torchproof-seed 0").strip()
    assert words in ("", f"'{test}'")


def test_the_summary_holds_what_is_not_judged_and_the_comment_does_not():
    assert "peak memory" in summary(broken())
    assert "peak memory" not in comment(broken())


def test_the_check_leaves_the_headline_to_its_title():
    assert check(broken()).startswith("`f3a91c2`")


def test_a_user_note_is_shown():
    text = comment(report([record(outcome("test_a"))], notes=("Your template is broken.",)))
    assert "> Your template is broken." in text


def test_annotations_name_places_inside_the_repository():
    findings = [
        finding(),
        finding("stale-gradients", location="/etc/passwd:1"),
        finding("parameter-sets", location="../x.py:1"),
        finding("evaluation", location="digits/a.py"),
    ]
    (found,) = annotate(report([record(*findings)]))
    assert (found["path"], found["line"], found["level"]) == ("digits/model.py", 31, "failure")
    assert found["title"] == "torchproof: batch-independence in test_training"
    assert "Use running statistics" in found["message"]


def test_the_outputs_are_one_line_each():
    found = outputs(broken(), comment_url=URL)
    assert found["passed"] == "false"
    assert found["verdict"] == "failed"
    assert (found["failed"], found["worse"], found["findings"]) == ("3", "1", "1")
    assert found["headline"].startswith("❌ torchproof: 3 of 10 checks fail: batch-independence in")
    assert found["comment-url"] == URL
    assert not any("\n" in value for value in found.values())


def test_the_terminal_shows_the_same_lines_without_markup():
    text = terminal(broken(), colour=False)
    assert text.startswith(
        "❌ torchproof: 3 of 10 checks fail: batch-independence in test_training"
    )
    assert "integration: val/accuracy  0.957 → 0.903  (limit ≥0.937)" in text
    assert "\033" not in text
    assert "\033[31m" in terminal(broken())


def test_a_record_cannot_send_control_characters_to_the_terminal():
    hostile = record(outcome("test_\x1b[2J", "failed", message="\x1b]0;owned\x07"))
    assert "\x1b" not in terminal(report([hostile]), colour=False)


def test_the_preview_is_a_page_that_fetches_nothing():
    html = page(comment(broken()))
    assert "<polyline" in html
    assert "<table>" in html
    assert "<script" not in html
    assert re.findall(r'(?:src|href)="([^"]*)"', html) == [URL]


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(name=text, message=text, unit=text, location=text, remedy=text)
def test_no_text_of_a_record_gets_out_of_its_code_span(name, message, unit, location, remedy):
    head = [
        record(
            outcome(f"a.py::{name}", "failed", message=message, location=location),
            finding(name, message=message, location=location, remedy=remedy, evidence={name: unit}),
            metric(name, 0.5, unit=unit, tolerance=0.1),
            curve(plateau_like(), name=name),
            notes=(message,),
        )
    ]
    base = [record(metric(name, 0.9, unit=unit), curve(name=name))]
    body = comment(report(head, base, base_why=name))
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    for token in parser.parse(body):
        assert token.type != "html_block" or _OURS.fullmatch(token.content), token.content
        for child in token.children or ():
            inside = child.content if child.type in ("text", "html_inline") else ""
            assert not re.search(r"[@#`\[\]]|https?:|www\.|<(?!/?sub>)", inside), inside


_OURS = re.compile(r"(</?details( open)?>|<summary>[A-Za-z0-9 ,]+</summary>|\n)+")


def plateau_like():
    return [2.0, 1.5, 1.4]
