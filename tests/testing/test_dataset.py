"""`proof.dataset` and the data that DVC tracks, as a record holds them."""

from __future__ import annotations


TESTS = """
    def test_version(proof):
        assert proof.dataset("words", "words.txt").startswith("sha256:")

    def test_splits(proof):
        splits = {"train": (["a", "b", "c"], [0, 1, 0]), "test": (["d", "a"], [1, 1])}
        proof.dataset("letters", splits=splits)

    def test_promise(proof):
        proof.dataset("numbers", splits={"train": [1.0, 2.0, 300.0]}, expect={"range": (0, 255)})

    def test_nothing(proof):
        proof.dataset("empty")

    def test_missing(proof):
        proof.dataset("gone", "gone.txt")
"""


def recorded(suite):
    suite.file("test_it.py", TESTS)
    suite.file("words.txt", "some words\n")
    return suite.record()


def test_versions_and_contents_are_recorded(suite):
    record = recorded(suite)
    data = record.fingerprint["data"]
    assert data["words"].startswith("sha256:")
    assert {"letters", "letters/train dtype", "letters/test labels"} <= {*data}
    values = {each.name: each.value for each in record.metrics}
    assert values["data/letters/train/rows"] == 3
    assert values["data/letters/train/rarest label"] == 1 / 3


def test_a_row_in_two_splits_is_a_warning_and_a_broken_promise_fails(suite):
    record = recorded(suite)
    ends = {each.test.partition("::")[2]: each for each in record.outcomes}
    failing = {name for name, end in ends.items() if end.outcome == "failed"}
    assert failing == {"test_promise", "test_nothing", "test_missing"}
    assert "the range of train is 1.0, 300.0, not 0, 255" in ends["test_promise"].message
    found = {each.rule: each.severity for each in record.findings}
    assert found == {"data-duplicates-between-splits": "warning", "data-contract": "error"}


def test_the_terminal_shows_the_warning(suite):
    suite.file("test_it.py", TESTS)
    output = suite.run("-k", "splits")
    output.stdout.fnmatch_lines(["warning: *1 of 2 rows of test are also in train*"])


def test_what_dvc_tracks_is_a_fact_of_the_session_and_a_difference_a_finding(suite):
    suite.file("test_it.py", "def test_it(): pass\n")
    suite.file("words.txt", "some words\n")
    lock = "outs:\n- md5: 4b2b0f7ae8e8a4f0a1dc1c7ae2b61d43\n  hash: md5\n  path: words.txt\n"
    suite.file("words.txt.dvc", lock)
    record = suite.record()
    (finding,) = record.findings
    assert (finding.rule, finding.location) == ("data-differs-from-lock", "words.txt.dvc:2")
    assert record.fingerprint["data"] == {"words.txt": finding.evidence["workspace"]}
    assert record.passed
