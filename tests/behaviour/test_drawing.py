"""Inputs as a reader sees them in a failure or a comment."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchproof.behaviour.drawing import MAX_COLUMNS, MAX_ROWS, draw


CROSS = torch.eye(8) + torch.eye(8).flip(1)
DRAWN = """\
██            ██
  ██        ██
    ██    ██
      ████
      ████
    ██    ██
  ██        ██
██            ██"""


@pytest.mark.parametrize(
    "image", [CROSS, CROSS[None], CROSS.expand(3, 8, 8), CROSS[..., None].numpy()]
)
def test_a_small_image_is_drawn_two_characters_a_pixel(image):
    assert draw(image) == DRAWN


@given(st.integers(4, 90), st.integers(4, 90))
def test_no_image_is_larger_than_its_place(height, width):
    lines = draw(np.arange(height * width, dtype=np.float32).reshape(height, width)).split("\n")
    assert len(lines) <= MAX_ROWS
    assert max(map(len, lines)) <= MAX_COLUMNS


def test_pixels_that_are_not_finite_stand_out():
    image = torch.zeros(4, 4)
    image[1, 2] = float("nan")
    assert draw(image).split("\n")[1] == "    ??"


def test_what_is_no_image_is_text():
    assert draw("not bad") == "not bad"
    assert draw(torch.tensor([1.0, 2.5])) == "[1, 2.5]"
    assert draw({"rooms": 2}) == "{'rooms': 2}"
    assert draw(torch.zeros(2, 3, 4, 5)).startswith("float32 2×3×4×5: [0, 0,")
    assert len(draw("a" * 5000)) == 600
    assert draw(torch.zeros(4, 4, dtype=torch.bool)).strip() == ""
