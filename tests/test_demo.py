"""The demo, as `make demo` runs it: the first thing that a new user sees."""

from __future__ import annotations

import subprocess
import sys

from torchproof.history.store import History


def play(directory, *, keep=".", without=()):
    """Run the demo in a process of its own, as if some packages were not installed."""
    program = (
        f"import sys; sys.modules |= dict.fromkeys({list(without)!r});"
        "from torchproof.cli import main; sys.exit(main(['demo', '--keep', sys.argv[1]]))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, keep],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_demo_shows_a_comment_whose_first_line_names_the_broken_check(tmp_path):
    done = play(tmp_path, keep="kept")
    kept = tmp_path / "kept"
    assert done.returncode == 0, done.stdout + done.stderr
    headline = (kept / "github/comment-1.md").read_text("utf-8").splitlines()[0]
    assert headline.startswith("### ❌ torchproof: ")
    assert "stale-gradients" in headline
    _the_terminal_shows_progress_and_the_answer(done.stdout)
    _the_page_shows_the_comment(kept / "comment.html", done.stdout)
    _both_commits_are_in_a_real_history(kept / "origin.git")


def _the_terminal_shows_progress_and_the_answer(text):
    marks = ("▶ push to main", "▶ pull request #1", "❌ torchproof: ", "digits/train.py:")
    places = [text.find(mark) for mark in marks]
    assert -1 not in places, text
    assert places[:3] == sorted(places[:3])


def _the_page_shows_the_comment(page, text):
    assert page.as_uri() in text
    assert "stale-gradients" in page.read_text("utf-8")


def _both_commits_are_in_a_real_history(remote):
    with History(str(remote)) as history:
        records = history.records()
    tiers = ("unit", "overfit", "integration")
    assert [(made.source.event, made.tier) for made in records] == [
        (event, tier) for event in ("push", "pull_request") for tier in tiers
    ]
    assert all(made.passed for made in records[:3]), "main is sound"


def test_what_is_kept_is_never_written_over(tmp_path):
    (tmp_path / "mine").touch()
    done = play(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == ("torchproof: .: it is not an empty directory. Name a new one.")


def test_without_its_packages_it_says_what_to_install(tmp_path):
    done = play(tmp_path, without=["sklearn", "torch"])
    assert done.returncode == 3
    sentence = "torchproof: the demo needs sklearn, torch. Install it: pip install pytest torch"
    assert done.stderr.startswith(sentence)
