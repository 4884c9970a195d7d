"""A computation is its code and what its functions hold, whoever checks their types."""

from __future__ import annotations

import beartype
import jaxtyping
import pytest

from torchproof.behaviour.code import computation


def grow(rate: float = 0.1) -> float:
    return 1 + rate


def made_with(rate):
    def grow() -> float:
        return 1 + rate

    return grow


@pytest.mark.parametrize(
    "checked", [jaxtyping.jaxtyped(typechecker=beartype.beartype), beartype.beartype]
)
def test_checking_named_dimensions_changes_no_computation(checked):
    assert computation([checked(grow)], {}) == computation([grow], {})


def test_what_a_function_holds_is_part_of_it():
    one, same, other = (computation([made_with(rate)], {}) for rate in (1, 1, 2))
    assert one == same != other
