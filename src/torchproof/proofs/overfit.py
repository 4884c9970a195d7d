"""Single-batch overfit: whatever can learn must be able to learn one batch by heart.

Models differ by orders of magnitude in how far and how fast their loss falls, so there is no
universal threshold here. What fails is exact: a loss that is not finite, parameters that do not
move, a loss that only rises, ``loss_below`` not reached, and a batch that was learned and is still
predicted wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Optional

import torch

from torchproof.errors import UsageError
from torchproof.proofs.bench import Bench
from torchproof.proofs.process.isolation import untouched
from torchproof.proofs.progress import progress
from torchproof.proofs.prove import prove
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.tensors.bits import different, same
from torchproof.proofs.tensors.trees import main_output, named_tensors


if TYPE_CHECKING:
    from torchproof.proofs.finding import Finding
    from torchproof.proofs.step.trial import Trial
    from torchproof.proofs.trainee import Trainee

# "Learned" and "wrong" lie far apart, so that nothing between the two is judged.
_LEARNED = 0.2
_WRONG = 0.5
_MOST_OF_THE_FALL = 0.9
_IGNORED_LABEL = -100


@dataclass(frozen=True)
class Overfit:
    """How the training on one batch went.

    ``steps`` is how many steps it took: to ``loss_below``, or else to nine tenths of the loss's
    whole fall; if it did not converge, how many were run. ``reason`` says why it did not, with the
    cause if a rule found one; ``findings`` are the rules' findings then.
    """

    converged: bool
    steps: int
    curve: list[float]
    reason: str = ""
    findings: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        word = "learned" if self.converged else "not learned"
        why = self.reason or f"the loss went from {self.curve[0]:.4g} to {self.curve[-1]:.4g}"
        return "\n".join([f"{word} in {self.steps} steps: {why}", *map(str, self.findings)])


def overfit(
    build: Callable[[], Trainee],
    steps: int = 300,
    loss_below: Optional[float] = None,
    seed: int = 0,
) -> Overfit:
    """Run the user's own step on one batch until it is learned.

    It converged if every loss is finite, a parameter moved, ``loss_below`` was reached, and a
    classifier that learned its batch predicts it. Without ``loss_below`` the loss must have been
    below its first value at some step, except with several optimizers (a GAN's loss need not fall).

    Args:
        build: Makes a fresh `Trainee`.
        steps: The most steps to run.
        loss_below: Stop as soon as the loss is below this.
        seed: Fixed before ``build``.

    Raises:
        UsageError: ``steps`` or ``loss_below`` cannot be used.
        Exception: Whatever the user's functions raise, as it is.
    """
    __tracebackhide__ = True
    _check(steps, loss_below)
    bench = Bench(build, seed)
    stepped: dict[int, Any] = {}
    with untouched(), bench.trial() as trial:
        before = trial.state()
        with optimizer_hooks(after=lambda optimizer: stepped.setdefault(id(optimizer), optimizer)):
            _train(trial, steps, loss_below)
            wrong = _predicts_wrong(bench, trial)
            if wrong and loss_below is not None:
                _train(trial, steps, None)
                wrong = _predicts_wrong(bench, trial)
        moved = different(before, trial.state())
    curve = trial.losses
    reason = _not_finite(curve) or ("" if moved else f"nothing changed in {len(curve)} steps")
    reason = reason or _not_fallen(curve, loss_below, len(stepped)) or wrong
    if not reason:
        return Overfit(converged=True, steps=_steps(curve, loss_below), curve=curve)
    findings = prove(build, seed=seed).findings
    return Overfit(
        converged=False,
        steps=len(curve),
        curve=curve,
        reason=_with_cause(reason, findings),
        findings=findings,
    )


def _check(steps: int, loss_below: Optional[float]) -> None:
    if not isinstance(steps, int) or steps < 1:
        raise UsageError(f"steps is {steps!r:.40}", "Give the number of steps, at least 1.")
    if loss_below is not None and not math.isfinite(loss_below):
        raise UsageError(f"loss_below is {loss_below!r:.40}", "Give a finite number or None.")


def _train(trial: Trial, steps: int, loss_below: Optional[float]) -> None:
    __tracebackhide__ = True
    with progress(steps) as advance:
        while len(trial.losses) < steps:
            loss = trial.step()
            advance(len(trial.losses), loss)
            reached = loss_below is not None and loss < loss_below
            if reached or not math.isfinite(loss):
                return


def _not_finite(curve: list[float]) -> str:
    bad = next((index for index, loss in enumerate(curve) if not math.isfinite(loss)), None)
    return "" if bad is None else f"the loss is {curve[bad]} at step {bad + 1}"


def _not_fallen(curve: list[float], loss_below: Optional[float], optimizers: int) -> str:
    if loss_below is not None:
        low = min(curve)
        missed = f"the lowest loss in {len(curve)} steps is {low:.4g}, not below {loss_below:.4g}"
        return "" if low < loss_below else missed
    risen = len(curve) > 1 and min(curve[1:]) > curve[0] and optimizers <= 1
    return f"the loss was never below its first value, {curve[0]:.4g}" if risen else ""


def _steps(curve: list[float], loss_below: Optional[float]) -> int:
    if loss_below is None:
        loss_below = curve[0] - _MOST_OF_THE_FALL * (curve[0] - min(curve))
    return next((at + 1 for at, loss in enumerate(curve) if loss <= loss_below), len(curve))


def _predicts_wrong(bench: Bench, trial: Trial) -> str:
    """Say how a classifier predicts a batch it has learned; empty if right or not judged."""
    labels, curve = trial.trainee.labels, trial.losses
    learned = math.isfinite(curve[-1]) and curve[-1] < _LEARNED * curve[0]
    if not learned or not _are_classes(labels) or not _is_classifier(bench, labels):
        return ""
    if not _in_the_order_of_labels(trial):
        return ""
    try:
        output = main_output(trial.predict())
    except Skip:
        return ""
    classes = _classes(output, labels)
    if classes is None:
        return ""
    counted = labels != _IGNORED_LABEL
    right = int((classes == labels)[counted].sum())
    if right > _WRONG * int(counted.sum()):
        return ""
    return (
        f"the loss fell from {curve[0]:.4g} to {curve[-1]:.4g}, but predict gets only {right} of "
        f"{int(counted.sum())} labels right"
    )


def _in_the_order_of_labels(trial: Trial) -> bool:
    """Tell whether what is predicted for is the batch's own, as a step may shuffle its rows."""
    if trial.trainee.predict is not None:
        return True
    batch = named_tensors(trial.trainee.batch).values()
    try:
        inputs = named_tensors(trial.inputs).values()
    except Skip:
        return False
    return all(any(same(given, own) for own in batch) for given in inputs)


def _are_classes(labels: Any) -> bool:
    return isinstance(labels, torch.Tensor) and labels.dim() == 1 and labels.dtype == torch.int64


def _is_classifier(bench: Bench, labels: torch.Tensor) -> bool:
    """Tell whether the step feeds the model's own output and one label a row to cross-entropy."""
    if bench.reason_against("observation"):
        return False
    for operation in bench.observation.operations:
        if operation.name in ("cross_entropy", "nll_loss"):
            scores, classes = operation.operands[:2]
            per_row = scores.is_output and classes.shape == tuple(labels.shape)
            if per_row and len(scores.shape) == len(classes.shape) + 1:
                return True
    return False


def _classes(output: Optional[torch.Tensor], labels: torch.Tensor) -> Optional[torch.Tensor]:
    if output is not None and output.is_floating_point() and output.dim() == labels.dim() + 1:
        output = output.argmax(1)
    whole = output is not None and output.shape == labels.shape and not output.is_floating_point()
    return output if whole else None


def _with_cause(reason: str, findings: list[Finding]) -> str:
    errors = [each for each in findings if each.severity == "error" and not each.waived]
    if not errors:
        return reason
    cause = errors[0]
    place = f" at {cause.location}" if cause.location else ""
    return f"{reason}; the cause: {cause.message} [{cause.rule}{place}]"
