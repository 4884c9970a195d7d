"""Float64 shadows of what half precision rounds: angles that no weight and no data had a part in.

A tensor is *known* if it was computed, by the operations below, from integers, from constants of at
most one dimension (more are taken for data) and from what torch's factories made. The value that
the code gives it is its true value until an operation rounds it to bfloat16 or float16; from there
on the same operations are repeated in float64, and the result is the true value. Weights, random
numbers and the batch's numbers are not known, nor is what is computed from them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.process.places import user_line
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.dispatched import Watcher, written
from torchproof.proofs.step.shadow_memory import Shadow, ShadowMemory
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.trees import map_tensors, named_tensors, tensors


if TYPE_CHECKING:
    from collections.abc import Iterable

    from torchproof.proofs.bench import Bench

_HALF = (torch.bfloat16, torch.float16)
_WIDE: dict[Any, torch.dtype] = {
    **dict.fromkeys((*_HALF, torch.float32), torch.float64),
    torch.complex64: torch.complex128,
}
# Functions of angles, and which argument the angle is; of exp it is the imaginary part.
_ANGLES = {"sin": 0, "cos": 0, "polar": 1, "exp": 0}
_MADE = {
    *("arange", "linspace", "logspace", "eye", "full", "ones", "zeros", "scalar_tensor"),
    *("full_like", "ones_like", "zeros_like", "new_full", "new_ones", "new_zeros"),
}
# All are continuous: a rounding makes an error of them and never another decision.
_REPEATED = {
    *("add", "sub", "rsub", "mul", "div", "neg", "abs", "reciprocal", "pow", "sqrt", "rsqrt"),
    *("exp", "exp2", "log", "log2", "log10", "clamp", "maximum", "minimum", "where"),
    *("mm", "bmm", "mv", "dot", "sum", "mean", "cumsum"),
    *("_to_copy", "copy", "clone", "alias", "detach", "view", "_unsafe_view", "expand", "repeat"),
    *("squeeze", "unsqueeze", "t", "transpose", "permute", "flip", "roll", "tril", "triu"),
    *("cat", "stack", "split", "split_with_sizes", "unbind"),
    *("select", "slice", "index", "index_select", "gather"),
}


class Turn(NamedTuple):
    """One call of a function of angles that half precision had rounded.

    ``angles`` is what it was given, ``true`` what it would have been given without rounding, both
    in float64; ``dtype`` is the coarsest type that they went through, ``rounded`` the line of the
    first rounding, ``location`` that of the call.
    """

    function: str
    angles: torch.Tensor
    true: torch.Tensor
    dtype: torch.dtype
    rounded: Optional[str]
    location: Optional[str]


def rounded_turns(bench: Bench) -> list[Turn]:
    """Build a trainee, train one step and predict; return the angles that had been rounded."""
    shadows = _Shadows()
    with shadows, bench.trial() as trial:
        learning = [each for each in parameters(trial.trainee).values() if each.requires_grad]
        shadows.memory.forget([*learning, *named_tensors(trial.trainee.batch).values()])
        trial.step()
        with suppress(Skip):
            trial.predict()
    return shadows.turns


class _Operation(NamedTuple):
    """One operation as the mode meets it, its name without the mark of those in place."""

    name: str
    function: Any
    args: Any
    kwargs: dict[str, Any]
    written: list[torch.Tensor]

    @property
    def read(self) -> list[torch.Tensor]:
        """The arguments that its result depends on and that can be rounded."""
        return _real(self.args[1:2] if self.name == "copy" else self.args)


class _Shadows(Watcher):  # type: ignore[no-untyped-call] # torch leaves it untyped
    """Carries the shadows along and notes the angles that have one."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[Turn] = []
        self.memory = ShadowMemory()

    def meet(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Carry the shadows through one operation."""
        name = function.overloadpacket.__name__.rstrip("_")
        operation = _Operation(name, function, args, kwargs, written(function, args, kwargs))
        if name in _ANGLES:
            self._turn(name, args[_ANGLES[name]])
        shadows = self._shadows(operation)
        self.memory.forget(operation.written)
        result = function(*args, **kwargs)
        if shadows is not None:
            self._learn(operation, shadows, _real([result]))
        return result

    def _shadows(self, operation: _Operation) -> Optional[list[Shadow]]:
        """Return the shadows of what is read; None if what comes out is not known."""
        if operation.name == "lift_fresh":
            return [] if operation.args[0].dim() <= 1 else None
        if operation.name in _MADE:
            return []
        if operation.name not in _REPEATED or operation.kwargs.get("rounding_mode"):
            return None
        found = [self.memory.find(each) for each in operation.read]
        known = [each for each in found if each is not None]
        return [each.shadow for each in known if each.shadow] if len(known) == len(found) else None

    def _learn(
        self, operation: _Operation, shadows: list[Shadow], values: list[torch.Tensor]
    ) -> None:
        types = [each.dtype for each in values if each.dtype in _HALF]
        types += [each.dtype for each in shadows]
        if not types:
            for each in values:
                self.memory.keep(each, None)
        elif operation.name == "copy" or not operation.written:
            dtype = max(types, key=lambda each: torch.finfo(each).eps)
            location = shadows[0].location if shadows else user_line()
            for value, true in zip(values, tensors([self._repeated(operation)])):
                exact = torch.equal(value.to(true.dtype), true)
                self.memory.keep(value, None if exact else Shadow(true, dtype, location))

    def _repeated(self, operation: _Operation) -> Any:
        """Return what an operation gives without rounding to less than float64."""
        if operation.name == "copy":
            target, source = operation.args[:2]
            return self._true(source).to(_wide(target.dtype)).expand_as(target).clone()
        kwargs = {name: _wide(each) for name, each in operation.kwargs.items()}
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            return operation.function(*map_tensors(operation.args, self._true), **kwargs)
        finally:
            torch.set_default_dtype(default)

    def _true(self, tensor: torch.Tensor) -> torch.Tensor:
        known = self.memory.find(tensor)
        if known is not None and known.shadow is not None:
            return known.shadow.true
        return tensor.to(_wide(tensor.dtype))

    def _turn(self, name: str, given: torch.Tensor) -> None:
        known = self.memory.find(given)
        if known is None or known.shadow is None or (name == "exp" and not given.is_complex()):
            return
        true, dtype, rounded = known.shadow
        angles = given.to(true.dtype, copy=True)
        if given.is_complex():
            angles, true = angles.imag, true.imag
        self.turns.append(Turn(name, angles, true, dtype, rounded, user_line()))


def _wide(value: Any) -> Any:
    """Return the wide type in place of a narrow one, and everything else as it is."""
    return _WIDE.get(value, value) if isinstance(value, torch.dtype) else value


def _real(values: Iterable[Any]) -> list[torch.Tensor]:
    """Return those tensors that can be rounded: integers are what they are."""
    return [each for each in tensors(values) if each.is_floating_point() or each.is_complex()]
