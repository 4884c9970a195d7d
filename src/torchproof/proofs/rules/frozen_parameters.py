"""What is frozen must not move."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from torch.nn.modules.batchnorm import _BatchNorm

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.rule import rule
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different, distance


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation

ID = "frozen-parameters"
_STATISTICS = ("running_mean", "running_var")


@rule(
    ID,
    summary="frozen parameters and the batch-norm statistics of frozen parts do not move",
    source="kdexd/virtex #16; indexnet_matting #35; mmpretrain #702",
    needs=("observation",),
    severity="error",
)
def frozen_parameters(bench: Bench) -> Iterator[Finding]:
    """Frozen is frozen: weights by their bits, batch norm by its statistics.

    Decided by comparing the state before the first call with that after the last:

    * a parameter that matches ``Trainee(frozen=...)`` has moved,
    * a parameter that requires no gradient has moved in an optimizer that steps (stale gradients,
      weight decay or momentum move it); averages kept by hand (EMA) are in no optimizer,
    * the running statistics of a batch norm have moved although its scale and shift are frozen and
      so is, wholly and without moving a bit, the part of the model it belongs to; or all that comes
      before it, so that its input requires no gradient.

    Assumes that somebody who freezes a part wants its batch norm to stay as it was. Skipped if the
    step cannot be watched.
    """
    seen = bench.observation
    moved = set(different(seen.before, seen.after))
    yield from _declared(seen, moved)
    yield from _without_gradient(seen, moved)
    yield from _statistics(seen, moved)


def _declared(seen: Observation, moved: set[str]) -> Iterator[Finding]:
    patterns = seen.trial.trainee.frozen
    names = [
        name
        for name in parameters(seen.trial.trainee)
        if name in moved and any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    if names:
        yield _finding(
            seen,
            names,
            f"{listed(names)} are declared frozen and moved.",
            "model.backbone.requires_grad_(False)  # and leave it out of the optimizer",
        )


def _without_gradient(seen: Observation, moved: set[str]) -> Iterator[Finding]:
    held = {id(each) for each in held_by(step.optimizer for step in seen.steps)}
    patterns = seen.trial.trainee.frozen
    names = [
        name
        for name, each in parameters(seen.trial.trainee).items()
        if not each.requires_grad
        and name in moved
        and id(each) in held
        and not any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    if names:
        yield _finding(
            seen,
            names,
            f"{listed(names)} require no gradient, yet the optimizer moves them.",
            "optimizer = ...(each for each in model.parameters() if each.requires_grad)",
        )


def _statistics(seen: Observation, moved: set[str]) -> Iterator[Finding]:
    names = []
    for key, model in seen.trial.trainee.models.items():
        parts = dict(model.named_modules(prefix=key))
        for name, module in parts.items():
            if not isinstance(module, _BatchNorm) or not _frozen(seen, module, name, moved):
                continue
            part = _part(seen, parts, name, moved) or _after_frozen(seen, model, module)
            statistics = [f"{name}.{each}".strip(".") for each in _STATISTICS]
            if part and moved.intersection(statistics):
                names += [each for each in statistics if each in moved]
    if names:
        yield _finding(
            seen,
            names,
            f"The weights around {listed(names)} are frozen, but these batch-norm statistics move "
            f"with every batch: the frozen part does not compute what it did.",
            "frozen_part.eval()  # after every model.train()",
        )


def _after_frozen(seen: Observation, model: Any, module: Any) -> bool:
    """Tell whether a batch norm only sees what frozen weights have made of the input."""
    own = {id(each) for each in module.parameters()}
    frozen = [each for each in model.parameters() if not each.requires_grad]
    others = any(id(each) not in own and each.dim() > 1 for each in frozen)
    return others and not seen.learning_inputs.get(id(module), True)


def _part(seen: Observation, parts: dict[str, Any], name: str, moved: set[str]) -> bool:
    """Tell whether the smallest module around a batch norm with other weights is frozen."""
    own, path = len(list(parts[name].parameters())), name
    while path:
        path = path.rpartition(".")[0]
        around = parts.get(path)
        if around is not None and len(list(around.parameters())) > own:
            return _frozen(seen, around, path, moved)
    return False


def _frozen(seen: Observation, module: Any, name: str, moved: set[str]) -> bool:
    """Tell whether a module has parameters, and none of them learns or moved."""
    patterns = seen.trial.trainee.frozen
    named = {f"{name}.{own}".strip("."): each for own, each in module.named_parameters()}
    return bool(named) and all(
        path not in moved
        and (not each.requires_grad or any(fnmatchcase(path, pattern) for pattern in patterns))
        for path, each in named.items()
    )


def _finding(seen: Observation, names: list[str], message: str, remedy: str) -> Finding:
    gaps = [distance(seen.before[name], seen.after[name]) for name in names]
    return Finding(
        ID,
        "error",
        message,
        evidence={
            "tensors that moved": len(names),
            "largest movement": max(gaps),
            "calls": len(seen.trial.losses),
        },
        location=next((line for line in seen.optimizers.values() if line), None),
        remedy=remedy,
    )
