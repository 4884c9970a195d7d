"""A prediction must come from the weights that are trained."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.swa_utils import AveragedModel

from torchproof.proofs.bits import same
from torchproof.proofs.finding import Finding
from torchproof.proofs.places import defined_at
from torchproof.proofs.replacement import disturb, predicted, restored
from torchproof.proofs.rule import Skip, rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench

ID = "trained-prediction"
_NOISES = (1, 2)
# Averages for prediction (EMA, SWA) are renewed every few steps.
_MOST_CALLS = 40


@rule(
    ID,
    summary="training changes what is predicted",
    source="a deepcopy for inference that is made once, before training",
    needs=("updates", "predict", "reproducible"),
    severity="error",
)
def trained_prediction(bench: Bench) -> Iterator[Finding]:
    """``predict`` works with the weights that the step trains, or with others made of them.

    Decided by adding noise to all parameters of the models: the prediction changes, or it is made
    of other weights. These may be an average that the step renews: if after 40 calls of the step
    the prediction still has the bits it had before the first, it is not (error).

    Assumes that averages of ones own are renewed within 40 calls. Skipped if torch's
    ``AveragedModel`` predicts, which may be renewed once an epoch, if the trainee brings no
    ``predict``, if the prediction is one of classes, if fewer than two optimizer steps were seen,
    or if the step is not reproducible.
    """
    if bench.trainee.predict is None:
        raise Skip("the model itself predicts; Trainee(predict=...) would say how it is done")
    if any(_follows(bench, noise) for noise in _NOISES) or _learns(bench):
        return
    yield Finding(
        ID,
        "error",
        f"Training does not reach the prediction: after {_MOST_CALLS} calls of the step it has the "
        f"same bits as before, and it does not depend on the models' weights.",
        evidence={"calls of the step": _MOST_CALLS, "largest change": 0.0},
        location=defined_at(bench.trainee.predict),
        remedy="model(...)  # the trained one; or copy.load_state_dict(model.state_dict()) before "
        "each use of a copy",
    )


@contextmanager
def _called() -> Iterator[list[torch.nn.Module]]:
    """Give the modules that are called inside the block."""
    modules: list[torch.nn.Module] = []
    handle = register_module_forward_pre_hook(lambda module, _: modules.append(module))
    try:
        yield modules
    finally:
        handle.remove()


def _follows(bench: Bench, noise: int) -> bool:
    """Tell whether the prediction changes with the weights.

    Raises:
        Skip: It does not, and is one of classes.
    """
    with restored(bench) as trial:
        first = predicted(bench, trial)
        disturb(trial, noise)
        second = predicted(bench, trial)
    if same(first, second) and not first.is_floating_point():
        raise Skip("the prediction is one of classes, which can stay the same")
    return not same(first, second)


def _learns(bench: Bench) -> bool:
    """Tell whether some calls of the step change the prediction.

    Raises:
        Skip: An average predicts that may be renewed outside of the step.
    """
    with bench.trial() as trial:
        with _called() as modules:
            first = predicted(bench, trial)
        if any(isinstance(module, AveragedModel) for module in modules):
            raise Skip("an AveragedModel predicts, which the step need not renew")
        for _ in range(_MOST_CALLS):
            trial.step()
            if not same(first, predicted(bench, trial)):
                return True
    return False
