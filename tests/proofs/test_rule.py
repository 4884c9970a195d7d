"""The registry: one file a rule, and every rule says what it stands on."""

from pathlib import Path

import pytest

import torchproof
from torchproof.proofs import rules as package
from torchproof.proofs.bench import Bench


def test_every_file_is_a_rule_of_its_own_name():
    files = {path.stem.replace("_", "-") for path in Path(package.__file__).parent.glob("[!_]*.py")}
    assert {rule.id for rule in torchproof.rules()} == files


@pytest.mark.parametrize("rule", torchproof.rules(), ids=lambda rule: rule.id)
def test_every_rule_says_what_it_stands_on(rule):
    assert rule.summary
    assert rule.source
    assert rule.severity in ("error", "warning", "info")
    assert all(hasattr(Bench, f"_why_no_{need}") for need in rule.needs)
    for word in ("Decided", "Assumes", "Skipped"):
        assert word in rule.explanation
