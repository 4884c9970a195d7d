"""The losses among the operations of a step, and where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Operation

OF_CLASSES = {"cross_entropy", "nll_loss", "multi_margin_loss"}
OF_VALUES = {
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy"),
    *("binary_cross_entropy_with_logits", "kl_div", "poisson_nll_loss", "gaussian_nll_loss"),
}


def losses_of_outputs(bench: Bench) -> list[Operation]:
    """Return the loss functions that the step feeds a model's own output."""
    if bench.reason_against("observation"):
        return []
    return [
        each
        for each in bench.observation.operations
        if each.name in OF_CLASSES | OF_VALUES
        and each.operands
        and each.inside is None
        and any(operand.is_output for operand in each.operands[:2])
    ]


def loss_line(bench: Bench) -> Optional[str]:
    """Return the line of the step's loss function, or else of its first backward pass."""
    if bench.reason_against("observation"):
        return None
    losses = [
        each.location
        for each in bench.observation.operations
        if each.name in OF_CLASSES | OF_VALUES and each.location
    ]
    return losses[0] if losses else bench.observation.first_backward
