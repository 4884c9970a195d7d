"""Whether something that a module carries from step to step is a moving average."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

import torch


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

    Owner = Callable[[Trial], Any]

_SHARES = (0.0, 0.5, 1.0)
# Some operations with one rounding each stand between two of the values that are compared.
_ROUNDINGS = 16


def is_moving_average(bench: Bench, owner: Owner, name: str) -> bool:
    """Tell whether a step keeps a constant share, below 1, of an attribute's old value.

    Decided by giving the attribute three values before the last call of the step: the first it had,
    the one it has and their mean. A moving average is linear in it with one slope between 0 and 1;
    a hidden state is not linear, a count has slope 1, a queue slope 0.

    Args:
        bench: Where the trainee comes from.
        owner: Finds the object that has the attribute.
        name: The attribute's name.
    """
    pairs = [_carried(bench, owner, name, share) for share in _SHARES]
    if any(pair is None for pair in pairs):
        return False
    (first, then), (middle, mean), (last, end) = (pair for pair in pairs if pair is not None)
    span = last - first
    if not span.any():
        return False
    farthest = int(span.abs().argmax())
    slope = ((end - then)[farthest] / span[farthest]).item()
    largest = torch.stack([first, last, then, end]).abs().amax()
    rounding = _ROUNDINGS * _eps(bench, owner, name) * largest
    alike = [(mean - then) - slope * (middle - first), (end - then) - slope * span]
    certain = 0 < slope < 1 - float(rounding / span[farthest].abs())
    return certain and all(bool((each.abs() <= rounding).all()) for each in alike)


def _carried(
    bench: Bench, owner: Owner, name: str, share: float
) -> Optional[tuple[torch.Tensor, torch.Tensor]]:
    """Return the value that the attribute is given before the last call, and that after it."""
    with bench.trial() as trial:
        first = _value(owner(trial), name)
        for _ in bench.reference.losses[1:]:
            trial.step()
        now = _value(owner(trial), name)
        if first is None or now is None or first.shape != now.shape:
            return None
        _give(owner(trial), name, torch.lerp(first, now, share))
        given = _value(owner(trial), name)
        trial.step()
        after = _value(owner(trial), name)
    if given is None or after is None or after.shape != given.shape:
        return None
    return given.flatten(), after.flatten()


def _value(owner: Any, name: str) -> Optional[torch.Tensor]:
    """Copy the attribute's value in float64; None if it is no number with a fraction."""
    value = getattr(owner, name, None)
    if isinstance(value, float):
        return torch.tensor(value, dtype=torch.float64)
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.detach().double().clone()
    return None


def _give(owner: Any, name: str, value: torch.Tensor) -> None:
    old = getattr(owner, name)
    setattr(owner, name, value.to(old) if isinstance(old, torch.Tensor) else float(value))


def _eps(bench: Bench, owner: Owner, name: str) -> float:
    with bench.trial() as trial:
        value = getattr(owner(trial), name)
    dtype = value.dtype if isinstance(value, torch.Tensor) else torch.float32
    return torch.finfo(dtype).eps
