"""Axes followed backward through the autograd graph."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from torchproof.proofs.tensors.axes import Axes, axes_behind
from torchproof.proofs.tensors.graph import parents


SIZES = (2, 3, 5)


def moved(tensor, moves):
    """Apply moves of axes, each by a number that chooses among them."""
    for move in moves:
        ways = [
            lambda each: each.transpose(0, -1),
            lambda each: each.permute(-1, *range(each.dim() - 1)),
            lambda each: each.unsqueeze(1),
            lambda each: each * 2,
            lambda each: each.contiguous().view(*each.shape[:1], 1, *each.shape[1:]),
            lambda each: each.contiguous().view(-1, each.shape[-1]),
        ]
        tensor = ways[move](tensor)
    return tensor


def followed(tensor):
    """Return the axes of the leaf behind a tensor, with the numbers that they have in it."""
    node, axes = tensor.grad_fn, Axes(tuple(tensor.shape), tuple(range(tensor.dim())))
    while not hasattr(node, "variable"):
        axes = axes_behind(node, axes)
        node = next(each for each in parents(node) if each is not None)
    return axes


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_a_followed_axis_keeps_its_size_and_what_stands_on_it(moves):
    leaf = torch.arange(30.0).reshape(SIZES).requires_grad_()
    result = moved(leaf, moves)
    axes = followed(result)
    assert axes.shape == SIZES
    for axis, label in enumerate(axes.labels):
        if label is not None:
            first = leaf.select(axis, 0).flatten().sort().values
            assert torch.equal(
                result.select(label, 0).flatten().sort().values / factor(result), first
            )


def factor(result):
    """Return what the result was multiplied by."""
    return result.max() / 29


def test_an_axis_that_is_merged_has_no_number_later():
    leaf = torch.zeros(SIZES, requires_grad=True)
    assert followed(leaf.view(6, 5)).labels == (None, None, 1)
