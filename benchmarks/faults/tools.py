"""The tools: each takes a program's ``build`` and says whether it complains, and about what."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.faults import peers, trusted_run

import torchproof


if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import partial

    from benchmarks.faults.case import Program

    from torchproof import Trainee

_STEPS = 300
_FALL = 0.9
_FEW = 3


@dataclass(frozen=True)
class Said:
    """What a tool said: whether it complains, the rules it names if it has any, its words.

    ``hints`` are the rules of findings that are no errors.
    """

    caught: bool
    rules: tuple[str, ...] = ()
    words: str = ""
    hints: tuple[str, ...] = ()


def prove(build: Callable[[], Trainee]) -> Said:
    """``torchproof.prove`` with all rules; it complains by a finding of severity ``error``."""
    proof = torchproof.prove(build)
    errors = [finding for finding in proof.findings if finding.severity == "error"]
    words = "; ".join(f"{each.rule} ({each.severity}): {each.message}" for each in proof.findings)
    hints = {finding.rule for finding in proof.findings} - {each.rule for each in errors}
    named = tuple(sorted({each.rule for each in errors}))
    return Said(bool(errors), named, words, tuple(sorted(hints)))


def overfit(build: Callable[[], Trainee]) -> Said:
    """``torchproof.overfit``: learn one batch by heart, then predict it."""
    result = torchproof.overfit(build, steps=_STEPS)
    named = {finding.rule for finding in result.findings} or {"overfit"}
    return Said(not result.converged, tuple(sorted(named)), result.reason)


def threshold(build: Callable[[], Trainee]) -> Said:
    """Single-batch overfit as it is usually written: 300 own steps, the loss falls by 90 %."""
    losses = _train(build, _STEPS)
    fell = losses[-1] <= (1 - _FALL) * losses[0] and math.isfinite(losses[-1])
    return Said(not fell, words=f"loss {losses[0]:.3g} to {losses[-1]:.3g}")


def anomaly(build: Callable[[], Trainee]) -> Said:
    """``torch.autograd.detect_anomaly`` around a few steps."""
    with torch.autograd.detect_anomaly():
        try:
            _train(build, _FEW)
        except RuntimeError as error:
            return Said(caught=True, words=str(error).splitlines()[0])
    return Said(caught=False)


def torch_warnings(build: Callable[[], Trainee]) -> Said:
    """Any ``UserWarning`` during a few steps."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        _train(build, _FEW)
    words = [str(each.message) for each in given if issubclass(each.category, UserWarning)]
    return Said(bool(words), words="; ".join(words)[:300])


def peer(name: str) -> Callable[[Callable[[], Trainee]], Said]:
    """Another project's tool; what it cannot be asked about it has not caught."""

    def ask(build: Callable[[], Trainee]) -> Said:
        try:
            words = getattr(peers, name)(build)
        except peers.CannotAskError as error:
            return Said(caught=False, words=f"cannot be asked: {error}")
        return Said(bool(words), words=words)

    return ask


def by_trusted_run(build: partial[Trainee]) -> Said:
    """TrainCheck, which needs the right twin as its trusted run."""
    program: Program = build.func
    words = trusted_run.violations(program.__name__, right=build.keywords["right"])
    return Said(bool(words), words=words)


PEERS = [name for name in ("torchtest", "pytest_torch") if find_spec(name)]

TOOLS: dict[str, Callable[[Any], Said]] = {
    "prove": prove,
    "overfit": overfit,
    "threshold": threshold,
    "anomaly": anomaly,
    "warnings": torch_warnings,
    **{name: peer(name) for name in PEERS},
    **({"traincheck": by_trusted_run} if find_spec("traincheck") else {}),
}


def _train(build: Callable[[], Trainee], steps: int) -> list[float]:
    """Return the losses of some steps on copies of the one batch."""
    with torchproof.fix_seed(0):
        trainee = build()
        return [_number(trainee.step(_copy(trainee.batch))) for _ in range(steps)]


def _number(loss: torch.Tensor | float) -> float:
    """Take the number without the warning that torch gives where a loss has a gradient."""
    return float(torch.as_tensor(loss).detach())


def _copy(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() for name, value in batch.items()}
