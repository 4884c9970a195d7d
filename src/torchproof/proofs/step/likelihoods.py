"""The calls of ``log_prob`` in a block, which torch has no hook for."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable

from torch.distributions import Distribution

from torchproof.proofs.process.overrides import overriding


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    Hear = Callable[[Distribution, Any, torch.Tensor], None]


@contextmanager
def likelihoods(hear: Hear) -> Iterator[None]:
    """Call ``hear(distribution, value, result)`` after each ``log_prob``; of nested ones the last.

    A mixture or a transformed distribution asks others for theirs, with other signs.
    """
    running: list[Any] = []
    kinds = overriding("log_prob", Distribution)
    originals = [vars(kind)["log_prob"] for kind in kinds]
    for kind, original in zip(kinds, originals):
        setattr(kind, "log_prob", _heard(original, hear, running))  # noqa: B010 - mypy lets no method be replaced
    try:
        yield
    finally:
        for kind, original in zip(kinds, originals):
            setattr(kind, "log_prob", original)  # noqa: B010 - mypy lets no method be replaced


def has_gradient(distribution: Distribution) -> bool:
    """Tell whether a distribution's parameters require a gradient."""
    held = vars(distribution).values()
    inner = [each for each in held if isinstance(each, Distribution)]
    return any(getattr(each, "requires_grad", False) for each in held) or any(
        has_gradient(each) for each in inner
    )


def _heard(original: Any, hear: Hear, running: list[Any]) -> Any:
    @functools.wraps(original)
    def log_prob(distribution: Distribution, value: Any) -> Any:
        running.append(distribution)
        try:
            result = original(distribution, value)
        finally:
            running.pop()
        if not running:
            hear(distribution, value, result)
        return result

    return log_prob
