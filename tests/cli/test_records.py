"""torchproof diff, report and history: records in files and in the history."""

from __future__ import annotations

import math

import pytest
from tests.samples import BASE, metric, outcome, record

from torchproof import record as records


@pytest.fixture
def files(tmp_path):
    """Write two records: a base, and a head that is worse."""
    base = record(outcome("test_shapes"), metric(value=0.93, tolerance=0.01), commit=BASE)
    head = record(outcome("test_shapes"), metric(value=0.80, tolerance=0.01))
    for name, one in (("base", base), ("head", head)):
        (tmp_path / f"{name}.json").write_bytes(records.dumps(one))
    return tmp_path / "base.json", tmp_path / "head.json"


def test_a_worse_head_is_1(torchproof, project, files):
    base, head = files
    result = torchproof("diff", base, head)
    assert result.code == 1
    assert "val/accuracy" in result.out.splitlines()[0]


def test_the_same_record_is_0(torchproof, project, files):
    base, _ = files
    result = torchproof("diff", base, base, "--json")
    assert result.code == 0
    assert (result.json["verdict"], result.json["passed"]) == ("not-worse", True)


def test_records_of_no_commit_are_called_this_run_and_by_their_file(torchproof, tmp_path):
    for name in ("before.json", "now.json"):
        (tmp_path / name).write_bytes(records.dumps(record(metric(value=0.9), source=None)))
    result = torchproof("diff", tmp_path / "before.json", tmp_path / "now.json")
    assert result.code == 0, result.err
    assert "this run against before.json" in result.out
    assert "git checkout" not in result.out


@pytest.mark.parametrize("command", [("diff",), ("report", "--base")])
def test_records_without_a_tier_in_common_are_not_compared(torchproof, tmp_path, command):
    for tier in ("unit", "overfit"):
        one = record(metric(value=0.9), tier=tier)
        (tmp_path / f"{tier}.json").write_bytes(records.dumps(one))
    result = torchproof(*command, tmp_path / "unit.json", tmp_path / "overfit.json")
    assert result.code == 2
    assert "they have no tier in common: unit and overfit. Name" in result.sentence


def test_a_number_that_is_none_keeps_the_json_strict(torchproof, project, files, tmp_path):
    base, _ = files
    head = tmp_path / "nan.json"
    head.write_bytes(records.dumps(record(metric(value=math.nan, tolerance=0.01))))
    result = torchproof("diff", base, head, "--json")
    assert result.code == 1
    assert any(row["now"] == "nan" for row in result.json["rows"])


@pytest.mark.parametrize(
    ("form", "mark"),
    [
        ("comment", "### ❌ torchproof"),
        ("summary", "### ❌ torchproof"),
        ("html", "<!doctype html>"),
        ("terminal", "❌ torchproof: 1 of 3 checks fails"),
    ],
)
def test_a_report_comes_in_every_form(torchproof, project, files, form, mark):
    base, head = files
    result = torchproof("report", head, "--base", base, "--format", form)
    assert result.code == 0
    assert mark.lower() in result.out.lower()
    assert "val/accuracy" in result.out


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "the run record cannot be read: No such file"),
        ("{", "the text is not JSON"),
        ('{"schema": 9}', "its schema is 9, this torchproof reads 1"),
        ('{"schema": 1}', "breaks the schema"),
    ],
)
def test_a_file_that_is_no_record_is_one_sentence(torchproof, project, text, sentence):
    file = project / "record.json"
    if text is not None:
        file.write_text(text)
    result = torchproof("report", file)
    assert result.code == 2
    assert sentence in result.sentence


def test_two_commits_of_the_history_are_compared(torchproof, scene):
    result = torchproof("diff", "main~1", "main", "--json")
    assert result.code == 0, result.err
    assert result.json["verdict"] == "not-worse"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("main~2", "the history has no record of"),
        ("nothing", "'nothing' is neither a file nor a commit"),
    ],
)
def test_what_has_no_records_is_one_sentence(torchproof, scene, name, sentence):
    result = torchproof("diff", name, "main")
    assert result.code == 2
    assert sentence in result.sentence


def test_the_history_is_listed_newest_last(torchproof, scene):
    names = torchproof("history", "list", "--json").json
    assert len(names) == 4
    assert names == sorted(names)
    assert torchproof("history", "list", "-n", "1").out.split() == names[-1:]


def test_an_empty_history_says_so(torchproof, project):
    result = torchproof("history", "list", "--remote", ".")
    assert (result.code, result.out) == (0, "The history is empty.\n")


def test_a_record_is_shown_by_the_start_of_its_name(torchproof, scene):
    (*_, last) = torchproof("history", "list", "--json").json
    shown = torchproof("history", "show", last)
    assert shown.json["schema"] == 1
    assert records.loads(shown.out.encode()) in scene.records()
    missing = torchproof("history", "show", "runs/1999")
    assert (missing.code, "no record has the name" in missing.sentence) == (2, True)


def test_what_is_exported_can_be_imported(torchproof, scene, tmp_path):
    exported = torchproof("history", "export", tmp_path / "out")
    assert exported.out.startswith("4 records written to")
    files = sorted((tmp_path / "out").rglob("*.json"))
    again = torchproof("history", "import", *files)
    assert again.code == 0, again.err
    assert len(scene.records()) == 4
    scene.git("push", "-q", "origin", ":torchproof-history")
    torchproof("history", "import", *files)
    assert len(scene.records()) == 4


def test_a_record_that_cannot_be_read_is_named(torchproof, scene, tmp_path):
    (*_, last) = torchproof("history", "list", "--json").json
    damage(scene, last)
    shown = torchproof("history", "show", last)
    left_out, sentence = shown.err.splitlines()
    assert left_out == f"left out {last}: the text is not JSON (Expecting value, line 1)"
    assert (shown.code, "cannot be read. See `torchproof history list`." in sentence) == (2, True)
    exported = torchproof("history", "export", tmp_path / "out")
    assert exported.out.startswith("3 records written to")
    assert last in exported.err


def damage(scene, name):
    """Overwrite a file of the history as an editor would."""
    scene.git("fetch", "-q", "origin", "torchproof-history")
    scene.git("checkout", "-q", "FETCH_HEAD")
    (scene.work / name).write_text("?")
    scene.git("commit", "-qam", "Damage")
    scene.git("push", "-q", "origin", "HEAD:torchproof-history")
    scene.git("checkout", "-q", "main")


def test_a_record_of_no_commit_is_not_imported(torchproof, scene, tmp_path):
    file = tmp_path / "run.json"
    file.write_bytes(records.dumps(record(source=None)))
    result = torchproof("history", "import", file)
    assert result.code == 2
    assert "run.json: the record does not say of which commit it is" in result.sentence
    assert len(scene.records()) == 4


def test_the_remote_may_be_a_path_from_here(torchproof, scene):
    result = torchproof("history", "list", "--remote", "../origin.git", "--json")
    assert len(result.json) == 4


def test_compaction_can_be_started_by_hand(torchproof, scene):
    result = torchproof("history", "compact")
    assert (result.code, result.out) == (0, "Compacted.\n")
    assert len(scene.records()) == 4


@pytest.mark.parametrize("command", [("list",), ("show", "x"), ("compact",), ("export", "out")])
def test_a_remote_that_does_not_answer_is_3(torchproof, project, command):
    result = torchproof("history", *command)
    assert result.code == 3
    assert "does not appear to be a git repository" in result.sentence
