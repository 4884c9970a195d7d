"""Axes followed through the autograd graph: where an axis of a tensor lay before it was moved."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from torchproof.proofs.tensors.graph import VIEWS, operation


class Axes(NamedTuple):
    """The shape of a tensor, and of each of its axes the number it has later; None: it has none."""

    shape: tuple[int, ...]
    labels: tuple[Optional[int], ...]


def axes_behind(node: Any, axes: Axes) -> Optional[Axes]:
    """Return the axes of what a node was given, from those of what it returned.

    Through a view, the axes before the first and behind the last size that it changed. None where
    torch does not say how the node moved them.
    """
    name = operation(node)
    shape, labels = list(axes.shape), list(axes.labels)
    if name in (*VIEWS, "Expand") and hasattr(node, "_saved_self_sym_sizes"):
        return _through_a_view(axes, tuple(node._saved_self_sym_sizes))  # noqa: SLF001 - torch has no public name for it
    if name == "Unsqueeze":
        at = signed(node._saved_dim) % len(shape)  # noqa: SLF001 - as above
        order = [each for each in range(len(shape)) if each != at]
    elif name == "Transpose":
        order = list(range(len(shape)))
        one, other = (signed(each) for each in (node._saved_dim0, node._saved_dim1))  # noqa: SLF001 - as above
        order[one], order[other] = order[other], order[one]
    elif name == "T":
        order = list(range(len(shape)))[::-1]
    elif name == "Permute":
        moved = [signed(each) % len(shape) for each in node._saved_dims]  # noqa: SLF001 - as above
        order = [moved.index(each) for each in range(len(shape))]
    elif name in (*VIEWS, "Expand"):
        return None
    else:
        return axes
    return Axes(tuple(shape[each] for each in order), tuple(labels[each] for each in order))


def signed(axis: int) -> int:
    """Return an axis as it was given: a negative one comes out of C++ as a large number."""
    return axis - 2**64 if axis >= 2**63 else axis


def _through_a_view(axes: Axes, shape: tuple[int, ...]) -> Axes:
    labels: list[Optional[int]] = [None] * len(shape)
    shared = min(len(shape), len(axes.shape))
    for places in (range(shared), range(-1, -1 - shared, -1)):
        for at in places:
            if shape[at] != axes.shape[at]:
                break
            labels[at] = axes.labels[at]
    return Axes(shape, tuple(labels))
