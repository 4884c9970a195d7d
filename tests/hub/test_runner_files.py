"""What the runner makes of our files and commands, by ports of its own parsers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runner.commands import obeyed

from torchproof.errors import HostError, HubError
from torchproof.hub import Annotation, error_line, runner_files


def outputs_as_the_runner_reads(text):
    """Port of FileCommandManager.cs: heredoc blocks, lines end at LF only."""
    values, rest = {}, text
    while rest:
        line, _, rest = rest.partition("\n")
        if not line:
            continue
        name, _, delimiter = line.partition("<<")
        assert name
        assert delimiter
        lines = []
        while True:
            assert rest, f"no line equals {delimiter}"
            line, _, rest = rest.partition("\n")
            if line == delimiter:
                break
            lines.append(line)
        values[name] = "\n".join(lines)
    return values


texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)


@given(values=st.dictionaries(names, texts))
def test_outputs_come_back_as_they_were(values):
    blocks = (runner_files.output_block(k, v, "ghadelimiter_1") for k, v in values.items())
    assert outputs_as_the_runner_reads("".join(blocks)) == values


def test_outputs_are_appended_under_delimiters_nobody_can_guess(tmp_path):
    file = tmp_path / "output"
    for verdict in ("worse", "not-worse"):
        runner_files.write_outputs({"GITHUB_OUTPUT": str(file)}, {"verdict": verdict})
    text = file.read_text("utf-8")
    delimiters = [line for line in text.splitlines() if line.startswith("ghadelimiter_")]
    assert len(set(delimiters)) == 2
    assert outputs_as_the_runner_reads(text) == {"verdict": "not-worse"}


def test_a_value_that_holds_the_delimiter_is_refused():
    with pytest.raises(ValueError, match="delimiter"):
        runner_files.output_block("verdict", "x\nghadelimiter_1\nGITHUB_ENV=y", "ghadelimiter_1")


@pytest.mark.parametrize("name", ["", "a=b", "a\nb", "a<<b", "1a"])
def test_a_name_that_would_be_read_otherwise_is_refused(name):
    with pytest.raises(ValueError, match="cannot name an output"):
        runner_files.output_block(name, "value", "ghadelimiter_1")


def test_half_a_character_in_a_value_does_not_stop_the_step(tmp_path):
    file = tmp_path / "output"
    runner_files.write_outputs({"GITHUB_OUTPUT": str(file)}, {"verdict": "\ud800"})
    assert outputs_as_the_runner_reads(file.read_text("utf-8")) == {"verdict": "?"}


def test_summaries_are_appended(tmp_path):
    file = tmp_path / "summary"
    for text in ("one\n", "two\n"):
        runner_files.write_summary({"GITHUB_STEP_SUMMARY": str(file)}, text)
    assert file.read_text("utf-8") == "one\ntwo\n"


def test_a_summary_never_outgrows_the_limit(tmp_path):
    file = tmp_path / "summary"
    for _ in range(3):
        runner_files.write_summary({"GITHUB_STEP_SUMMARY": str(file)}, "größer\n" * 80_000)
    data = file.read_bytes()
    assert 1024 * 1024 - 100 < len(data) <= 1024 * 1024
    assert data.decode("utf-8").endswith(runner_files.CUT)


@given(text=texts, room=st.integers(-5, 200))
def test_a_fitted_text_fits_and_stays_whole_characters(text, room):
    data = runner_files.fitted(text, room)
    assert len(data) <= max(0, room)
    assert data.decode("utf-8") == text or len(text.encode()) > room


def test_without_the_runners_files_nothing_is_written():
    runner_files.write_summary({}, "text")
    runner_files.write_outputs({}, {"verdict": "worse"})


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(HostError, match="cannot be written"):
        runner_files.write_summary({"GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "x")}, "text")


levels = st.sampled_from(["failure", "warning", "notice"])


@given(path=texts, line=st.integers(1), message=texts, title=texts, level=levels)
def test_an_annotation_is_one_command_and_comes_back_as_it_was(path, line, message, title, level):
    mark = Annotation(path=path, line=line, message=message, title=title, level=level)
    (command,) = obeyed(runner_files.annotation_lines([mark]))
    assert command.name == {"failure": "error"}.get(level, level)
    assert command.data == message[:4096]
    assert command.properties.get("file", "").strip() == path.strip()
    assert command.properties.get("title", "").strip() == title.strip()
    assert command.properties["line"] == str(line)


def test_of_each_level_ten_annotations_are_written():
    marks = [Annotation(path="a.py", line=n, message="m") for n in range(1, 30)]
    marks += [Annotation(path="a.py", line=1, message="w", level="warning")]
    lines = runner_files.annotation_lines(marks).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "::warning file=a.py,line=1::w"


def test_an_error_of_ours_is_an_annotation():
    line = error_line(HubError("it broke: 100%", "Do this:\nthat"))
    assert line == "::error title=torchproof::it broke: 100%25. Do this:%0Athat"


def test_every_line_of_a_secret_is_masked():
    assert runner_files.mask_lines("one\ntwo\n") == "::add-mask::one\n::add-mask::two\n"
