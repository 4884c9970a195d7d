"""Of several models, one that nobody trains although the others cannot do without it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch

from torchproof.proofs.parameters.unreached import disturb
from torchproof.proofs.prediction.replacement import predicted
from torchproof.proofs.process.isolation import untouched
from torchproof.proofs.process.overrides import wrapped
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.tensors.bits import different, same
from torchproof.proofs.tensors.spread import leaves_behind
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

_CALLS = 2


def forgotten_models(bench: Bench, idle: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of those of these models that can hardly be untrained on purpose.

    A backward pass of two calls reaches nothing but one of them, and nothing reads its gradients.
    Or what is trained hands its outputs on to it, the prediction comes through it or it compares
    these outputs with the class ids of the batch, as the centres of a margin loss do, and it is as
    it was drawn: another seed gives it other values, and ``build`` has neither loaded nor trained
    anything.
    """
    return tuple(key for key in idle if _taught(bench, key) or _comes_last(bench, key))


def _taught(bench: Bench, key: str) -> bool:
    seen = bench.observation
    own = {id(each) for each in seen.trial.trainee.models[key].parameters()}
    passes = [each for each in seen.events if each.kind == "backward"]
    vain = [passes[place] for place in seen.unread]
    return len({each.call for each in vain if each.touched and each.touched <= own}) >= _CALLS


def _comes_last(bench: Bench, key: str) -> bool:
    model = bench.observation.trial.trainee.models[key]
    meant = all(each.training for each in model.modules())
    meant = meant and all(each.requires_grad for each in model.parameters())
    if not meant or bench.reason_against("reproducible") or not _is_drawn(bench, key):
        return False
    learned, labels = _given(bench, key)
    return learned and (labels or _predicts(bench, key))


def _is_drawn(bench: Bench, key: str) -> bool:
    """Tell whether a model's values come from the seed, and from nothing else."""
    values, prepared = [], False
    for seed in (bench.seed, bench.seed + 1):
        with _preparations() as log, bench.trial(seed) as trial:
            values.append({n: each.clone() for n, each in _named(trial, key).items()})
        prepared |= bool(log)
    return not prepared and bool(different(*values))


@contextmanager
def _preparations() -> Iterator[list[Any]]:
    """Collect what is loaded into modules and what optimizers update in the block."""
    log: list[Any] = []
    loads = wrapped(torch.nn.Module, "load_state_dict", before=lambda *given: log.append(given[0]))
    with loads, optimizer_hooks(after=log.append):
        yield log


def _given(bench: Bench, key: str) -> tuple[bool, bool]:
    """Tell whether a model is given what an optimizer updates, and class ids of the batch.

    The one if a gradient goes through its inputs to what is updated.
    """
    behind: set[int] = set()
    ids: list[torch.Tensor] = []

    def enter(_: Any, args: Any, kwargs: Any) -> None:
        for each in named_tensors((args, kwargs)).values():
            behind.update(map(id, leaves_behind(each)))
            ids.extend([each] if each.dtype == torch.long else [])

    with bench.trial() as trial, ExitStack() as stack:
        for each in trial.trainee.models[key].modules():
            stack.callback(each.register_forward_pre_hook(enter, with_kwargs=True).remove)
        updated: list[Any] = []
        stack.enter_context(optimizer_hooks(after=updated.append))
        trial.step()
        others = {id(each) for each in held_by(updated)} - set(map(id, _named(trial, key).values()))
        labels = named_tensors(trial.trainee.labels).values()
        compared = any(
            one.shape == other.shape and same(one, other) for one in ids for other in labels
        )
    return bool(behind & others), compared


def _predicts(bench: Bench, key: str) -> bool:
    """Tell whether the prediction changes with the model's values."""
    if bench.reason_against("predict"):
        return False
    with bench.trial() as trial, untouched():
        trial.step()
        try:
            before = predicted(bench, trial)
            if not same(before, predicted(bench, trial)):
                return False
            for each in _named(trial, key).values():
                disturb(each)
            return not same(before, predicted(bench, trial))
        except Skip:
            return False


def _named(trial: Trial, key: str) -> dict[str, torch.Tensor]:
    return dict(trial.trainee.models[key].named_parameters())
