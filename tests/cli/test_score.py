"""``torchproof score`` says what it looked at and what would raise the score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from torchproof import cli


ROOT = Path(__file__).parents[2]


def test_the_example_is_rated_at_its_own_lines(capsys):
    assert cli.main(["score", str(ROOT / "examples/digits")]) == 0
    output = capsys.readouterr().out
    assert output.startswith("ML Test Score: ")
    assert "tests/test_overfit.py:" in output
    assert "What would raise it:" in output


def test_the_same_as_json(capsys):
    assert cli.main(["score", str(ROOT / "examples/digits"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["score"] == min(document["sections"].values())
    assert len(document["criteria"]) == 28


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('data-9 = "README.md"', "data-9: there is no such criterion"),
        ('data-5 = "privacy.md"', "data-5: there is no file 'privacy.md'"),
    ],
)
def test_a_wrong_declaration_is_one_sentence(tmp_path, capsys, line, sentence):
    (tmp_path / "torchproof.toml").write_text(f"[score]\n{line}\n")
    assert cli.main(["score", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_document_counts(tmp_path, capsys):
    (tmp_path / "torchproof.toml").write_text('[score]\ndata-5 = "privacy.md"\n')
    (tmp_path / "privacy.md").write_text("How we protect privacy.\n")
    assert cli.main(["score", str(tmp_path)]) == 0
    assert "data: 0.5 of 7" in capsys.readouterr().out
