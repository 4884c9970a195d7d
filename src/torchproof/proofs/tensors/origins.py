"""Where values without a gradient come from, be they tensors or numbers of python's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    import torch


@dataclass(eq=False)
class Origin:
    """Where a value without a gradient comes from.

    ``sources`` have a gradient, ``others`` is true if something came in that has neither gradient
    nor origin; ``nodes`` are those of operations with a gradient that it, or what is made of it,
    went into.
    """

    sources: list[torch.Tensor]
    before: list[Origin]
    others: bool
    nodes: list[Any] = field(default_factory=list)

    def line(self) -> list[Origin]:
        """Return this origin and all before it."""
        found = [self]
        for each in found:  # which grows
            found += [one for one in each.before if one not in found]
        return found


class Number(float):
    """A number of python's that knows the tensors it was made of."""

    origin: Origin

    @classmethod
    def of(cls, value: float, origin: Origin) -> Number:
        """Make a number with an origin."""
        made = cls(value)
        made.origin = origin
        return made


def _arithmetic(name: str) -> Any:
    plain = getattr(float, name)

    def compute(self: Number, *others: Any) -> Any:
        result = plain(self, *others)
        if not isinstance(result, float):
            return result
        before = [each.origin for each in (self, *others) if isinstance(each, Number)]
        return Number.of(result, Origin([], before, others=False))

    return compute


for _name in ("add", "sub", "mul", "truediv", "pow"):
    setattr(Number, f"__{_name}__", _arithmetic(f"__{_name}__"))
    setattr(Number, f"__r{_name}__", _arithmetic(f"__r{_name}__"))
Number.__neg__ = _arithmetic("__neg__")  # type: ignore[method-assign] # as the others are
