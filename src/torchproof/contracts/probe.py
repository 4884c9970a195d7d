"""The probe: what a model answers when its weights are filled from their names.

Float64, eval mode, on a copy. Weights and inputs are scaled, because a ReLU that stops at 6 differs
from one that does not only above 6, and a soft ReLU only near 0; inputs come in two sizes, because
a branch on the length is not taken by short inputs. Every case is repeated with weights moved by
one part in 10**12: where that moves the answer far (chaos, a threshold), the case decides nothing
and is left out. So is a scaled case in which scores pass what masks are written with instead of
infinity, -1e9: no trained model reaches them. What the probe cannot reach it cannot see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.contracts import inputs as examples
from torchproof.contracts.answers import summary
from torchproof.contracts.compare import RAISES, difference
from torchproof.contracts.copies import copied
from torchproof.contracts.fill import fill, nudge
from torchproof.contracts.inputs import Size
from torchproof.contracts.model import Case, Input, Operations, Probe
from torchproof.contracts.training import constants, facts, rehearse
from torchproof.contracts.watch import Watch
from torchproof.errors import UsageError
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torchproof.proofs.step.inference import Arguments

AS_GIVEN = Size()
SCALES = (1, 30, 1000)
MASKED = 1e9


class Precision(NamedTuple):
    """A precision to compute in.

    Attributes:
        name: As torch has it.
        tolerance: What differs by less is rounding.
        nudge: How far weights are moved to see whether a case decides.
        amplified: How many times as far its answer may move.
    """

    name: str
    tolerance: float
    nudge: float
    amplified: float


HIGH = Precision("float64", 1e-6, 2.0**-40, 1e5)
LOW = Precision("float32", 1e-5, 2.0**-21, 20.0)


class Subject(NamedTuple):
    """A model that may be changed, what it is called with, and how many ids an input may hold."""

    model: torch.nn.Module
    call: Arguments
    rows: Mapping[str, int]


def probe(subject: Subject) -> tuple[Probe, Operations, Operations]:
    """Probe a model; return the answers, the operations, and what only training does.

    Raises:
        UsageError: The model fails on the example, or answers at random.
    """
    error: Optional[Exception] = None
    for precision in (HIGH, LOW):
        for rows in (subject.rows, {}) if subject.rows else ({},):
            described = examples.describe(subject.call, rows)
            try:
                bench = _Bench(subject, described, precision)
                bench.run(AS_GIVEN, 1)
            except UsageError:
                raise
            except Exception as failure:  # noqa: BLE001 - a model may raise anything
                error = error or failure
                continue
            return bench.probe()
    what = f"the model fails in eval mode on the example ({type(error).__name__}: {error})"
    raise UsageError(f"{what:.600}", "Give an example that the model takes.")


class _Bench:
    """A copy of the model in one precision, with the weights that the last fill gave it."""

    def __init__(self, subject: Subject, described: Sequence[Input], precision: Precision) -> None:
        self._high = precision is HIGH
        self._model = copied(subject.model).eval()
        if self._high:
            _widen(self._model)
        self._call = subject.call
        self._inputs = tuple(described)
        self._refused: list[str] = []
        self._precision = precision
        calls = [self._made(size, 1) for size in (AS_GIVEN, Size(1))]
        self._rehearsal = rehearse(self._model, calls)
        self._buffers = {name: one.clone() for name, one in self._model.named_buffers()}
        self._constants = constants(self._model, self._rehearsal.learned)
        self._watch = Watch(promote=self._high)
        self._scale = 1
        self.fill(1)

    def fill(self, scale: int) -> None:
        """Fill the weights from their names, each tensor once, and put the buffers back."""
        self._scale = scale
        seen: set[int] = set()
        with torch.no_grad():
            for name, one in sorted(self._model.named_parameters(remove_duplicate=False)):
                if id(one) not in seen:
                    fill(name, one, scale)
                seen.add(id(one))
        self._restore()

    def run(self, size: Size, scale: int, seed: int = 0) -> dict[str, torch.Tensor]:
        """Return the model's answers by name."""
        self._restore()
        call = self._made(size, scale)
        self._watch = Watch(promote=self._high)
        leave = self._watch.follow(self._model)
        try:
            with fix_seed(seed), torch.no_grad(), self._watch:
                output = self._model(*call.args, **call.kwargs)
        finally:
            leave()
        return _plain(named_tensors(output))

    def probe(self) -> tuple[Probe, Operations, Operations]:
        """Run every case; return the answers, the operations, and what only training does."""
        operations = self._watch.operations()
        self._refuse_randomness()
        sizes = [AS_GIVEN, *self._second_size()]
        scaled = any(one.values in examples.SCALED for one in self._inputs)
        cases = self._cases(1, SCALES if scaled else (1,), sizes)
        for weights in SCALES[1:]:
            cases += self._cases(weights, (1,), sizes)
        found = Probe(
            precision=self._precision.name,
            tolerance=self._precision.tolerance,
            inputs=self._inputs,
            refused=tuple(self._refused),
            cases=tuple(cases),
            constants=self._constants,
        )
        return found, operations, facts(self._model, self._rehearsal, operations)

    def _made(self, size: Size, scale: int) -> Arguments:
        return examples.make(self._call, self._inputs, scale=scale, size=size, high=self._high)

    def _cases(self, weights: int, scales: Sequence[int], sizes: Sequence[Size]) -> list[Case]:
        self.fill(weights)
        wanted = [(size, scale) for size in sizes for scale in scales]
        first = [self._try(size, scale) for size, scale in wanted]
        self._nudge()
        second = [self._try(size, scale) for size, scale in wanted]
        return [
            self._case(weights, size, scale, one, other)
            for (size, scale), one, other in zip(wanted, first, second)
        ]

    def _case(self, weights: int, size: Size, scale: int, one: Any, other: Any) -> Case:
        if isinstance(one, str) or isinstance(other, str):
            return Case(
                scale, weights, str(size), None, str(one if isinstance(one, str) else other)
            )
        moved = difference(one, other)
        if not moved <= self._precision.nudge * self._precision.amplified:
            return Case(
                scale, weights, str(size), None, "a tiny change of the weights moves it far"
            )
        return Case(scale, weights, str(size), one)

    def _try(self, size: Size, scale: int) -> Any:
        try:
            found = {name: summary(value) for name, value in self.run(size, scale).items()}
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            return f"{RAISES} {type(error).__name__}"
        if max(scale, self._scale) > 1 and self._watch.scores > MASKED:
            return f"its scores pass the {MASKED:g} that masks are written with"
        return found

    def _second_size(self) -> list[Size]:
        for size in examples.sizes(self._inputs):
            if not isinstance(self._try(size, 1), str):
                return [size]
            self._refused.append(str(size))
        return []

    def _nudge(self) -> None:
        with torch.no_grad():
            for one in dict.fromkeys(self._model.parameters()):
                nudge(one, self._precision.nudge)

    def _restore(self) -> None:
        with torch.no_grad():
            for name, one in self._model.named_buffers():
                known = self._buffers.get(name)
                if name in self._rehearsal.learned:
                    _fill_state(name, one)
                elif known is not None and known.shape == one.shape:
                    one.copy_(known)

    def _refuse_randomness(self) -> None:
        first, drawn = self.run(AS_GIVEN, 1), list(self._watch.random)
        second = self.run(AS_GIVEN, 1, seed=1)
        answers = [{name: summary(value) for name, value in one.items()} for one in (first, second)]
        if difference(*answers) <= self._precision.tolerance:
            return
        if drawn:
            operation, path = drawn[0]
            where = path or "the model itself"
            what = f"the model draws random numbers in eval mode: {operation} in {where}"
            raise UsageError(what, "Lock the part that does not, or let eval mode take the mean.")
        what = "the model answers the same input differently from call to call in eval mode"
        raise UsageError(what, "Reset what it keeps between calls, or lock the part that has none.")


def _fill_state(name: str, one: torch.Tensor) -> None:
    if one.is_floating_point() or one.is_complex():
        fill(name, one)
    else:
        one.zero_()


def _widen(model: torch.nn.Module) -> None:
    """Convert weights, buffers and tensors that are plain attributes to 64 bits a number."""

    def wide(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_complex():
            return tensor.detach().to(torch.complex128)
        return tensor.detach().to(torch.float64) if tensor.is_floating_point() else tensor

    untyped: Any = model
    untyped._apply(wide)  # noqa: SLF001 - what .double() calls, which leaves complex weights alone
    for part in model.modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, torch.Tensor):
                setattr(part, name, wide(value))


def _plain(outputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not outputs:
        what = "the model's output holds no tensor"
        raise UsageError(what, "Let it return tensors in a tuple, a dict or a dataclass.")
    for name, value in outputs.items():
        if value.is_nested or value.is_quantized:
            kind = "nested" if value.is_nested else "quantized"
            what = f"the model's output {name or 'tensor'} is {kind}"
            raise UsageError(what, "Wrap the model in a module that returns plain tensors.")
    return dict(outputs)
