"""Labels that a step compares with themselves, where it means those of two rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.labels.aliases import storage
from torchproof.proofs.process.places import user_line


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench

_COMPARISONS = ("eq", "ne", "__eq__", "__ne__")


def self_compared(bench: Bench) -> Optional[str]:
    """Return the line that asks whether whole numbers of the batch equal the very same numbers.

    Of numbers with a fraction this may ask for NaN.
    """
    with bench.trial() as trial, _Comparisons() as seen:
        trial.step()
        memory = {storage(each) for each in trial.given.values()}
    return next((line for tensor, line in seen.found if storage(tensor) in memory), None)


class _Comparisons(TorchFunctionMode):
    """Notes comparisons of a tensor with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[torch.Tensor, str]] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(function, "__name__", "") in _COMPARISONS and len(args) == len(("one", "other")):
            one, other = args
            whole = isinstance(one, torch.Tensor) and not one.is_floating_point()
            line = user_line() if whole and one.numel() > 1 and _is_same(one, other) else None
            if line:
                self.found.append((one, line))
        return function(*args, **(kwargs or {}))


def _is_same(one: torch.Tensor, other: Any) -> bool:
    return isinstance(other, torch.Tensor) and _part(one) == _part(other)


def _part(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride()
