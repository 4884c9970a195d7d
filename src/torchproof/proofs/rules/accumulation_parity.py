"""Micro-batches together must give the gradient of the whole batch's loss."""

from __future__ import annotations

from math import fsum, isclose
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.batches import parted
from torchproof.proofs.finding import Finding
from torchproof.proofs.parameters.accumulated import divided_twice
from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import same
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.parameters.accumulated import Shares

ID = "accumulation-parity"


class _Parts(NamedTuple):
    """The micro-batches of one update, and the line of backward.

    Of each the number of rows, of class ids that the loss asks for, the mean loss, and the value
    that backward started at.
    """

    rows: list[int]
    asked: list[int]
    losses: list[float]
    roots: list[float]
    location: Optional[str]


@rule(
    ID,
    summary="gradients of k micro-batches are averaged, as the loss that the step returns",
    source="transformers #34191, #35203 (gradient accumulation); trl #2175",
    needs=("observation", "reproducible", "updates"),
    severity="error",
)
def accumulation_parity(bench: Bench) -> Iterator[Finding]:
    """The gradient of an update is that of the loss that the step returns, not a multiple of it.

    Decided where one call of the step calls the model on parts of its batch that make up all its
    rows, goes backward from one of torch's mean losses for each part, and updates once. If every
    backward pass starts at the whole mean of its part, nothing divides the gradients before the
    update, and the step returns the mean over all parts (to the rounding of so many additions),
    then the gradient is as many times too large as there are parts.

    So it is if parts of several rows each, as many in all, ask for unequal numbers of labels, and
    their mean losses go backward with equal shares: a label counts more where there are few.

    Where n backward passes before an update, in one call of the step or in several, each begin at
    1/n of their loss, and the update finds their sum divided by n once more, bit by bit, the
    gradient is as many times too small.

    Assumes that the loss that is returned is the one that is meant. Skipped if the step does not
    accumulate the gradients of a batch in one call, if it changes gradients between
    backward pass and update (clipping, unscaling), or if the step is not reproducible.
    """
    twice = divided_twice(bench)
    if twice is not None:
        yield _twice(twice)
        return
    parts = _parts(bench)
    if parts is None:
        raise Skip(
            "the step does not go backward for each part of its batch, by a mean loss of torch"
        )
    if _unequal(parts):
        yield _uneven(parts)
    count, returned = len(parts.rows), bench.reference.losses[0]
    if parts.roots != parts.losses or not _is_mean(returned, parts):
        return
    if _gradients_change(bench):
        raise Skip("the step changes its gradients between backward pass and update")
    yield Finding(
        ID,
        "error",
        f"The gradient is {count} times that of the loss that the step returns: the {count} mean "
        "losses of the micro-batches are added up.",
        evidence={
            "micro-batches": count,
            "loss returned": returned,
            "sum that went backward": fsum(parts.losses),
        },
        location=parts.location,
        remedy="(loss / accumulation_steps).backward()",
    )


def _twice(shares: Shares) -> Finding:
    return Finding(
        ID,
        "error",
        f"The gradient is 1/{shares.number} of that of the loss: each of {shares.number} losses is "
        f"divided by {shares.number} before backward(), and their gradients once more behind it.",
        evidence={"micro-batches": shares.number},
        location=shares.location,
        remedy="(loss / accumulation_steps).backward()  # and leave p.grad as it is",
    )


def _unequal(parts: _Parts) -> bool:
    """Tell whether means over unequal numbers of labels go backward with equal shares."""
    alike = len(set(parts.rows)) == 1 and parts.rows[0] > 1
    if not alike or len(set(parts.asked)) == 1 or 0 in parts.asked or 0.0 in parts.losses:
        return False
    shares = [root / loss for root, loss in zip(parts.roots, parts.losses)]
    bound = 2 * len(shares) * torch.finfo(torch.float32).eps
    return all(isclose(shares[0], each, rel_tol=bound) for each in shares)


