"""Logarithms of shares that are written out: ``x - logsumexp(x)``, a value's share of a sum.

Of the hazards of all that are still at risk it is the partial likelihood of Cox (1972); over what
is left of a ranking, that of Plackett and Luce.
"""

from __future__ import annotations

from typing import Any

import torch

from torchproof.proofs.tensors.graph import LAYOUTS, VIEWS, ends, makers, operation, parents


# They choose and place values and make none but what stands for nothing.
_PLACED = (
    *(*LAYOUTS, "Index", "Select", "Slice", "Expand", "Flip", "Gather", "MaskedFill", "Where"),
    "Diagonal",
)
_WHOLE, _RUNNING = "Logsumexp", "Logcumsumexp"
# What is written out: the logarithm of a sum of exponentials, with a small number in it or not.
_SUMS = ("Cumsum", "Add")
# Of an exponential, a sum and a logarithm, each off by one unit in the last place or two.
_ROUNDINGS = 6


def is_log_share(values: torch.Tensor, total: torch.Tensor, *, running: bool) -> bool:
    """Tell whether a total is the logarithm of sums of exponentials, and values are of its terms.

    Decided on the graph, as both have to be made of the same numbers, and on the values, none of
    which is above its total.

    Args:
        values: What the total is taken from.
        total: The logarithm of a sum.
        running: The sum grows from place to place, as it does over those at risk.
    """
    names = (_RUNNING,) if running else (_WHOLE,)
    nodes = makers(total, names, _PLACED) if total.is_floating_point() else []
    terms = [each for node in nodes for each in parents(node)]
    if running and not nodes and total.is_floating_point():
        terms = _exponents(total)
    own = set(ends(terms, _PLACED))
    return bool(own) and own == {*ends([values.grad_fn], _PLACED)} and _is_below(values, total)


def of_pairs(values: torch.Tensor) -> bool:
    """Tell whether values are a diagonal: of the matrix between two rows of pairs, the pairs."""
    return bool(makers(values, ("Diagonal",), VIEWS))


def _is_below(values: torch.Tensor, total: torch.Tensor) -> bool:
    """Tell whether no value is above its total, but for the rounding of both."""
    values, total = values.detach(), total.detach()
    rounding = torch.finfo(total.dtype).eps * (1 + total.abs()) * _ROUNDINGS
    return bool((values <= total + rounding).all())


def _exponents(total: torch.Tensor) -> list[Any]:
    """Return what exponentials are taken of, for the logarithm of their running sum."""
    sums = [each for node in makers(total, ("Log",), _PLACED) for each in parents(node)]
    runs = False
    while sums and all(operation(each) in _SUMS for each in sums):
        runs |= any(operation(each) == "Cumsum" for each in sums)
        sums = [one for each in sums for one in parents(each) if one is not None]
    found = [each for node in sums if operation(node) == "Exp" for each in parents(node)]
    return found if runs else []
