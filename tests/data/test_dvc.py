"""DVC's locks, read and compared without DVC."""

from __future__ import annotations

import pytest

from torchproof.data import dvc
from torchproof.errors import UsageError
from torchproof.testing import locked_data


def written(root):
    """What a session writes about a workspace: facts, findings and notes."""
    events = []
    locked_data.write(lambda event, **fields: events.append((event, fields)), root)
    facts = {each["name"]: each["value"] for kind, each in events if kind == "fingerprint"}
    findings = [each for kind, each in events if kind == "finding"]
    return facts, findings, [each["message"] for kind, each in events if kind == "note"]


def test_hashes_are_dvcs(workspace):
    found = {each.path: each for lock in dvc.locks(workspace)[0]
             for each in dvc.tracked(lock, workspace)}  # fmt: skip
    assert {*found} == {"data/table.csv", "data/imgs", "out/table.csv", "model.bin"}
    for path, each in found.items():
        assert dvc.md5(workspace / path) == each.md5, path
        assert dvc.size(workspace / path) == each.size, path


def test_what_is_locked_and_here_is_a_fact_and_no_finding(workspace):
    facts, findings, notes = written(workspace)
    assert facts == {
        "data/table.csv": "b202f333fba4fd38d4b8e5e693077aab",
        "data/imgs": "58eeb485bbec9a1f730583a226a7f3e7.dir",
    }
    assert findings == notes == []


def test_what_a_stage_makes_or_reads_as_code_is_no_fact(workspace):
    assert {"out/table.csv", "model.bin", "train.py"}.isdisjoint(written(workspace)[0])


def test_data_that_differs_is_a_finding_at_the_line_that_locks_it(workspace):
    (workspace / "data/imgs/1.txt").write_bytes(b"six\n")
    facts, (finding,), _ = written(workspace)
    assert facts["data/imgs"] == finding["evidence"]["workspace"] != finding["evidence"]["locked"]
    assert (finding["rule"], finding["severity"]) == ("data-differs-from-lock", "warning")
    assert finding["location"] == "data/imgs.dvc:2"
    assert finding["message"] == "data/imgs is not the version that data/imgs.dvc names"


def test_data_of_another_size_is_known_by_its_bytes(workspace):
    versions = set()
    for content in (b"longer than before", b"longer than BEFORE"):
        (workspace / "data/table.csv").write_bytes(content)
        facts, (finding,), _ = written(workspace)
        assert finding["evidence"]["workspace"] == facts["data/table.csv"]
        versions.add(facts["data/table.csv"])
    assert len(versions) == 2


def test_another_size_differs_without_being_read(workspace, monkeypatch):
    monkeypatch.setattr(dvc, "md5", None)
    monkeypatch.setattr(locked_data, "MAX_HASHED", 0)
    (workspace / "model.bin").write_bytes(b"longer")
    _, (finding,), _ = written(workspace)
    assert finding["evidence"]["workspace"] == "6 bytes"
    assert finding["location"] == "dvc.lock:48"


def test_data_that_is_not_here_is_known_by_its_lock(workspace):
    for path in ("data/table.csv", "out/table.csv", "model.bin"):
        (workspace / path).unlink()
    facts, findings, _ = written(workspace)
    assert facts["data/table.csv"] == "b202f333fba4fd38d4b8e5e693077aab"
    assert findings == []


def test_a_directory_whose_files_are_ignored_is_not_judged(workspace):
    (workspace / ".dvcignore").write_text("# all\n*.tmp\n")
    (workspace / "data/imgs/x.tmp").write_bytes(b"")
    assert written(workspace)[1] == []


def test_stages_without_a_lock_are_a_finding(workspace):
    (workspace / "dvc.lock").unlink()
    (workspace / "dvc.yaml").write_text("plots:\n- a.csv\n")
    assert written(workspace)[1] == []
    (workspace / "dvc.yaml").write_text("stages:\n  a:\n    cmd: x\n")
    (finding,) = written(workspace)[1]
    assert finding["message"] == "dvc.yaml declares stages and there is no dvc.lock"


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ("outs:\n- &x a\n", "data/bad.dvc: line 2 holds an anchor"),
        ("outs:\n- md5: xyz\n  path: a\n", "'a' has no MD5 hash"),
        ("outs: text\n", "not as DVC writes it"),
        ("outs:\n- md5: " + "0" * 32 + "\n", "not as DVC writes it"),
        ("a" * 5_000_000, "the file is too large"),
    ],
)
def test_a_lock_that_cannot_be_read_is_told_and_harms_nothing(workspace, lock, said):
    (workspace / "data/bad.dvc").write_text(lock)
    facts, _, (note,) = written(workspace)
    assert said in note
    assert len(facts) == 2


def test_a_lock_of_another_schema_or_with_a_working_directory_is_told(workspace):
    (workspace / "dvc.yaml").write_text("stages:\n  a:\n    wdir: sub\n    cmd: x\n")
    assert "a stage has a wdir" in written(workspace)[2][0]
    (workspace / "dvc.lock").write_text("schema: '3.0'\n")
    with pytest.raises(UsageError, match="its schema is"):
        dvc.tracked(workspace / "dvc.lock", workspace)


def test_an_entry_of_dvc_2_takes_crlf_for_lf(workspace):
    text = (workspace / "data/table.csv.dvc").read_text().replace("  hash: md5\n", "")
    (workspace / "data/table.csv").write_bytes(b"a\n")
    lf = dvc.md5(workspace / "data/table.csv")
    (workspace / "data/table.csv").write_bytes(b"a\r\n")
    (workspace / "data/table.csv.dvc").write_text(
        text.replace("b202f333fba4fd38d4b8e5e693077aab", lf).replace("10", "2")
    )
    (workspace / "dvc.lock").unlink()
    assert written(workspace)[1] == []


def test_locks_outside_the_root_and_in_environments_are_passed_over(workspace):
    for folder in (".venv", "env"):
        (workspace / folder).mkdir()
        (workspace / folder / "x.dvc").write_text("outs:\n")
    (workspace / "env" / "pyvenv.cfg").write_text("")
    (workspace / "data/imgs/inner.dvc").write_text("outs:\n")
    names = [path.relative_to(workspace).as_posix() for path in dvc.locks(workspace)[0]]
    assert sorted(names) == ["data/imgs.dvc", "data/table.csv.dvc", "dvc.lock"]
