"""Tiers are marker expressions: they join the user's, and every marker they name is declared."""

from __future__ import annotations

import pytest

from torchproof.errors import UsageError
from torchproof.settings import DEFAULT_TIERS, Tier
from torchproof.testing import tiers


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("", "", ""),
        ("a", "", "a"),
        ("", "b or c", "b or c"),
        ("a or d", "b or c", "(a or d) and (b or c)"),
    ],
)
def test_two_expressions_are_joined_so_that_a_test_satisfies_both(first, second, joined):
    assert tiers.both(first, second) == joined


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("", []),
        ("not gpu and not (slow or gpu)", ["gpu", "slow"]),
        ('device(serial="gpu") and not True', ["device"]),
    ],
)
def test_markers_of_an_expression_are_its_names(expression, names):
    assert tiers.markers(expression) == names


def test_markers_that_the_user_declared_are_left_to_the_user():
    lines = tiers.registrations(DEFAULT_TIERS, ["gpu: mine", "slow(seconds): mine", "nightly"])
    assert [line.split(":")[0] for line in lines] == ["overfit", "integration"]


def test_a_tier_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match="there is no tier 'unti'") as caught:
        tiers.find("unti", DEFAULT_TIERS)
    assert caught.value.remedy == "Known tiers: integration, nightly, overfit, unit."


def test_a_tier_that_selects_nothing_says_which_expression_found_nothing():
    tier = Tier("gpu", "gpu")
    assert tiers.nothing_selected(tier, "gpu", 5) == "tier gpu: -m 'gpu' selects no test"
    assert tiers.nothing_selected(tier, "gpu", 0) is None
    assert tiers.nothing_selected(None, "", 5) is None
