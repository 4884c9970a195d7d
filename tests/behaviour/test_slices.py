"""Subgroups by mask and by label."""

from __future__ import annotations

import pytest
import torch

from torchproof.behaviour.slices import members
from torchproof.errors import UsageError


def test_a_mask_makes_one_slice_and_labels_make_one_each():
    found = members({"short": torch.tensor([True, False, True]), "language": ["en", "de", "en"]}, 3)
    assert found == {"short": [0, 2], "language=en": [0, 2], "language=de": [1]}


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        ({"short": [True]}, "has 1 entries for 3 inputs"),
        ({"short": [False, False, False]}, "holds no input"),
        ({"short": "abc"}, "is str"),
    ],
)
def test_a_slice_that_cannot_be_used_is_refused(slices, said):
    with pytest.raises(UsageError, match=said):
        members(slices, 3)


def test_too_many_slices_are_refused():
    with pytest.raises(UsageError, match="there are 60 slices"):
        members({"id": list(range(60))}, 60)
