"""A prediction must come from the weights that are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.optim.swa_utils import AveragedModel

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.prediction.answers import answers, scores
from torchproof.proofs.prediction.replacement import disturb, predicted, restored
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import distinct, same


if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from typing import Optional

    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

ID = "trained-prediction"
_NOISES = (1, 2)
# Averages for prediction (EMA, SWA) are renewed every few steps.
_MOST_CALLS = 40
_CONSTANTS = 2


@rule(
    ID,
    summary="training changes what is predicted",
    source="a deepcopy for inference that is made once, before training",
    needs=("updates", "observation", "predict", "reproducible"),
    severity="error",
)
def trained_prediction(bench: Bench) -> Iterator[Finding]:
    """``predict`` works with the weights that the step trains, or with others made of them.

    Decided by adding noise to the parameters that an optimizer trains: the prediction changes, or
    it is made of other weights. These may be an average that the step renews, and are not if

    * noise on no parameter of the models reaches the prediction, and after 40 calls of the step it
      has the bits that it had before the first (error),
    * it depends on parameters that no optimizer trains and that were copies of trained ones before
      the first call, bit for bit; and 40 calls of the step bring it to the same bits whatever the
      trained ones started with (error).

    Where classes are predicted, the outputs of the modules that ``predict`` calls are compared.

    Assumes that averages of ones own are renewed within 40 calls. Skipped if torch's
    ``AveragedModel`` predicts, which may be renewed once an epoch, if the trainee brings no
    ``predict``, if the prediction is one of classes and no module is called for it, if fewer than
    two optimizer steps were seen, or if the step cannot be watched or is not reproducible.
    """
    if bench.trainee.predict is None:
        raise Skip("the model itself predicts; Trainee(predict=...) would say how it is done")
    names = _trained(bench)
    if _follows(bench, names):
        return
    copies = _copies(bench, names)
    if not _follows(bench):
        if not _learns(bench):
            what = "and it does not depend on the models' weights"
            yield _finding(bench, f"it has the same bits as before, {what}")
    elif copies and _follows(bench, copies) and not _reached(bench, names):
        what = f"of {listed(copies)}, which were copies of trained weights"
        yield _finding(bench, f"it has the same bits whatever is trained. It is made {what}")


def _finding(bench: Bench, what: str) -> Finding:
    return Finding(
        ID,
        "error",
        f"Training does not reach the prediction: after {_MOST_CALLS} calls of the step {what}.",
        evidence={"calls of the step": _MOST_CALLS, "largest change": 0.0},
        location=defined_at(bench.trainee.predict),
        remedy="model(...)  # the trained one; or copy.load_state_dict(model.state_dict()) before "
        "each use of a copy",
    )


def _trained(bench: Bench) -> list[str]:
    """Name the parameters that get gradients and are in an optimizer that steps."""
    seen = bench.observation
    held = {id(each) for each in held_by(step.optimizer for step in seen.steps)} & seen.fed.keys()
    return [name for name, each in parameters(seen.trial.trainee).items() if id(each) in held]


def _copies(bench: Bench, trained: list[str]) -> list[str]:
    """Name the other parameters that start with the bits of a trained one, if not as constants."""
    before = bench.observation.before
    return [
        name
        for name in parameters(bench.trainee)
        if name not in trained
        and len(distinct(before[name])) > _CONSTANTS
        and any(same(before[name], before[each]) for each in trained)
    ]


def _follows(bench: Bench, names: Optional[Container[str]] = None) -> bool:
    """Tell whether the prediction changes with these weights, by default with all."""
    return any(_changes(bench, noise, names) for noise in _NOISES)


def _changes(bench: Bench, noise: int, names: Optional[Container[str]]) -> bool:
    with restored(bench) as trial:
        first = _said(bench, trial)
        disturb(trial, noise, names)
        return not _alike(first, _said(bench, trial))


def _learns(bench: Bench) -> bool:
    """Tell whether some calls of the step change the prediction."""
    with bench.trial() as trial:
        first = _said(bench, trial, averaged=False)
        for _ in range(_MOST_CALLS):
            trial.step()
            if not _alike(first, _said(bench, trial)):
                return True
    return False


def _reached(bench: Bench, names: list[str]) -> bool:
    """Tell whether the step brings what it trains into the prediction."""
    return any(
        not _alike(*(_later(bench, calls, names, noise) for noise in (0, 1)))
        for calls in (len(bench.reference.losses), _MOST_CALLS)
    )


def _later(bench: Bench, calls: int, names: list[str], noise: int) -> list[torch.Tensor]:
    """Return the prediction after some calls of the step, which start with noise on weights."""
    with bench.trial() as trial:
        disturb(trial, noise, names)
        for _ in range(calls):
            trial.step()
        return _said(bench, trial, averaged=False)


def _said(bench: Bench, trial: Trial, *, averaged: bool = True) -> list[torch.Tensor]:
    """Return a prediction, and behind one of classes the scores.

    Raises:
        Skip: There are no scores; or an average predicts, and none is to.
    """
    with answers() as found:
        first = predicted(bench, trial)
    modules = [module for each in found for module in each.module.modules()]
    if not averaged and any(isinstance(module, AveragedModel) for module in modules):
        raise Skip("an AveragedModel predicts, which the step need not renew")
    if first.is_floating_point():
        return [first]
    if not scores(found):
        raise Skip("the prediction is one of classes, which can stay the same")
    return [first, *scores(found)]


def _alike(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return len(first) == len(second) and all(map(same, first, second))