def _uneven(parts: _Parts) -> Finding:
    least, most = min(parts.asked), max(parts.asked)
    return Finding(
        ID,
        "error",
        f"A label counts up to {most / least:.3g} times as much as another: means over {least} to "
        f"{most} labels of the micro-batches go backward with equal shares.",
        evidence={"micro-batches": len(parts.rows), "labels asked for": str(parts.asked)},
        location=parts.location,
        remedy='cross_entropy(..., reduction="sum") / labels_of_all_parts  # for each part',
    )


def _parts(bench: Bench) -> Optional[_Parts]:
    """Return the micro-batches of the first call, if it is made of such and updates once."""
    seen = bench.observation
    calls = bench.once(undisturbed).judged
    losses = [each for each in seen.losses if each.call == 0 and each.result is not None]
    passes = [each for each in seen.events if each.call == 0 and each.kind == "backward"]
    updates = [each for each in seen.updates if each.call == 0]
    if not len(losses) == len(passes) > 1 or len(updates) != 1:
        return None
    if calls and len(calls) != len(losses):
        return None
    one_loss = len({(each.name, each.location, each.reduction) for each in losses}) == 1
    if not one_loss or losses[0].reduction != "mean" or len({each.path for each in calls}) > 1:
        return None
    rows = [len(each.output) for each in calls if each.output is not None and each.output.dim()]
    rows = rows if calls else bench.once(_rows_given)
    means = [each.result or 0.0 for each in losses]
    roots = [each.facts["root"] for each in passes]
    if len(rows) != len(losses) or sum(rows) != _rows(bench):
        return None
    return _Parts(rows, [each.asked for each in losses], means, roots, passes[0].location)


def _rows_given(bench: Bench) -> list[int]:
    """Return the rows that the only model is given at each call, where it computes its loss."""
    rows: list[int] = []

    def enter(_: Any, args: Any, kwargs: Any) -> None:
        sizes = {len(each) for each in named_tensors((args, kwargs)).values() if each.dim()}
        rows.append(sizes.pop() if len(sizes) == 1 else 0)

    with bench.trial() as trial:
        several = list(trial.trainee.models.values())
        if len(several) == 1:
            several[0].register_forward_pre_hook(enter, with_kwargs=True)
            trial.step()
    return rows


def _rows(bench: Bench) -> int:
    """Return the number of rows of the batch; 0 if it is not known."""
    split = parted(bench.trainee)
    if split.labels:
        return split.rows
    sizes = {len(each) for each in split.inputs.values() if each.dim()}
    return sizes.pop() if len(sizes) == 1 else 0


def _is_mean(returned: float, parts: _Parts) -> bool:
    """Tell whether a number is the mean of the parts' losses, of the parts or of their rows."""
    plain = fsum(parts.losses) / len(parts.losses)
    weighted = fsum(rows * loss for rows, loss in zip(parts.rows, parts.losses)) / sum(parts.rows)
    bound = 2 * len(parts.losses) * torch.finfo(torch.float32).eps
    return any(isclose(returned, mean, rel_tol=bound) for mean in (plain, weighted))


def _gradients_change(bench: Bench) -> bool:
    """Tell whether an update finds other gradients than the last backward pass left."""
    left: dict[int, torch.Tensor] = {}
    changed: list[int] = []

    def compare(_: Any) -> None:
        changed.extend(key for key, held in by_id.items() if _differs(held.grad, left.get(key)))

    def keep(parameter: torch.Tensor) -> None:
        if parameter.grad is not None:
            left[id(parameter)] = parameter.grad.detach().clone()

    with bench.trial() as trial, optimizer_hooks(before=compare):
        by_id = {id(each): each for each in parameters(trial.trainee).values()}
        for each in by_id.values():
            if each.requires_grad:
                untyped: Any = each
                untyped.register_post_accumulate_grad_hook(keep)
        trial.step()
    return bool(changed)


def _differs(held: Optional[torch.Tensor], left: Optional[torch.Tensor]) -> bool:
    return held is not None and left is not None and not same(held.detach(), left)
