"""Noise that a step takes where the inputs should be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.pairing import aligned
from torchproof.proofs.prediction.probe import probe, undisturbed
from torchproof.proofs.prediction.replacement import disturb
from torchproof.proofs.process.randomness import NOISE
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.losses_seen import OF_VALUES
from torchproof.proofs.tensors.bits import different, elements_that_differ


if TYPE_CHECKING:
    from collections.abc import Iterable

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call, Probe

_COMPARISONS = OF_VALUES | {"sub", "rsub", "subtract"}


def given_instead(bench: Bench, calls: Iterable[Call], others: Iterable[Any]) -> bool:
    """Tell whether models get noise of an input's shape, and the step learns from it alone.

    So it does where the loss compares each row of the output with this row of the inputs alone, of
    which the noise says nothing.

    Args:
        bench: Where the trainee comes from.
        calls: The calls of the models in the step.
        others: Batches with other inputs, with which the step then leaves the same bits.
    """
    given = [each for call in calls for each in plain_tensors(call.arguments).values()]
    noise = {tuple(each.shape) for each in given if each.is_floating_point()} & _drawn(bench)
    whole = parted(bench.trainee)
    inputs = [each for each in whole.inputs.values() if each.is_floating_point()]
    if not any(each.dim() > 1 and tuple(each.shape) in noise for each in inputs):
        return False
    if _row_by_row(bench, len(inputs[0])):
        return True
    before = after_a_step(bench, whole.batch, 0)
    return not any(different(before, after_a_step(bench, other, 0)) for other in others)


def compared_one_by_one(bench: Bench) -> bool:
    """Tell whether no noise is drawn, or a loss compares outputs with inputs or it, one by one."""
    drawn = _drawn(bench)
    for each in bench.observation.operations if drawn else ():
        if each.name not in _COMPARISONS or len(each.operands) < len(("output", "target")):
            continue
        target, output = sorted(each.operands[:2], key=lambda operand: operand.requires_grad)
        known = target.source == "batch" or target.shape in drawn
        if output.requires_grad and output.shape == target.shape and known:
            return True
    return not drawn


def _row_by_row(bench: Bench, rows: int) -> bool:
    """Tell whether a loss compares each row of the outputs with its row of the inputs alone.

    Rows of both are overwritten: those whose number has a certain digit, for each digit of binary
    numbers. The gradient at the outputs has to change in these rows, and in these alone: it does
    not where rows are sorted, matched or compared with several others.
    """
    before = bench.once(undisturbed)
    digits = torch.arange(rows)[:, None] >> torch.arange((rows - 1).bit_length()) & 1
    return all(_acts_within(bench, before, chosen) for chosen in digits.bool().T)


def _acts_within(bench: Bench, before: Probe, chosen: torch.Tensor) -> bool:
    """Tell whether other values in some rows of inputs and outputs act on all of these alone."""

    def overwrite(tensor: torch.Tensor) -> torch.Tensor:
        fresh = tensor.detach().clone()
        if fresh.dim() and len(fresh) == len(chosen):
            fresh[chosen] = fresh.roll(1, 0)[chosen]
        return fresh

    others = [
        replace(each, output=None if each.output is None else overwrite(each.output))
        for each in before.calls
    ]
    batch = parted(bench.trainee).change(overwrite, labels=False)
    after = probe(bench, batch, held=replace(before, calls=others))
    gradients = [pair for pair in aligned(before, after) if pair[0].gradient is not None]
    return bool(gradients) and all(
        one.gradient is not None
        and other.gradient is not None
        and one.gradient.shape[:1] == other.gradient.shape[:1] == chosen.shape
        and torch.equal(
            elements_that_differ(one.gradient, other.gradient).flatten(1).any(1).cpu(), chosen
        )
        for one, other in gradients
    )


def after_a_step(bench: Bench, batch: Any, noise: int) -> dict[str, torch.Tensor]:
    """Return the state and the loss that a step on a batch leaves, with noise on the weights.

    Raises:
        Skip: The step does not run on this batch.
    """
    with bench.trial() as trial:
        disturb(trial, noise)
        trial.trainee.batch = batch
        try:
            loss = trial.step()
        except Exception as error:
            what = "the step fails on a batch with other values"
            raise Skip(f"{what} ({type(error).__name__}: {error})") from error
        return {**trial.state(), "the loss": torch.tensor(loss)}


def _drawn(bench: Bench) -> set[tuple[int, ...]]:
    if bench.reason_against("observation"):
        return set()
    draws = [each for each in bench.observation.draws if each.name in NOISE]
    return {each.shape for each in draws if each.shape is not None}
